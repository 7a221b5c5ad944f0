/*
 * The network modules by hand: for the end-to-end tests, and for a person
 * who wants to know what windlass makes of a server.
 *
 *	nettool http METHOD URL [option...]	an exchange; the body on stdout
 *	nettool tls HOST PORT [option...]	what the peer sends, until its end
 *	nettool ssh USER HOST PORT [option...] [COMMAND]
 *	nettool shell USER HOST PORT [option...] [COMMAND]	joined to this terminal
 *	nettool keygen				private key and public line
 *	nettool pubkey FILE			public line of a private key
 *	nettool fingerprint LINE
 *	nettool expiry FILE			notAfter of a certificate
 *
 * What went wrong is one line on stderr, "KIND: MESSAGE", and exit status 1.
 */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/fs.h"
#include "core/opt.h"
#include "net/dial.h"
#include "net/http.h"
#include "net/ssh.h"

#define FILE_MAX	(256u << 20)

enum {
	O_CA, O_SYSTEM, O_PIN, O_CERT, O_KEY, O_NAME, O_TIMEOUT, O_BODY, O_STREAM, O_HEADER, O_PROXY,
	O_REPEAT, O_PAUSE, O_SLOW, O_CHAIN, O_SEND, O_SILENCE, O_INPUT, O_MAX, O_SIZE,
};

static struct opt opts[] = {
	[O_CA] =	{ .name = "ca", .type = OPT_STRING, .help = "trust this PEM file" },
	[O_SYSTEM] =	{ .name = "system", .type = OPT_BOOL, .help = "trust the built-in and the host's authorities" },
	[O_PIN] =	{ .name = "pin", .type = OPT_STRING, .help = "TLS: certificate file whose key must be used; ssh: host key line" },
	[O_CERT] =	{ .name = "cert", .type = OPT_STRING, .help = "client certificate" },
	[O_KEY] =	{ .name = "key", .type = OPT_STRING, .help = "its key; ssh: private key (default: the agent's and ~/.ssh's)" },
	[O_NAME] =	{ .name = "name", .type = OPT_STRING, .help = "name to verify instead of the host's" },
	[O_TIMEOUT] =	{ .name = "timeout", .type = OPT_STRING, .help = "deadline, 10s unless given" },
	[O_BODY] =	{ .name = "body", .type = OPT_STRING, .help = "file to send as the request's body" },
	[O_STREAM] =	{ .name = "stream", .type = OPT_BOOL, .help = "send it in pieces" },
	[O_HEADER] =	{ .name = "header", .type = OPT_LIST, .help = "further header line" },
	[O_PROXY] =	{ .name = "proxy", .type = OPT_BOOL, .help = "honour HTTP_PROXY and the like" },
	[O_REPEAT] =	{ .name = "repeat", .type = OPT_INT, .help = "exchanges on one client" },
	[O_PAUSE] =	{ .name = "pause", .type = OPT_STRING, .help = "between them" },
	[O_SLOW] =	{ .name = "slow", .type = OPT_STRING, .help = "give a body up that does not move for so long" },
	[O_CHAIN] =	{ .name = "chain", .type = OPT_BOOL, .help = "print the peer's chain instead of the body" },
	[O_SEND] =	{ .name = "send", .type = OPT_STRING, .help = "tls: text to send first" },
	[O_SILENCE] =	{ .name = "silence", .type = OPT_STRING, .help = "ssh: how long the host may say nothing while it lets us in" },
	[O_INPUT] =	{ .name = "input", .type = OPT_STRING, .help = "ssh: file for the command's stdin" },
	[O_MAX] =	{ .name = "max", .type = OPT_INT, .help = "ssh: bytes of output to keep" },
	[O_SIZE] =	{ .name = "size", .type = OPT_BOOL, .help = "print the size of the output only" },
};

static struct arena mem;

static int
die(const struct err *e)
{
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", err_kind_name(e->kind), e->msg);
	return 1;
}

static struct str
file(const char *name)
{
	struct buf b = { .max = FILE_MAX };
	struct err e;
	struct str s;

	if (name == NULL)
		return STR_NULL;
	if (fs_read(AT_FDCWD, name, FILE_MAX, &b, &e) < 0)
		exit(die(&e));
	s = str_of(arena_dup(&mem, buf_str(&b)), b.n);
	buf_free(&b);
	return s;
}

static dur_t
duration(int o, dur_t dflt)
{
	dur_t ns = dflt;

	if (opts[o].value != NULL && str_to_duration(str_from(opts[o].value), &ns) < 0)
		exit(fprintf(stderr, "--%s is not a duration\n", opts[o].name) > 0);
	return ns;
}

static struct tls_trust *
trust(void)
{
	struct err e = { 0 };
	struct tls_trust *t;

	if (opts[O_PIN].value != NULL)
		t = tls_trust_key(file(opts[O_PIN].value), opts[O_PIN].value, &e);
	else
		t = tls_trust_new(file(opts[O_CA].value), opts[O_SYSTEM].number != 0,
		    opts[O_CA].value != NULL ? opts[O_CA].value : "", &e);
	if (t == NULL)
		exit(die(&e));
	return t;
}

static struct tls_identity *
identity(void)
{
	struct err e = { 0 };
	struct tls_identity *id = NULL;

	if (opts[O_CERT].value == NULL)
		return NULL;
	id = tls_identity_new(file(opts[O_CERT].value), file(opts[O_KEY].value), opts[O_CERT].value, &e);
	if (id == NULL)
		exit(die(&e));
	return id;
}

static void
show(struct str s)
{
	struct err e;

	if (opts[O_SIZE].number != 0)
		printf("%zu\n", s.n);
	else if (fflush(stdout), fs_write_all(STDOUT_FILENO, s.p, s.n, &e) < 0)
		exit(die(&e));
	fflush(stdout);
}

struct source { struct str left; };

static ssize_t
from_source(void *ctx, void *p, size_t n, struct err *e)
{
	struct source *s = ctx;

	(void)e;
	if (n > s->left.n)
		n = s->left.n;
	if (n > 0)
		memcpy(p, s->left.p, n);
	s->left = str_sub(s->left, n, s->left.n);
	return (ssize_t)n;
}

static int
do_http(const char *const *words)
{
	struct tls_trust *t = trust();
	struct tls_identity *id = identity();
	struct http_opts o = { .trust = t, .identity = id, .name = opts[O_NAME].value,
	    .use_proxy = opts[O_PROXY].number != 0, .slow_ns = duration(O_SLOW, 0) };
	struct str body = file(opts[O_BODY].value);
	struct http_req q = { .method = words[0], .body = body };
	struct http_resp r = { .body = { .max = FILE_MAX } };
	struct buf head = { 0 };
	struct err e = { 0 };
	struct source src;
	struct http *h;
	struct url u;
	int rc = 0;

	if (opts[O_CHAIN].number != 0)
		tls_trust_keep_chain(t);
	if (url_parse(str_from(words[1]), &u, &e) < 0 || (h = http_new(str_from(words[1]), &o, &e)) == NULL)
		return die(&e);
	q.target = u.path.n > 0 ? str_from(u.path.p) : STR("/");
	for (const char **l = opts[O_HEADER].list; l != NULL && l < opts[O_HEADER].list + opts[O_HEADER].nlist; l++)
		buf_fmt(&head, "%s\r\n", *l);
	q.head = buf_str(&head);
	if (opts[O_STREAM].number != 0) {
		q.read = from_source;
		q.ctx = &src;
		q.body_len = body.n;
	}
	for (int64_t i = 0; rc == 0 && i < (opts[O_REPEAT].given ? opts[O_REPEAT].number : 1); i++) {
		if (i > 0)
			(void)net_pause(duration(O_PAUSE, 0), NULL);
		src.left = body;
		if (http_do(h, &q, &r, mono_after(duration(O_TIMEOUT, 10 * NSEC_SEC)), &e) < 0) {
			rc = die(&e);
			break;
		}
		fprintf(stderr, "status %d%s\n", r.head.status, r.reused ? " reused" : "");
		if (opts[O_CHAIN].number != 0 && http_tls(h) != NULL)
			show(tls_chain_pem(http_tls(h)));
		else
			show(buf_str(&r.body));
	}
	http_resp_free(&r);
	http_free(h);
	buf_free(&head);
	tls_identity_free(id);
	tls_trust_free(t);
	return rc;
}

static int
do_tls(const char *const *words)
{
	mono_t deadline = mono_after(duration(O_TIMEOUT, 10 * NSEC_SEC));
	struct tls_trust *t = trust();
	struct tls_identity *id = identity();
	struct str host = str_from(words[0]), name = opts[O_NAME].value != NULL ? str_from(opts[O_NAME].value) : host;
	struct buf all = { .max = FILE_MAX };
	struct err e = { 0 };
	struct tls *c = NULL;
	char piece[5000];
	int fd, port = 0, rc = 1;
	ssize_t n;

	if (str_to_int(str_from(words[1]), &port) < 0)
		return 2;
	if ((fd = dial_tcp(host, (uint16_t)port, NULL, deadline, &e)) < 0 ||
	    (c = tls_open(fd, name, t, id, deadline, &e)) == NULL)
		goto out;
	if (opts[O_SEND].value != NULL && tls_write(c, opts[O_SEND].value, strlen(opts[O_SEND].value), deadline, &e) < 0)
		goto out;
	while ((n = tls_read(c, piece, sizeof(piece), deadline, &e)) > 0)
		buf_put(&all, piece, (size_t)n);
	show(buf_str(&all));
	rc = n < 0;
out:
	if (rc != 0)
		die(&e);
	else
		fprintf(stderr, "end\n");
	tls_close(c);
	buf_free(&all);
	tls_identity_free(id);
	tls_trust_free(t);
	return rc;
}

static int
do_ssh(const char *const *words, size_t n, bool interactive)
{
	mono_t deadline = mono_after(duration(O_TIMEOUT, 10 * NSEC_SEC));
	struct ssh_opts o = { .user = words[0], .host = str_from(words[1]),
	    .pin = str_from(opts[O_PIN].value), .hello_ns = duration(O_SILENCE, 0), .login_ns = duration(O_SILENCE, 0) };
	struct buf out = { .max = opts[O_MAX].given ? (size_t)opts[O_MAX].number : FILE_MAX }, pin = { 0 };
	struct str input = file(opts[O_INPUT].value);
	struct err e = { 0 };
	int port, status = -1, rc = 1;
	struct ssh *s;

	if (str_to_int(str_from(words[2]), &port) < 0)
		return 2;
	o.port = (uint16_t)port;
	o.auth = opts[O_KEY].given ? ssh_auth_key(file(opts[O_KEY].value), &e) : ssh_auth_default(&e);
	if (o.auth == NULL || (s = ssh_open(&o, &pin, deadline, &e)) == NULL) {
		rc = die(&e);
		goto out;
	}
	fprintf(stderr, "pin %s\n", pin.p);
	if (interactive) {
		if ((status = ssh_interactive(s, n > 3 ? words[3] : NULL, &e)) < 0)
			rc = die(&e);
		else
			rc = fprintf(stderr, "status %d\n", status) < 0;
	} else {
		rc = 0;
		for (int64_t i = 0; rc == 0 && i < (opts[O_REPEAT].given ? opts[O_REPEAT].number : 1); i++) {
			buf_clear(&out);
			status = ssh_run(s, n > 3 ? words[3] : "true", input, &out, deadline, &e);
			if (status < 0) {
				rc = die(&e);
				break;
			}
			show(buf_str(&out));
			fprintf(stderr, "status %d\n", status);
		}
	}
	ssh_close(s);
out:
	ssh_auth_free(o.auth);
	buf_free(&out);
	buf_free(&pin);
	return rc;
}

static int
do_keys(const char *const *words, size_t n)
{
	struct buf priv = { 0 }, pub = { 0 };
	struct err e = { 0 };
	struct str text;
	char print[48];
	int64_t t;
	int rc = 0;

	if (strcmp(words[0], "keygen") == 0) {
		if ((rc = ssh_keygen(&priv, &pub, &e)) == 0)
			printf("%s%s\n", priv.p, pub.p);
	} else if (n > 1 && strcmp(words[0], "pubkey") == 0) {
		text = file(words[1]);
		if ((rc = ssh_public_line(text, &pub, &e)) == 0)
			puts(pub.p);
	} else if (n > 1 && strcmp(words[0], "fingerprint") == 0) {
		if ((rc = ssh_fingerprint(str_from(words[1]), print, &e)) == 0)
			puts(print);
	} else if (n > 1 && strcmp(words[0], "expiry") == 0) {
		text = file(words[1]);
		if ((rc = tls_cert_expiry(text, &t, &e)) == 0)
			printf("%" PRId64 "\n", t);
	} else {
		return 2;
	}
	if (rc < 0)
		die(&e);
	buf_wipe(&priv);
	buf_free(&pub);
	return rc < 0;
}

int
main(int argc, char **argv)
{
	struct opt_words w = { .v = xcalloc((size_t)argc, sizeof(*w.v)) };
	const char **words = w.v;
	struct err e = { 0 };
	int rc = 2;

	if (opt_parse(opts, NELEM(opts), argc, argv, &w, &e) < 0)
		return die(&e);
	if (w.n >= 3 && strcmp(words[0], "http") == 0)
		rc = do_http(words + 1);
	else if (w.n >= 3 && strcmp(words[0], "tls") == 0)
		rc = do_tls(words + 1);
	else if (w.n >= 4 && (strcmp(words[0], "ssh") == 0 || strcmp(words[0], "shell") == 0))
		rc = do_ssh(words + 1, w.n - 1, words[0][1] == 'h');
	else if (w.n >= 1)
		rc = do_keys(words, w.n);
	if (rc == 2) {
		fprintf(stderr, "usage: nettool http|tls|ssh|shell|keygen|pubkey|fingerprint|expiry ...\n");
		opt_help(opts, NELEM(opts), stderr);
	}
	opt_free(opts, NELEM(opts));
	arena_reset(&mem);
	free(words);
	return rc;
}
