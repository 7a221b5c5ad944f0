/* URLs and the proxies' exceptions: see url.h. */
#include "core/core.h"
#include "wire/ip.h"
#include "wire/url.h"

static int
bad(struct err *e, const char *why)
{
	return err_set(e, ERR_PARSE, 0, "URL: %s", why);
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
scheme_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_alpha(s.p[i]) && (i == 0 || (!is_digit(s.p[i]) && strchr("+-.", s.p[i]) == NULL)))
			return false;
	return s.n > 0;
}

static bool
host_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_alpha(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '.' && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return s.n > 0;
}

static bool
ipv6_ok(struct str s)
{
	struct str zone = s, address = str_cut(&zone, '%');
	struct ip ip;

	/* A zone, as people write it ("fe80::1%eth0") or as RFC 6874 wants it ("%25eth0"). */
	return str_chr(address, ':') >= 0 && ip_parse(address, &ip) == 0 && (zone.p == NULL || host_ok(zone));
}

static int
parse_port(struct str s, uint16_t *port, struct err *e)
{
	uint64_t n;

	if (s.n == 0)
		return 0;	/* RFC 3986 3.2.3: as if none were written */
	if (!is_digit(s.p[0]) || str_to_u64(s, &n) < 0 || n == 0 || n > UINT16_MAX)
		return bad(e, "the port is not a number from 1 to 65535");
	*port = (uint16_t)n;
	return 0;
}

/* [userinfo@]host[:port] */
static int
parse_authority(struct str s, struct url *u, struct err *e)
{
	ssize_t at = str_rchr(s, '@'), end;

	if (str_chr(s, '\\') >= 0)
		return bad(e, "a backslash stands before the path");
	if (at >= 0) {
		u->userinfo = str_sub(s, 0, (size_t)at);
		s = str_sub(s, (size_t)at + 1, s.n);
	}
	if (s.n == 0)
		return bad(e, "there is no host");
	if (s.p[0] == '[') {
		end = str_chr(s, ']');
		if (end < 0 || ((size_t)end + 1 < s.n && s.p[end + 1] != ':'))
			return bad(e, "the IPv6 address has no closing bracket");
		u->host = str_sub(s, 1, (size_t)end - 1);
		if (!ipv6_ok(u->host))
			return bad(e, "what stands in brackets is no IPv6 address");
		return parse_port(str_sub(s, (size_t)end + 2, s.n), &u->port, e);
	}
	u->host = str_cut(&s, ':');
	if (str_chr(s, ':') >= 0)
		return bad(e, "more than one colon in the host (IPv6 addresses need brackets)");
	if (u->host.n == 0)
		return bad(e, "there is no host");
	if (!host_ok(u->host))
		return bad(e, "the host name holds a character that no host name may hold");
	return parse_port(s, &u->port, e);
}

int
url_parse(struct str s, struct url *u, struct err *e)
{
	struct str rest = s;
	size_t n;

	*u = (struct url){ .port = 0 };
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f)
			return bad(e, "a blank or control character stands in it");
	u->scheme = str_cut(&rest, ':');
	if (rest.p == NULL || !str_starts(rest, "//") || !scheme_ok(u->scheme))
		return bad(e, "it does not begin with a scheme such as https://");
	rest = str_sub(rest, 2, rest.n);
	for (n = 0; n < rest.n && strchr("/?#", rest.p[n]) == NULL; n++)
		;
	if (parse_authority(str_sub(rest, 0, n), u, e) < 0)
		return -1;
	u->fragment = str_sub(rest, n, rest.n);
	u->query = str_cut(&u->fragment, '#');
	u->path = str_cut(&u->query, '?');
	return 0;
}

uint16_t
url_port(const struct url *u)
{
	static const struct { const char *scheme; uint16_t port; } known[] = {
		{ "http", 80 }, { "https", 443 }, { "ssh", 22 }, { "ws", 80 }, { "wss", 443 },
	};

	if (u->port != 0)
		return u->port;
	for (size_t i = 0; i < NELEM(known); i++)
		if (str_caseeq(u->scheme, known[i].scheme))
			return known[i].port;
	return 0;
}

void
url_put_origin(struct buf *b, const struct url *u)
{
	bool brackets = str_chr(u->host, ':') >= 0;

	buf_putstr(b, u->scheme);
	buf_puts(b, brackets ? "://[" : "://");
	buf_putstr(b, u->host);
	if (brackets)
		buf_putc(b, ']');
	if (u->port != 0)
		buf_fmt(b, ":%u", u->port);
}

void
url_put_clean(struct buf *b, const struct url *u)
{
	url_put_origin(b, u);
	buf_putstr(b, u->path);
}

void
url_put_encoded(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~')
			buf_putc(b, c);
		else
			buf_fmt(b, "%%%02X", (unsigned char)c);
	}
}

int
url_decode(struct buf *b, struct str s)
{
	size_t before = b->n;

	for (size_t i = 0; i < s.n; i++) {
		int high, low;

		if (s.p[i] != '%') {
			buf_putc(b, s.p[i]);
			continue;
		}
		high = s.n - i > 2 ? hex_digit(s.p[i + 1]) : -1;
		low = s.n - i > 2 ? hex_digit(s.p[i + 2]) : -1;
		if (high < 0 || low < 0) {
			buf_cut(b, before);
			return -1;
		}
		buf_putc(b, high << 4 | low);
		i += 2;
	}
	return 0;
}

/* An address, its zone aside. */
static bool
ip_from(struct str s, struct ip *ip)
{
	struct str address = str_cut(&s, '%');

	return ip_parse(address, ip) == 0 && (s.p == NULL || !ip_is_v4(ip));
}

/* Splits "host:port", "[v6]:port", "host", "v6" or "[v6]"; port 0 if there is none. False when it is none of these. */
static bool
split_port(struct str s, struct str *host, uint16_t *port)
{
	struct str rest = s;
	ssize_t end;

	*port = 0;
	if (s.n > 0 && s.p[0] == '[') {
		end = str_chr(s, ']');
		if (end < 0 || ((size_t)end + 1 < s.n && s.p[end + 1] != ':'))
			return false;
		*host = str_sub(s, 1, (size_t)end - 1);
		return parse_port(str_sub(s, (size_t)end + 2, s.n), port, NULL) == 0;
	}
	*host = str_cut(&rest, ':');
	if (str_chr(rest, ':') >= 0) {
		*host = s;
		return true;
	}
	return parse_port(rest, port, NULL) == 0;
}

/* "example.com." is the name of the same host. */
static struct str
without_dot(struct str name)
{
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

static bool
ends_with(struct str s, struct str end)
{
	char name[256];

	/* Names are no longer than 253 characters. */
	if (end.n > s.n || str_copy(end, name, sizeof(name)) < 0)
		return false;
	return str_caseeq(str_sub(s, s.n - end.n, end.n), name);
}

/* domain as it stands in the list, with or without a dot or "*." in front. */
static bool
in_domain(struct str name, struct str domain)
{
	bool below_only;

	if (str_starts(domain, "*."))
		domain = str_sub(domain, 1, domain.n);
	domain = without_dot(domain);
	below_only = str_starts(domain, ".");
	if (below_only)
		domain = str_sub(domain, 1, domain.n);
	if (domain.n == 0 || !ends_with(name, domain))
		return false;
	if (name.n == domain.n)
		return !below_only;
	return name.p[name.n - domain.n - 1] == '.';
}

static bool
member_matches(struct str member, struct str host, const struct ip *ip, uint16_t port)
{
	struct str name;
	uint16_t only;
	struct ip other;

	if (str_eqc(member, "*"))
		return true;
	if (str_chr(member, '/') >= 0)
		return ip != NULL && ip_in_block(ip, member);
	if (!split_port(member, &name, &only) || (only != 0 && only != port))
		return false;
	if (ip_from(name, &other))
		return ip != NULL && memcmp(ip, &other, sizeof(other)) == 0;
	return ip == NULL && in_domain(host, name);
}

bool
url_no_proxy(struct str list, struct str host, uint16_t port)
{
	struct ip ip, *address = NULL;

	if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 2);
	host = without_dot(host);
	if (host.n == 0)
		return false;
	if (str_caseeq(host, "localhost"))
		return true;
	if (ip_from(host, &ip)) {
		if (ip_is_loopback(&ip))
			return true;
		address = &ip;
	}
	while (list.n > 0) {
		size_t n = 0;

		while (n < list.n && list.p[n] != ',' && (unsigned char)list.p[n] > 0x20)
			n++;
		if (n > 0 && member_matches(str_sub(list, 0, n), host, address, port))
			return true;
		list = str_sub(list, n + 1, list.n);
	}
	return false;
}
