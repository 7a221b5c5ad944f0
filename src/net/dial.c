/*
 * Connections; see dial.h. Addresses are tried one after the other and not
 * at once: the machines and servers of this program have one or two, and a
 * connection made in vain is a line in somebody's log.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/hash.h"
#include "net/dial.h"
#include "wire/http1.h"
#include "wire/url.h"

#define HOST_MAX	255	/* of a DNS name, RFC 1035 2.3.4 */
#define SHARE_MAX	(10 * NSEC_SEC)	/* for one address while others remain */
#define PROXY_ANSWER_MAX 8192

/* Who may end this process's waits. */
static struct {
	int	fd;
	dur_t	grace;		/* how long a wait goes on after it became readable */
	mono_t	ends;		/* it has: until then */
} control = { .fd = -1 };

void
net_control(int fd)
{
	net_control_late(fd, 0);
}

void
net_control_late(int fd, dur_t ns)
{
	control.fd = fd;
	control.grace = ns;
	control.ends = MONO_NEVER;
}

int
net_wait(int fd, short events, mono_t deadline, struct err *e)
{
	/* poll(2) passes over descriptors below 0. */
	struct pollfd p[2] = { { fd, events, 0 }, { control.fd, POLLIN, 0 } };

	for (;;) {
		int n;

		if (!mono_is_never(control.ends))
			p[1].fd = -1;
		n = poll(p, 2, mono_ms_until(mono_min(deadline, control.ends)));
		if (n == -1 && errno != EINTR)
			return err_sys(e, "poll");
		if (n > 0 && p[1].fd >= 0 && p[1].revents != 0) {
			if (control.grace == 0)
				return err_set(e, ERR_CANCELLED, 0, "cancelled");
			control.ends = mono_after(control.grace);
		}
		if (mono_passed(control.ends))
			return err_set(e, ERR_CANCELLED, 0, "cancelled");
		if (n > 0 && p[0].revents != 0) {
			assert((p[0].revents & POLLNVAL) == 0);
			return 0;
		}
		if (mono_passed(deadline))
			return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "no progress before the deadline");
	}
}

int
net_pause(dur_t ns, struct err *e)
{
	struct err why = { 0 };

	if (net_wait(-1, 0, mono_after(ns > 0 ? ns : 0), &why) < 0 && why.kind != ERR_TIMEOUT)
		return err_set(e, why.kind, why.sys, "%s", why.msg);
	return 0;
}

static void
set_options(int fd, const struct dial_opts *o)
{
	int on = 1, probes = 4;

	/* None of these can fail on a TCP socket, and none matters enough to give up. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (o == NULL || o->keepalive_s <= 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &o->keepalive_s, sizeof(int));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &o->keepalive_s, sizeof(int));
	/* The kernel's nine lost probes are many minutes of waiting for a peer that burnt down. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(int));
}

/* One address. Returns the socket, or -1 with the bare reason. */
static int
dial_addr(const struct addrinfo *ai, const struct dial_opts *o, mono_t deadline, struct err *e)
{
	int fd, code = 0;
	socklen_t n = sizeof(code);

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd == -1) {
		/* No IPv6 on this host: a property of the address, not of us. */
		if (errno == EAFNOSUPPORT)
			return err_set(e, ERR_NET, errno, "%s", strerror(errno));
		return err_sys(e, "socket");
	}
	set_options(fd, o);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == -1) {
		code = errno;
		if (code == EINPROGRESS || code == EINTR) {
			if (net_wait(fd, POLLOUT, deadline, e) < 0)
				goto fail;
			if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &n) == -1)
				code = errno;
		}
		if (code != 0) {
			err_set(e, ERR_NET, code, "%s", strerror(code));
			goto fail;
		}
	}
	return fd;
fail:
	close(fd);
	return -1;
}

char *
dial_numeric_scope(struct arena *a, const char *host)
{
	const char *zone = strchr(host, '%');
	struct buf b = { .max = 16 };
	char *out = arena_dup(a, str_from(host));

	if (zone == NULL || zone[1] == '\0' || zone[1 + strspn(zone + 1, "0123456789")] == '\0' || strchr(zone, '/') != NULL || zone[1] == '.')
		return out;
	if (fs_read(AT_FDCWD, arena_fmt(a, "/sys/class/net/%s/ifindex", zone + 1), 12, &b, NULL) == 0)
		out = arena_fmt(a, "%.*s%%%.*s", (int)(zone - host), host, STR_ARG(str_trim(buf_str(&b))));
	buf_free(&b);
	return out;
}

/* Resolves; 0 with *list (freeaddrinfo), or -1. */
static int
resolve(const char *host, uint16_t port, struct addrinfo **list, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	char service[6];
	int rc;

	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(host, service, &hints, list);
	if (rc == EAI_NONAME) {
		hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
		rc = getaddrinfo(host, service, &hints, list);
	}
	switch (rc) {
	case 0:
		return 0;
	case EAI_SYSTEM:
		return err_sys(e, "resolve");
	case EAI_NONAME:
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
		return err_set(e, ERR_NET, 0, "no such host name (check /etc/resolv.conf and /etc/hosts if it should exist)");
	case EAI_AGAIN:
		return err_set(e, ERR_NET, 0, "the name server does not answer (see /etc/resolv.conf)");
	case EAI_MEMORY:
		abort();
	default:
		return err_set(e, ERR_NET, 0, "resolve: %s", gai_strerror(rc));
	}
}

/* When this address's share of the time ends, with `left` addresses to go, itself included. */
static mono_t
share(mono_t deadline, size_t left)
{
	dur_t part = SHARE_MAX;

	if (left <= 1)
		return deadline;
	if (!mono_is_never(deadline)) {
		dur_t fair = mono_between(mono_now(), deadline) / (int64_t)left;

		if (fair < part)
			part = fair;
	}
	return mono_after(part > 0 ? part : 0);
}

/* Tries every address; why collects the reasons, each behind its address when there are several. */
static int
dial_list(const struct addrinfo *list, bool name_them, const struct dial_opts *o, mono_t deadline, struct err *e)
{
	struct buf why = { .max = sizeof(e->msg) };
	struct err one = { 0 };
	size_t left = 0;
	int fd = -1;

	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
		left++;
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		char addr[INET6_ADDRSTRLEN + 20];

		one = (struct err){ 0 };
		fd = dial_addr(ai, o, share(deadline, left--), &one);
		if (fd >= 0)
			break;
		if (one.kind == ERR_CANCELLED || one.kind == ERR_SYS) {
			buf_clear(&why);
			buf_puts(&why, one.msg);
			break;
		}
		if (one.kind == ERR_TIMEOUT)
			snprintf(one.msg, sizeof(one.msg), "no answer");
		if (name_them && getnameinfo(ai->ai_addr, ai->ai_addrlen, addr, sizeof(addr),
		    NULL, 0, NI_NUMERICHOST) == 0)
			buf_fmt(&why, "%s%s: %s", why.n > 0 ? "; " : "", addr, one.msg);
		else
			buf_fmt(&why, "%s%s", why.n > 0 ? "; " : "", one.msg);
		if (mono_passed(deadline)) {
			one.kind = ERR_TIMEOUT;
			break;
		}
		/* Only its share of the time was over: to the caller, it could not be reached. */
		if (one.kind == ERR_TIMEOUT)
			one.kind = ERR_NET;
	}
	if (fd < 0)
		err_set(e, one.kind, one.sys, "%s", why.p != NULL ? why.p : "no address");
	buf_free(&why);
	return fd;
}

static int
dial_name(struct str host, uint16_t port, const struct dial_opts *o, mono_t deadline, struct err *e)
{
	struct addrinfo *list = NULL;
	char name[HOST_MAX + 1];
	struct arena scope = { 0 };
	struct err now;
	int fd, rc;

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 2);
	if (host.n == 0 || str_copy(host, name, sizeof(name)) < 0)
		return err_set(e, ERR_REFUSED, 0, "not a host name");
	/* A cancelled process should not sit in the resolver first. */
	if (net_wait(-1, 0, mono_now(), &now) < 0 && now.kind == ERR_CANCELLED)
		return err_set(e, ERR_CANCELLED, 0, "%s", now.msg);
	if (mono_passed(deadline))
		return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "no time left");
	rc = resolve(dial_numeric_scope(&scope, name), port, &list, e);
	arena_reset(&scope);
	if (rc < 0)
		return -1;
	fd = dial_list(list, list->ai_next != NULL, o, deadline, e);
	freeaddrinfo(list);
	return fd;
}

int
dial_tcp(struct str host, uint16_t port, const struct dial_opts *o, mono_t deadline, struct err *e)
{
	bool v6 = str_chr(host, ':') >= 0 && host.p[0] != '[';
	int fd = dial_name(host, port, o, deadline, e);

	if (fd < 0 && o != NULL && o->bind_name != NULL)
		return err_ctx(e, "connect %s", o->bind_name);
	if (fd < 0)
		return err_ctx(e, "connect %s%.*s%s:%u", v6 ? "[" : "", STR_ARG(host), v6 ? "]" : "", port);
	return fd;
}

/* Go takes the upper-case variable first, and counts an empty one as unset. */
static const char *
env_either(const char *upper, const char *lower)
{
	const char *v = getenv(upper);

	if (v == NULL || *v == '\0')
		v = getenv(lower);
	return v != NULL && *v != '\0' ? v : NULL;
}

const char *
dial_proxy_for(bool https, struct str host, uint16_t port)
{
	const char *proxy = https ? env_either("HTTPS_PROXY", "https_proxy") :
	    env_either("HTTP_PROXY", "http_proxy");

	if (proxy == NULL || url_no_proxy(str_from(env_either("NO_PROXY", "no_proxy")), host, port))
		return NULL;
	return proxy;
}

/* user:password of the proxy's URL, each decoded, as a header line. */
static int
put_credentials(struct buf *b, struct str userinfo, struct err *e)
{
	struct buf plain = { .max = 4096 };
	struct str user = str_cut(&userinfo, ':');
	int rc = -1;

	if (url_decode(&plain, user) < 0)
		goto out;
	buf_putc(&plain, ':');
	if (userinfo.p != NULL && url_decode(&plain, userinfo) < 0)
		goto out;
	buf_puts(b, "Proxy-Authorization: Basic ");
	hash_base64(b, buf_str(&plain));
	buf_puts(b, "\r\n");
	if (!plain.failed && !b->failed)
		rc = 0;
out:
	buf_wipe(&plain);
	if (rc < 0)
		return err_set(e, ERR_CONFIG, 0, "the user or password in the proxy's URL is malformed");
	return 0;
}

/* Parses the proxy's URL (text must outlive *u) and appends the credentials' line to head. */
static int
parse_proxy(const char *proxy_url, struct buf *text, struct url *u, struct buf *head, struct err *e)
{
	struct err ignored;

	if (strstr(proxy_url, "://") == NULL)
		buf_puts(text, "http://");
	buf_puts(text, proxy_url);
	/* url_parse()'s own message could show the password. */
	if (text->failed || url_parse(buf_str(text), u, &ignored) < 0)
		return err_set(e, ERR_CONFIG, 0, "HTTP_PROXY or HTTPS_PROXY is not a URL like http://proxy.example.com:3128");
	if (!str_caseeq(u->scheme, "http"))
		return err_set(e, ERR_CONFIG, 0, "%.*s proxies are not supported, only http:// ones (HTTP_PROXY, HTTPS_PROXY)",
		    STR_ARG(u->scheme));
	if (head != NULL && u->userinfo.p != NULL && put_credentials(head, u->userinfo, e) < 0)
		return -1;
	return 0;
}

static int
dial_parsed(const struct url *u, const struct dial_opts *o, mono_t deadline, struct err *e)
{
	struct dial_opts mine = { .keepalive_s = o != NULL ? o->keepalive_s : 0 };
	int fd = dial_tcp(u->host, url_port(u), &mine, deadline, e);

	return fd < 0 ? err_ctx(e, "proxy") : fd;
}

int
dial_proxy(const char *proxy_url, struct buf *head, const struct dial_opts *o, mono_t deadline, struct err *e)
{
	struct buf text = { .max = 4096 };
	struct url u;
	int fd = -1;

	if (parse_proxy(proxy_url, &text, &u, head, e) == 0)
		fd = dial_parsed(&u, o, deadline, e);
	buf_wipe(&text);
	return fd;
}

static int
send_all(int fd, struct str s, mono_t deadline, struct err *e)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n == -1 && errno == EAGAIN) {
			if (net_wait(fd, POLLOUT, deadline, e) < 0)
				return -1;
		} else if (n == -1 && errno != EINTR) {
			return err_set(e, ERR_NET, errno, "send: %s", strerror(errno));
		} else if (n > 0) {
			s = str_sub(s, (size_t)n, s.n);
		}
	}
	return 0;
}

/*
 * Reads the head of the proxy's answer. What follows a 2xx belongs to the
 * tunnel, and there the client speaks first: bytes behind the head are an
 * error, so nothing is ever read too far.
 */
static int
read_answer(int fd, struct buf *in, struct http_head *h, mono_t deadline, struct err *e)
{
	size_t used;

	for (;;) {
		int rc = http1_head(buf_str(in), h, &used, e);
		ssize_t n;
		char *p;

		if (rc < 0)
			return -1;
		if (rc > 0 && h->status / 100 == 1) {
			buf_drop(in, used);
			continue;
		}
		if (rc > 0 && h->status / 100 == 2 && used != in->n)
			return err_set(e, ERR_PROTO, 0, "bytes behind the answer to CONNECT");
		if (rc > 0)
			return 0;
		if ((p = buf_room(in, 512)) == NULL)
			return err_set(e, ERR_PROTO, 0, "the answer to CONNECT is longer than %d bytes", PROXY_ANSWER_MAX);
		n = recv(fd, p, 512, 0);
		if (n > 0)
			buf_grown(in, (size_t)n);
		else if (n == 0)
			return err_set(e, ERR_NET, 0, "closed the connection instead of answering CONNECT");
		else if (errno == EAGAIN) {
			if (net_wait(fd, POLLIN, deadline, e) < 0)
				return -1;
		} else if (errno != EINTR)
			return err_set(e, ERR_NET, errno, "recv: %s", strerror(errno));
	}
}

/* Asks the proxy for a tunnel over fd. */
static int
tunnel(int fd, struct str credentials, struct str host, uint16_t port, mono_t deadline, struct err *e)
{
	struct buf ask = { .max = 8192 }, in = { .max = PROXY_ANSWER_MAX };
	struct http_head *h = xcalloc(1, sizeof(*h));
	bool v6 = str_chr(host, ':') >= 0 && host.p[0] != '[';
	const char *l = v6 ? "[" : "", *r = v6 ? "]" : "";
	int rc = -1;

	buf_fmt(&ask, "CONNECT %s%.*s%s:%u HTTP/1.1\r\nHost: %s%.*s%s:%u\r\n", l, STR_ARG(host), r, port,
	    l, STR_ARG(host), r, port);
	buf_putstr(&ask, credentials);
	buf_puts(&ask, "\r\n");
	if (ask.failed) {
		err_set(e, ERR_REFUSED, 0, "CONNECT request too long");
		goto out;
	}
	if (send_all(fd, buf_str(&ask), deadline, e) < 0 || read_answer(fd, &in, h, deadline, e) < 0)
		goto out;
	if (h->status == 407)
		err_set(e, ERR_AUTH, h->status, "wants a user and password, or others (status 407): put them into the proxy's URL");
	else if (h->status / 100 == 5)
		err_set(e, ERR_NET, h->status, "cannot reach it (status %d)", h->status);
	else if (h->status / 100 != 2)
		err_set(e, ERR_REFUSED, h->status, "does not let us through (status %d)", h->status);
	else
		rc = 0;
out:
	buf_wipe(&ask);
	buf_free(&in);
	free(h);
	return rc;
}

/* A name that would end the request line early, or say something else to the proxy. */
static bool
host_ok(struct str host)
{
	if (host.n == 0 || host.n > HOST_MAX)
		return false;
	for (size_t i = 0; i < host.n; i++)
		if ((unsigned char)host.p[i] <= ' ' || host.p[i] == 0x7f || host.p[i] == '/')
			return false;
	return true;
}

int
dial_connect(const char *proxy_url, struct str host, uint16_t port, const struct dial_opts *o,
    mono_t deadline, struct err *e)
{
	struct buf text = { .max = 4096 }, credentials = { .max = 8192 };
	struct url u;
	int fd = -1;

	if (!host_ok(host)) {
		err_set(e, ERR_REFUSED, 0, "not a host name");
		goto out;
	}
	if (parse_proxy(proxy_url, &text, &u, &credentials, e) < 0)
		goto out;
	fd = dial_parsed(&u, o, deadline, e);
	if (fd >= 0 && tunnel(fd, buf_str(&credentials), host, port, deadline, e) < 0) {
		err_ctx(e, "connect %.*s:%u: proxy %.*s:%u", STR_ARG(host), port, STR_ARG(u.host), url_port(&u));
		close(fd);
		fd = -1;
	}
out:
	buf_wipe(&text);
	buf_wipe(&credentials);
	return fd;
}
