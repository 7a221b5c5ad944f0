/* wire/imageref: which names of images are names, and what is said of those that are none. */
#include "tap.h"
#include "wire/imageref.h"

#define HEX64	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
test_good(void)
{
	static const struct { const char *text, *domain, *path, *tag, *digest; } cases[] = {
		{ "alpine", "", "alpine", "", "" },
		{ "alpine:3.19", "", "alpine", "3.19", "" },
		{ "library/a__b", "", "library/a__b", "", "" },
		{ "a--b/c.d_e", "", "a--b/c.d_e", "", "" },
		{ "localhost/x", "localhost", "x", "", "" },
		{ "localhost:5000/x:y", "localhost:5000", "x", "y", "" },
		{ "10.0.0.1:5000/wl/debian:12", "10.0.0.1:5000", "wl/debian", "12", "" },
		{ "[fd00::1]:5000/x", "[fd00::1]:5000", "x", "", "" },
		{ "Registry.Example.com/g/x:V_1.0-rc", "Registry.Example.com", "g/x", "V_1.0-rc", "" },
		/* Capitals before the first slash make it a host's name, as in the Docker client. */
		{ "HOST/x", "HOST", "x", "", "" },
		{ "x@sha256:" HEX64, "", "x", "", "sha256:" HEX64 },
		{ "r.io/x:1@sha256:" HEX64, "r.io", "x", "1", "sha256:" HEX64 },
		/* An image's id, as `docker images --no-trunc` prints it. */
		{ "sha256:" HEX64, "", "sha256", HEX64, "" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct imageref r;
		struct err e = { 0 };
		int rc = imageref_parse(str_from(cases[i].text), &r, &e);

		is_int(rc, 0, "%s is a name%s", cases[i].text, e.msg);
		ok(rc == 0 && str_eqc(r.domain, cases[i].domain) && str_eqc(r.path, cases[i].path) &&
		    str_eqc(r.tag, cases[i].tag) && str_eqc(r.digest, cases[i].digest), "  and its parts");
	}
}

static void
test_bad(void)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "", "empty" }, { "/app:", "variable" }, { "/app", "variable" }, { "app:", "variable" },
		{ "host//img:tag", "variable" }, { "r.io/", "variable" }, { "r.io/x/", "variable" }, { "r.io/:1", "variable" },
		{ "https://r.io/img", "https://" }, { "http://r.io/img:1", "http://" }, { "docker://x", "http://" },
		{ "Ubuntu", "lower case" }, { "group/App:1", "lower case" }, { "UPPER/Case:!!", "lower case" },
		{ "../../x", "registry" }, { "../x", "registry" }, { "./x", "registry" }, { "a/../b", "a-z" }, { "a/./b", "a-z" },
		{ "r.io/../../info", "a-z" }, { "x/../../info?a=1#", "a-z" },
		{ "a b", "blank" }, { "a\tb", "blank" }, { "a\r\nHost: x", "blank" }, { " a", "blank" }, { "a\x7f", "blank" },
		{ "a%2f..%2f", "a-z" }, { "a?x=1", "a-z" }, { "a#b", "a-z" }, { "a\\b", "a-z" }, { "\xc3\xa4", "a-z" },
		{ "a..b", "a-z" }, { "a___b", "a-z" }, { "a._b", "a-z" }, { "-a", "a-z" }, { "a-", "a-z" }, { "a_", "a-z" },
		{ "img:12:1", "a-z" }, { "x:-1", "tag" }, { "x:.1", "tag" }, { "x:a/b:", "registry" }, { "x:a$b", "tag" }, { "x:\xc3\xa4", "tag" },
		{ "-r.io/x", "registry" }, { "r..io/x", "registry" }, { "r.io:/x", "registry" }, { "r.io:port/x", "registry" },
		{ "r.io:123456/x", "registry" }, { "[::1/x", "registry" }, { "[g::1]/x", "registry" },
		{ "x@", "digest" }, { "x@sha256", "digest" }, { "x@sha256:abc", "length" }, { "x@sha256:" HEX64 "0", "length" },
		{ "x@sha256:zz" HEX64, "hexadecimal" }, { "x@:" HEX64, "algorithm" }, { "x@+a:" HEX64, "algorithm" },
		{ "x@a+:" HEX64, "algorithm" }, { "x@@sha256:" HEX64, "algorithm" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct imageref r;
		struct err e = { 0 };

		is_int(imageref_parse(str_from(cases[i].text), &r, &e), -1, "\"%s\" is none", cases[i].text);
		ok(e.kind == ERR_CONFIG && strstr(e.msg, "invalid reference format") != NULL && strstr(e.msg, cases[i].says) != NULL,
		    "  and why: %s", e.msg);
	}
}

static void
test_lengths(void)
{
	char text[400];
	struct imageref r;
	struct err e = { 0 };

	memset(text, 'a', sizeof(text));
	is_int(imageref_parse(str_of(text, 255), &r, &e), 0, "255 bytes are a name");
	is_int(imageref_parse(str_of(text, 256), &r, &e), -1, "256 are too many");
	text[1] = ':';
	is_int(imageref_parse(str_of(text, 2 + 128), &r, &e), 0, "128 bytes are a tag");
	is_int(imageref_parse(str_of(text, 2 + 129), &r, &e), -1, "129 are too many");
}

int
main(void)
{
	test_good();
	test_bad();
	test_lengths();
	return done_testing();
}
