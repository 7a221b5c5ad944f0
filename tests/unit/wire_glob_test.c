/* Patterns of images and paths. */
#include <time.h>

#include "core/core.h"
#include "core/buf.h"
#include "wire/glob.h"

#include "tap.h"

static const struct { const char *pattern, *name; bool want; } cases[] = {
	/* literal text, the whole name */
	{ "", "", true }, { "", "a", false }, { "ruby:3", "ruby:3", true }, { "ruby:3", "ruby:3.1", false }, { "ruby:3", "xruby:3", false },
	{ "ruby:3", "docker.io/library/ruby:3", false }, { "ruby", "Ruby", false },
	/* one star: within a component */
	{ "*", "", true }, { "*", "ruby", true }, { "*", "a/b", false }, { "ruby:*", "ruby:", true }, { "ruby:*", "ruby:3.1-slim", true },
	{ "*ruby*", "xrubyx", true }, { "a*b*c", "abbbc", true }, { "a*b*c", "acb", false }, { "*.example.com/*", "r.example.com/x", true },
	{ "*.example.com/*", "r.example.com/x/y", false }, { "*a", "aaa", true }, { "*", ".hidden", true }, { "/*", "/", true }, { "/*", "//", false },
	{ "*/", "a/", true }, { "*/", "a", false },
	/* two stars as a component: any number of them */
	{ "**", "", true }, { "**", "a", true }, { "**", "a/b/c", true }, { "**", "/", true }, { "reg.example.com/**", "reg.example.com/g/p/i:1", true },
	{ "reg.example.com/**", "reg.example.com", true }, { "reg.example.com/**", "reg.example.com/", true },
	{ "reg.example.com/**", "reg.example.com.evil.org/x", false }, { "reg.example.com/**", "reg.example.comx", false },
	{ "reg.example.com/*", "reg.example.com/g/p", false },
	{ "**/c", "c", true }, { "**/c", "a/b/c", true }, { "**/c", "a/b/cc", false }, { "**/c", "a/bc", false }, { "**/c", "/c", true }, { "**/c", "a//c", true },
	{ "a/**/b", "a/b", true }, { "a/**/b", "a/x/b", true }, { "a/**/b", "a/x/y/z/b", true }, { "a/**/b", "a/xb", false }, { "a/**/b", "ab", false },
	{ "a/**/b", "a/x/bx", false }, { "a/**/b/**/c", "a/b/b/x/c", true }, { "a/**/*.o", "a/x/y.o", true }, { "a/**/*", "a", false },
	{ "a/**/**/b", "a/b", true }, { "a/**/", "a", true }, { "a/**/", "a/", true }, { "a/**/", "a/b", false }, { "a/**/", "a/b/", true },
	{ "a/**/**", "a", true }, { "a/**/**", "a/b/c", true }, { "**/", "", true }, { "**/", "a/", true }, { "**/", "a", false }, { "**/**", "a/b", true },
	/* two stars inside a component: as one */
	{ "a**", "abc", true }, { "a**", "a/b", false }, { "**a", "xa", true }, { "**a", "x/a", false }, { "a**b", "axb", true }, { "a**/b", "ax/b", true },
	{ "a**/b", "a/x/b", false }, { "a/b**/c", "a/b/x/c", false }, { "***", "a/b", false }, { "***", "ab", true }, { "a***", "a", true },
	{ "a**/", "a", false }, { "a**/", "ax/", true },
	/* one character */
	{ "?", "a", true }, { "?", "", false }, { "?", "ab", false }, { "?", "/", false }, { "a?c", "a/c", false }, { "???", "\xe2\x82\xac\xc3\xa4" "b", true },
	{ "?", "\xf0\x9f\x98\x80", true }, { "?", "\xff", true }, { "?", "\xe2\x82", false }, { "??", "\xe2\x82", true },
	/* classes */
	{ "[abc]", "b", true }, { "[abc]", "d", false }, { "[abc]", "", false }, { "[a-c]x", "bx", true }, { "[a-c]", "d", false }, { "[^a-c]", "d", true },
	{ "[^a-c]", "b", false }, { "[!a]", "b", true }, { "[!a]", "a", false }, { "[^a]", "", false }, { "[0-9a-f]", "7", true }, { "[0-9a-f]", "c", true },
	{ "[0-9a-f]", "g", false }, { "[-a]", "-", true }, { "[a-]", "-", true }, { "[a-]", "b", false }, { "[a-b-d]", "-", true }, { "[a-b-d]", "c", false },
	{ "[a-b-d]", "d", true }, { "[\\]]", "]", true }, { "[\\]a]", "a", true }, { "[\\-]", "-", true }, { "[a\\-c]", "b", false }, { "[a-\\c]", "b", true },
	{ "[\\a-c]", "b", true }, { "[c-a]", "b", false }, { "[*?]", "*", true }, { "[*?]", "x", false }, { "[{,}]", ",", true }, { "[a^]", "^", true },
	{ "[\xc3\xa4-\xc3\xbc]", "\xc3\xb6", true }, { "[\xc3\xa4-\xc3\xbc]", "\xc3\xa0", false }, { "[^a]", "/", true }, { "[/]", "/", true }, { "a[/]b", "a/b", true },
	{ "[/]**", "/a/b", false },
	/* alternatives */
	{ "{ruby,python}:*", "python:3", true }, { "{ruby,python}:*", "perl:5", false }, { "{ruby,python}:*", "ruby,python:3", false },
	{ "{a}", "a", true }, { "{}", "", true }, { "x{}y", "xy", true }, { "a{,b}", "a", true }, { "a{,b}", "ab", true }, { "a{,b}", "abb", false }, { "{a,b}{c,d}", "bc", true },
	{ "{a,b}{c,d}", "ab", false }, { "{a,{b,c}d}", "cd", true }, { "{a,{b,c}d}", "c", false }, { "{a/b,c}/*", "a/b/x", true }, { "{*,x}/b", "a/b", true },
	{ "{**,x}/b", "a/c/b", true }, { "a/{**,x}/b", "a/b", true }, { "a/{**/b,x}", "a/y/z/b", true }, { "a{**/b,x}", "a/y/b", false }, { "{a/,b}**", "a/x/y", true },
	{ "{a/,b}**", "bx/y", false }, { "{a,*}*/c", "x/y/c", true }, { "*{*,a}/c", "x/y/c", false }, { "{a\\,b}", "a,b", true }, { "{a\\}b}", "a}b", true },
	{ "{[,],a}", ",", true }, { "{[}],a}", "}", true }, { "a*{,b}", "a", true }, { "a*{,b}", "axb", true }, { "a{/**,x}", "a", true }, { "a/{b,**/}", "a/", true },
	{ "{a,b", "a", false }, { "a,b", "a,b", true }, { "a}", "a}", true }, { "{a}}", "a}", true },
	/* escapes */
	{ "\\*", "*", true }, { "\\*", "a", false }, { "\\?\\[\\{\\\\", "?[{\\", true }, { "\\a", "a", true }, { "a\\/**", "a/b/c", true }, { "\\**", "*x", true },
	{ "\\\xc3\xa4", "\xc3\xa4", true }, { "\\!x", "!x", true }, { "!x", "!x", true },
	/* malformed: never */
	{ "[", "[", false }, { "[]", "]", false }, { "[]a]", "]", false }, { "[^]", "^", false }, { "[!]", "!", false }, { "[a", "a", false }, { "[a\\]", "a", false },
	{ "\\", "\\", false }, { "a\\", "a", false }, { "{", "{", false }, { "{a,b\\}", "a", false }, { "{a,[}", "a", false }, { "{a,[]}", "a", false }, { "**[", "x", false },
	{ "{{a}", "a", false }, { "{a,b}[", "a", false },
};

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void
test_hostile(void)
{
	struct buf p = { 0 }, name = { 0 };
	double t0 = seconds();

	for (int i = 0; i < 1000; i++)
		buf_puts(&p, "{a,*}");
	for (int i = 0; i < 1000; i++)
		buf_putc(&name, 'a');
	buf_putc(&name, 'b');
	buf_puts(&p, "c");
	ok(p.n > GLOB_PATTERN_MAX && !glob_match(buf_str(&p), buf_str(&name)) && !glob_ok(buf_str(&p)), "a pattern above the limit");
	buf_drop(&p, 5 * 200);
	ok(glob_ok(buf_str(&p)) && !glob_match(buf_str(&p), buf_str(&name)), "hundreds of alternatives that nearly match");
	buf_clear(&p);
	for (int i = 0; i < 600; i++)
		buf_puts(&p, "**/a/*");
	ok(!glob_match(buf_str(&p), buf_str(&name)), "hundreds of double stars");
	ok(seconds() - t0 < 10, "neither takes long");

	for (int n = GLOB_DEPTH_MAX; n <= GLOB_DEPTH_MAX + 1; n++) {
		buf_clear(&p);
		for (int i = 0; i < n; i++)
			buf_puts(&p, "{a,");
		for (int i = 0; i < n; i++)
			buf_puts(&p, "}");
		ok(glob_match(buf_str(&p), STR("a")) == (n <= GLOB_DEPTH_MAX), "%d braces in each other", n);
	}
	buf_clear(&p);
	for (size_t i = 0; i < GLOB_PATTERN_MAX; i++)
		buf_putc(&p, 'a');
	ok(glob_match(buf_str(&p), buf_str(&p)), "a pattern of just the limit");
	ok(glob_match((struct str){ "a*[", 2 }, (struct str){ "abc", 2 }), "views end where they end");
	ok(glob_match((struct str){ "a\0?", 3 }, (struct str){ "a\0b", 3 }), "NUL is a character like others");
	ok(glob_match(STR_NULL, STR_NULL) && glob_match(STR("**"), STR_NULL), "null views are empty");
	buf_free(&p);
	buf_free(&name);
}

#define LIST(...)	(const char *const []){ __VA_ARGS__, NULL }

static const struct { const char *what; const char *const *patterns; const char *name; bool want; } lists[] = {
	{ "no pattern allows everything", LIST(NULL), "any/thing", true },
	{ "one that matches", LIST("ruby:*"), "ruby:3", true },
	{ "one that does not", LIST("ruby:*"), "perl:5", false },
	{ "the second matches", LIST("ruby:*", "perl:*"), "perl:5", true },
	{ "a denial wins", LIST("reg/**", "!reg/private/**"), "reg/private/x", false },
	{ "wherever it stands", LIST("!reg/private/**", "reg/**"), "reg/private/x", false },
	{ "others pass it", LIST("!reg/private/**", "reg/**"), "reg/public/x", true },
	{ "but must match", LIST("!reg/private/**", "reg/**"), "other/x", false },
	{ "denials only allow the rest", LIST("!evil/**", "!bad"), "good", true },
	{ "and deny their own", LIST("!evil/**", "!bad"), "bad", false },
	{ "a malformed pattern allows nothing", LIST("[", "ruby:*"), "perl:5", false },
	{ "and harms no other", LIST("[", "ruby:*"), "ruby:3", true },
	{ "a malformed denial denies", LIST("ruby:*", "![x"), "ruby:3", false },
	{ "only one ! is cut off", LIST("!!x"), "!x", false },
	{ "an escaped ! is a character", LIST("\\!x"), "!x", true },
	{ "an empty pattern matches the empty name only", LIST(""), "x", false },
	{ "an empty denial denies the empty name only", LIST("!"), "x", true },
};

int
main(void)
{
	for (size_t i = 0; i < NELEM(cases); i++)
		ok(glob_match(str_from(cases[i].pattern), str_from(cases[i].name)) == cases[i].want, "'%s' %s '%s'", cases[i].pattern,
		    cases[i].want ? "matches" : "does not match", cases[i].name);
	test_hostile();
	ok(glob_ok(STR("a/**/{b,[c]}")) && glob_ok(STR("!a")) && glob_ok(STR("")) && glob_ok(STR("}")), "well-formed");
	ok(!glob_ok(STR("[")) && !glob_ok(STR("!{")) && !glob_ok(STR("\\")) && !glob_ok(STR("[]")), "not well-formed");
	for (size_t i = 0; i < NELEM(lists); i++) {
		struct str p[4];
		size_t n = 0;

		for (; lists[i].patterns[n] != NULL; n++)
			p[n] = str_from(lists[i].patterns[n]);
		ok(glob_allowed(p, n, str_from(lists[i].name)) == lists[i].want, "list: %s", lists[i].what);
	}
	ok(glob_allowed(NULL, 0, STR("x")), "list: none at all");
	return done_testing();
}
