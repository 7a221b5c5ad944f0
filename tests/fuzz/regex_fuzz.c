/*
 * An operator's regular expression: the pattern up to the first newline, then the text. Whatever it is, it is refused or answered
 * soon; and an answer holds in a group, beside another alternative, and for the whole text when it holds for that.
 */
#include "core/core.h"
#include "core/buf.h"
#include "wire/regex.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
wrapped(const char *before, struct str pattern, const char *behind, struct str text)
{
	struct buf b = { .max = 8192 };
	int rc;

	buf_puts(&b, before);
	buf_putstr(&b, pattern);
	buf_puts(&b, behind);
	rc = regex_find(buf_str(&b), text, NULL);
	buf_free(&b);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of(data, size < 512 ? size : 512), pattern = str_cut(&text, '\n');
	struct err e = { 0 };
	int rc, grouped, either, whole;

	if (text.p == NULL)
		text = STR("");
	rc = regex_find(pattern, text, &e);
	assert(rc >= -1 && rc <= 1 && (rc == -1) == (e.kind != ERR_NONE));
	if (rc < 0)
		return 0;
	grouped = wrapped("(?:", pattern, ")", text);
	either = wrapped("(?:", pattern, ")|(?:$.)", text);
	whole = wrapped("^(?:", pattern, ")$", text);
	assert(grouped == rc || grouped == -1);
	assert(either == rc || either == -1);
	assert(whole <= rc);
	return 0;
}
