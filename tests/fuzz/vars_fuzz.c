/*
 * A job's variables: expansion says what a plain reading of the rules says,
 * which looks names up one by one; a text whose dollars are doubled is
 * itself; expanding all is expanding each against the list as it was.
 *
 * Input: lines KEY=VALUE, the last of them the text to expand. A line that
 * begins with '!' is raw, one with '<' is a file.
 */
#include "core/core.h"
#include "wire/vars.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void
put(const struct var *v, size_t n, struct str name, struct buf *b)
{
	if (name.n == 1 && strchr("*#$@!?-0123456789", name.p[0]) != NULL && name.p[0] != '\0') {
		if (name.p[0] == '$')
			buf_putc(b, '$');
		return;
	}
	while (n-- > 0)
		if (str_eq(v[n].key, name)) {
			if ((v[n].flags & VAR_FILE) != 0) {
				buf_puts(b, "/files/");
				buf_putstr(b, name);
			} else
				buf_putstr(b, v[n].value);
			return;
		}
}

/* The rules, one after the other. */
static void
model(const struct var *v, size_t n, struct str s, struct buf *b)
{
	for (size_t i = 0; i < s.n; i++) {
		size_t k = i + 1;

		if (s.p[i] != '$' || k == s.n) {
			buf_putc(b, s.p[i]);
		} else if (s.p[k] == '{') {
			while (k < s.n && s.p[k] != '}')
				k++;
			if (k == s.n)
				i++;		/* no end: dollar and brace are gone */
			else {
				if (k > i + 2)
					put(v, n, str_sub(s, i + 2, k - i - 2), b);
				i = k;
			}
		} else if (strchr("*#$@!?-0123456789", s.p[k]) != NULL && s.p[k] != '\0') {
			put(v, n, str_sub(s, k, 1), b);
			i++;
		} else if (is_word(s.p[k])) {
			while (k < s.n && is_word(s.p[k]))
				k++;
			put(v, n, str_sub(s, i + 1, k - i - 1), b);
			i = k - 1;
		} else
			buf_putc(b, '$');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str rest = str_of(data, size), text = STR("");
	struct buf got = { .max = 1u << 20 }, want = { .max = 1u << 20 }, doubled = { 0 };
	struct vars vs;
	struct var *before;
	size_t total = 0;
	bool full = false;

	vars_init(&vs, &a);
	vs.file_dir = STR("/files");
	while (rest.p != NULL) {
		struct str value = str_cut(&rest, '\n'), key;
		unsigned flags = 0;

		text = value;
		if (rest.p == NULL)
			break;
		if (str_starts(value, "!"))
			flags |= VAR_RAW;
		if (str_starts(value, "<"))
			flags |= VAR_FILE;
		if (flags != 0)
			value = str_sub(value, 1, value.n);
		key = str_cut(&value, '=');
		vars_add(&vs, key, value, flags);
		assert(vars_find(&vs, key) == &vs.v[vs.n - 1]);
	}
	vars_expand(&vs, text, &got);
	model(vs.v, vs.n, text, &want);
	assert(got.failed == want.failed);
	if (!got.failed) {
		struct str s = vars_expand_str(&vs, text);

		assert(str_eq(buf_str(&got), buf_str(&want)));
		assert(s.p != NULL && str_eq(s, buf_str(&got)));
	}

	for (size_t i = 0; i < text.n; i++)
		buf_puts(&doubled, text.p[i] == '$' ? "$$" : (char[]){ text.p[i], '\0' });
	if (str_chr(text, '\0') < 0)
		assert(str_eq(vars_expand_str(&vs, buf_str(&doubled)), text));

	before = arena_calloc(&a, vs.n, sizeof(*before));
	if (vs.n > 0)
		memcpy(before, vs.v, vs.n * sizeof(*before));
	vars_expand_all(&vs);
	for (size_t i = 0; i < vs.n && !full; i++) {
		struct str v = before[i].value;

		buf_clear(&want);
		if ((before[i].flags & VAR_RAW) == 0) {
			model(before, vs.n, v, &want);
			total += want.n;
			full = want.failed || total > VARS_EXPANDED_MAX / 2;	/* near the limit all may happen */
			v = buf_str(&want);
		}
		assert(full || str_eq(vs.v[i].value, v));
	}
	assert(full || !vs.too_large);
	buf_free(&got);
	buf_free(&want);
	buf_free(&doubled);
	arena_reset(&a);
	return 0;
}
