/* Regular expressions as Go has them: what matches, what is refused, and that no pattern takes long. */
#include "core/core.h"
#include "core/mono.h"
#include "tap.h"
#include "wire/regex.h"

static const struct { const char *pattern, *text; int want; } cases[] = {
	{ "", "", 1 }, { "", "abc", 1 }, { "b", "abc", 1 }, { "d", "abc", 0 }, { "^a", "abc", 1 }, { "^b", "abc", 0 },
	{ "c$", "abc", 1 }, { "b$", "abc", 0 }, { "^$", "", 1 }, { "^$", "a", 0 }, { "a.c", "abc", 1 }, { "a.c", "a\nc", 0 }, { "(?s)a.c", "a\nc", 1 },
	{ "^runner-.*-[0-9a-f]{8}$", "runner-x-0123abcd", 1 }, { "^runner-.*-[0-9a-f]{8}$", "runner-x-0123abc", 0 },
	{ "a*", "", 1 }, { "^a+$", "aaa", 1 }, { "^a+$", "", 0 }, { "^ab?c$", "ac", 1 }, { "^ab?c$", "abc", 1 }, { "^ab?c$", "abbc", 0 },
	{ "^(ab)*$", "ababab", 1 }, { "^(ab)*$", "ababa", 0 }, { "^(a|bc)+$", "abcbca", 1 }, { "^(a|bc)+$", "abb", 0 }, { "a|b|c", "c", 1 },
	{ "^(a||b)c$", "c", 1 }, { "^()*$", "", 1 }, { "^(|a)*b$", "aab", 1 }, { "^(a*)*b$", "aaab", 1 }, { "^(a*)+$", "b", 0 },
	{ "^a{2,3}$", "a", 0 }, { "^a{2,3}$", "aa", 1 }, { "^a{2,3}$", "aaa", 1 }, { "^a{2,3}$", "aaaa", 0 }, { "^a{0,2}$", "", 1 },
	{ "^a{0,2}$", "aaa", 0 }, { "^a{2,}$", "aaaaa", 1 }, { "^a{2,}$", "a", 0 }, { "^a{0}b$", "b", 1 }, { "^a{0}b$", "ab", 0 }, { "^a{0,}$", "aa", 1 },
	{ "^(a|b){3}$", "aba", 1 }, { "^(a|b){3}$", "ab", 0 }, { "^(a{1,2}b){2}$", "aabab", 1 }, { "a{", "a{", 1 }, { "a{x}", "a{x}", 1 }, { "a{,2}", "a{,2}", 1 },
	{ "[abc]", "xbx", 1 }, { "[^abc]", "abc", 0 }, { "[a-c]", "b", 1 }, { "[]]", "]", 1 }, { "[^]]", "]", 0 }, { "[a-]", "-", 1 }, { "[\\]]", "]", 1 },
	{ "[\\d-]", "-", 1 }, { "^\\d+$", "123", 1 }, { "\\D", "123", 0 }, { "^\\w+$", "a_1", 1 }, { "\\W", "a_1", 0 }, { "a\\sb", "a\tb", 1 }, { "[\\S]", " ", 0 },
	{ "[[:alpha:]]", "1a", 1 }, { "[[:^alpha:]]", "a", 0 }, { "[[:xdigit:]]", "g", 0 }, { "[[:punct:]_]", "_", 1 },
	{ "(?i)RUNNER", "my-runner", 1 }, { "(?i)[a-c]", "B", 1 }, { "(?i:A)b", "aB", 0 }, { "(?i:A)b", "ab", 1 }, { "((?i)a)b", "AB", 0 }, { "(?i)a(?-i)b", "Ab", 1 },
	{ "(?-i)a", "A", 0 }, { "(?:ab)+", "abab", 1 }, { "(?P<x>a)b", "ab", 1 }, { "\\bci\\b", "my-ci-1", 1 }, { "\\bci\\b", "mycix", 0 }, { "\\Bc", "ac", 1 },
	{ "\\Aa", "ba", 0 }, { "a\\z", "a", 1 }, { "\\.", "a", 0 }, { "\\x41", "A", 1 }, { "a\\tb", "a\tb", 1 }, { "^a??b$", "ab", 1 }, { "^a*?$", "aa", 1 }, { "a+?", "a", 1 },
	{ "(", "", -1 }, { ")", "", -1 }, { "(a", "a", -1 }, { "a)", "a", -1 }, { "[", "", -1 }, { "[a", "a", -1 }, { "[]", "]", -1 }, { "[b-a]", "", -1 }, { "*a", "", -1 }, { "a|*", "", -1 },
	{ "a**", "", -1 }, { "a{1001}", "", -1 }, { "a{3,2}", "", -1 }, { "\\", "", -1 }, { "\\q", "", -1 }, { "\\x4", "", -1 }, { "(?z)a", "", -1 }, { "[[:nope:]]", "", -1 }, { "(?P<x", "", -1 },
	{ "((a{100}){100}){100}", "a", -1 },
};

static void
test_time(void)
{
	static char text[20001], pattern[3001];
	mono_t start = mono_now();

	memset(text, 'a', sizeof(text) - 1);
	is_int(regex_find(STR("^(a*)*(a|aa)+(a?){30}a{30}b$"), str_from(text), NULL), 0, "what makes others try for ever");
	memset(pattern, '(', sizeof(pattern) - 1);
	is_int(regex_find(str_from(pattern), STR("a"), NULL), -1, "groups as deep as the pattern");
	for (size_t i = 0; i < sizeof(pattern) - 1; i++)
		pattern[i] = i % 2 == 0 ? 'a' : '|';
	is_int(regex_find(str_from(pattern), STR("b"), NULL), -1, "alternatives without end");
	ok(mono_since(start) < 20 * NSEC_SEC, "all that in a moment");
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct err e = { 0 };

		is_int(regex_find(str_from(cases[i].pattern), str_from(cases[i].text), &e), cases[i].want, "\"%s\" in \"%s\" %s", cases[i].pattern,
		    cases[i].text, e.msg);
		if (cases[i].want < 0)
			ok(e.kind == ERR_PARSE && strstr(e.msg, "of the pattern") != NULL, "  says where");
	}
	test_time();
	return done_testing();
}
