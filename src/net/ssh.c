/*
 * SSH connections; see ssh.h. libssh2 keeps state between the tries of a call that
 * would block, so each call here is repeated with the same arguments until
 * it is through, and nothing else is asked of the session in between while
 * a packet is half sent.
 */
#include <fcntl.h>
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
#include "net/sshkey.h"

#define KEEPALIVE_S	30
#define PIECE		32000		/* of a command's input: fits one SSH packet */
#define CLOSE_NS	(2 * NSEC_SEC)	/* for the polite part of closing */

struct ssh {
	int		 fd;
	LIBSSH2_SESSION	*session;
	mono_t		 alive_at;	/* when the next keep-alive is due */
	bool		 broken;	/* an operation was left in the middle */
};

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
		struct err why;

		if (keep_alive(s, e) < 0)
			return -1;
		if (net_wait(s->fd, half_sent(s) ? POLLOUT : POLLIN, mono_min(deadline, s->alive_at), &why) == 0)
			return 0;
		if (why.kind != ERR_TIMEOUT || mono_passed(deadline)) {
			s->broken = true;
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
check_host_key(struct ssh *s, struct str pin, struct buf *pin_out, struct err *e)
{
	struct buf line = { .max = 8192 }, words = { .max = 512 }, old = { .max = 8192 };
	size_t n = 0;
	int type, rc = -1;
	const char *key = libssh2_session_hostkey(s->session, &n, &type);
	struct str left = pin, pin_type, pin_key;

	if (key == NULL || put_host_line(&line, str_of(key, n), e) < 0)
		goto out;
	pin_type = str_cut(&left, ' ');
	pin_key = str_trim(str_cut(&left, ' '));
	/* The blob begins with the key's type, so that is compared too. */
	if (pin.n > 0 && (hash_base64_decode(&old, pin_key) < 0 || !str_eq(buf_str(&old), str_of(key, n)))) {
		put_sha256(&words, str_of(key, n));
		buf_puts(&words, ", pinned was ");
		put_sha256(&words, buf_str(&old));
		err_set(e, ERR_TLS, 0, "host key is not the pinned one (%s %.*s): the machine was made anew, or this is another one",
		    words.p, STR_ARG(pin_type));
		goto out;
	}
	if (pin_out != NULL)
		buf_putstr(pin_out, buf_str(&line));
	rc = 0;
out:
	buf_free(&line);
	buf_free(&words);
	buf_free(&old);
	return rc;
}

/* A server with several host keys shall show the one that is pinned. */
static int
prefer_pinned(struct ssh *s, struct str pin, struct err *e)
{
	char type[64];

	if (pin.n == 0)
		return 0;
	if (str_copy(str_cut(&pin, ' '), type, sizeof(type)) < 0 || pin.p == NULL)
		return err_set(e, ERR_CONFIG, 0, "the pinned host key is not a line like \"ssh-rsa AAAA...\"");
	if (libssh2_session_method_pref(s->session, LIBSSH2_METHOD_HOSTKEY,
	    strcmp(type, "ssh-rsa") == 0 ? "rsa-sha2-512,rsa-sha2-256" : type) != 0)
		return err_set(e, ERR_CONFIG, 0, "the pinned host key is of a kind that cannot be used (%s): pin the host's RSA or ECDSA key", type);
	return 0;
}

static int
handshake(struct ssh *s, struct str pin, mono_t deadline, struct err *e)
{
	int rc;

	THROUGH(s, rc, libssh2_session_handshake(s->session, s->fd), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	if (rc == LIBSSH2_ERROR_KEX_FAILURE && pin.n > 0) {
		struct str kind = str_cut(&pin, ' ');

		return err_set(e, ERR_TLS, rc, "the host has no key of the pinned kind (%.*s), or no other method in common",
		    STR_ARG(kind));
	}
	if (rc != 0)
		return explain(s, "handshake", e);
	return 0;
}

static bool
hung_up(const struct ssh *s)
{
	char c;
	ssize_t n = recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n == -1 && errno != EAGAIN);
}

/* libssh2 with mbedTLS can work the public key out only for RSA, so it is given the line. */
static int
authenticate(struct ssh *s, const char *user, struct str key, struct str line, mono_t deadline, struct err *e)
{
	int rc;

	THROUGH(s, rc, libssh2_userauth_publickey_frommemory(s->session, user, strlen(user), line.p, line.n,
	    key.p, key.n, NULL), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	/* This code means a refusal, or that no answer came because the connection broke. */
	if (rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED && hung_up(s))
		return err_set(e, ERR_NET, rc, "the host closed the connection during authentication");
	if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		return err_set(e, ERR_AUTH, rc, "the host does not accept our key for user %s", user);
	if (rc != 0)
		return explain(s, "authentication", e);
	return 0;
}

struct ssh *
ssh_open(const struct ssh_opts *o, struct buf *pin_out, mono_t deadline, struct err *e)
{
	static bool ready;
	struct dial_opts d = { .keepalive_s = KEEPALIVE_S };
	struct ssh *s = xcalloc(1, sizeof(*s));
	struct buf key = { .max = 64 << 10 }, line = { .max = 64 << 10 };

	s->fd = -1;
	s->broken = true;
	if (!ready && libssh2_init(0) != 0)
		abort();
	ready = true;
	if (sshkey_read(o->key_pem, &key, &line, e) < 0)
		goto fail;
	if ((s->session = libssh2_session_init()) == NULL)
		abort();
	libssh2_session_set_blocking(s->session, 0);
	/* alive_at decides; libssh2 must only never think that it is too early. */
	libssh2_keepalive_config(s->session, 1, KEEPALIVE_S / 2);
	s->alive_at = mono_after(KEEPALIVE_S * NSEC_SEC);
	if (prefer_pinned(s, o->pin, e) < 0)
		goto fail;
	if ((s->fd = dial_tcp(o->host, o->port, &d, deadline, e)) < 0)
		goto fail;
	if (handshake(s, o->pin, deadline, e) < 0 ||
	    check_host_key(s, o->pin, pin_out, e) < 0 ||
	    authenticate(s, o->user, buf_str(&key), buf_str(&line), deadline, e) < 0)
		goto fail;
	s->broken = false;
	buf_wipe(&key);
	buf_free(&line);
	return s;
fail:
	err_ctx(e, "ssh %s@%.*s:%u", o->user, STR_ARG(o->host), o->port);
	buf_wipe(&key);
	buf_free(&line);
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
finish(struct ssh *s, LIBSSH2_CHANNEL *ch, int *status, mono_t deadline, struct err *e)
{
	char *name = NULL;
	int rc;

	THROUGH(s, rc, libssh2_channel_close(ch), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	if (rc == 0)
		THROUGH(s, rc, libssh2_channel_wait_closed(ch), deadline, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	if (rc != 0)
		return explain(s, "end of the command", e);
	*status = libssh2_channel_get_exit_status(ch);
	libssh2_channel_get_exit_signal(ch, &name, NULL, NULL, NULL, NULL, NULL);
	if (name != NULL) {
		*status = 128 + signal_number(name);
		libssh2_free(s->session, name);
	}
	return 0;
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
 * Reads what has come. > 0 bytes; 0 nothing there, or the end; -1. Reading
 * may have to send a window adjustment; one that is half sent is seen
 * through here, since sshd takes bytes whatever else it does.
 */
static ssize_t
read_output(struct ssh *s, LIBSSH2_CHANNEL *ch, int stream, char *p, size_t n, mono_t deadline, struct err *e)
{
	ssize_t got;

	while ((got = libssh2_channel_read_ex(ch, stream, p, n)) == LIBSSH2_ERROR_EAGAIN) {
		if (!half_sent(s))
			return 0;
		if (again(s, deadline, e) < 0)
			return -1;
	}
	return got < 0 ? explain(s, "read output", e) : got;
}

int
ssh_run(struct ssh *s, const char *cmd, struct str input, struct buf *out, int *status, mono_t deadline, struct err *e)
{
	struct input in = { .at_hand = input };
	size_t before = out != NULL ? out->n : 0;
	LIBSSH2_CHANNEL *ch = NULL;
	char piece[8192];
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
			if ((n = read_output(s, ch, 0, piece, sizeof(piece), deadline, e)) < 0)
				goto out;
			if (n > 0 && out != NULL)
				keep_tail(out, before, piece, (size_t)n);
			if (n == 0 && libssh2_channel_eof(ch))
				break;
		}
		if (sent == 0 && n == 0 && again(s, deadline, e) < 0)
			goto out;
	}
	rc = finish(s, ch, status, deadline, e);
out:
	free_channel(s, ch);
	if (rc < 0) {
		s->broken = true;
		return err_ctx(e, "ssh");
	}
	return 0;
}

/*
 * The terminal side of ssh_interactive(): signals only set flags, and are
 * let in only while ppoll(2) waits.
 */
static volatile sig_atomic_t resized, ended_by;

static void
on_signal(int sig)
{
	if (sig == SIGWINCH)
		resized = 1;
	else
		ended_by = sig;
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

	resized = ended_by = 0;
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

	resized = 0;
	THROUGH(s, rc, libssh2_channel_request_pty_size(ch, w.ws_col, w.ws_row), MONO_NEVER, e);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return -1;
	return rc == 0 ? 0 : explain(s, "resize the terminal", e);
}

/* Shows what has come on a stream. 1 progress, 0 nothing there, -1. */
static int
show_output(struct ssh *s, LIBSSH2_CHANNEL *ch, int stream, int to, struct err *e)
{
	char piece[8192];
	ssize_t n = read_output(s, ch, stream, piece, sizeof(piece), MONO_NEVER, e);

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

	while (ended_by == 0) {
		int sent, out = 0, err = 0;
		bool key = false;

		if (resized && pty && !half_sent(s) && follow_size(s, ch, e) < 0)
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
	int status = -1, rc = -1;

	assert(!s->broken);
	if ((ch = open_channel(s, MONO_NEVER, e)) == NULL)
		goto out;
	if ((pty && request_pty(s, ch, e) < 0) || start_command(s, ch, cmd, MONO_NEVER, e) < 0)
		goto out;
	enter_terminal(&t, pty);
	rc = converse(s, ch, &t, pty, e);
	leave_terminal(&t);
	if (rc == 0 && ended_by != 0) {
		s->broken = true;
		return 128 + ended_by;
	}
	if (rc == 0)
		rc = finish(s, ch, &status, MONO_NEVER, e);
out:
	free_channel(s, ch);
	if (rc < 0) {
		s->broken = true;
		return err_ctx(e, "ssh");
	}
	return status;
}
