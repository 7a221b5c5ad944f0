/* URLs: their parts, what is refused, what is printed, and who needs no proxy. */
#include "core/core.h"
#include "wire/url.h"

#include "tap.h"

static const char *
text(struct str s)
{
	static char buf[8][256];
	static int i;
	char *p = buf[i++ % 8];

	if (s.p == NULL)
		return "-";
	str_copy(s, p, 256);
	return p;
}

static const struct { const char *url, *scheme, *userinfo, *host; int port; const char *path, *query, *fragment, *clean, *origin; int dial; } good[] = {
	{ "https://gitlab.example.com/", "https", "-", "gitlab.example.com", 0, "/", "-", "-", "https://gitlab.example.com/", "https://gitlab.example.com", 443 },
	{ "http://h", "http", "-", "h", 0, "", "-", "-", "http://h", "http://h", 80 },
	{ "HTTP://H:8080/a/b?c=d#e", "HTTP", "-", "H", 8080, "/a/b", "c=d", "e", "HTTP://H:8080/a/b", "HTTP://H:8080", 8080 },
	{ "https://gitlab-ci-token:s3cret@h/g/p.git", "https", "gitlab-ci-token:s3cret", "h", 0, "/g/p.git", "-", "-", "https://h/g/p.git", "https://h", 443 },
	{ "https://u@h", "https", "u", "h", 0, "", "-", "-", "https://h", "https://h", 443 },
	{ "https://@h", "https", "", "h", 0, "", "-", "-", "https://h", "https://h", 443 },
	{ "https://a@b:c@h:1/", "https", "a@b:c", "h", 1, "/", "-", "-", "https://h:1/", "https://h:1", 1 },
	{ "https://u:p%40ss@h", "https", "u:p%40ss", "h", 0, "", "-", "-", "https://h", "https://h", 443 },
	{ "https://h?q", "https", "-", "h", 0, "", "q", "-", "https://h", "https://h", 443 },
	{ "https://h#f?g", "https", "-", "h", 0, "", "-", "f?g", "https://h", "https://h", 443 },
	{ "https://h/?", "https", "-", "h", 0, "/", "", "-", "https://h/", "https://h", 443 },
	{ "https://h/#", "https", "-", "h", 0, "/", "-", "", "https://h/", "https://h", 443 },
	{ "https://h/a@b:c", "https", "-", "h", 0, "/a@b:c", "-", "-", "https://h/a@b:c", "https://h", 443 },
	{ "https://h/?u=a@b", "https", "-", "h", 0, "/", "u=a@b", "-", "https://h/", "https://h", 443 },
	{ "https://h/\\x", "https", "-", "h", 0, "/\\x", "-", "-", "https://h/\\x", "https://h", 443 },
	{ "https://h:/x", "https", "-", "h", 0, "/x", "-", "-", "https://h/x", "https://h", 443 },
	{ "https://h:65535", "https", "-", "h", 65535, "", "-", "-", "https://h:65535", "https://h:65535", 65535 },
	{ "https://192.0.2.1:2376/v1.43", "https", "-", "192.0.2.1", 2376, "/v1.43", "-", "-", "https://192.0.2.1:2376/v1.43", "https://192.0.2.1:2376", 2376 },
	{ "https://[2001:db8::1]:2376/x", "https", "-", "2001:db8::1", 2376, "/x", "-", "-", "https://[2001:db8::1]:2376/x", "https://[2001:db8::1]:2376", 2376 },
	{ "https://u:p@[::1]", "https", "u:p", "::1", 0, "", "-", "-", "https://[::1]", "https://[::1]", 443 },
	{ "http://[fe80::1%eth0]/", "http", "-", "fe80::1%eth0", 0, "/", "-", "-", "http://[fe80::1%eth0]/", "http://[fe80::1%eth0]", 80 },
	{ "ssh://git@h/g/p.git", "ssh", "git", "h", 0, "/g/p.git", "-", "-", "ssh://h/g/p.git", "ssh://h", 22 },
	{ "wss://h", "wss", "-", "h", 0, "", "-", "-", "wss://h", "wss://h", 443 },
	{ "tcp://10.0.0.1:2376", "tcp", "-", "10.0.0.1", 2376, "", "-", "-", "tcp://10.0.0.1:2376", "tcp://10.0.0.1:2376", 2376 },
	{ "git+x-1.0://my_host-1.", "git+x-1.0", "-", "my_host-1.", 0, "", "-", "-", "git+x-1.0://my_host-1.", "git+x-1.0://my_host-1.", 0 },
	{ "https://h/\xc3\xa4", "https", "-", "h", 0, "/\xc3\xa4", "-", "-", "https://h/\xc3\xa4", "https://h", 443 },
};

static const struct { const char *name, *url, *why; } bad[] = {
	{ "nothing", "", "it does not begin with a scheme such as https://" },
	{ "a bare host", "gitlab.example.com", "it does not begin with a scheme such as https://" },
	{ "a host with port", "gitlab.example.com:443", "it does not begin with a scheme such as https://" },
	{ "git's short form", "git@h:g/p.git", "it does not begin with a scheme such as https://" },
	{ "one slash", "https:/h", "it does not begin with a scheme such as https://" },
	{ "no scheme", "://h", "it does not begin with a scheme such as https://" },
	{ "a scheme that begins with a digit", "1http://h", "it does not begin with a scheme such as https://" },
	{ "an underscore in the scheme", "my_http://h", "it does not begin with a scheme such as https://" },
	{ "no host", "https://", "there is no host" },
	{ "no host but a path", "https:///x", "there is no host" },
	{ "no host but a port", "https://:443", "there is no host" },
	{ "no host but a user", "https://u@/x", "there is no host" },
	{ "a blank in front", " https://h", "a blank or control character stands in it" },
	{ "a blank behind", "https://h ", "a blank or control character stands in it" },
	{ "a blank in the path", "https://h/a b", "a blank or control character stands in it" },
	{ "a line break", "https://h/\r\nX: y", "a blank or control character stands in it" },
	{ "DEL", "https://h/\x7f", "a blank or control character stands in it" },
	{ "port 0", "https://h:0", "the port is not a number from 1 to 65535" },
	{ "port 65536", "https://h:65536", "the port is not a number from 1 to 65535" },
	{ "a port in letters", "https://h:https", "the port is not a number from 1 to 65535" },
	{ "a port with a sign", "https://h:+1", "the port is not a number from 1 to 65535" },
	{ "a port with rubbish", "https://h:1x", "the port is not a number from 1 to 65535" },
	{ "two ports", "https://h:1:2", "more than one colon in the host (IPv6 addresses need brackets)" },
	{ "IPv6 without brackets", "https://::1/", "more than one colon in the host (IPv6 addresses need brackets)" },
	{ "an open bracket", "https://[::1/", "the IPv6 address has no closing bracket" },
	{ "rubbish behind a bracket", "https://[::1]x/", "the IPv6 address has no closing bracket" },
	{ "empty brackets", "https://[]/", "what stands in brackets is no IPv6 address" },
	{ "a name in brackets", "https://[h]/", "what stands in brackets is no IPv6 address" },
	{ "IPv4 in brackets", "https://[1.2.3.4]/", "what stands in brackets is no IPv6 address" },
	{ "an empty zone", "https://[fe80::1%]/", "what stands in brackets is no IPv6 address" },
	{ "a host with a dollar", "https://$HOST/", "the host name holds a character that no host name may hold" },
	{ "a host with a percent", "https://h%41/", "the host name holds a character that no host name may hold" },
	{ "a host in UTF-8", "https://\xc3\xa4.example/", "the host name holds a character that no host name may hold" },
	{ "a host with a comma", "https://a,b/", "the host name holds a character that no host name may hold" },
	{ "a backslash for a slash", "https://good.example\\@evil.example/", "a backslash stands before the path" },
};

static void
test_parse(void)
{
	struct buf b = { 0 };
	struct url u;

	for (size_t i = 0; i < NELEM(good); i++) {
		struct err e = { 0 };

		if (!ok(url_parse(str_from(good[i].url), &u, &e) == 0, "%s", good[i].url)) {
			printf("# %s\n", e.msg);
			continue;
		}
		is_str(text(u.scheme), good[i].scheme, "  scheme");
		is_str(text(u.userinfo), good[i].userinfo, "  user info");
		is_str(text(u.host), good[i].host, "  host");
		is_int(u.port, good[i].port, "  port");
		is_str(text(u.path), good[i].path, "  path");
		is_str(text(u.query), good[i].query, "  query");
		is_str(text(u.fragment), good[i].fragment, "  fragment");
		is_int(url_port(&u), good[i].dial, "  port to dial");
		buf_clear(&b);
		url_put_clean(&b, &u);
		is_str(buf_str(&b).p, good[i].clean, "  clean");
		buf_clear(&b);
		url_put_origin(&b, &u);
		is_str(buf_str(&b).p, good[i].origin, "  origin");
	}
	for (size_t i = 0; i < NELEM(bad); i++) {
		struct err e = { 0 };

		ok(url_parse(str_from(bad[i].url), &u, &e) == -1 && e.kind == ERR_PARSE, "refused: %s", bad[i].name);
		is_str(e.msg + strlen("URL: "), bad[i].why, "  because");
	}
	ok(url_parse(STR("https://h\0/"), &u, NULL) == -1 && url_parse(STR_NULL, &u, NULL) == -1, "refused: NUL, and the null view");
	buf_free(&b);
}

static void
test_encoding(void)
{
	struct buf b = { 0 };

	url_put_encoded(&b, STR("azAZ09-._~ /?&=%+\0\xc3\xa4"));
	is_str(buf_str(&b).p, "azAZ09-._~%20%2F%3F%26%3D%25%2B%00%C3%A4", "encoded");
	struct str encoded = str_from(buf_take(&b));
	ok(url_decode(&b, encoded) == 0 && str_eq(buf_str(&b), STR("azAZ09-._~ /?&=%+\0\xc3\xa4")), "and decoded again");
	free((char *)encoded.p);
	buf_clear(&b);
	ok(url_decode(&b, STR("a+b%2fc%2Fd")) == 0 && str_eqc(buf_str(&b), "a+b/c/d"), "digits in both cases, a plus stays");
	static const char *const broken[] = { "%", "a%", "a%4", "%4g", "%g4", "%%41", "% 41", "ok%zz" };
	for (size_t i = 0; i < NELEM(broken); i++) {
		buf_clear(&b);
		buf_puts(&b, "before");
		ok(url_decode(&b, str_from(broken[i])) == -1 && str_eqc(buf_str(&b), "before"), "not decoded: %s", broken[i]);
	}
	ok(url_decode(&b, (struct str){ "%41", 2 }) == -1, "an escape cut by the end of the view");
	buf_free(&b);
}

static const struct { const char *list, *host; int port; bool want; } proxies[] = {
	{ "", "example.com", 443, false },
	{ "", "localhost", 80, true }, { "", "LOCALHOST", 80, true }, { "", "127.0.0.1", 80, true }, { "", "127.9.9.9", 80, true },
	{ "", "::1", 80, true }, { "", "[::1]", 80, true }, { "", "128.0.0.1", 80, false }, { "", "::2", 80, false },
	{ "", "localhost.example.com", 80, false }, { "", "mylocalhost", 80, false }, { "*", "", 80, false },
	{ "*", "example.com", 443, true }, { "*", "192.0.2.1", 443, true }, { "a.com, * ,b.com", "example.com", 443, true },
	{ "example.com", "example.com", 443, true }, { "example.com", "a.example.com", 443, true },
	{ "example.com", "a.b.example.com", 443, true }, { "example.com", "myexample.com", 443, false },
	{ "example.com", "example.com.evil.org", 443, false }, { "example.com", "com", 443, false },
	{ "EXAMPLE.com", "a.Example.COM", 443, true },
	{ ".example.com", "a.example.com", 443, true }, { ".example.com", "example.com", 443, false },
	{ "*.example.com", "a.example.com", 443, true }, { "*.example.com", "example.com", 443, false },
	{ "*example.com", "a.example.com", 443, false }, { "a.*.com", "a.b.com", 443, false },
	{ "example.com.", "a.example.com", 443, true }, { "example.com", "example.com.", 443, true },
	{ "example.com:443", "example.com", 443, true }, { "example.com:443", "a.example.com", 443, true },
	{ "example.com:443", "example.com", 80, false }, { "example.com:443", "example.com", 0, false }, { "example.com", "example.com", 0, true },
	{ "example.com:x", "example.com", 443, false }, { "example.com:", "example.com", 443, true },
	{ "192.0.2.1", "192.0.2.1", 443, true }, { "192.0.2.1", "192.0.2.10", 443, false }, { "192.0.2.1:443", "192.0.2.1", 443, true },
	{ "192.0.2.1:443", "192.0.2.1", 80, false }, { "2.1", "192.0.2.1", 443, false }, { ".1", "192.0.2.1", 443, false },
	{ "192.0.2.0/24", "192.0.2.77", 443, true }, { "192.0.2.0/24", "192.0.3.77", 443, false }, { "192.0.2.0/24", "example.com", 443, false },
	{ "192.0.2.0/33", "192.0.2.0", 443, false }, { "192.0.2/24", "192.0.2.0", 443, false },
	{ "2001:db8::1", "2001:db8::1", 443, true }, { "2001:db8::1", "2001:DB8:0::1", 443, true }, { "[2001:db8::1]", "2001:db8::1", 443, true },
	{ "[2001:db8::1]:443", "2001:db8::1", 443, true }, { "[2001:db8::1]:443", "2001:db8::1", 80, false },
	{ "2001:db8::/32", "2001:db8:1::5", 443, true }, { "2001:db8::/32", "2001:db9::5", 443, false },
	{ "192.0.2.1", "::ffff:192.0.2.1", 443, true }, { "fe80::/10", "fe80::1%eth0", 443, true },
	{ "a.com,example.com", "example.com", 443, true }, { "a.com example.com", "example.com", 443, true },
	{ " , ,\texample.com\t", "example.com", 443, true }, { ",", "example.com", 443, false }, { ".", "example.com", 443, false },
	{ ":443", "example.com", 443, false }, { "[", "example.com", 443, false }, { "[]", "example.com", 443, false }, { "/", "192.0.2.1", 443, false },
	{ "[x", "x", 443, false }, { "*.", "example.com", 443, false }, { "..example.com", "a.example.com", 443, false },
};

int
main(void)
{
	test_parse();
	test_encoding();
	for (size_t i = 0; i < NELEM(proxies); i++)
		ok(url_no_proxy(str_from(proxies[i].list), str_from(proxies[i].host), (uint16_t)proxies[i].port) == proxies[i].want,
		    "NO_PROXY='%s': %s port %d %s", proxies[i].list, proxies[i].host, proxies[i].port, proxies[i].want ? "directly" : "by proxy");
	return done_testing();
}
