/*
 * Editing TOML in place: after an edit the text parses, the edited value
 * reads back and everything else means what it meant; taking out what was put
 * in gives the old text byte for byte; and so does giving a value its old text again. What is
 * compared is a canonical form made here, so that the editor's own proof is not its only judge.
 */
#include <math.h>

#include "wire/tomledit.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRESH	"wl new.key"

static struct str input;

static void
die(const char *what, const struct tomledit *t, const struct err *e)
{
	fprintf(stderr, "%s (%s)\nof:\n%.*s\nis:\n%.*s\n", what, e != NULL ? e->msg : "", STR_ARG(input),
	    (int)t->text.n, t->text.p);
	abort();
}

static int
by_key(const void *a, const void *b)
{
	return str_cmp((*(const struct toml *const *)a)->key, (*(const struct toml *const *)b)->key);
}

/* Members by name; tables and arrays of tables without anything in them do not count, nor does `but`. */
static void
canon(struct buf *b, const struct toml *v, const struct toml *but)
{
	const struct toml *child[512];
	size_t n = 0, mark;

	if (v->type != TOML_TABLE && v->type != TOML_ARRAY) {
		buf_fmt(b, "%d:%zu:", (int)v->type, v->s.n);
		buf_putstr(b, v->s);
		buf_fmt(b, "%" PRId64 ":%d:%a:", v->i, v->b, isnan(v->f) ? 0 : v->f);
		buf_put(b, &v->date, sizeof(v->date));
		return;
	}
	TOML_EACH(c, v)
		if (c != but && n < NELEM(child))
			child[n++] = c;
	if (v->type == TOML_TABLE)
		qsort(child, n, sizeof(*child), by_key);
	buf_putc(b, v->type == TOML_TABLE ? '{' : '[');
	for (size_t i = 0; i < n; i++) {
		size_t before = b->n;

		if (child[i]->key.p != NULL) {
			buf_fmt(b, "%zu ", child[i]->key.n);
			buf_putstr(b, child[i]->key);
			buf_putc(b, '=');
		}
		mark = b->n;
		canon(b, child[i], but);
		buf_putc(b, ';');
		if (b->n == mark + 3 && (b->p[mark] == '{' || child[i]->array_of_tables) && v->type == TOML_TABLE)
			buf_cut(b, before);
	}
	buf_putc(b, v->type == TOML_TABLE ? '}' : ']');
}

static void
same_but(const struct toml *a, const struct toml *not_a, const struct tomledit *t, const struct toml *not_b, const char *what)
{
	struct buf x = { 0 }, y = { 0 };

	canon(&x, a, not_a);
	canon(&y, t->root, not_b);
	if (!str_eq(buf_str(&x), buf_str(&y)))
		die(what, t, NULL);
	buf_free(&x);
	buf_free(&y);
}

static void
is_input(const struct tomledit *t, const char *what)
{
	if (!str_eq(buf_str(&t->text), input))
		die(what, t, NULL);
}

static size_t
count(const struct toml *v)
{
	size_t n = 1;

	TOML_EACH(c, v)
		n += count(c);
	return n;
}

/* The i-th node from the top, and what it is in. */
static const struct toml *
nth(const struct toml *v, size_t *i, const struct toml **parent)
{
	const struct toml *found;

	if ((*i)-- == 0)
		return v;
	TOML_EACH(c, v) {
		if (*i == 0)
			*parent = v;
		if ((found = nth(c, i, parent)) != NULL)
			return found;
	}
	return NULL;
}

/* How many tables deep: a dotted key of more parts than the reader takes cannot be written. */
static size_t
depth_of(const struct toml *v)
{
	size_t most = 0;

	TOML_EACH(c, v)
		if (depth_of(c) > most)
			most = depth_of(c);
	return most + 1;
}

/* Where `table` of the old tree is in the new one: by the same names and numbers. */
static const struct toml *
same_place(const struct toml *old, const struct toml *new, const struct toml *table)
{
	const struct toml *found, *n = new->first;

	if (old == table)
		return new;
	TOML_EACH(c, old) {
		if (old->type == TOML_TABLE)
			n = toml_get_exact(new, c->key);
		if (n == NULL)
			return NULL;
		if ((found = same_place(c, n, table)) != NULL)
			return found;
		n = n->next;
	}
	return NULL;
}

static void
put_and_take(const struct toml *root, size_t i)
{
	struct tomledit t;
	struct err e = { 0 };
	const struct toml *parent = NULL, *table, *new;
	size_t k = i;

	tomledit_open(&t, input, &e);
	table = nth(t.root, &k, &parent);
	if (table->type != TOML_TABLE || toml_get(table, FRESH) != NULL)
		goto out;
	if (tomledit_set(&t, table, FRESH, STR("['a', 1]"), &e) < 0) {
		if (depth_of(root) < 50)
			die("a key cannot be put in", &t, &e);
		is_input(&t, "a refused edit has changed the text");
		goto out;
	}
	k = i;
	table = same_place(root, t.root, nth(root, &k, &parent));
	new = table != NULL ? toml_get_exact(table, STR(FRESH)) : NULL;
	if (new == NULL || new->n != 2 || !str_eqc(new->first->s, "a") || new->last->i != 1)
		die("a new key does not read back", &t, NULL);
	same_but(root, NULL, &t, new, "a new key changed something else");
	if (tomledit_remove(&t, new, &e) < 0)
		die("a new key cannot be taken out", &t, &e);
	is_input(&t, "a new key taken out leaves something");
out:
	tomledit_close(&t);
}

static void
change_and_back(const struct toml *root, size_t i)
{
	struct tomledit t;
	struct err e = { 0 };
	const struct toml *parent = NULL, *v, *was, *was_parent = NULL;
	struct arena a = { NULL, 0 };
	struct str old;
	char *key;
	size_t k = i;

	tomledit_open(&t, input, &e);
	v = nth(t.root, &k, &parent);
	k = i;
	was = nth((struct toml *)(uintptr_t)root, &k, &was_parent);
	if (v->key.p == NULL || parent->type != TOML_TABLE || str_chr(v->key, '\0') >= 0)
		goto out;
	key = arena_dup(&a, v->key);
	if (toml_get(parent, key) != v)
		goto out;
	old = arena_str(&a, str_sub(input, v->at, v->end - v->at));
	if (tomledit_set(&t, parent, key, STR("\"new\\u0000\""), &e) < 0) {
		if (v->type != TOML_TABLE && !v->array_of_tables)
			die("a value cannot be changed", &t, &e);
		is_input(&t, "a refused change has changed the text");
		goto out;
	}
	k = i;
	v = nth(t.root, &k, &parent);
	if (v->type != TOML_STRING || !str_eq(v->s, STR("new\0")))
		die("a new value does not read back", &t, NULL);
	same_but(root, was, &t, v, "a new value changed something else");
	if (tomledit_set(&t, parent, key, old, &e) < 0)
		die("a value cannot be changed back", &t, &e);
	is_input(&t, "a value changed back leaves something");
out:
	arena_reset(&a);
	tomledit_close(&t);
}

static void
take(const struct toml *root, size_t i)
{
	struct tomledit t;
	struct err e = { 0 };
	const struct toml *parent = NULL, *v, *was, *was_parent = NULL;
	size_t k = i;

	tomledit_open(&t, input, &e);
	v = nth(t.root, &k, &parent);
	k = i;
	was = nth(root, &k, &was_parent);
	if (tomledit_remove(&t, v, &e) == 0)
		same_but(root, was, &t, NULL, "what was taken out took something along");
	else if (parent != NULL && (parent->array_of_tables || (parent->type == TOML_TABLE && v->type != TOML_TABLE)))
		die("a thing cannot be taken out", &t, &e);
	else
		is_input(&t, "a refused removal has changed the text");
	tomledit_close(&t);
}

static void
append_and_take(const struct toml *root)
{
	struct tomledit t;
	struct err e = { 0 };
	const struct toml *list;

	tomledit_open(&t, input, &e);
	list = toml_get_exact(t.root, STR("runners"));
	if (list != NULL && !list->array_of_tables)
		goto out;
	if (tomledit_append(&t, STR("[[runners]]\n  name = 'x'\r\n  [runners.docker]\n    image = 'y'\n"), &e) < 0)
		die("an entry cannot be appended", &t, &e);
	list = toml_get_exact(t.root, STR("runners"));
	if (!str_eqc(toml_get(list->last, "name")->s, "x") || !str_eqc(toml_get(toml_get(list->last, "docker"), "image")->s, "y"))
		die("an entry does not read back", &t, NULL);
	same_but(root, NULL, &t, list->last, "an entry changed something else");
	if (tomledit_remove(&t, list->last, &e) < 0)
		die("an entry cannot be taken out", &t, &e);
	is_input(&t, "an entry taken out leaves something");
out:
	tomledit_close(&t);
}

static void
strings(struct str s)
{
	struct arena a = { NULL, 0 };
	struct buf b = { 0 };
	struct toml *root;
	struct err e;

	toml_put_key(&b, s);
	buf_puts(&b, " = ");
	toml_put_str(&b, s);
	if (toml_parse(&a, buf_str(&b), &root, &e) < 0 || root->n != 1 || !str_eq(root->first->key, root->first->s) ||
	    memchr(b.p, '\n', b.n) != NULL)
		abort();
	arena_reset(&a);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { NULL, 0 };
	struct toml *root;
	struct err e = { 0 };
	size_t n, step;

	input = str_of(data, size);
	strings(input);
	if (toml_parse(&a, input, &root, &e) == 0) {
		n = count(root);
		step = n / 24 + 1;
		for (size_t i = size % step; i < n; i += step) {
			put_and_take(root, i);
			change_and_back(root, i);
			take(root, i);
		}
		append_and_take(root);
	}
	arena_reset(&a);
	return 0;
}
