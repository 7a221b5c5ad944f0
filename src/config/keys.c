/* The table of configuration keys: see keys.h. Facts from spec gitlab-runner 2.5-2.13. */
#include "config/config.h"
#include "config/keys.h"
#include "wire/tomljson.h"

/* Which struct has a section's members. */
#define OF_GLOBAL	struct config
#define OF_DRAIN	struct config
#define OF_RUNNER	struct runner
#define OF_BUILD_DIR	struct runner
#define OF_MACHINE	struct runner
#define OF_DOCKER	struct docker_settings
#define OF_AUTOSCALING	struct autoscaling

#define ROW(S, text, t, at, h, ...) { .section = KS_##S, .name = text, .type = KEY_##t, \
	.offset = at, .help = h, .differs = sizeof(h) > __builtin_strlen(h) + 1, __VA_ARGS__ },
#define HELD(S, id, text, t, ...)	ROW(S, text, t, offsetof(OF_##S, id), __VA_ARGS__)
#define BARE(S, id, text, t, ...)	ROW(S, text, t, KEY_NOFIELD, __VA_ARGS__)
#define LATER(S, id, text, t, ...)	ROW(S, text, t, KEY_NOFIELD, __VA_ARGS__, .use = KEY_LATER)
#define NEVER(S, id, text, t, ...)	ROW(S, text, t, KEY_NOFIELD, __VA_ARGS__, .use = KEY_NEVER)
#define GONE(S, id, text, t, ...)	ROW(S, text, t, KEY_NOFIELD, __VA_ARGS__, .use = KEY_GONE)
#define ROWS(S, title)			S##_KEYS(HELD, HELD, BARE, LATER, NEVER, GONE)

const struct key keys[] = { KEY_SECTIONS(ROWS) };
const size_t nkeys = NELEM(keys);

_Static_assert(NELEM(keys) == KEYS_N, "a row is found by its id");

#define TITLE(S, text)	[KS_##S] = text,
static const char *const titles[KS_MAX] = {
	KEY_SECTIONS(TITLE)
	[KS_OTHER] = "a section of another executor",
};

static const char *const type_names[] = {
	[KEY_STRING] = "a string",
	[KEY_INT] = "a whole number",
	[KEY_FLOAT] = "a number",
	[KEY_BOOL] = "true or false",
	[KEY_DURATION] = "a duration such as \"1h30m\"",
	[KEY_DATE] = "a date and time",
	[KEY_STRINGS] = "a list of strings",
	[KEY_TABLE] = "a table",
	[KEY_BOOLS] = "a table of true or false",
	[KEY_TABLES] = "a list of tables",
	[KEY_SECTION] = "a table",
};

const char *
key_section_title(enum key_section section)
{
	return titles[section];
}

const char *
key_type_name(enum key_type type)
{
	return type_names[type];
}

const char *
key_differs(const struct key *k)
{
	return k->differs ? k->help + strlen(k->help) + 1 : NULL;
}

static void
set_default(const struct key *k, void *member)
{
	switch (k->type) {
	case KEY_STRING:
		*(const char **)member = k->dflt != NULL ? k->dflt : "";
		break;
	case KEY_INT:
		str_to_i64(str_from(k->dflt), member);
		break;
	case KEY_FLOAT:
		*(double *)member = k->dflt != NULL ? strtod(k->dflt, NULL) : 0;
		break;
	case KEY_BOOL:
		str_to_bool(str_from(k->dflt), member);
		break;
	case KEY_DURATION:
		str_to_duration(str_from(k->dflt), member);
		break;
	default:
		break;
	}
}

void
key_defaults(enum key_section section, void *base)
{
	for (size_t i = 0; i < nkeys; i++)
		if (keys[i].section == section && keys[i].offset != KEY_NOFIELD)
			set_default(&keys[i], (char *)base + keys[i].offset);
}

static struct field_list
list_of(struct arena *a, const struct toml *v)
{
	struct field_list l = { .v = arena_calloc(a, v->n + 1, sizeof(*l.v)) };

	if (v->type == TOML_STRING && v->s.n > 0)
		fields_append(a, &l, arena_dup(a, v->s));
	if (v->type == TOML_ARRAY)
		TOML_EACH(s, v)
			l.v[l.n++] = arena_dup(a, s->s);
	return l;
}

/* A value of a free table that is no text is as good as none. */
static struct field_map
map_of(struct arena *a, const struct key *k, const struct toml *v)
{
	struct field_map m = { .v = arena_calloc(a, v->n + 1, sizeof(*m.v)) };

	TOML_EACH(t, v)
		m.v[m.n++] = (struct field_pair){ arena_dup(a, t->key), k->type == KEY_BOOLS ? t->b ? "true" : "false" :
		    t->type == TOML_STRING ? arena_dup(a, t->s) : "" };
	return m;
}

static struct str
json_of(struct arena *a, const struct toml *v)
{
	struct buf b = { 0 };
	struct json_w w = { .b = &b };
	struct str text;

	jw_toml(&w, STR_NULL, v);
	text = arena_str(a, buf_str(&b));
	buf_wipe(&b);
	return text;
}

int
key_set(struct arena *a, const struct key *k, const struct toml *v, void *base, struct err *e)
{
	void *member;

	if (k->offset == KEY_NOFIELD)
		return 0;
	member = (char *)base + k->offset;
	switch (k->type) {
	case KEY_STRING:
		if (str_chr(v->s, '\0') >= 0)
			return err_set(e, ERR_CONFIG, 0, "%s must not hold a NUL character", k->name);
		*(const char **)member = arena_dup(a, v->s);
		break;
	case KEY_INT:
		*(int64_t *)member = v->i;
		break;
	case KEY_FLOAT:
		*(double *)member = v->type == TOML_FLOAT ? v->f : (double)v->i;
		break;
	case KEY_BOOL:
		*(bool *)member = v->b;
		break;
	case KEY_DURATION:
		if (v->type == TOML_INTEGER)
			*(dur_t *)member = v->i;
		else if (str_to_duration(v->s, member) < 0)
			return err_set(e, ERR_CONFIG, 0, "%s needs a duration such as \"90s\" or \"1h30m\", not \"%.*s\"",
			    k->name, STR_ARG(v->s));
		break;
	case KEY_STRINGS:
		*(struct field_list *)member = list_of(a, v);
		break;
	case KEY_TABLE:
	case KEY_BOOLS:
		*(struct field_map *)member = map_of(a, k, v);
		break;
	case KEY_TABLES:
		*(struct str *)member = json_of(a, v);
		break;
	default:
		break;
	}
	return 0;
}

struct toml *
key_value(enum key_id id, const struct toml *t)
{
	return toml_get(t, keys[id].name);
}

double
key_number(const struct key *k, const void *base)
{
	const void *member = (const char *)base + k->offset;

	return k->type == KEY_FLOAT ? *(const double *)member : (double)*(const int64_t *)member;
}

const struct key *
key_find(enum key_section section, struct str name)
{
	const struct key *folded = NULL;

	for (size_t i = 0; i < nkeys; i++) {
		if (keys[i].section != section)
			continue;
		if (str_eqc(name, keys[i].name))
			return &keys[i];
		if (folded == NULL && str_caseeq(name, keys[i].name))
			folded = &keys[i];
	}
	return folded;
}

bool
key_type_fits(const struct key *k, const struct toml *v)
{
	switch (k->type) {
	case KEY_STRING:
		return v->type == TOML_STRING;
	case KEY_INT:
		return v->type == TOML_INTEGER;
	case KEY_FLOAT:
		return v->type == TOML_FLOAT || v->type == TOML_INTEGER;
	case KEY_BOOL:
		return v->type == TOML_BOOL;
	case KEY_DURATION:
		return v->type == TOML_STRING || v->type == TOML_INTEGER;
	case KEY_DATE:
		return v->type == TOML_DATETIME || v->type == TOML_LOCAL_DATETIME;
	case KEY_STRINGS:
		/* Upstream takes a single string where a list of pull policies may stand. */
		if (v->type == TOML_STRING && k == &keys[K_DOCKER_pull_policy])
			return true;
		if (v->type != TOML_ARRAY)
			return false;
		TOML_EACH(s, v)
			if (s->type != TOML_STRING)
				return false;
		return true;
	case KEY_TABLE:
	case KEY_SECTION:
		return v->type == TOML_TABLE;
	case KEY_BOOLS:
		if (v->type != TOML_TABLE)
			return false;
		TOML_EACH(b, v)
			if (b->type != TOML_BOOL)
				return false;
		return true;
	case KEY_TABLES:
		if (v->type != TOML_ARRAY)
			return false;
		TOML_EACH(t, v)
			if (t->type != TOML_TABLE)
				return false;
		return true;
	}
	return false;
}

/* "a table" of single values, "a list" of them: which member is wrong, and what it should be. */
static const struct toml *
wrong_member(const struct key *k, const struct toml *v, const char **needs)
{
	enum toml_type want = k->type == KEY_BOOLS ? TOML_BOOL : TOML_STRING;

	if (!(k->type == KEY_BOOLS && v->type == TOML_TABLE) && !(k->type == KEY_STRINGS && v->type == TOML_ARRAY))
		return NULL;
	*needs = k->type == KEY_BOOLS ? "true or false" : "a string";
	TOML_EACH(m, v)
		if (m->type != want)
			return m;
	return NULL;
}

const char *
key_misfit(struct arena *a, const struct key *k, const struct toml *v, const struct toml **at)
{
	const char *needs;
	const struct toml *m = wrong_member(k, v, &needs);
	size_t number = 1;

	*at = m != NULL ? m : v;
	if (m != NULL && k->type == KEY_BOOLS)
		return arena_fmt(a, "%.*s needs %s, not %s", STR_ARG(m->key), needs, toml_type_name(m->type));
	if (m != NULL) {
		for (const struct toml *i = v->first; i != m; i = i->next)
			number++;
		return arena_fmt(a, "entry %zu needs %s, not %s", number, needs, toml_type_name(m->type));
	}
	/* [runners.docker] without the entry that it is part of. */
	if (k->type == KEY_TABLES && v->type == TOML_TABLE)
		return arena_fmt(a, "needs a list of tables, not a table: write %s, in double brackets, above what belongs to it",
		    key_section_title(k->sub));
	return arena_fmt(a, "needs %s, not %s", key_type_name(k->type), toml_type_name(v->type));
}

/* Whether it says no more than saying nothing: false, 0, "", nothing in it, or the default. */
static bool
value_says_nothing(const struct key *k, const struct toml *v)
{
	struct buf b = { .max = 64 };
	bool dflt;

	switch (v->type) {
	case TOML_STRING:
		return v->s.n == 0 || (k->dflt != NULL && str_eqc(v->s, k->dflt));
	case TOML_INTEGER:
		buf_fmt(&b, "%" PRId64, v->i);
		dflt = k->dflt != NULL && strcmp(b.p, k->dflt) == 0;
		buf_free(&b);
		return v->i == 0 || dflt;
	case TOML_FLOAT:
		return v->f == 0;
	case TOML_BOOL:
		return !v->b;
	case TOML_ARRAY:
	case TOML_TABLE:
		return v->n == 0;
	case TOML_DATETIME:
	case TOML_LOCAL_DATETIME:
		return v->date.year <= 1;
	default:
		return false;
	}
}

/* A section is judged by what is in it. */
bool
key_says_nothing(const struct key *k, const struct toml *v)
{
	if (k->type != KEY_SECTION)
		return value_says_nothing(k, v);
	TOML_EACH(m, v) {
		const struct key *below = key_find(k->sub, m->key);

		if (below == NULL || !key_says_nothing(below, m))
			return false;
	}
	return true;
}

const char *
key_nearest(enum key_section section, struct str name)
{
	const char *best = NULL;
	unsigned least = 3;

	for (size_t i = 0; i < nkeys; i++) {
		unsigned d;

		if (keys[i].section != section)
			continue;
		d = str_distance(name, str_from(keys[i].name));
		/* Two of six letters make another word: locked is not docker. */
		if (d < least && (d < 2 || 3 * d < strlen(keys[i].name)) && d < name.n) {
			least = d;
			best = keys[i].name;
		}
	}
	return best;
}
