/* wire/jobhead: number and token of an answer that broke off. */
#include "core/buf.h"
#include "wire/jobhead.h"

#include "tap.h"

static const struct { const char *name, *body; int64_t id; const char *token; } cases[] = {
	{ "as GitLab sends it", "{\"id\":42,\"token\":\"glcbt-64_abc\",\"allow_git_fetch\":tr", 42, "glcbt-64_abc" },
	{ "with blanks", " { \"id\" : 7 ,\n \"token\" : \"t\" ", 7, "t" },
	{ "just whole enough", "{\"id\":1,\"token\":\"x\"", 1, "x" },
	{ "a web token", "{\"id\":1,\"token\":\"eyJ.a-b_c.d=\"", 1, "eyJ.a-b_c.d=" },
	{ "torn in the token", "{\"id\":42,\"token\":\"glcbt-64_ab", 0, NULL },
	{ "torn before the token", "{\"id\":42,\"token\":", 0, NULL },
	{ "torn in the number", "{\"id\":42", 0, NULL },
	{ "nothing", "", 0, NULL },
	{ "a page", "<html>", 0, NULL },
	{ "the other order", "{\"token\":\"x\",\"id\":1", 0, NULL },
	{ "another key first", "{\"a\":1,\"id\":1,\"token\":\"x\"", 0, NULL },
	{ "number 0", "{\"id\":0,\"token\":\"x\"", 0, NULL },
	{ "negative", "{\"id\":-1,\"token\":\"x\"", 0, NULL },
	{ "19 digits", "{\"id\":1234567890123456789,\"token\":\"x\"", 0, NULL },
	{ "a text for a number", "{\"id\":\"1\",\"token\":\"x\"", 0, NULL },
	{ "empty token", "{\"id\":1,\"token\":\"\"", 0, NULL },
	{ "an escape", "{\"id\":1,\"token\":\"a\\\"b\"", 0, NULL },
	{ "a line end", "{\"id\":1,\"token\":\"a\r\nb\"", 0, NULL },
	{ "a blank", "{\"id\":1,\"token\":\"a b\"", 0, NULL },
	{ "beyond ASCII", "{\"id\":1,\"token\":\"a\xc3\xa4\"", 0, NULL },
	{ "null", "{\"id\":1,\"token\":null", 0, NULL },
};

int
main(void)
{
	struct jobhead h;
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++) {
		bool got = jobhead_read(str_from(cases[i].body), &h);

		ok(got == (cases[i].token != NULL) && (!got || (h.id == cases[i].id && str_eqc(h.token, cases[i].token))), "%s", cases[i].name);
	}
	for (size_t extra = 0; extra < 2; extra++) {
		buf_clear(&b);
		buf_puts(&b, "{\"id\":1,\"token\":\"");
		for (size_t i = 0; i < JOBHEAD_TOKEN_MAX + extra; i++)
			buf_puts(&b, "x");
		buf_puts(&b, "\"");
		ok(jobhead_read(buf_str(&b), &h) == (extra == 0), "%zu bytes of token", JOBHEAD_TOKEN_MAX + extra);
	}
	buf_free(&b);
	return done_testing();
}
