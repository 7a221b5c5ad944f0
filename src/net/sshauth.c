/* Which keys a login may try; see sshauth.h. */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/fs.h"
#include "net/dial.h"
#include "net/sshauth.h"
#include "net/sshkey.h"
#include "wire/sshwire.h"

#define KEYS_MAX	16		/* more than any host's MaxAuthTries */
#define FROM_MAX	80
#define KEY_FILE_MAX	(64u << 10)
#define ANSWER_MAX	(256u << 10)
#define AGENT_NS	(10 * NSEC_SEC)	/* for the list of its keys, which needs nobody's consent */

/* draft-ietf-sshm-ssh-agent 3.6.1: which hash an RSA key shall sign with. */
#define FLAG_RSA_SHA2_256	2u
#define FLAG_RSA_SHA2_512	4u

struct one {
	struct sshkey	*key;		/* NULL: the agent's */
	struct buf	 blob;
	char		 from[FROM_MAX];
};

struct ssh_auth {
	size_t		 n;
	struct one	 keys[KEYS_MAX];
	int		 agent;		/* -1: none */
};

static struct ssh_auth *
auth_init(void)
{
	struct ssh_auth *a = xcalloc(1, sizeof(*a));

	a->agent = -1;
	return a;
}

void
ssh_auth_free(struct ssh_auth *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n; i++) {
		sshkey_free(a->keys[i].key);
		buf_free(&a->keys[i].blob);
	}
	if (a->agent >= 0)
		close(a->agent);
	free(a);
}

size_t
ssh_auth_count(const struct ssh_auth *a)
{
	return a->n;
}

struct str
ssh_auth_blob(const struct ssh_auth *a, size_t i)
{
	return buf_str(&a->keys[i].blob);
}

const char *
ssh_auth_from(const struct ssh_auth *a, size_t i)
{
	return a->keys[i].from;
}

/* Adds a key unless it is there already, or there is no room; then a key of our own is freed. */
static void
add(struct ssh_auth *a, struct sshkey *key, struct str blob, struct str from)
{
	struct buf words = { .max = FROM_MAX };

	for (size_t i = 0; i < a->n; i++)
		if (str_eq(buf_str(&a->keys[i].blob), blob))
			goto drop;
	if (a->n == KEYS_MAX)
		goto drop;
	a->keys[a->n].key = key;
	buf_putstr(&a->keys[a->n].blob, blob);
	/* An agent's comment is anybody's text. */
	sshwire_put_words(&words, from, FROM_MAX - 4);
	(void)str_copy(buf_str(&words), a->keys[a->n].from, FROM_MAX);
	buf_free(&words);
	a->n++;
	return;
drop:
	sshkey_free(key);
}

struct ssh_auth *
ssh_auth_key(struct str text, struct err *e)
{
	struct sshkey *k = sshkey_new(text, e);
	struct ssh_auth *a;

	if (k == NULL)
		return NULL;
	a = auth_init();
	add(a, k, sshkey_blob(k), STR("our key"));
	return a;
}

/* The agent */

static int
agent_connect(const char *path, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (str_copy(str_from(path), sa.sun_path, sizeof(sa.sun_path)) < 0)
		return err_set(e, ERR_CONFIG, 0, "the path is too long for a socket");
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return err_sys(e, "socket");
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1) {
		err_sys(e, "connect");
		close(fd);
		return -1;
	}
	return fd;
}

static int
agent_read(int fd, char *p, size_t n, mono_t deadline, struct err *e)
{
	while (n > 0) {
		ssize_t got;

		if (net_wait(fd, POLLIN, deadline, e) < 0)
			return -1;
		got = recv(fd, p, n, MSG_DONTWAIT);
		if (got == 0)
			return err_set(e, ERR_NET, 0, "it closed the connection");
		if (got == -1 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, "read");
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

static int
agent_write(int fd, struct str s, mono_t deadline, struct err *e)
{
	while (s.n > 0) {
		ssize_t put;

		if (net_wait(fd, POLLOUT, deadline, e) < 0)
			return -1;
		put = send(fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put == -1 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, "write");
		if (put > 0)
			s = str_sub(s, (size_t)put, s.n);
	}
	return 0;
}

/* One question and its answer, both without their lengths. */
static int
agent_ask(int fd, struct str question, struct buf *answer, mono_t deadline, struct err *e)
{
	struct buf b = { .max = ANSWER_MAX };
	struct str head;
	char length[4], *room;
	uint32_t n;
	int rc;

	sshwire_put_string(&b, question);
	rc = b.failed ? err_set(e, ERR_FULL, 0, "the question is too long") : agent_write(fd, buf_str(&b), deadline, e);
	buf_free(&b);
	if (rc < 0 || agent_read(fd, length, sizeof(length), deadline, e) < 0)
		return -1;
	head = str_of(length, sizeof(length));
	(void)sshwire_u32(&head, &n);
	if (n == 0 || n > ANSWER_MAX || (room = buf_room(answer, n)) == NULL)
		return err_set(e, ERR_PROTO, 0, "its answer is malformed");
	if (agent_read(fd, room, n, deadline, e) < 0)
		return -1;
	buf_grown(answer, n);
	return 0;
}

/* Whether hosts and we know the kind. Certificates of RSA keys are left out: how they are signed has changed too often. */
static bool
usable(struct str blob)
{
	static const char *const types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
		"ecdsa-sha2-nistp521", "ssh-rsa", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
		"ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com",
		"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp521-cert-v01@openssh.com" };
	struct str type;

	if (!sshwire_string(&blob, &type))
		return false;
	for (size_t i = 0; i < NELEM(types); i++)
		if (str_eqc(type, types[i]))
			return true;
	return false;
}

/* Adds what the agent at path has. */
static int
agent_list(struct ssh_auth *a, const char *path, struct err *e)
{
	struct buf answer = { .max = ANSWER_MAX }, from = { .max = 1024 };
	const char list = SSHWIRE_AGENT_LIST;
	struct str s, blob, comment;
	uint32_t n = 0;
	int rc = -1;

	if ((a->agent = agent_connect(path, e)) < 0 ||
	    agent_ask(a->agent, str_of(&list, 1), &answer, mono_after(AGENT_NS), e) < 0)
		goto out;
	s = buf_str(&answer);
	if (!sshwire_agent_keys(&s, &n)) {
		err_set(e, ERR_PROTO, 0, "it does not tell its keys");
		goto out;
	}
	for (; n > 0 && sshwire_agent_key(&s, &blob, &comment); n--) {
		if (!usable(blob))
			continue;
		buf_clear(&from);
		buf_puts(&from, "the agent's ");
		buf_putstr(&from, comment);
		add(a, NULL, blob, buf_str(&from));
	}
	rc = a->n > 0 ? 0 : err_set(e, ERR_NOTFOUND, 0, "it has no key that can be used");
out:
	buf_free(&answer);
	buf_free(&from);
	return rc;
}

static int
agent_sign(int fd, const struct one *k, struct ssh_question q, struct buf *sig, mono_t deadline,
    struct err *e)
{
	struct buf question = { .max = ANSWER_MAX }, answer = { .max = ANSWER_MAX };
	struct str got, rest;
	int rc;

	buf_putc(&question, SSHWIRE_AGENT_SIGN);
	sshwire_put_string(&question, buf_str(&k->blob));
	sshwire_put_string(&question, q.data);
	sshwire_put_u32(&question, str_eqc(q.alg, "rsa-sha2-512") ? FLAG_RSA_SHA2_512 :
	    str_eqc(q.alg, "rsa-sha2-256") ? FLAG_RSA_SHA2_256 : 0);
	rc = agent_ask(fd, buf_str(&question), &answer, deadline, e);
	if (rc == 0 && !sshwire_agent_signature(buf_str(&answer), &got, &rest))
		rc = err_set(e, ERR_AUTH, 0, "it does not sign (%s)", k->from);
	/* An agent that knows no flags signs with SHA-1, which is not what was asked for. A certificate's key signs under its own name. */
	else if (rc == 0 && !str_eq(got, str_sub(q.alg, 0, got.n)))
		rc = err_set(e, ERR_CONFIG, 0, "it signs with %.*s, not %.*s", STR_ARG(got),
		    STR_ARG(q.alg));
	else if (rc == 0)
		buf_putstr(sig, rest);
	buf_free(&question);
	buf_free(&answer);
	return rc == 0 ? 0 : err_ctx(e, "SSH agent");
}

int
ssh_auth_sign(struct ssh_auth *a, size_t i, struct ssh_question q, struct buf *sig, mono_t deadline,
    struct err *e)
{
	const struct one *k = &a->keys[i];

	/* RSA with SHA-1 has the name of the key's own kind. */
	if (str_eqc(q.alg, "ssh-rsa"))
		return err_set(e, ERR_CONFIG, 0, "the host takes RSA keys with SHA-1 only: use an Ed25519 or ECDSA key");
	if (k->key != NULL)
		return sshkey_sign(k->key, q.alg, q.data, sig, e);
	return agent_sign(a->agent, k, q, sig, deadline, e);
}

/* Adds a file of ~/.ssh, or appends to why what is the matter with it. */
static void
add_file(struct ssh_auth *a, const char *home, const char *name, struct buf *why)
{
	struct buf text = { .max = KEY_FILE_MAX }, from = { .max = FROM_MAX };
	char *path = fs_join(home, name);
	struct sshkey *k = NULL;
	struct err e = { 0 };

	if (fs_read(AT_FDCWD, path, KEY_FILE_MAX, &text, &e) == 0 && (k = sshkey_new(buf_str(&text), &e)) != NULL) {
		buf_fmt(&from, "~/%s", name);
		add(a, k, sshkey_blob(k), buf_str(&from));
	} else
		buf_fmt(why, "; ~/%s: %s", name, e.kind == ERR_NOTFOUND ? "not there" : e.msg);
	buf_wipe(&text);
	buf_free(&from);
	free(path);
}

struct ssh_auth *
ssh_auth_default(struct err *e)
{
	static const char *const names[] = { ".ssh/id_ed25519", ".ssh/id_ecdsa", ".ssh/id_rsa" };
	const char *home = getenv("HOME"), *path = getenv("SSH_AUTH_SOCK");
	struct buf why = { .max = 4096 };
	struct ssh_auth *a = auth_init();
	struct err said = { 0 };

	if (path == NULL || *path == '\0')
		buf_puts(&why, "no agent (SSH_AUTH_SOCK is not set)");
	else if (agent_list(a, path, &said) < 0)
		buf_fmt(&why, "the agent at %s: %s", path, said.msg);
	for (size_t i = 0; i < NELEM(names); i++)
		if (home != NULL && *home != '\0')
			add_file(a, home, names[i], &why);
	if (a->n == 0) {
		err_set(e, ERR_CONFIG, 0, "no SSH key was named, and none is there to use: %s", why.p);
		ssh_auth_free(a);
		a = NULL;
	}
	buf_free(&why);
	return a;
}
