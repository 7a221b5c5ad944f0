/*
 * SSH connections; see ssh.h. libssh2 keeps state between the tries of a call that
 * would block, so each call here is repeated with the same arguments until
 * it is through, and nothing else is asked of the session in between while
 * a packet is half sent.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <libssh2.h>

#include "core/fs.h"
#include "core/hash.h"
#include "net/dial.h"
#include "net/ssh.h"
#include "wire/sshwire.h"

#define KEEPALIVE_S	30
#define HELLO_MAX	(40u << 10)	/* of what a host says before the keys are exchanged: lines, version, one packet */
#define SAID_MAX	160		/* of a host's own words in an error */
#define LIST_SHOWN	170		/* of a list of names in an error */
#define PIECE		32000		/* of a command's input: fits one SSH packet */
#define OUT_PIECE	8192		/* of its output */
#define CLOSE_NS	(2 * NSEC_SEC)	/* for the polite part of closing */

struct ssh {
	int		 fd;
	LIBSSH2_SESSION	*session;
	mono_t		 alive_at;	/* when the next keep-alive is due */
	mono_t		 heard;		/* when the peer last said something */
	dur_t		 silence_ns;	/* how long it may say nothing; 0: until the deadline */
	bool		 broken;	/* an operation was left in the middle */
	bool		 ended;		/* the peer closed the connection, or said that it will */
	bool		 listening;	/* the first bytes are kept in hello */
	bool		 signed_in;	/* the host knows the key and got our signature */
	struct buf	 hello;
	char		 said[SAID_MAX];	/* the host's own words when it ended the connection */
};

/* Of libssh2_more.c. */
int	libssh2_more_banner(LIBSSH2_SESSION *session, char *out, size_t size);

/*
 * What is offered. Nothing with SHA-1, no host certificates (nobody here would check them). libssh2 puts two promises
 * in front of the key exchanges: ext-info-c (RFC 8308) and kex-strict-c (OpenSSH's PROTOCOL 1.10, against Terrapin).
 * ECDSA stands first among host keys: a host pinned by it can still be reached by a windlass older than this list.
 */
#define OUR_KEX		"curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384," \
			"ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512," \
			"diffie-hellman-group14-sha256,diffie-hellman-group-exchange-sha256"
#define OUR_HOSTKEYS	"ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512,rsa-sha2-256"
#define OUR_CIPHERS	"chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
#define OUR_MACS	"hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"

static const struct { const char *what, *ours; int method; } offers[SSHWIRE_LISTS] = {
	[SSHWIRE_KEX] = { "key exchange", OUR_KEX, LIBSSH2_METHOD_KEX },
	[SSHWIRE_HOSTKEY] = { "kind of host key", OUR_HOSTKEYS, LIBSSH2_METHOD_HOSTKEY },
	[SSHWIRE_CIPHER_CS] = { "cipher", OUR_CIPHERS, LIBSSH2_METHOD_CRYPT_CS },
	[SSHWIRE_CIPHER_SC] = { "cipher", OUR_CIPHERS, LIBSSH2_METHOD_CRYPT_SC },
	[SSHWIRE_MAC_CS] = { "MAC", OUR_MACS, LIBSSH2_METHOD_MAC_CS },
	[SSHWIRE_MAC_SC] = { "MAC", OUR_MACS, LIBSSH2_METHOD_MAC_SC },
};

/* Receives for libssh2, which wants -errno: here it is seen that the peer is not silent, and what it says first. */
static LIBSSH2_RECV_FUNC(listen_in)
{
	struct ssh *s = *abstract;
	ssize_t n = recv(socket, buffer, length, flags);

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return -EAGAIN;
	if (n <= 0) {
		s->ended = true;
		return n == 0 ? 0 : -errno;
	}
	s->heard = mono_now();
	if (s->listening && s->hello.n + (size_t)n <= s->hello.max)
		buf_put(&s->hello, buffer, (size_t)n);
	return n;
}

/* A host's words, fit for one line of ours. */
static void
keep_said(struct ssh *s, struct str words)
{
	struct buf b = { .max = 1024 };

	words = str_trim(words);
	if (words.n == 0 || s->said[0] != '\0')
		return;
	sshwire_put_words(&b, words, SAID_MAX - 4);
	(void)str_copy(buf_str(&b), s->said, sizeof(s->said));
	buf_free(&b);
}

static LIBSSH2_DISCONNECT_FUNC(on_disconnect)
{
	(void)session;
	(void)reason;
	(void)language;
	(void)language_len;
	((struct ssh *)*abstract)->ended = true;
	keep_said(*abstract, str_of(message, message_len > 0 ? (size_t)message_len : 0));
}

/* What went wrong in the last libssh2 call. Always -1. */
static int
explain(struct ssh *s, const char *what, struct err *e)
{
	char *text = NULL;
	int code = libssh2_session_last_error(s->session, &text, NULL, 0);
	enum err_kind kind = ERR_PROTO;

	switch (code) {
	case LIBSSH2_ERROR_SOCKET_NONE:
	case LIBSSH2_ERROR_BANNER_RECV:
	case LIBSSH2_ERROR_BANNER_SEND:
	case LIBSSH2_ERROR_SOCKET_SEND:
	case LIBSSH2_ERROR_SOCKET_RECV:
	case LIBSSH2_ERROR_SOCKET_DISCONNECT:
	case LIBSSH2_ERROR_SOCKET_TIMEOUT:
	case LIBSSH2_ERROR_TIMEOUT:
	/* In the middle of a key exchange this is what libssh2 makes of a closed connection. */
	case LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
		kind = ERR_NET;
		break;
	case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
	case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
	case LIBSSH2_ERROR_KEYFILE_AUTH_FAILED:
		kind = ERR_AUTH;
		break;
	}
	s->broken = true;
	if (s->said[0] != '\0')
		return err_set(e, kind, code, "%s: the host ended the connection, saying: %s", what, s->said);
	return err_set(e, kind, code, "%s: %s (libssh2 error %d)", what,
	    text != NULL && *text != '\0' ? text : "failed", code);
}

/* Whether the call that would block has a packet half sent: then only it may go on. */
static bool
half_sent(struct ssh *s)
{
	return (libssh2_session_block_directions(s->session) & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0;
}

/*
 * Sends a keep-alive when one is due and nothing is half sent. libssh2
 * could not take up one that went out in part, so it must fit whole.
 */
static int
keep_alive(struct ssh *s, struct err *e)
{
	struct pollfd p = { s->fd, POLLOUT, 0 };
	int next;

	if (!mono_passed(s->alive_at))
		return 0;
	s->alive_at = mono_after(KEEPALIVE_S * NSEC_SEC);
	if (half_sent(s) || poll(&p, 1, 0) != 1 || libssh2_keepalive_send(s->session, &next) == 0)
		return 0;
	return explain(s, "keep-alive", e);
}

/* Waits until a call that would block may be tried again. */
static int
again(struct ssh *s, mono_t deadline, struct err *e)
{
	for (;;) {
		mono_t limit = s->silence_ns > 0 ?
		    mono_min(deadline, mono_add(s->heard, s->silence_ns)) : deadline;
		struct err why;

		if (keep_alive(s, e) < 0)
			return -1;
		if (net_wait(s->fd, half_sent(s) ? POLLOUT : POLLIN, mono_min(limit, s->alive_at), &why) == 0)
			return 0;
		if (why.kind != ERR_TIMEOUT || mono_passed(limit)) {
			s->broken = true;
			if (why.kind == ERR_TIMEOUT && !mono_passed(deadline))
				return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "the host takes the connection but has said nothing for %lld s",
				    (long long)(s->silence_ns / NSEC_SEC));
			return err_set(e, why.kind, why.sys, "%s", why.msg);
		}
	}
}

/* Repeats a libssh2 call until it is through. rc stays LIBSSH2_ERROR_EAGAIN when the wait failed, and *e says why. */
#define THROUGH(s, rc, call, deadline, e)					\
	while (((rc) = (call)) == LIBSSH2_ERROR_EAGAIN)				\
		if (again((s), (deadline), (e)) < 0)				\
			break

/* The key's SHA-256 as OpenSSH prints it. */
static void
put_sha256(struct buf *b, struct str blob)
{
	uint8_t sum[32];
	struct buf text = { .max = 64 };

	hash_sha256(blob.p, blob.n, sum);
	hash_base64(&text, str_of(sum, sizeof(sum)));
	while (text.n > 0 && text.p[text.n - 1] == '=')
		buf_cut(&text, text.n - 1);
	buf_puts(b, "SHA256:");
	buf_putstr(b, buf_str(&text));
	buf_free(&text);
}

/* "type base64" of a host key blob, whose first field is its type. */
static int
put_host_line(struct buf *line, struct str blob, struct err *e)
{
	const uint8_t *p = (const uint8_t *)blob.p;
	size_t n;

	if (blob.n < 4 || (n = (size_t)p[2] << 8 | p[3], p[0] | p[1]) != 0 || n > blob.n - 4 || n > 64)
		return err_set(e, ERR_PROTO, 0, "the host key is malformed");
	buf_putstr(line, str_of(p + 4, n));
	buf_putc(line, ' ');
	hash_base64(line, blob);
	return 0;
}

static int
check_host_key(struct ssh *s, const struct ssh_opts *o, struct buf *pin_out, struct err *e)
{
	struct buf line = { .max = 8192 }, words = { .max = 512 }, old = { .max = 8192 };
	size_t n = 0;
	int type, rc = -1;
	const char *key = libssh2_session_hostkey(s->session, &n, &type);
	struct str left = o->pin, pin_type, pin_key;

	if (key == NULL || put_host_line(&line, str_of(key, n), e) < 0)
		goto out;
	if (pin_out != NULL)
		buf_putstr(pin_out, buf_str(&line));
	pin_type = str_cut(&left, ' ');
	pin_key = str_trim(str_cut(&left, ' '));
	put_sha256(&words, str_of(key, n));
	if (o->accept != NULL) {
		rc = strcmp(o->accept, words.p) == 0 ? 0 : err_set(e, ERR_TLS, 0,
		    "the host key is %s, not %s, which was to be accepted", words.p, o->accept);
		goto out;
	}
	/* The blob begins with the key's type, so that is compared too. */
	if (o->pin.n > 0 && (hash_base64_decode(&old, pin_key) < 0 || !str_eq(buf_str(&old), str_of(key, n)))) {
		buf_puts(&words, ", pinned was ");
		put_sha256(&words, buf_str(&old));
		err_set(e, ERR_TLS, 0, "host key is not the pinned one (now %s %.*s): the host was reinstalled, or this is another one",
		    words.p, STR_ARG(pin_type));
		goto out;
	}
	rc = 0;
out:
	buf_free(&line);
	buf_free(&words);
	buf_free(&old);
	return rc;
}

int
ssh_host_fingerprint(struct str line, struct buf *out)
{
	struct buf blob = { .max = 8192 };
	int rc = -1;

	(void)str_cut(&line, ' ');
	if (line.p != NULL && hash_base64_decode(&blob, str_trim(str_cut(&line, ' '))) == 0 && blob.n > 0) {
		put_sha256(out, buf_str(&blob));
		rc = 0;
	}
	buf_free(&blob);
	return rc;
}

/*
 * Sets what is offered. A host with several keys shall show the one that is pinned; another kind
 * is let in nevertheless, so that the key of a host that has lost the pinned one can be named.
 */
static int
set_offers(struct ssh *s, struct str pin, struct err *e)
{
	struct buf keys = { .max = 1024 };
	struct str left = pin, kind = str_cut(&left, ' '), ours = STR(OUR_HOSTKEYS);
	int rc = 0;

	if (str_eqc(kind, "ssh-rsa"))
		kind = STR("rsa-sha2-512,rsa-sha2-256");
	if (pin.n > 0 && left.p == NULL)
		return err_set(e, ERR_CONFIG, 0, "the pinned host key is not a line like \"ssh-ed25519 AAAA...\"");
	if (pin.n > 0 && sshwire_common(kind, ours).p == NULL)
		return err_set(e, ERR_CONFIG, 0, "the pinned host key is of a kind that cannot be used (%.*s): "
		    "pin the host's Ed25519, ECDSA or RSA key", STR_ARG(kind));
	buf_putstr(&keys, pin.n > 0 ? kind : STR_NULL);
	while (ours.p != NULL) {
		struct str name = str_cut(&ours, ',');

		if (pin.n == 0 || sshwire_common(name, kind).p == NULL)
			buf_fmt(&keys, "%s%.*s", keys.n > 0 ? "," : "", STR_ARG(name));
	}
	for (size_t i = 0; i < NELEM(offers); i++)
		rc |= libssh2_session_method_pref(s->session, offers[i].method, i == SSHWIRE_HOSTKEY ? keys.p :
		    offers[i].ours);
	rc |= libssh2_session_method_pref(s->session, LIBSSH2_METHOD_SIGN_ALGO, "rsa-sha2-512,rsa-sha2-256");
	assert(rc == 0);
	buf_free(&keys);
	return 0;
}

/* A host's list for people: without the promises among its key exchanges, which are no methods. */
static void
put_offer(struct buf *b, struct str list)
{
	struct buf names = { .max = HELLO_MAX };

	while (list.p != NULL) {
		struct str name = str_cut(&list, ',');

		if (name.n > 0 && !str_starts(name, "kex-strict-") && !str_starts(name, "ext-info-"))
			buf_fmt(&names, "%s%.*s", names.n > 0 ? "," : "", STR_ARG(name));
	}
	if (names.n == 0)
		buf_puts(&names, "none");
	sshwire_put_words(b, buf_str(&names), LIST_SHOWN);
	buf_free(&names);
}

/* A handshake failed: a permanent refusal names what both sides offer. */
static int
explain_handshake(struct ssh *s, struct err *e)
{
	struct buf theirs = { .max = 8192 };
	struct sshwire_hello h;
	int rc = sshwire_hello(buf_str(&s->hello), &h);

	for (size_t i = 0; rc == 1 && i < NELEM(offers); i++) {
		struct str ours = str_from(offers[i].ours);

		if (sshwire_common(ours, h.lists[i]).p != NULL)
			continue;
		put_offer(&theirs, h.lists[i]);
		s->broken = true;
		err_set(e, ERR_CONFIG, 0, "no %s in common: the host offers %s; windlass offers %s", offers[i].what,
		    theirs.p, offers[i].ours);
		buf_free(&theirs);
		return -1;
	}
	/* sshd says in a plain line why it will not even begin, for example that too many are logging in. */
	if (h.version.n == 0)
		keep_said(s, buf_str(&s->hello));
	return explain(s, "handshake", e);
}

static int
handshake(struct ssh *s, mono_t deadline, struct err *e)
{
	int rc;

	THROUGH(s, rc, libssh2_session_handshake(s->session, s->fd), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	return rc == 0 ? 0 : explain_handshake(s, e);
}

/* One try with one key. */
struct signing {
	struct ssh	*s;
	struct ssh_auth	*auth;
	size_t		 i;
	mono_t		 deadline;
	struct err	 err;		/* why there is no signature */
};

/* The algorithm in a request to be signed (RFC 4252 section 7), which libssh2 has chosen. */
static bool
find_algorithm(struct str s, struct str *alg)
{
	/* before the algorithm: the session, a byte; the user, the service, the method; a byte */
	static const int strings[] = { 1, 3 };

	for (size_t i = 0; i < NELEM(strings); i++) {
		for (int n = strings[i]; n > 0; n--)
			if (!sshwire_string(&s, alg))
				return false;
		s = str_sub(s, 1, s.n);
	}
	return sshwire_string(&s, alg);
}

/* libssh2 frees *sig with its own allocator, which is malloc's. */
static LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC(sign)
{
	struct signing *g = *abstract;
	struct str left, field, alg;
	struct buf b = { .max = 16 << 10 };

	(void)session;
	g->s->signed_in = true;
	if (!find_algorithm(str_of(data, data_len), &alg) ||
	    ssh_auth_sign(g->auth, g->i, (struct ssh_question){ alg, str_of(data, data_len) }, &b,
	    g->deadline, &g->err) < 0) {
		buf_free(&b);
		return -1;
	}
	left = buf_str(&b);
	/* libssh2 puts a signature into a string of its own, except for those of security keys, which have more behind it. */
	if (!str_starts(alg, "sk-") && sshwire_string(&left, &field))
		left = field;
	*sig = memcpy(xmalloc(left.n), left.p, left.n);
	*sig_len = left.n;
	buf_free(&b);
	return 0;
}

/* The host does not let us in: with which keys, and what it says itself. */
static int
explain_refusal(struct ssh *s, const char *user, const struct ssh_auth *auth, const char *what, struct err *e)
{
	char words[1024];
	struct buf keys = { .max = 200 };

	if (libssh2_more_banner(s->session, words, sizeof(words)) == 0)
		keep_said(s, str_from(words));
	for (size_t i = 0; i < ssh_auth_count(auth); i++) {
		struct buf one = { .max = 300 };

		buf_fmt(&one, "%s%s ", i > 0 ? ", " : "", ssh_auth_from(auth, i));
		put_sha256(&one, ssh_auth_blob(auth, i));
		buf_putstr(&keys, buf_str(&one));
		buf_free(&one);
	}
	s->broken = true;
	err_set(e, ERR_AUTH, 0, "the host %s for user %s (%s%s)%s%s", what, user, keys.n > 0 ? keys.p : "", keys.failed ? ", ..." : "",
	    s->said[0] != '\0' ? ", saying: " : "", s->said);
	buf_free(&keys);
	return -1;
}

/* Tries the keys in turn. */
static int
authenticate(struct ssh *s, const char *user, struct ssh_auth *auth, mono_t deadline, struct err *e)
{
	size_t n = ssh_auth_count(auth);

	for (size_t i = 0; i < n; i++) {
		struct signing g = { .s = s, .auth = auth, .i = i, .deadline = s->silence_ns > 0 ?
			mono_min(deadline, mono_after(s->silence_ns)) : deadline };
		struct str blob = ssh_auth_blob(auth, i);
		void *ctx = &g;
		int rc;

		s->signed_in = false;
		THROUGH(s, rc, libssh2_userauth_publickey(s->session, user, (const unsigned char *)blob.p, blob.n, sign, &ctx),
		    deadline, e);
		if (rc == LIBSSH2_ERROR_EAGAIN)
			return -1;
		if (rc == 0)
			return 0;
		if (g.err.kind == ERR_CANCELLED || (g.err.kind != ERR_NONE && i + 1 == n)) {
			s->broken = true;
			return err_set(e, g.err.kind, g.err.sys, "%s", g.err.msg);
		}
		/* A host that took the key and hangs up at the signature has something against the account. */
		if (s->ended && (s->signed_in || i > 0 || s->said[0] != '\0'))
			return explain_refusal(s, user, auth, s->signed_in ? "knows our key but ends the connection" :
			    "ends the connection before a key was accepted", e);
		if (s->ended) {
			s->broken = true;
			return err_set(e, ERR_NET, rc, "the host closed the connection during authentication");
		}
		if (rc != LIBSSH2_ERROR_AUTHENTICATION_FAILED && rc != LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
			return explain(s, "authentication", e);
	}
	return explain_refusal(s, user, auth, n == 1 ? "does not accept our key" : "does not accept any of our keys", e);
}

static struct ssh *
make_session(const struct ssh_opts *o)
{
	struct ssh *s = xcalloc(1, sizeof(*s));

	s->fd = -1;
	s->broken = true;
	s->silence_ns = o->hello_ns;
	s->hello.max = HELLO_MAX;
	/* Only the first of these does anything. */
	if (libssh2_init(0) != 0)
		abort();
	if ((s->session = libssh2_session_init_ex(NULL, NULL, NULL, s)) == NULL)
		abort();
	libssh2_session_callback_set2(s->session, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)listen_in);
	libssh2_session_callback_set2(s->session, LIBSSH2_CALLBACK_DISCONNECT, (libssh2_cb_generic *)on_disconnect);
	libssh2_session_set_blocking(s->session, 0);
	/* alive_at decides; libssh2 must only never think that it is too early. */
	libssh2_keepalive_config(s->session, 1, KEEPALIVE_S / 2);
	s->alive_at = mono_after(KEEPALIVE_S * NSEC_SEC);
	return s;
}

struct ssh *
ssh_open(const struct ssh_opts *o, struct buf *pin_out, mono_t deadline, struct err *e)
{
	struct dial_opts d = { .keepalive_s = KEEPALIVE_S };
	struct ssh *s = make_session(o);

	if (set_offers(s, o->accept != NULL ? STR_NULL : o->pin, e) < 0)
		goto fail;
	if ((s->fd = dial_tcp(o->host, o->port, &d, o->dial_ns > 0 ? mono_min(deadline, mono_after(o->dial_ns)) : deadline, e)) < 0)
		goto fail;
	s->heard = mono_now();
	s->listening = true;
	if (handshake(s, deadline, e) < 0)
		goto fail;
	s->listening = false;
	s->silence_ns = o->login_ns;
	if (check_host_key(s, o, pin_out, e) < 0 ||
	    authenticate(s, o->user, o->auth, deadline, e) < 0)
		goto fail;
	s->silence_ns = 0;
	s->broken = false;
	buf_free(&s->hello);
	return s;
fail:
	err_ctx(e, "ssh %s@%.*s:%u", o->user, STR_ARG(o->host), o->port);
	ssh_close(s);
	return NULL;
}

void
ssh_close(struct ssh *s)
{
	mono_t deadline = mono_after(CLOSE_NS);

	if (s == NULL)
		return;
	if (s->session != NULL && !s->broken)
		while (libssh2_session_disconnect(s->session, "done") == LIBSSH2_ERROR_EAGAIN)
			if (again(s, deadline, NULL) < 0)
				break;
	/*
	 * Freeing speaks to the peer once more; on a dead socket that ends at
	 * once. A packet that was half sent bars it for ever: then the memory
	 * is left to the end of the process.
	 */
	if (s->fd >= 0)
		shutdown(s->fd, SHUT_RDWR);
	if (s->session != NULL)
		for (int tries = 0; tries < 4 && libssh2_session_free(s->session) == LIBSSH2_ERROR_EAGAIN; tries++)
			continue;
	if (s->fd >= 0)
		close(s->fd);
	buf_free(&s->hello);
	free(s);
}

static LIBSSH2_CHANNEL *
open_channel(struct ssh *s, mono_t deadline, struct err *e)
{
	LIBSSH2_CHANNEL *ch;

	while ((ch = libssh2_channel_open_session(s->session)) == NULL) {
		if (libssh2_session_last_errno(s->session) != LIBSSH2_ERROR_EAGAIN) {
			explain(s, "open a channel", e);
			return NULL;
		}
		if (again(s, deadline, e) < 0)
			return NULL;
	}
	return ch;
}

static int
start_command(struct ssh *s, LIBSSH2_CHANNEL *ch, const char *cmd, mono_t deadline, struct err *e)
{
	int rc;

	THROUGH(s, rc, libssh2_channel_process_startup(ch, cmd != NULL ? "exec" : "shell", cmd != NULL ? 4 : 5,
	    cmd, cmd != NULL ? (unsigned)strlen(cmd) : 0), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	return rc == 0 ? 0 : explain(s, cmd != NULL ? "start the command" : "start a shell", e);
}

/* RFC 4254 6.10 names signals without SIG. */
static int
signal_number(const char *name)
{
	static const struct { const char *name; int number; } known[] = {
		{ "ABRT", SIGABRT }, { "ALRM", SIGALRM }, { "FPE", SIGFPE }, { "HUP", SIGHUP },
		{ "ILL", SIGILL }, { "INT", SIGINT }, { "KILL", SIGKILL }, { "PIPE", SIGPIPE },
		{ "QUIT", SIGQUIT }, { "SEGV", SIGSEGV }, { "TERM", SIGTERM }, { "USR1", SIGUSR1 },
		{ "USR2", SIGUSR2 }, { "BUS", SIGBUS }, { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
	};

	for (size_t i = 0; i < NELEM(known); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].number;
	return 0;
}

/* Closes a channel whose output has ended, and learns how its command did. */
static int
finish(struct ssh *s, LIBSSH2_CHANNEL *ch, mono_t deadline, struct err *e)
{
	char *name = NULL;
	int rc, status;

	THROUGH(s, rc, libssh2_channel_close(ch), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	if (rc == 0)
		THROUGH(s, rc, libssh2_channel_wait_closed(ch), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	if (rc != 0)
		return explain(s, "end of the command", e);
	status = libssh2_channel_get_exit_status(ch);
	/* 32 bits of the peer's: no command ends so. */
	if (status < 0)
		status = INT_MAX;
	libssh2_channel_get_exit_signal(ch, &name, NULL, NULL, NULL, NULL, NULL);
	if (name != NULL) {
		status = 128 + signal_number(name);
		libssh2_free(s->session, name);
	}
	return status;
}

static void
free_channel(struct ssh *s, LIBSSH2_CHANNEL *ch)
{
	mono_t deadline = mono_after(CLOSE_NS);

	/* A channel left in the middle is freed with its session. */
	if (ch == NULL || s->broken)
		return;
	while (libssh2_channel_free(ch) == LIBSSH2_ERROR_EAGAIN)
		if (again(s, deadline, NULL) < 0)
			break;
}

/* A command's end: rc, after which a connection that could not see it is of no use any more. */
static int
leave(struct ssh *s, LIBSSH2_CHANNEL *ch, int rc, struct err *e)
{
	free_channel(s, ch);
	if (rc >= 0)
		return rc;
	s->broken = true;
	return err_ctx(e, "ssh");
}

/* Appends, keeping what out held before and of the rest the last that fits. */
static void
keep_tail(struct buf *out, size_t before, const char *p, size_t n)
{
	size_t max = (out->max > 0 ? out->max : BUF_MAX_DEFAULT) - before;

	if (n > max) {
		p += n - max;
		n = max;
	}
	if (out->n - before + n > max) {
		size_t drop = out->n - before + n - max;

		memmove(out->p + before, out->p + before + drop, out->n - before - drop);
		buf_cut(out, out->n - drop);
	}
	buf_put(out, p, n);
}

/* A channel's input: bytes at hand, and whether more may come. */
struct input {
	struct str	at_hand;
	bool		more;		/* the source is still open */
	bool		ended;		/* EOF was sent, or the command wants no more */
};

/* One try to send input. 1 progress, 0 would block, -1. */
static int
send_input(struct ssh *s, LIBSSH2_CHANNEL *ch, struct input *in, struct err *e)
{
	ssize_t n;

	if (in->ended || (in->at_hand.n == 0 && in->more))
		return 0;
	if (in->at_hand.n == 0) {
		n = libssh2_channel_send_eof(ch);
		in->ended = n == 0;
	} else {
		n = libssh2_channel_write(ch, in->at_hand.p, in->at_hand.n < PIECE ? in->at_hand.n : PIECE);
		if (n > 0)
			in->at_hand = str_sub(in->at_hand, (size_t)n, in->at_hand.n);
	}
	if (n == LIBSSH2_ERROR_EAGAIN)
		return 0;
	/* The command ended without reading all of it: its own affair. */
	if (n == LIBSSH2_ERROR_CHANNEL_CLOSED || n == LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
		in->ended = true;
		return 1;
	}
	return n < 0 ? explain(s, "send input", e) : 1;
}

/*
 * Reads what has come, at most OUT_PIECE. > 0 bytes; 0 nothing there, or the end; -1. Reading
 * may have to send a window adjustment; one that is half sent is seen
 * through here, since sshd takes bytes whatever else it does.
 */
static ssize_t
read_output(struct ssh *s, LIBSSH2_CHANNEL *ch, int stream, char p[OUT_PIECE], mono_t deadline,
    struct err *e)
{
	ssize_t got;

	while ((got = libssh2_channel_read_ex(ch, stream, p, OUT_PIECE)) == LIBSSH2_ERROR_EAGAIN) {
		if (!half_sent(s))
			return 0;
		if (again(s, deadline, e) < 0)
			return -1;
	}
	return got < 0 ? explain(s, "read output", e) : got;
}

int
ssh_run(struct ssh *s, const char *cmd, struct str input, struct buf *out, mono_t deadline,
    struct err *e)
{
	struct input in = { .at_hand = input };
	size_t before = out != NULL ? out->n : 0;
	LIBSSH2_CHANNEL *ch = NULL;
	char piece[OUT_PIECE];
	int rc = -1;

	assert(!s->broken);
	if ((ch = open_channel(s, deadline, e)) == NULL)
		goto out;
	libssh2_channel_handle_extended_data2(ch, LIBSSH2_CHANNEL_EXTENDED_DATA_MERGE);
	if (start_command(s, ch, cmd, deadline, e) < 0)
		goto out;
	for (;;) {
		int sent = send_input(s, ch, &in, e);
		ssize_t n = 0;

		if (sent < 0)
			goto out;
		/* While a piece of input is half sent, only it may go on. */
		if (sent > 0 || !half_sent(s)) {
			if ((n = read_output(s, ch, 0, piece, deadline, e)) < 0)
				goto out;
			if (n > 0 && out != NULL)
				keep_tail(out, before, piece, (size_t)n);
			if (n == 0 && libssh2_channel_eof(ch))
				break;
		}
		if (sent == 0 && n == 0 && again(s, deadline, e) < 0)
			goto out;
	}
	rc = finish(s, ch, deadline, e);
out:
	return leave(s, ch, rc, e);
}

/*
 * The terminal side of ssh_interactive(): signals only set flags, and are
 * let in only while ppoll(2) waits.
 */
static volatile struct { sig_atomic_t resized, ended_by; } told;

static void
on_signal(int sig)
{
	if (sig == SIGWINCH)
		told.resized = 1;
	else
		told.ended_by = sig;
}

struct terminal {
	bool		 raw;		/* to be restored */
	struct termios	 saved;
	sigset_t	 mask;		/* while waiting */
	sigset_t	 old_mask;
	struct sigaction old_action[4];
};

static const int watched[4] = { SIGWINCH, SIGTERM, SIGHUP, SIGINT };

static void
enter_terminal(struct terminal *t, bool raw)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct termios now;
	sigset_t block;

	told.resized = told.ended_by = 0;
	sigemptyset(&block);
	for (size_t i = 0; i < NELEM(watched); i++) {
		sigaddset(&block, watched[i]);
		sigaction(watched[i], &sa, &t->old_action[i]);
	}
	sigprocmask(SIG_BLOCK, &block, &t->old_mask);
	t->mask = t->old_mask;
	for (size_t i = 0; i < NELEM(watched); i++)
		sigdelset(&t->mask, watched[i]);
	if (raw && tcgetattr(STDIN_FILENO, &t->saved) == 0) {
		now = t->saved;
		cfmakeraw(&now);
		t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &now) == 0;
	}
}

static void
leave_terminal(struct terminal *t)
{
	if (t->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	for (size_t i = 0; i < NELEM(watched); i++)
		sigaction(watched[i], &t->old_action[i], NULL);
	sigprocmask(SIG_SETMASK, &t->old_mask, NULL);
}

static struct winsize
terminal_size(void)
{
	struct winsize w = { 0 };

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == -1 || w.ws_col == 0 || w.ws_row == 0)
		w = (struct winsize){ .ws_col = 80, .ws_row = 24 };
	return w;
}

static int
request_pty(struct ssh *s, LIBSSH2_CHANNEL *ch, struct err *e)
{
	const char *term = getenv("TERM");
	struct winsize w = terminal_size();
	int rc;

	if (term == NULL || *term == '\0')
		term = "xterm";
	THROUGH(s, rc, libssh2_channel_request_pty_ex(ch, term, (unsigned)strlen(term), NULL, 0,
	    w.ws_col, w.ws_row, 0, 0), MONO_NEVER, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	return rc == 0 ? 0 : explain(s, "request a terminal", e);
}

static int
follow_size(struct ssh *s, LIBSSH2_CHANNEL *ch, struct err *e)
{
	struct winsize w = terminal_size();
	int rc;

	told.resized = 0;
	THROUGH(s, rc, libssh2_channel_request_pty_size(ch, w.ws_col, w.ws_row), MONO_NEVER, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	return rc == 0 ? 0 : explain(s, "resize the terminal", e);
}

/* Shows what has come on a stream. 1 progress, 0 nothing there, -1. */
static int
show_output(struct ssh *s, LIBSSH2_CHANNEL *ch, int stream, int to, struct err *e)
{
	char piece[OUT_PIECE];
	ssize_t n = read_output(s, ch, stream, piece, MONO_NEVER, e);

	if (n <= 0)
		return (int)n;
	return fs_write_all(to, piece, (size_t)n, e) < 0 ? -1 : 1;
}

/* Waits for the peer, for a key, or for a signal. 0 or -1. */
static int
wait_terminal(struct ssh *s, const struct terminal *t, const struct input *in, bool *key, struct err *e)
{
	bool want_key = in->more && !in->ended && in->at_hand.n == 0;
	struct pollfd p[2] = {
		{ s->fd, half_sent(s) ? POLLOUT : POLLIN, 0 },
		{ want_key ? STDIN_FILENO : -1, POLLIN, 0 },
	};
	int ms = mono_ms_until(s->alive_at);
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	if (ppoll(p, 2, &ts, &t->mask) == -1 && errno != EINTR)
		return err_sys(e, "poll");
	*key = p[1].revents != 0;
	return keep_alive(s, e);
}

/* Everything between the start of the remote command and the end of its output. 0 or -1. */
static int
converse(struct ssh *s, LIBSSH2_CHANNEL *ch, const struct terminal *t, bool pty, struct err *e)
{
	struct input in = { .more = true };
	char typed[4096];

	while (told.ended_by == 0) {
		int sent, out = 0, err = 0;
		bool key = false;

		if (told.resized && pty && !half_sent(s) && follow_size(s, ch, e) < 0)
			return -1;
		if ((sent = send_input(s, ch, &in, e)) < 0)
			return -1;
		if (sent > 0 || !half_sent(s)) {
			if ((out = show_output(s, ch, 0, STDOUT_FILENO, e)) < 0)
				return -1;
			if ((err = show_output(s, ch, SSH_EXTENDED_DATA_STDERR, STDERR_FILENO, e)) < 0)
				return -1;
			if (out == 0 && err == 0 && libssh2_channel_eof(ch))
				return 0;
		}
		if (sent > 0 || out > 0 || err > 0)
			continue;
		if (wait_terminal(s, t, &in, &key, e) < 0)
			return -1;
		if (key) {
			ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));

			if (n > 0)
				in.at_hand = str_of(typed, (size_t)n);
			else if (n == 0 || (errno != EINTR && errno != EAGAIN))
				in.more = false;
		}
	}
	return 0;
}

int
ssh_interactive(struct ssh *s, const char *cmd, struct err *e)
{
	bool pty = cmd == NULL && isatty(STDIN_FILENO);
	LIBSSH2_CHANNEL *ch = NULL;
	struct terminal t = { 0 };
	int rc = -1;

	assert(!s->broken);
	if ((ch = open_channel(s, MONO_NEVER, e)) == NULL)
		goto out;
	if ((pty && request_pty(s, ch, e) < 0) || start_command(s, ch, cmd, MONO_NEVER, e) < 0)
		goto out;
	enter_terminal(&t, pty);
	rc = converse(s, ch, &t, pty, e);
	leave_terminal(&t);
	if (rc == 0 && told.ended_by != 0) {
		s->broken = true;
		return 128 + told.ended_by;
	}
	if (rc == 0)
		rc = finish(s, ch, MONO_NEVER, e);
out:
	return leave(s, ch, rc, e);
}
