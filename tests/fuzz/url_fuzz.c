/*
 * URLs: the parts put together again are the same URL; the clean form parses
 * and holds nothing of the user info; encoded text decodes to itself; a longer
 * NO_PROXY list never sends through the proxy what a shorter one did not.
 */
#include "core/core.h"
#include "core/buf.h"
#include "wire/ip.h"
#include "wire/url.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same(struct str a, struct str b)
{
	return (a.p == NULL) == (b.p == NULL) && str_eq(a, b);
}

static void
put_part(struct buf *b, const char *mark, struct str s)
{
	if (s.p != NULL) {
		buf_puts(b, mark);
		buf_putstr(b, s);
	}
}

static void
check_url(struct str s)
{
	struct buf b = { 0 };
	struct url u, v;
	struct err e = { 0 };
	bool v6;

	if (url_parse(s, &u, &e) < 0) {
		assert(e.kind == ERR_PARSE);
		return;
	}
	v6 = str_chr(u.host, ':') >= 0;
	assert(u.host.n > 0 && (u.path.n == 0 || u.path.p[0] == '/'));
	buf_putstr(&b, u.scheme);
	buf_puts(&b, "://");
	if (u.userinfo.p != NULL) {
		buf_putstr(&b, u.userinfo);
		buf_putc(&b, '@');
	}
	buf_puts(&b, v6 ? "[" : "");
	buf_putstr(&b, u.host);
	buf_puts(&b, v6 ? "]" : "");
	if (u.port != 0)
		buf_fmt(&b, ":%u", u.port);
	buf_putstr(&b, u.path);
	put_part(&b, "?", u.query);
	put_part(&b, "#", u.fragment);
	assert(b.n <= s.n);		/* less: a port with leading zeros, or a colon without a port */
	assert(url_parse(buf_str(&b), &v, NULL) == 0);
	assert(same(u.scheme, v.scheme) && same(u.userinfo, v.userinfo) && same(u.host, v.host) && u.port == v.port &&
	    same(u.path, v.path) && same(u.query, v.query) && same(u.fragment, v.fragment));

	buf_clear(&b);
	url_put_clean(&b, &u);
	assert(url_parse(buf_str(&b), &v, NULL) == 0);
	assert(v.userinfo.p == NULL && v.query.p == NULL && v.fragment.p == NULL);
	assert(same(u.scheme, v.scheme) && same(u.host, v.host) && u.port == v.port && same(u.path, v.path));
	buf_free(&b);
}

static void
check_encoding(struct str s)
{
	struct buf e = { 0 }, d = { 0 };

	url_put_encoded(&e, s);
	for (size_t i = 0; i < e.n; i++)
		assert(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%", e.p[i]) != NULL);
	assert(url_decode(&d, buf_str(&e)) == 0 && str_eq(buf_str(&d), s));
	buf_clear(&d);
	if (url_decode(&d, s) < 0)
		assert(d.n == 0);
	else
		assert(d.n <= s.n);
	buf_free(&e);
	buf_free(&d);
}

static void
check_no_proxy(struct str s)
{
	struct str list = s, host = str_cut(&list, '\n');
	struct buf longer = { 0 };
	struct ip ip, twin;
	bool direct;

	if (list.p == NULL)
		list = STR("");
	direct = url_no_proxy(list, host, 443);
	buf_puts(&longer, "x.invalid, ");
	buf_putstr(&longer, list);
	buf_puts(&longer, " 10.0.0.0/8");
	assert(!direct || url_no_proxy(buf_str(&longer), host, 443));
	buf_puts(&longer, ",*");
	assert(host.n == 0 || str_eqc(host, "[]") || url_no_proxy(buf_str(&longer), host, 443));
	assert(url_no_proxy(list, STR("localhost"), 0) && url_no_proxy(list, STR("127.0.0.1"), 0));

	if (ip_parse(host, &ip) == 0 && ip_is_v4(&ip)) {
		char text[64];

		snprintf(text, sizeof(text), "::ffff:%d.%d.%d.%d", ip.b[12], ip.b[13], ip.b[14], ip.b[15]);
		assert(ip_parse(str_from(text), &twin) == 0 && memcmp(&ip, &twin, sizeof(ip)) == 0);
		assert(ip_in_block(&ip, list) == ip_in_block(&twin, list));
	}
	buf_free(&longer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_of(data, size);

	check_url(s);
	check_encoding(s);
	check_no_proxy(s);
	return 0;
}
