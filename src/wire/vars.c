/* A job's variables: see vars.h. */
#include "core/core.h"
#include "core/hash.h"
#include "wire/vars.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_special(char c)
{
	return is_digit(c) || (c != '\0' && strchr("*#$@!?-", c) != NULL);
}

void
vars_init(struct vars *vs, struct arena *a)
{
	*vs = (struct vars){ .arena = a, .file_dir = STR("") };
}

/* The index holds entry numbers plus one, in open addressing; it is never more than half full. */
static uint32_t *
slot(const struct vars *vs, struct str key)
{
	size_t i = (size_t)hash_fnv(key) & (vs->nindex - 1);

	while (vs->index[i] != 0 && !str_eq(vs->v[vs->index[i] - 1].key, key))
		i = (i + 1) & (vs->nindex - 1);
	return &vs->index[i];
}

static void
grow(struct vars *vs)
{
	struct var *old = vs->v;

	vs->cap = vs->cap > 0 ? vs->cap * 2 : 64;
	assert(vs->cap < UINT32_MAX);
	vs->v = arena_calloc(vs->arena, vs->cap, sizeof(*vs->v));
	if (vs->n > 0)
		memcpy(vs->v, old, vs->n * sizeof(*vs->v));
	vs->nindex = vs->cap * 2;
	vs->index = arena_calloc(vs->arena, vs->nindex, sizeof(*vs->index));
	for (size_t i = 0; i < vs->n; i++)
		*slot(vs, vs->v[i].key) = (uint32_t)i + 1;
}

void
vars_add(struct vars *vs, struct str key, struct str value, unsigned flags)
{
	if (vs->n == vs->cap)
		grow(vs);
	vs->v[vs->n++] = (struct var){ arena_str(vs->arena, key), arena_str(vs->arena, value), flags };
	*slot(vs, key) = (uint32_t)vs->n;
}

const struct var *
vars_find(const struct vars *vs, struct str key)
{
	uint32_t i = vs->nindex > 0 ? *slot(vs, key) : 0;

	return i != 0 ? &vs->v[i - 1] : NULL;
}

struct str
vars_get(const struct vars *vs, const char *key, struct str dflt)
{
	const struct var *v = vars_find(vs, str_from(key));

	return v != NULL ? v->value : dflt;
}

bool
vars_bool(const struct vars *vs, const char *key, bool dflt, bool *bad)
{
	struct str s = str_trim(vars_get(vs, key, STR("")));
	bool value = dflt, wrong = s.n > 0 && str_to_bool(s, &value) < 0;

	if (bad != NULL)
		*bad = wrong;
	return value;
}

static void
put_value(const struct vars *vs, struct str name, struct buf *b)
{
	const struct var *v;

	if (str_eqc(name, "$")) {
		buf_putc(b, '$');
		return;
	}
	if (name.n == 1 && is_special(name.p[0]))
		return;
	v = vars_find(vs, name);
	if (v == NULL)
		return;
	if ((v->flags & VAR_FILE) == 0) {
		buf_putstr(b, v->value);
		return;
	}
	buf_putstr(b, vs->file_dir);
	if (vs->file_dir.n > 0 && !str_ends(vs->file_dir, "/"))
		buf_putc(b, '/');
	buf_putstr(b, v->key);
}

/*
 * What follows a dollar: the length of its text, and the name in it. An
 * empty name means: drop that text; a length of 0: the dollar is itself.
 * braces_end is behind the last closing brace: without it a text of nothing
 * but opening ones would be searched to its end for each.
 */
static size_t
reference(struct str s, const char *braces_end, struct str *name)
{
	size_t n = 0;

	*name = STR("");
	if (s.n == 0)
		return 0;
	if (s.p[0] == '{') {
		if (s.p >= braces_end)
			return 1;
		n = (size_t)str_chr(s, '}');
		*name = str_sub(s, 1, n - 1);
		return n + 1;
	}
	if (is_special(s.p[0]))
		n = 1;
	else
		while (n < s.n && (is_name_start(s.p[n]) || is_digit(s.p[n])))
			n++;
	*name = str_sub(s, 0, n);
	return n;
}

void
vars_expand(const struct vars *vs, struct str s, struct buf *b)
{
	const char *braces_end;
	struct str name;
	ssize_t dollar;
	size_t n;

	if (s.n == 0)
		return;
	braces_end = s.p + (str_rchr(s, '}') + 1);
	while ((dollar = str_chr(s, '$')) >= 0 && !b->failed) {
		buf_putstr(b, str_sub(s, 0, (size_t)dollar));
		s = str_sub(s, (size_t)dollar + 1, s.n);
		n = reference(s, braces_end, &name);
		if (n == 0)
			buf_putc(b, '$');
		else if (name.n > 0)
			put_value(vs, name, b);
		s = str_sub(s, n, s.n);
	}
	buf_putstr(b, s);
}

struct str
vars_expand_str(const struct vars *vs, struct str s)
{
	struct buf b = { .max = VARS_EXPANDED_MAX };
	struct str r = STR_NULL;

	if (str_chr(s, '$') < 0)
		return s.p != NULL ? s : STR("");
	vars_expand(vs, s, &b);
	if (!b.failed)
		r = arena_str(vs->arena, buf_str(&b));
	buf_wipe(&b);
	return r;
}

void
vars_expand_all(struct vars *vs)
{
	struct str *expanded = arena_calloc(vs->arena, vs->n, sizeof(*expanded));
	struct buf b = { .max = VARS_EXPANDED_MAX };
	size_t total = 0;

	for (size_t i = 0; i < vs->n && !vs->too_large; i++) {
		struct str value = vs->v[i].value;

		if ((vs->v[i].flags & VAR_RAW) != 0 || str_chr(value, '$') < 0)
			continue;
		buf_clear(&b);
		vars_expand(vs, value, &b);
		if (b.failed || b.n > VARS_EXPANDED_MAX - total) {
			vs->too_large = true;
			break;
		}
		total += b.n;
		expanded[i] = arena_str(vs->arena, buf_str(&b));
	}
	/* Only now, when none is looked at unexpanded any more. */
	for (size_t i = 0; i < vs->n; i++)
		if (expanded[i].p != NULL)
			vs->v[i].value = expanded[i];
	buf_wipe(&b);
}

bool
vars_name_ok(struct str key)
{
	for (size_t i = 0; i < key.n; i++)
		if (!is_name_start(key.p[i]) && (i == 0 || !is_digit(key.p[i])))
			return false;
	return key.n > 0;
}
