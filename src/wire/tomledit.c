/*
 * Editing a TOML text in place: see tomledit.h.
 *
 * An edit finds one stretch of bytes and what to put there (struct splice);
 * replace() makes the new text, reads it, and lets the caller's proof compare
 * the two trees before it takes the place of the old one.
 */
#include <math.h>

#include "wire/tomledit.h"
#include "wire/utf8.h"

#define DEPTH_MAX	256	/* tables and arrays in each other on the way to a node */

struct splice {
	size_t		 at, end;	/* of the old text */
	struct buf	 put;
};

/* One node of the tree, parents first: what is left when the text's layout is forgotten. */
struct item {
	const struct toml	*v;
	int			 depth;
};

struct items {
	struct item	*v;
	size_t		 n, cap;
};

/* ---- lines of a text ---- */

static struct str
text_of(const struct tomledit *t)
{
	return buf_str(&t->text);
}

/* Where the text begins behind a byte order mark. */
static size_t
text_begin(struct str s)
{
	return str_starts(s, "\xef\xbb\xbf") ? 3 : 0;
}

/* The text's own kind of line end: that of its first line. */
static const char *
line_end(struct str s)
{
	ssize_t at = str_chr(s, '\n');

	return at > 0 && s.p[at - 1] == '\r' ? "\r\n" : "\n";
}

static size_t
line_start(struct str s, size_t at)
{
	while (at > text_begin(s) && s.p[at - 1] != '\n')
		at--;
	return at;
}

/* Behind the newline that ends the line of `at`, or the end of the text. */
static size_t
next_line(struct str s, size_t at)
{
	while (at < s.n && s.p[at] != '\n')
		at++;
	return at < s.n ? at + 1 : at;
}

static size_t
skip_blanks(struct str s, size_t at)
{
	while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\t'))
		at++;
	return at;
}

/* What the line that begins at `at` holds. */
static bool
is_blank_line(struct str s, size_t at)
{
	at = skip_blanks(s, at);
	return at < s.n && (s.p[at] == '\n' || (s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n'));
}

static bool
is_comment_line(struct str s, size_t at)
{
	at = skip_blanks(s, at);
	return at < s.n && s.p[at] == '#';
}

static struct str
indent_of(struct str s, size_t at)
{
	size_t from = line_start(s, at);

	return str_sub(s, from, skip_blanks(s, from) - from);
}

static bool
ends_in_newline(struct str s, size_t end)
{
	return end > 0 && s.p[end - 1] == '\n';
}

/* Without the newline right before `at`, if there is one. */
static size_t
before_newline(struct str s, size_t at)
{
	if (at > text_begin(s) && s.p[at - 1] == '\n')
		at--;
	if (at > text_begin(s) && s.p[at - 1] == '\r')
		at--;
	return at;
}

/* ---- forms of tables ---- */

/* { ... } */
static bool
is_braced(struct str s, const struct toml *v)
{
	return v->type == TOML_TABLE && v->is_inline && s.p[v->at] == '{';
}

/* Has it a [header] of its own? In [a.b] only b does: a stands there, but a dot follows it. */
static bool
has_header(struct str s, const struct toml *parent, const struct toml *v)
{
	size_t at;

	if (v->type != TOML_TABLE || v->is_inline)
		return false;
	if (parent->type == TOML_ARRAY)
		return parent->array_of_tables;
	at = skip_blanks(s, v->at);
	if (at >= s.n || s.p[at] != '[' || v->key_at < at || v->key_at >= next_line(s, at))
		return false;
	at = skip_blanks(s, v->key_end);
	return at < s.n && s.p[at] == ']';
}

/* A key and its value in one place. */
static bool
is_pair(struct str s, const struct toml *parent, const struct toml *v)
{
	return v->key.p != NULL && !v->array_of_tables &&
	    (v->type != TOML_TABLE || (is_braced(s, v) && !has_header(s, parent, v)));
}

/* The pair of a table's own body that stands last, also of `a.b = 1` in it. */
static const struct toml *
last_pair(struct str s, const struct toml *table)
{
	const struct toml *last = NULL;

	TOML_EACH(v, table) {
		const struct toml *p = is_pair(s, table, v) ? v : NULL;

		if (p == NULL && v->type == TOML_TABLE && !has_header(s, table, v))
			p = last_pair(s, v);
		if (p != NULL && (last == NULL || p->key_at > last->key_at))
			last = p;
	}
	return last;
}

/* The pair before this one in the braces of `table`, NULL for the first. */
static const struct toml *
pair_before(struct str s, const struct toml *table, const struct toml *pair)
{
	const struct toml *best = NULL;

	TOML_EACH(v, table) {
		const struct toml *p = is_pair(s, table, v) ? v : NULL;

		if (p == NULL && v->type == TOML_TABLE)
			p = pair_before(s, v, pair);
		if (p != NULL && p->key_at < pair->key_at && (best == NULL || p->key_at > best->key_at))
			best = p;
	}
	return best;
}

/* From the root to the node: way[0] is the root, way[n - 1] the node. 0 if it is not in the tree. */
static size_t
find_way(const struct toml *from, const struct toml *node, const struct toml **way, size_t depth)
{
	size_t n;

	if (depth == DEPTH_MAX)
		return 0;
	way[depth] = from;
	if (from == node)
		return depth + 1;
	TOML_EACH(v, from)
		if ((n = find_way(v, node, way, depth + 1)) > 0)
			return n;
	return 0;
}

static int
refuse(const struct toml *at, const char *what, struct err *e)
{
	struct buf key = { .max = 256 };

	if (at->key.p != NULL)
		buf_put_quoted(&key, at->key, 80);
	err_set(e, ERR_CONFIG, at->line, "line %d: %s %s", at->line, key.n > 0 ? key.p : "this", what);
	buf_free(&key);
	return -1;
}

/* ---- the proof ---- */

static bool
same_number(double a, double b)
{
	return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static bool
same_item(const struct item *x, const struct item *y)
{
	const struct toml *a = x->v, *b = y->v;

	return x->depth == y->depth && a->type == b->type && (a->key.p == NULL) == (b->key.p == NULL) &&
	    str_eq(a->key, b->key) && str_eq(a->s, b->s) && a->i == b->i && a->b == b->b &&
	    same_number(a->f, b->f) && memcmp(&a->date, &b->date, sizeof(a->date)) == 0;
}

static int
by_key(const void *a, const void *b)
{
	return str_cmp((*(const struct toml *const *)a)->key, (*(const struct toml *const *)b)->key);
}

/* Members of a table in the order of their names: in the text a table may begin before or behind another one. */
static void
list_items(struct items *l, const struct toml *v, int depth)
{
	const struct toml **child = xcalloc(v->n + 1, sizeof(*child));
	size_t n = 0;

	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 64;
		l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = (struct item){ v, depth };
	TOML_EACH(c, v)
		child[n++] = c;
	if (v->type == TOML_TABLE && n > 1)
		qsort(child, n, sizeof(*child), by_key);
	for (size_t i = 0; i < n; i++)
		list_items(l, child[i], depth + 1);
	free(child);
}

static size_t
count_items(const struct toml *v)
{
	size_t n = 1;

	TOML_EACH(child, v)
		n += count_items(child);
	return n;
}

enum edit { EDIT_VALUE, EDIT_PUT, EDIT_TAKE };

/* What an edit is meant to do. */
struct meant {
	enum edit		 edit;
	const struct toml	*node;		/* the old value (EDIT_VALUE), what is taken out (EDIT_TAKE) */
	const struct toml	*value;		/* what it shall be (EDIT_VALUE, EDIT_PUT of a key) */
	const struct toml *const *way;		/* EDIT_PUT of a key: to the table that gets it */
	size_t			 nway;
	const char		*key;
};

/* The run of items at a[i] means the same as the value b. */
static bool
same_value(const struct items *a, size_t i, const struct toml *b)
{
	struct items want = { 0 };
	bool good;

	list_items(&want, b, i < a->n ? a->v[i].depth : 0);
	good = want.n <= a->n - i;
	for (size_t k = 0; good && k < want.n; k++) {
		struct toml got = *a->v[i + k].v;
		struct item x = { &got, a->v[i + k].depth };

		if (k == 0)
			got.key = b->key;
		good = same_item(&x, &want.v[k]);
	}
	free(want.v);
	return good;
}

/* The new key stands where it was to stand. */
static bool
is_in_place(const struct items *new, const struct toml *root, const struct meant *m)
{
	const struct toml *t = root, *v;
	size_t i = 0;

	for (size_t k = 1; k < m->nway && t != NULL; k++) {
		if (m->way[k - 1]->type == TOML_TABLE) {
			t = toml_get_exact(t, m->way[k]->key);
			continue;
		}
		t = t->first;
		for (v = m->way[k - 1]->first; v != m->way[k] && t != NULL; v = v->next)
			t = t->next;
	}
	v = t != NULL ? toml_get_exact(t, str_from(m->key)) : NULL;
	while (v != NULL && new->v[i].v != v)
		i++;
	return v != NULL && same_value(new, i, m->value);
}

/*
 * Whether the new tree is the old one but for the edit. What comes or goes is one run of items; with a dotted
 * key, or the first or last element of an array, also the tables that exist through it.
 */
static bool
proved(const struct meant *m, const struct toml *old, const struct toml *new)
{
	struct items a = { 0 }, b = { 0 };
	size_t same = 0, tail = 0, size = m->node != NULL ? count_items(m->node) : 0, more, i = 0;
	bool good = false;

	list_items(&a, old, 0);
	list_items(&b, new, 0);
	while (same < a.n && same < b.n && same_item(&a.v[same], &b.v[same]))
		same++;
	while (tail < a.n - same && tail < b.n - same && same_item(&a.v[a.n - 1 - tail], &b.v[b.n - 1 - tail]))
		tail++;
	switch (m->edit) {
	case EDIT_PUT:
		good = same + tail == a.n && b.n > a.n && (m->key == NULL || is_in_place(&b, new, m));
		break;
	case EDIT_TAKE:
		good = same + tail == b.n && a.n - b.n >= size && a.n - b.n < size + DEPTH_MAX;
		break;
	case EDIT_VALUE:
		while (a.v[i].v != m->node)
			i++;
		more = count_items(m->value);
		good = b.n - more == a.n - size && str_eq(b.v[i].v->key, m->node->key) && same_value(&b, i, m->value);
		for (size_t k = 0; good && k < i; k++)
			good = same_item(&a.v[k], &b.v[k]);
		for (size_t k = i + size; good && k < a.n; k++)
			good = same_item(&a.v[k], &b.v[k - size + more]);
		break;
	}
	free(a.v);
	free(b.v);
	return good;
}

/* Puts the splice in, if that proves to be the edit that was meant. The splice is used up. */
static int
replace(struct tomledit *t, struct splice *sp, const struct meant *m, struct err *e)
{
	struct str old = text_of(t);
	struct tomledit new = { .text = { .max = SIZE_MAX / 2 } };
	struct err why = { 0 };
	int rc = -1;

	buf_putstr(&new.text, str_sub(old, 0, sp->at));
	buf_putstr(&new.text, buf_str(&sp->put));
	buf_putstr(&new.text, str_sub(old, sp->end, old.n));
	buf_wipe(&sp->put);
	if (toml_parse(&new.arena, text_of(&new), &new.root, &why) < 0) {
		err_set(e, ERR_CONFIG, 0, "this cannot be edited in place, the file is too unusual there (%s)", why.msg);
	} else if (!proved(m, t->root, new.root)) {
		err_set(e, ERR_CONFIG, 0, "this cannot be edited in place without changing something else");
	} else {
		struct tomledit swap = *t;

		*t = new;
		new = swap;
		rc = 0;
	}
	tomledit_close(&new);
	return rc;
}

/* ---- setting a key ---- */

/*
 * Where a root without keys gets its first one: before the first header and the comment right above it,
 * behind what stands further up.
 */
static size_t
first_key_place(struct str s)
{
	size_t at = text_begin(s), place = at;

	while (at < s.n) {
		size_t next = next_line(s, at);

		if (is_blank_line(s, at))
			place = next;
		else if (!is_comment_line(s, at))
			return skip_blanks(s, at) < s.n ? place : s.n;
		at = next;
	}
	return s.n;
}

static void
put_new_line(struct str s, const struct toml *table, bool root, struct splice *sp, struct str pair)
{
	const struct toml *last = last_pair(s, table);
	bool open;

	sp->at = root && last == NULL ? first_key_place(s) : table->end;
	sp->end = sp->at;
	/* A text whose last line has no end keeps to that. */
	open = sp->at > text_begin(s) && !ends_in_newline(s, sp->at);
	if (open)
		buf_puts(&sp->put, line_end(s));
	if (last != NULL) {
		buf_putstr(&sp->put, indent_of(s, last->key_at));
	} else if (!root) {
		buf_putstr(&sp->put, indent_of(s, table->at));
		buf_puts(&sp->put, "  ");
	}
	buf_putstr(&sp->put, pair);
	if (!open)
		buf_puts(&sp->put, line_end(s));
}

static void
put_in_braces(struct str s, const struct toml *table, struct splice *sp, struct str pair)
{
	const struct toml *last = last_pair(s, table);

	sp->at = sp->end = last != NULL ? last->end : table->at + 1;
	if (last != NULL)
		buf_puts(&sp->put, ", ");
	buf_putstr(&sp->put, pair);
}

static int
insert(struct tomledit *t, const struct toml *table, const char *key, struct str value, const struct toml *want, struct err *e)
{
	const struct toml *way[DEPTH_MAX];
	size_t n = find_way(t->root, table, way, 0), home;
	struct meant m = { .edit = EDIT_PUT, .value = want, .way = way, .nway = n, .key = key };
	struct splice sp = { .put = { .max = SIZE_MAX / 2 } };
	struct buf pair = { .max = SIZE_MAX / 2 };
	struct str s = text_of(t);

	if (n == 0)
		return err_set(e, ERR_CONFIG, 0, "%s cannot be written there", key);
	/* A table without a place of its own gets the key through one that has: `table.key = value`. */
	for (home = n - 1; home > 0 && !is_braced(s, way[home]) && !has_header(s, way[home - 1], way[home]); home--)
		;
	for (size_t i = home + 1; i < n; i++) {
		toml_put_key(&pair, way[i]->key);
		buf_putc(&pair, '.');
	}
	toml_put_key(&pair, str_from(key));
	buf_puts(&pair, " = ");
	buf_putstr(&pair, value);
	if (is_braced(s, way[home]))
		put_in_braces(s, way[home], &sp, buf_str(&pair));
	else
		put_new_line(s, way[home], home == 0, &sp, buf_str(&pair));
	buf_wipe(&pair);
	if (replace(t, &sp, &m, e) < 0)
		return err_ctx(e, "%s", key);
	return 0;
}

int
tomledit_set(struct tomledit *t, const struct toml *table, const char *key, struct str value, struct err *e)
{
	struct toml *old = toml_get(table, key), *root;
	struct buf alone = { .max = SIZE_MAX / 2 };
	struct arena a = { 0 };
	struct splice sp = { .put = { .max = SIZE_MAX / 2 } };
	int rc = -1;

	assert(table->type == TOML_TABLE);
	buf_puts(&alone, "x = ");
	buf_putstr(&alone, value);
	if (toml_parse(&a, buf_str(&alone), &root, NULL) < 0 || root->n != 1 || root->first->end != alone.n) {
		err_set(e, ERR_CONFIG, 0, "%s: this is not one TOML value", key);
		goto out;
	}
	if (old == NULL) {
		rc = insert(t, table, key, value, root->first, e);
		goto out;
	}
	if (!is_pair(text_of(t), table, old)) {
		refuse(old, "is a table and cannot be given a value", e);
		goto out;
	}
	sp.at = old->at;
	sp.end = old->end;
	buf_putstr(&sp.put, value);
	rc = replace(t, &sp, &(struct meant){ .edit = EDIT_VALUE, .node = old, .value = root->first }, e);
	if (rc < 0)
		err_ctx(e, "%s", key);
out:
	buf_wipe(&alone);
	arena_reset(&a);
	return rc;
}

/* ---- taking things out ---- */

/* One header with its body. */
struct section {
	size_t	at, end;
	bool	goes;
	size_t	key_at;		/* of its last key; of the header if it has none */
};

struct sections {
	struct section	*v;
	size_t		 n, cap;
};

static void
list_sections(struct str s, struct sections *l, const struct toml *parent, const struct toml *v, const struct toml *node, bool goes)
{
	goes |= v == node;
	if (parent != NULL && has_header(s, parent, v)) {
		const struct toml *last = last_pair(s, v);

		if (l->n == l->cap) {
			l->cap = l->cap > 0 ? l->cap * 2 : 16;
			l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
		}
		l->v[l->n++] = (struct section){ v->at, v->end, goes, last != NULL ? last->key_at : v->at };
	}
	if (!v->is_inline && (v->type == TOML_TABLE || v->array_of_tables))
		TOML_EACH(child, v)
			list_sections(s, l, v, child, node, goes);
}

static int
by_place(const void *a, const void *b)
{
	size_t x = ((const struct section *)a)->at, y = ((const struct section *)b)->at;

	return x < y ? -1 : x > y;
}

/* Comments right below the last key at its indent belong to the entry, unless they lead on to the next header. */
static size_t
with_comments_below(struct str s, const struct section *last, size_t limit)
{
	struct str indent = indent_of(s, last->key_at);
	size_t at = last->end;

	while (at < limit && is_comment_line(s, at) && str_eq(indent_of(s, at), indent))
		at = next_line(s, at);
	return at == limit && limit < s.n ? last->end : at;
}

/*
 * Sections [from, to) and what lies between them go. Of the blank lines around them one goes too, so that
 * the space between what remains is as it was; but never the one that keeps two comments apart.
 */
static void
cut_sections(struct str s, const struct section *from, const struct section *last, size_t limit, struct splice *sp)
{
	size_t before;

	sp->at = from->at;
	sp->end = with_comments_below(s, last, limit);
	before = sp->at > text_begin(s) ? line_start(s, before_newline(s, sp->at)) : sp->at;
	if (before < sp->at && is_blank_line(s, before))
		sp->at = before;
	else if ((before == sp->at || !is_comment_line(s, before)) && is_blank_line(s, sp->end))
		sp->end = next_line(s, sp->end);
	if (sp->end == s.n && !ends_in_newline(s, s.n))
		sp->at = before_newline(s, sp->at);
}

/* All stretches at once, as one splice from the first to the last of them. */
static int
remove_sections(struct tomledit *t, const struct toml *node, struct err *e)
{
	struct str s = text_of(t);
	struct sections l = { 0 };
	struct splice sp = { .at = s.n, .end = 0, .put = { .max = SIZE_MAX / 2 } };

	list_sections(s, &l, NULL, t->root, node, false);
	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), by_place);
	for (size_t i = 0, k; i < l.n; i = k) {
		struct splice one = { 0 };

		for (k = i + 1; k < l.n && l.v[i].goes && l.v[k].goes; k++)
			;
		if (!l.v[i].goes)
			continue;
		cut_sections(s, &l.v[i], &l.v[k - 1], k < l.n ? l.v[k].at : s.n, &one);
		if (sp.at == s.n && sp.end == 0)
			sp.at = one.at;
		else
			buf_putstr(&sp.put, str_sub(s, sp.end, one.at - sp.end));
		sp.end = one.end;
	}
	free(l.v);
	if (sp.end == 0)
		return refuse(node, "has no header that could be removed", e);
	return replace(t, &sp, &(struct meant){ .edit = EDIT_TAKE, .node = node }, e);
}

static int
remove_line(struct tomledit *t, const struct toml *node, struct err *e)
{
	struct str s = text_of(t);
	struct splice sp = { .at = line_start(s, node->key_at), .end = next_line(s, node->end) };

	if (sp.end == s.n && !ends_in_newline(s, s.n))
		sp.at = before_newline(s, sp.at);
	return replace(t, &sp, &(struct meant){ .edit = EDIT_TAKE, .node = node }, e);
}

static int
remove_from_braces(struct tomledit *t, const struct toml *table, const struct toml *node, struct err *e)
{
	struct str s = text_of(t);
	const struct toml *before = pair_before(s, table, node), *last = last_pair(s, table);
	struct splice sp = { .at = table->at + 1, .end = node->end };

	if (before != NULL) {
		/* From the end of the one before it: that takes the comma along. */
		sp.at = before->end;
	} else {
		sp.at = skip_blanks(s, sp.at);
		if (node != last) {
			sp.end = skip_blanks(s, sp.end);
			assert(s.p[sp.end] == ',');
			sp.end = skip_blanks(s, sp.end + 1);
		}
	}
	return replace(t, &sp, &(struct meant){ .edit = EDIT_TAKE, .node = node }, e);
}

int
tomledit_remove(struct tomledit *t, const struct toml *node, struct err *e)
{
	const struct toml *way[DEPTH_MAX];
	size_t n = find_way(t->root, node, way, 0), home;
	struct str s = text_of(t);

	if (n < 2)
		return err_set(e, ERR_CONFIG, 0, "the whole text cannot be removed");
	if (node->array_of_tables || has_header(s, way[n - 2], node))
		return remove_sections(t, node, e);
	if (way[n - 2]->type == TOML_ARRAY)
		return refuse(node, "is an element of an array in brackets: edit it by hand", e);
	if (!is_pair(s, way[n - 2], node))
		return refuse(node, "is not written in one place: edit it by hand", e);
	for (home = n - 2; home > 0 && !is_braced(s, way[home]) && !has_header(s, way[home - 1], way[home]); home--)
		;
	if (is_braced(s, way[home]))
		return remove_from_braces(t, way[home], node, e);
	return remove_line(t, node, e);
}

/* ---- putting an entry in ---- */

int
tomledit_append(struct tomledit *t, struct str block, struct err *e)
{
	struct str s = text_of(t);
	struct splice sp = { .at = s.n, .end = s.n, .put = { .max = SIZE_MAX / 2 } };
	bool empty = s.n == text_begin(s);
	const char *end = line_end(s);

	if (!empty && !ends_in_newline(s, s.n))
		buf_puts(&sp.put, end);
	if (!empty)
		buf_puts(&sp.put, end);
	for (size_t i = 0; i < block.n; i++) {
		if (block.p[i] == '\r' && i + 1 < block.n && block.p[i + 1] == '\n')
			continue;
		if (block.p[i] == '\n')
			buf_puts(&sp.put, end);
		else
			buf_putc(&sp.put, block.p[i]);
	}
	if (!empty && !ends_in_newline(s, s.n))
		buf_cut(&sp.put, before_newline(buf_str(&sp.put), sp.put.n));
	return replace(t, &sp, &(struct meant){ .edit = EDIT_PUT }, e);
}

/* ---- opening and closing ---- */

int
tomledit_open(struct tomledit *t, struct str text, struct err *e)
{
	*t = (struct tomledit){ .text = { .max = SIZE_MAX / 2 } };
	buf_putstr(&t->text, text);
	return toml_parse(&t->arena, text_of(t), &t->root, e);
}

void
tomledit_close(struct tomledit *t)
{
	buf_wipe(&t->text);
	arena_reset(&t->arena);
	t->root = NULL;
}

/* ---- writing values ---- */

void
toml_put_str(struct buf *b, struct str s)
{
	buf_putc(b, '"');
	while (s.n > 0) {
		uint32_t cp;
		char utf8[4];
		size_t n = utf8_decode(s, &cp);

		if (n == 0) {
			buf_put(b, utf8, utf8_encode(UTF8_REPLACEMENT, utf8));
			n = 1;
		} else if (cp == '"' || cp == '\\') {
			buf_fmt(b, "\\%c", (int)cp);
		} else if (cp == '\n') {
			buf_puts(b, "\\n");
		} else if (cp == '\t') {
			buf_puts(b, "\\t");
		} else if (cp == '\r') {
			buf_puts(b, "\\r");
		} else if (cp < 0x20 || cp == 0x7f) {
			buf_fmt(b, "\\u%04x", (unsigned)cp);
		} else {
			buf_put(b, s.p, n);
		}
		s = str_sub(s, n, s.n);
	}
	buf_putc(b, '"');
}

void
toml_put_key(struct buf *b, struct str key)
{
	bool bare = key.n > 0;

	for (size_t i = 0; i < key.n && bare; i++) {
		char c = key.p[i];

		bare = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
	}
	if (bare)
		buf_putstr(b, key);
	else
		toml_put_str(b, key);
}

void
toml_put_f64(struct buf *b, double v)
{
	char text[40];

	if (isnan(v) || isinf(v)) {
		buf_puts(b, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_puts(b, text);
	if (strpbrk(text, ".e") == NULL)
		buf_puts(b, ".0");
}
