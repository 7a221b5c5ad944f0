/* Command-line options from tables: see opt.h. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/opt.h"

#define HELP_LEFT	28	/* columns of the names */
/* What a text is wrapped to: the terminal's width within these, and where there is none what every terminal has. */
#define COLUMNS_LEAST	40
#define COLUMNS_UNKNOWN	80
#define COLUMNS_MOST	100

struct opt *
opt_find(struct opt *opts, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(opts[i].name, name) == 0)
			return &opts[i];
	return NULL;
}

static const struct opt *
find(const struct opt *opts, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqc(name, opts[i].name) ||
		    (name.n == 1 && opts[i].letter != 0 && name.p[0] == opts[i].letter))
			return &opts[i];
	return NULL;
}

const char *
opt_nearest(const struct opt *opts, size_t n, struct str name)
{
	const char *best = NULL;
	unsigned least = 4;

	for (size_t i = 0; i < n; i++) {
		unsigned d = opts[i].help != NULL ? str_distance(name, str_from(opts[i].name)) : 99;

		/* Of a short name so many letters may not differ. */
		if (d < least && 2 * d <= strlen(opts[i].name)) {
			least = d;
			best = opts[i].name;
		}
	}
	return best != NULL || 2 * str_distance(name, STR("help")) > strlen("help") ? best : "help";
}

bool
opt_asked(const struct opt *opts, size_t n, int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		struct str a = str_from(argv[i]), value;
		const struct opt *o;
		bool on;

		if (a.n < 2 || a.p[0] != '-')
			continue;
		a = str_sub(a, a.p[1] == '-' ? 2 : 1, a.n);
		value = a;
		a = str_cut(&value, '=');
		o = find(opts, n, a);
		/* --help=1 as well as --help. */
		if (o != NULL && strcmp(o->name, name) == 0 && (value.p == NULL || (str_to_bool(value, &on) == 0 && on)))
			return true;
		/* Its value may look like an option. */
		if (o != NULL && o->type != OPT_BOOL && value.p == NULL)
			i++;
	}
	return false;
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

/* An unknown option, without its value, which may be a token. */
static int
unknown(const struct opt *opts, size_t n, const char *arg, struct str name, struct err *e)
{
	const char *near = opt_nearest(opts, n, name);

	return err_set(e, ERR_CONFIG, 0, "unknown option %.*s%s%s%s", (int)strcspn(arg, "="), arg,
	    near != NULL ? ": did you mean --" : "", near != NULL ? near : "", near != NULL ? "?" : "");
}

struct line {
	struct opt	*opts;
	size_t		 n;
	bool		*typed;		/* by option */
	char		**argv;
	int		 argc, i;	/* the word that is being read */
};

/* An option and its value. A list of the environment is replaced by the first that is typed. */
static int
take(struct line *l, struct err *e)
{
	struct str name = str_from(l->argv[l->i]), value = STR_NULL;
	const struct opt *row;
	struct opt *o;
	char how[128];

	name = str_sub(name, name.p[1] == '-' ? 2 : 1, name.n);
	if (str_chr(name, '=') >= 0) {
		value = name;
		name = str_cut(&value, '=');
	}
	row = find(l->opts, l->n, name);
	if (row == NULL)
		return unknown(l->opts, l->n, l->argv[l->i], name, e);
	o = &l->opts[row - l->opts];
	snprintf(how, sizeof(how), "option --%s", o->name);
	if (value.p == NULL && o->type == OPT_BOOL)
		value = STR("true");
	if (value.p == NULL) {
		if (l->i + 1 >= l->argc)
			return err_set(e, ERR_CONFIG, 0, "%s needs a value", how);
		value = str_from(l->argv[++l->i]);
	}
	if (!l->typed[row - l->opts])
		forget_list(o);
	l->typed[row - l->opts] = true;
	return set(o, value, how, e);
}

int
opt_parse(struct opt *opts, size_t n, int argc, char **argv, struct opt_words *words, struct err *e)
{
	struct line l = { opts, n, xcalloc(n + 1, sizeof(*l.typed)), argv, argc, 1 };
	bool rest = false;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = from_env(&opts[i], e);
	for (; l.i < argc && rc == 0; l.i++) {
		const char *word = argv[l.i];

		if (!rest && strcmp(word, "--") == 0) {
			rest = true;
		} else if (!rest && word[0] == '-' && word[1] != '\0') {
			rc = take(&l, e);
		} else if (words == NULL) {
			rc = err_set(e, ERR_CONFIG, 0,
			    "\"%s\" is no option (a switch is turned off with --switch=false)", word);
		} else {
			words->v[words->n++] = word;
			rest |= words->end_options;
		}
	}
	free(l.typed);
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

int
opt_columns(FILE *f)
{
	struct winsize w = { 0 };
	int fd = fileno(f);

	if (fd < 0 || !isatty(fd) || ioctl(fd, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		return COLUMNS_UNKNOWN;
	return w.ws_col < COLUMNS_LEAST ? COLUMNS_LEAST : w.ws_col > COLUMNS_MOST ? COLUMNS_MOST : w.ws_col;
}

/* One line of it without "\n". *at: the column where we are. */
static void
put_words(FILE *f, struct str text, int column, int columns, int *at)
{
	while (text.p != NULL) {
		struct str word = str_cut(&text, ' ');

		if (word.n == 0)
			continue;
		if (*at > column && *at + 1 + (int)word.n > columns) {
			/* A word that is wider than its column begins further left. */
			*at = (int)word.n > columns - column ? columns - (int)word.n : column;
			*at = *at < 0 ? 0 : *at;
			fprintf(f, "\n%*s", *at, "");
			*at += fprintf(f, "%.*s", STR_ARG(word));
			continue;
		}
		*at += fprintf(f, "%s%.*s", *at > column ? " " : "", STR_ARG(word));
	}
}

void
opt_text(FILE *f, const char *text, int column)
{
	int columns = opt_columns(f), at = column;
	struct str rest = str_from(text);

	while (rest.p != NULL) {
		struct str line = str_cut(&rest, '\n');

		put_words(f, line, column, columns, &at);
		/* Within a sentence the end of a line is the source's, not the reader's. */
		if (rest.p != NULL && (line.n == 0 || str_ends(line, ".") || str_ends(line, ":") || rest.p[0] == '\n')) {
			fprintf(f, "\n%*s", rest.p[0] == '\n' ? 0 : column, "");
			at = column;
		}
	}
	fputc('\n', f);
}

void
opt_help(const struct opt *opts, size_t n, FILE *f)
{
	static const char *const arg[] = { "VALUE", "", "N", "VALUE" };

	for (size_t i = 0; i < n; i++) {
		const struct opt *o = &opts[i];
		const char *value = o->type == OPT_BOOL ? "" : o->arg != NULL ? o->arg : arg[o->type];
		struct buf b = { 0 };
		int w;

		if (o->help == NULL)
			continue;
		w = o->letter != 0 ? fprintf(f, "  -%c, ", o->letter) : fprintf(f, "      ");
		w += fprintf(f, "--%s%s%s", o->name, value[0] != '\0' ? " " : "", value);
		if (w > HELP_LEFT)
			fprintf(f, "\n%*s", HELP_LEFT + 2, "");
		else
			fprintf(f, "%*s", HELP_LEFT + 2 - w, "");
		buf_fmt(&b, "%s%s", o->help, o->type == OPT_LIST ? " (may be repeated)" : "");
		if (o->env != NULL)
			buf_fmt(&b, " [$%s]", o->env);
		opt_text(f, b.p, HELP_LEFT + 2);
		buf_free(&b);
	}
}
