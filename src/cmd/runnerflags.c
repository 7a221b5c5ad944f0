/* Options for the keys of a runner's entry: see runnerflags.h. */
#include "cmd/runnerflags.h"
#include "core/log.h"
#include "core/mono.h"
#include "wire/json.h"
#include "wire/tomledit.h"
#include "wire/utf8.h"

/* ---- the rows ---- */

static enum opt_type
opt_type_of(const struct key *k)
{
	switch (k->type) {
	case KEY_INT:
		return OPT_INT;
	case KEY_BOOL:
		return OPT_BOOL;
	case KEY_STRINGS:
	case KEY_TABLE:
	case KEY_BOOLS:
		return OPT_LIST;
	default:
		return OPT_STRING;
	}
}

/* What a value is, where its option's name does not say it. */
static const char *
arg_of(const struct key *k)
{
	switch (k->type) {
	case KEY_FLOAT:
		return "NUMBER";
	case KEY_DURATION:
		return "DURATION";
	case KEY_TABLE:
		return "NAME=VALUE";
	case KEY_BOOLS:
		return "NAME=true|false";
	default:
		return str_ends(str_from(k->flag), "-file") ? "FILE" : NULL;
	}
}

static bool
is_table(const struct key *k)
{
	return k->type == KEY_TABLE || k->type == KEY_BOOLS;
}

void
runnerflags_init(struct runnerflags *f, const struct opt *own, size_t nown)
{
	size_t n = nown;

	for (size_t i = 0; i < nkeys; i++)
		n += keys[i].flag != NULL;
	*f = (struct runnerflags){ .opt = xcalloc(n, sizeof(*f->opt)), .key = xcalloc(n, sizeof(const struct key *)), .nown = nown };
	memcpy(f->opt, own, nown * sizeof(*own));
	f->n = nown;
	for (size_t i = 0; i < nkeys; i++) {
		const struct key *k = &keys[i];

		if (k->flag == NULL)
			continue;
		f->key[f->n] = k;
		f->opt[f->n++] = (struct opt){ .name = k->flag, .letter = k->letter, .type = opt_type_of(k),
		    .env = k->env, .help = k->help, .arg = arg_of(k) };
	}
}

void
runnerflags_free(struct runnerflags *f)
{
	opt_free(f->opt, f->n);
	free(f->opt);
	free(f->key);
	*f = (struct runnerflags){ 0 };
}

struct opt *
runnerflags_opt(const struct runnerflags *f, const char *name)
{
	struct opt *o = opt_find(f->opt, f->n, name);

	assert(o != NULL);
	return o;
}

struct opt *
runnerflags_of(const struct runnerflags *f, enum key_id id)
{
	return runnerflags_opt(f, keys[id].flag);
}

const char *
runnerflags_str(const struct runnerflags *f, const char *flag)
{
	const struct opt *o = runnerflags_opt(f, flag);

	return o->value != NULL ? o->value : "";
}

void
runnerflags_set(struct runnerflags *f, const char *flag, const char *value)
{
	struct opt *o = runnerflags_opt(f, flag);
	char *copy = xstrdup(value);

	free((void *)(uintptr_t)o->value);
	o->value = copy;
	o->given = true;
}

/* ---- values as TOML ---- */

/* What cannot be in a TOML file must not be read as something else later. */
static int
check_text(const struct opt *o, struct str s, struct err *e)
{
	uint32_t cp;
	size_t n;

	for (; s.n > 0; s = str_sub(s, n, s.n))
		if ((n = utf8_decode(s, &cp)) == 0)
			return err_set(e, ERR_CONFIG, 0, "option --%s: the value is not UTF-8", o->name);
	return 0;
}

static bool
is_json_object(struct str s)
{
	return str_starts(str_trim(s), "{");
}

/* One member of a table; value is JSON_NONE where it was not written as JSON. */
struct member { struct str name, text; struct json_val value; };

/* As key = value. */
static int
put_member(const struct opt *o, const struct key *k, struct member m, struct buf *b, struct err *e)
{
	bool on;

	if (m.name.n == 0)
		return err_set(e, ERR_CONFIG, 0, "option --%s: a name is missing before the value", o->name);
	if (check_text(o, m.name, e) < 0 || check_text(o, m.text, e) < 0)
		return -1;
	toml_put_key(b, m.name);
	buf_puts(b, " = ");
	if (k->type == KEY_BOOLS) {
		if (str_to_bool(m.text, &on) < 0)
			return err_set(e, ERR_CONFIG, 0, "option --%s: %.*s needs true or false", o->name, STR_ARG(m.name));
		buf_puts(b, on ? "true" : "false");
	} else if (json_type(m.value) == JSON_ARRAY) {
		struct arena a = { 0 };
		const char *sep = "";

		buf_putc(b, '[');
		JSON_EACH(v, m.value) {
			buf_puts(b, sep);
			toml_put_str(b, json_text(&a, v));
			sep = ", ";
		}
		buf_putc(b, ']');
		arena_reset(&a);
	} else {
		toml_put_str(b, m.text);
	}
	buf_putc(b, '\n');
	return 0;
}

static int
put_json_members(const struct opt *o, const struct key *k, struct str text, struct buf *b, struct err *e)
{
	struct arena a = { 0 };
	struct json_val root;
	int rc = 0;

	if (json_parse(&a, text, &root, e) < 0) {
		arena_reset(&a);
		return err_ctx(e, "option --%s", o->name);
	}
	JSON_EACH(v, root) {
		if (json_type(v) == JSON_OBJECT)
			rc = err_set(e, ERR_CONFIG, 0, "option --%s: an object in an object", o->name);
		if (rc == 0)
			rc = put_member(o, k, (struct member){ json_key(&a, v), json_text(&a, v), v }, b, e);
		if (rc < 0)
			break;
	}
	arena_reset(&a);
	return rc;
}

/* The members of a table, a line each: JSON objects, or name=value and name:value, whichever sign comes first. */
static int
put_members(const struct opt *o, const struct key *k, struct buf *b, struct err *e)
{
	for (size_t i = 0; i < o->nlist; i++) {
		struct str s = str_from(o->list[i]);
		struct member m;
		size_t at = strcspn(o->list[i], "=:");

		if (is_json_object(s)) {
			if (put_json_members(o, k, s, b, e) < 0)
				return -1;
			continue;
		}
		if (at == s.n)
			return err_set(e, ERR_CONFIG, 0, "option --%s needs name=value, or a JSON object", o->name);
		m = (struct member){ str_sub(s, 0, at), str_sub(s, at + 1, s.n), JSON_NONE };
		if (put_member(o, k, m, b, e) < 0)
			return -1;
	}
	return 0;
}

static int
put_string_value(const struct opt *o, const struct key *k, struct buf *b, struct err *e)
{
	int64_t ns;
	double d;
	char *end;

	if (o->value == NULL)
		return 0;
	if (check_text(o, str_from(o->value), e) < 0)
		return -1;
	if (k->type == KEY_FLOAT) {
		d = strtod(o->value, &end);
		if (end == o->value || *end != '\0' || !(d >= -1e15 && d <= 1e15))
			return err_set(e, ERR_CONFIG, 0, "option --%s needs a number, not \"%s\"", o->name, o->value);
		toml_put_f64(b, d);
		return d != 0;
	}
	if (k->type == KEY_DURATION && o->value[0] != '\0') {
		if (str_to_duration(str_from(o->value), &ns) < 0)
			return err_set(e, ERR_CONFIG, 0, "option --%s needs a duration such as 90s or 1h30m, not \"%s\"", o->name, o->value);
		toml_put_str(b, str_from(o->value));
		return ns != 0;
	}
	toml_put_str(b, str_from(o->value));
	return o->value[0] != '\0';
}

/*
 * The value that the i-th option gives, as TOML (for tables: as lines). 1; 0 when it is not given or is the
 * zero of its type, which a template may overrule; -1.
 */
static int
put_value(const struct runnerflags *f, size_t i, struct buf *b, struct err *e)
{
	const struct opt *o = &f->opt[i];
	const struct key *k = f->key[i];

	if (!o->given)
		return 0;
	switch (k->type) {
	case KEY_INT:
		buf_fmt(b, "%" PRId64, o->number);
		return o->number != 0;
	case KEY_BOOL:
		buf_puts(b, o->number ? "true" : "false");
		return o->number != 0;
	case KEY_TABLE:
	case KEY_BOOLS:
		return put_members(o, k, b, e) < 0 ? -1 : o->nlist > 0;
	case KEY_STRINGS:
		buf_putc(b, '[');
		for (size_t n = 0; n < o->nlist; n++) {
			if (check_text(o, str_from(o->list[n]), e) < 0)
				return -1;
			buf_puts(b, n > 0 ? ", " : "");
			toml_put_str(b, str_from(o->list[n]));
		}
		buf_putc(b, ']');
		return o->nlist > 0;
	default:
		return put_string_value(o, k, b, e);
	}
}

/* ---- parsing ---- */

static struct opt *
find_row(const struct runnerflags *f, const char *arg)
{
	struct str name = str_from(arg);

	if (name.n < 2 || name.p[0] != '-')
		return NULL;
	name = str_sub(name, name.p[1] == '-' ? 2 : 1, name.n);
	for (size_t i = 0; i < f->n; i++)
		if (str_eqc(name, f->opt[i].name) || (name.n == 1 && f->opt[i].letter == name.p[0]))
			return &f->opt[i];
	return NULL;
}

/*
 * Options that gitlab-runner's register has for executors that are not ours. Scripts for many hosts pass them whatever the
 * executor is: they are taken, with their values, and dropped.
 */
static bool
is_foreign(struct str name)
{
	static const char *const prefixes[] = { "kubernetes-", "custom-", "ssh-", "virtualbox-", "parallels-" };

	for (size_t i = 0; i < NELEM(prefixes); i++)
		if (str_starts(name, prefixes[i]))
			return true;
	return false;
}

/* The switches among them, by how their names end. All others take a value. */
static bool
is_foreign_switch(struct str name)
{
	static const char *const ends[] = { "-privileged", "-run-as-non-root", "-read-only-root-filesystem", "-privilege-escalation",
		"bearer_token_overwrite_allowed", "-disable-snapshots", "-disable-strict-host-key-checking", "use-service-account-image-pull-secrets",
		"-autoset-arch-and-os", "-pod-warning-events", "-automount-service-account-token" };

	for (size_t i = 0; i < NELEM(ends); i++)
		if (str_ends(name, ends[i]))
			return true;
	return false;
}

/* How many words an option of another executor takes, itself included; 0: it is none. Its name is added to the list. */
static int
foreign_words(const struct runnerflags *f, int argc, char **argv, int at, struct buf *dropped)
{
	struct str name = str_from(argv[at]), rest;
	bool value;

	if (name.n < 3 || name.p[0] != '-' || find_row(f, argv[at]) != NULL)
		return 0;
	rest = str_sub(name, name.p[1] == '-' ? 2 : 1, name.n);
	name = str_cut(&rest, '=');
	if (!is_foreign(name))
		return 0;
	buf_fmt(dropped, "%s--%.*s", dropped->n > 0 ? ", " : "", STR_ARG(name));
	if (rest.p != NULL || at + 1 >= argc)
		return 1;
	if (is_foreign_switch(name))
		return str_to_bool(str_from(argv[at + 1]), &value) == 0 ? 2 : 1;
	return 2;
}

static void
say_dropped(struct buf *dropped)
{
	if (dropped->n > 0)
		log_warn("Options of other executors have no effect: windlass runs docker+machine", F_STR("options", dropped->p));
	buf_free(dropped);
}

/* A copy in which "--switch", "true" have become "--switch=true", without the options of other executors. */
static char **
join_switches(const struct runnerflags *f, int *argc, char **argv)
{
	struct buf dropped = { .max = 4096 };
	char **out = xcalloc((size_t)*argc + 1, sizeof(*out));
	int n = 0;

	for (int i = 0; i < *argc; i++) {
		const struct opt *o = i > 0 ? find_row(f, argv[i]) : NULL;
		struct buf b = { 0 };
		int foreign = i > 0 ? foreign_words(f, *argc, argv, i, &dropped) : 0;
		bool value;

		if (foreign > 0) {
			i += foreign - 1;
			continue;
		}
		if (o != NULL && o->type != OPT_BOOL && i + 1 < *argc) {
			out[n++] = xstrdup(argv[i++]);
			out[n++] = xstrdup(argv[i]);
			continue;
		}
		if (o == NULL || i + 1 >= *argc || str_to_bool(str_from(argv[i + 1]), &value) < 0) {
			out[n++] = xstrdup(argv[i]);
			continue;
		}
		log_warn("A switch takes its value behind \"=\": gitlab-runner would take it for true and ignore all that follows",
		    F_STR("option", argv[i]), F_STR("taken_as", argv[i + 1]));
		buf_fmt(&b, "%s=%s", argv[i], argv[i + 1]);
		out[n++] = buf_take(&b);
		i++;
	}
	say_dropped(&dropped);
	*argc = n;
	return out;
}

/* A table's variable is one JSON object, in which commas part nothing, or name=value with commas between. */
static void
take_table_variable(struct opt *o, const char *variable)
{
	const char *v = variable != NULL ? getenv(variable) : NULL;
	struct str s = str_from(v);
	bool whole = v != NULL && is_json_object(s);

	if (o->given || s.n == 0)
		return;
	while (s.p != NULL) {
		struct str one = whole ? s : str_cut(&s, ',');

		o->list = xrealloc(o->list, (o->nlist + 1) * sizeof(*o->list));
		o->list[o->nlist++] = str_dup(one);
		if (whole)
			break;
	}
	o->given = true;
}

int
runnerflags_parse(struct runnerflags *f, int argc, char **argv, struct err *e)
{
	struct opt_words words = { .v = xcalloc((size_t)argc + 1, sizeof(*words.v)) };
	struct buf scratch = { 0 };
	char **joined = join_switches(f, &argc, argv);
	int rc;

	for (size_t i = f->nown; i < f->n; i++)
		if (is_table(f->key[i]))
			f->opt[i].env = NULL;
	rc = opt_parse(f->opt, f->n, argc, joined, &words, e);
	for (size_t i = f->nown; i < f->n; i++)
		if (is_table(f->key[i])) {
			f->opt[i].env = f->key[i]->env;
			take_table_variable(&f->opt[i], f->key[i]->env);
		}
	if (rc == 0 && words.n > 0)
		rc = err_set(e, ERR_CONFIG, 0, "\"%s\" is no option (is a value meant for the option before it?)", words.v[0]);
	for (size_t i = f->nown; i < f->n && rc == 0; i++) {
		rc = put_value(f, i, &scratch, e) < 0 ? -1 : 0;
		buf_clear(&scratch);
	}
	buf_wipe(&scratch);
	for (int i = 0; i < argc; i++)
		free(joined[i]);
	free(joined);
	free(words.v);
	return rc;
}

/* ---- the entry ---- */

struct writer {
	const struct runnerflags *f;
	const struct entry_facts *facts;
	struct str	 text;		/* the template's */
	struct buf	*out;
	struct err	*e;
};

/*
 * What stands in every new entry, so that whoever edits it finds it there (spec gitlab-runner
 * 2.1): the zero of its type. NULL: nothing.
 */
static const char *
always_text(const struct key *k)
{
	if (!k->always)
		return NULL;
	switch (k->type) {
	case KEY_INT:
		return "0";
	case KEY_FLOAT:
		return "0.0";
	case KEY_BOOL:
		return "false";
	case KEY_STRINGS:
		return "[]";
	default:
		return "\"\"";
	}
}

/* Written in one piece, so that its text can be copied. */
static bool
one_piece(const struct writer *w, const struct toml *v)
{
	return v->type == TOML_TABLE ? v->is_inline && w->text.p[v->at] == '{' : !v->array_of_tables;
}

static struct str
raw(const struct writer *w, const struct toml *v)
{
	return str_sub(w->text, v->at, v->end - v->at);
}

static void
put_indent(struct buf *b, int level)
{
	for (int i = 0; i < level; i++)
		buf_puts(b, "  ");
}

static void
put_line(struct buf *b, int level, struct str key, struct str value)
{
	put_indent(b, level);
	toml_put_key(b, key);
	buf_puts(b, " = ");
	buf_putstr(b, value);
	buf_putc(b, '\n');
}

static void
put_header(struct buf *b, int level, const char *path, bool list)
{
	put_indent(b, level);
	buf_fmt(b, list ? "[[%s]]\n" : "[%s]\n", path);
}

/* path.key, malloc'd */
static char *
sub_path(const char *path, struct str key)
{
	struct buf b = { 0 };

	buf_fmt(&b, "%s.", path);
	toml_put_key(&b, key);
	return buf_take(&b);
}

static void put_member_table(const struct writer *w, const struct toml *v, const char *path, int level);

/* A table of the template, whole: its header, what it holds, the tables in it. */
static void
put_tree(const struct writer *w, const struct toml *t, const char *path, int level, bool list)
{
	put_header(w->out, level, path, list);
	TOML_EACH(v, t)
		if (one_piece(w, v))
			put_line(w->out, level + 1, v->key, raw(w, v));
	TOML_EACH(v, t)
		if (!one_piece(w, v))
			put_member_table(w, v, path, level + 1);
}

/* A member of the table at `path` that is a table or a list of tables. */
static void
put_member_table(const struct writer *w, const struct toml *v, const char *path, int level)
{
	char *below = sub_path(path, v->key);

	if (v->type == TOML_TABLE)
		put_tree(w, v, below, level, false);
	else
		TOML_EACH(element, v)
			put_tree(w, element, below, level, true);
	free(below);
}

static ssize_t
row_of(const struct writer *w, const struct key *k)
{
	for (size_t i = w->f->nown; i < w->f->n; i++)
		if (w->f->key[i] == k)
			return (ssize_t)i;
	return -1;
}

static bool
ends_in_cache(struct str volume)
{
	return str_ends(volume, "/cache");
}

/* The volumes, with /cache added for local caches (spec gitlab-runner 3.2). */
static void
put_volumes(const struct writer *w, const struct toml *template, struct buf *b)
{
	const struct opt *o = runnerflags_of(w->f, K_DOCKER_volumes);
	const struct opt *off = runnerflags_of(w->f, K_DOCKER_disable_cache);
	const struct toml *given = key_value(K_DOCKER_volumes, template);
	const struct toml *disabled = key_value(K_DOCKER_disable_cache, template);
	bool want = !(off->given && off->number) && !(disabled != NULL && disabled->b);
	const char *sep = "";

	buf_putc(b, '[');
	for (size_t i = 0; i < o->nlist; i++, sep = ", ") {
		buf_puts(b, sep);
		toml_put_str(b, str_from(o->list[i]));
		want = want && !ends_in_cache(str_from(o->list[i]));
	}
	if (o->nlist == 0 && given != NULL && given->type == TOML_ARRAY)
		TOML_EACH(v, given) {
			buf_puts(b, sep);
			buf_putstr(b, raw(w, v));
			want = want && !ends_in_cache(v->s);
			sep = ", ";
		}
	if (want)
		buf_fmt(b, "%s\"/cache\"", sep);
	buf_putc(b, ']');
}

/* A key of which neither option nor template has the last word. False: it is none of these. */
static bool
put_own_value(const struct writer *w, const struct key *k, const struct toml *template, struct buf *b)
{
	switch (k - keys) {
	case K_RUNNER_id:
		buf_fmt(b, "%" PRId64, w->facts->id);
		return true;
	case K_RUNNER_token_obtained_at:
		buf_puts(b, w->facts->obtained);
		return true;
	case K_RUNNER_token_expires_at:
		buf_puts(b, w->facts->expires);
		return true;
	case K_DOCKER_volumes:
		put_volumes(w, template, b);
		return true;
	default:
		return false;
	}
}

/* The value of one key, from wherever it comes. 1; 0: none; -1. */
static int
put_key_value(const struct writer *w, const struct key *k, const struct toml *template, struct buf *b)
{
	const struct toml *v = toml_get(template, k->name);
	ssize_t i = row_of(w, k);
	int rc = 0;

	if (put_own_value(w, k, template, b))
		return 1;
	if (i >= 0)
		rc = put_value(w->f, (size_t)i, b, w->e);
	if (rc != 0)
		return rc;
	if (v != NULL && k != &keys[K_RUNNER_token]) {
		buf_clear(b);
		buf_putstr(b, raw(w, v));
		return 1;
	}
	if (i >= 0 && w->f->opt[i].given)
		return 1;
	if (always_text(k) == NULL)
		return 0;
	buf_puts(b, always_text(k));
	return 1;
}

static int
put_lines(const struct writer *w, enum key_section section, const struct toml *template, int level)
{
	struct buf b = { 0 };
	int rc = 0;

	for (size_t i = 0; i < nkeys && rc >= 0; i++) {
		const struct key *k = &keys[i];

		if (k->section != section || is_table(k) || k->type == KEY_SECTION || k->type == KEY_TABLES)
			continue;
		buf_clear(&b);
		rc = put_key_value(w, k, template, &b);
		if (rc > 0)
			put_line(w->out, level, str_from(k->name), buf_str(&b));
	}
	TOML_EACH(v, template)
		if (key_find(section, v->key) == NULL && one_piece(w, v))
			put_line(w->out, level, v->key, raw(w, v));
	buf_wipe(&b);
	return rc < 0 ? -1 : 0;
}

/* A table whose members are data: of the option, or of the template. */
static int
put_free_table(const struct writer *w, const struct key *k, const struct toml *template, const char *path, int level)
{
	const struct toml *v = toml_get(template, k->name);
	struct buf b = { 0 };
	ssize_t i = row_of(w, k);
	struct str rest;
	int rc = i >= 0 ? put_value(w->f, (size_t)i, &b, w->e) : 0;

	if (rc > 0) {
		put_header(w->out, level, path, false);
		for (rest = buf_str(&b); rest.n > 0;) {
			put_indent(w->out, level + 1);
			buf_putstr(w->out, str_cut(&rest, '\n'));
			buf_putc(w->out, '\n');
		}
	} else if (rc == 0 && v != NULL && v->type == TOML_TABLE && k->sub != KS_OTHER) {
		put_tree(w, v, path, level, false);
	}
	buf_wipe(&b);
	return rc < 0 ? -1 : 0;
}

static int put_section(const struct writer *w, enum key_section section, const struct toml *template, const char *path, int level);

static int
put_below(const struct writer *w, const struct key *k, const struct toml *template, const char *path, int level)
{
	const struct toml *v = toml_get(template, k->name);

	if (is_table(k))
		return put_free_table(w, k, template, path, level);
	if (k->type == KEY_SECTION)
		return put_section(w, (enum key_section)k->sub, v != NULL && v->type == TOML_TABLE ? v : NULL, path, level);
	if (v != NULL && v->type == TOML_ARRAY)
		TOML_EACH(element, v)
			put_tree(w, element, path, level, true);
	return 0;
}

/* A section with all below it. One that holds nothing is left out. */
static int
put_section(const struct writer *w, enum key_section section, const struct toml *template, const char *path, int level)
{
	size_t before = w->out->n, header;

	put_header(w->out, level, path, section == KS_RUNNER);
	header = w->out->n;
	if (put_lines(w, section, template, level + 1) < 0)
		return -1;
	if (w->out->n == header)
		buf_cut(w->out, before);
	for (size_t i = 0; i < nkeys; i++) {
		char *below;
		int rc;

		if (keys[i].section != section || !(is_table(&keys[i]) || keys[i].type == KEY_SECTION || keys[i].type == KEY_TABLES))
			continue;
		below = sub_path(path, str_from(keys[i].name));
		rc = put_below(w, &keys[i], template, below, level + 1);
		free(below);
		if (rc < 0)
			return -1;
	}
	TOML_EACH(v, template)
		if (key_find(section, v->key) == NULL && !one_piece(w, v))
			put_member_table(w, v, path, level + 1);
	return 0;
}

int
runnerflags_entry(const struct runnerflags *f, const struct entry_facts *facts, const struct toml *template,
    struct str template_text, struct buf *out, struct err *e)
{
	struct writer w = { f, facts, template_text, out, e };

	if (put_section(&w, KS_RUNNER, template, facts->array, 0) < 0)
		return -1;
	return out->failed ? err_set(e, ERR_FULL, 0, "the new entry is too large") : 0;
}
