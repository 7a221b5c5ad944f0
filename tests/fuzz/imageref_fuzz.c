/*
 * Names of images: the parts put together again are the name; a name that
 * passes holds nothing that could end or leave an HTTP path.
 */
#include "core/core.h"
#include "core/buf.h"
#include "wire/imageref.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put_part(struct buf *b, const char *before, struct str s, const char *after)
{
	if (s.p == NULL)
		return;
	buf_puts(b, before);
	buf_putstr(b, s);
	buf_puts(b, after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of(data, size);
	struct buf b = { 0 };
	struct imageref r;
	struct err e = { 0 };

	if (imageref_parse(text, &r, &e) < 0) {
		assert(e.kind == ERR_CONFIG && e.msg[0] != '\0');
		return 0;
	}
	put_part(&b, "", r.domain, "/");
	put_part(&b, "", r.path, "");
	put_part(&b, ":", r.tag, "");
	put_part(&b, "@", r.digest, "");
	assert(str_eq(buf_str(&b), text));
	for (size_t i = 0; i < text.n; i++)
		assert((unsigned char)text.p[i] > ' ' && (unsigned char)text.p[i] < 0x7f && strchr("?#%&\\\"$", text.p[i]) == NULL);
	assert(str_find(r.path, "..") < 0 && str_find(r.path, "//") < 0 && r.path.n > 0);
	buf_free(&b);
	return 0;
}
