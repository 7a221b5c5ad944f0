/* Command-line options from tables: see opt.h. */
#include "core/opt.h"

struct opt *
opt_find(struct opt *opts, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(opts[i].name, name) == 0)
			return &opts[i];
	return NULL;
}

static struct opt *
find(struct opt *opts, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqc(name, opts[i].name) ||
		    (name.n == 1 && opts[i].letter != 0 && name.p[0] == opts[i].letter))
			return &opts[i];
	return NULL;
}

static int
set(struct opt *o, struct str v, const char *how, struct err *e)
{
	bool b;

	switch (o->type) {
	case OPT_STRING:
		free((void *)(uintptr_t)o->value);
		o->value = str_dup(v);
		break;
	case OPT_LIST:
		o->list = xrealloc(o->list, (o->nlist + 1) * sizeof(*o->list));
		o->list[o->nlist++] = str_dup(v);
		break;
	case OPT_INT:
		if (str_to_i64(v, &o->number) < 0)
			return err_set(e, ERR_CONFIG, 0, "%s needs a whole number, not \"%.*s\"", how, STR_ARG(v));
		break;
	case OPT_BOOL:
		if (str_to_bool(v, &b) < 0)
			return err_set(e, ERR_CONFIG, 0, "%s needs true or false, not \"%.*s\"", how, STR_ARG(v));
		o->number = b;
		break;
	}
	o->given = true;
	return 0;
}

static int
from_env(struct opt *o, struct err *e)
{
	const char *v = o->env != NULL ? getenv(o->env) : NULL;
	struct str s;
	char how[128];

	if (v == NULL || v[0] == '\0')
		return 0;
	snprintf(how, sizeof(how), "environment variable %s", o->env);
	s = str_from(v);
	if (o->type != OPT_LIST)
		return set(o, s, how, e);
	while (s.p != NULL)
		if (set(o, str_cut(&s, ','), how, e) < 0)
			return -1;
	return 0;
}

static void
forget_list(struct opt *o)
{
	for (size_t k = 0; k < o->nlist; k++)
		free((void *)(uintptr_t)o->list[k]);
	free(o->list);
	o->list = NULL;
	o->nlist = 0;
}

int
opt_parse(struct opt *opts, size_t n, int argc, char **argv, unsigned flags,
    const char **words, size_t *nwords, struct err *e)
{
	bool *typed = xcalloc(n + 1, sizeof(*typed));
	int rc = -1;

	*nwords = 0;
	for (size_t i = 0; i < n; i++)
		if (from_env(&opts[i], e) < 0)
			goto out;
	for (int i = 1; i < argc; i++) {
		struct str a = str_from(argv[i]), name, value = STR_NULL;
		struct opt *o;
		char how[128];

		if (strcmp(argv[i], "--") == 0) {
			while (++i < argc)
				words[(*nwords)++] = argv[i];
			break;
		}
		if (a.n < 2 || a.p[0] != '-') {
			words[(*nwords)++] = argv[i];
			if (flags & OPT_STOP_AT_WORD) {
				while (++i < argc)
					words[(*nwords)++] = argv[i];
				break;
			}
			continue;
		}
		name = str_sub(a, a.p[1] == '-' ? 2 : 1, a.n);
		if (str_chr(name, '=') >= 0) {
			value = name;
			name = str_cut(&value, '=');
		}
		o = find(opts, n, name);
		if (o == NULL) {
			/* Without its value, which may be a token. */
			err_set(e, ERR_CONFIG, 0, "unknown option %.*s", (int)strcspn(argv[i], "="), argv[i]);
			goto out;
		}
		snprintf(how, sizeof(how), "option --%s", o->name);
		if (value.p == NULL && o->type == OPT_BOOL)
			value = STR("true");
		if (value.p == NULL) {
			if (i + 1 >= argc) {
				err_set(e, ERR_CONFIG, 0, "%s needs a value", how);
				goto out;
			}
			value = str_from(argv[++i]);
		}
		/* A list given by the environment is replaced by the first one on the command line. */
		if (!typed[o - opts])
			forget_list(o);
		typed[o - opts] = true;
		if (set(o, value, how, e) < 0)
			goto out;
	}
	rc = 0;
out:
	free(typed);
	return rc;
}

void
opt_free(struct opt *opts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((void *)(uintptr_t)opts[i].value);
		forget_list(&opts[i]);
		opts[i].value = NULL;
		opts[i].given = false;
	}
}

void
opt_help(const struct opt *opts, size_t n, FILE *f)
{
	static const char *const arg[] = { " VALUE", "", " N", " VALUE" };

	for (size_t i = 0; i < n; i++) {
		char left[80];
		int w;

		if (opts[i].help == NULL)
			continue;
		w = opts[i].letter != 0 ?
		    snprintf(left, sizeof(left), "-%c, --%s%s", opts[i].letter, opts[i].name, arg[opts[i].type]) :
		    snprintf(left, sizeof(left), "    --%s%s", opts[i].name, arg[opts[i].type]);
		if (w > 36)
			fprintf(f, "  %s\n  %-36s  %s", left, "", opts[i].help);
		else
			fprintf(f, "  %-36s  %s", left, opts[i].help);
		if (opts[i].type == OPT_LIST)
			fputs(" (may be repeated)", f);
		if (opts[i].env != NULL)
			fprintf(f, " [$%s]", opts[i].env);
		fputc('\n', f);
	}
}
