/*
 * Makes the manual pages and the shells' completions from the tables of the
 * program: commands (cmd/cmd.h, cmd/machine.h), options of the machine
 * drivers (cloud/driver.h), keys of config.toml (config/keys.h). Run while
 * building (src/Makefile, target manual); no part of windlass.
 *
 *	manual page FILE.in	the page: lines "@WORD@" of the file are replaced by what tables say,
 *				@DATE@ and @VERSION@ also inside a line
 *	manual bash|zsh|fish	a completion script
 *
 * Pages are mdoc(7).
 */
#include <time.h>

#include "cloud/driver.h"
#include "cmd/machine.h"
#include "cmd/runnerflags.h"
#include "core/arena.h"
#include "machine/options.h"
#include "versions.h"

static struct arena arena;

/* ---- options by whose they are ---- */

/* What may be completed as a value or a word. */
static const char *
kind_of(const char *arg)
{
	static const struct { const char *arg, *kind; } kinds[] = {
		{ "FILE", "file" }, { "DIR", "dir" }, { "RUNNER", "runner" }, { "MACHINE", "machine" }, { "DRIVER", "driver" },
		{ "LEVEL", "debug info warn error fatal panic" }, { "FORMAT", "runner text json" },
		{ "SHELL", "bash fish tcsh powershell cmd emacs" },
	};

	for (size_t i = 0; arg != NULL && i < NELEM(kinds); i++)
		if (strcmp(arg, kinds[i].arg) == 0)
			return kinds[i].kind;
	if (arg == NULL || strchr(arg, '|') == NULL || strpbrk(arg, " =.[") != NULL)
		return "";
	char *words = arena_dup(&arena, str_from(arg));

	for (char *p = words; *p != '\0'; p++)
		if (*p == '|')
			*p = ' ';
	return words;
}

static const char *
value_name(const struct opt *o)
{
	return o->type == OPT_BOOL ? "" : o->arg != NULL ? o->arg : o->type == OPT_INT ? "N" : "VALUE";
}

/* Which options a command has; the ones of the keys and of drivers among them. */
struct optset { const struct opt *opt; size_t n; };

static struct optset
with_keys(const struct usage *u)
{
	struct runnerflags *f = arena_calloc(&arena, 1, sizeof(*f));

	if (!(u->flags & USAGE_KEYS))
		return (struct optset){ u->opt, u->nopt };
	runnerflags_init(f, u->opt, u->nopt);
	return (struct optset){ f->opt, f->n };
}

static struct optset
create_options(void)
{
	struct machine_options *o = arena_calloc(&arena, 1, sizeof(*o));

	machine_options_init(o, NULL);
	return (struct optset){ o->opt, o->n };
}

static struct optset
driver_options(const struct cloud_driver *d)
{
	struct opt *o = arena_calloc(&arena, d->about->noptions + 1, sizeof(*o));

	cloud_opts(d, o);
	return (struct optset){ o, d->about->noptions };
}

static struct optset
options_of(const struct usage *u)
{
	return u->flags & USAGE_DRIVERS ? create_options() : with_keys(u);
}

/* ---- pages ---- */

/* As a word of a macro line, or of text: what roff would take for its own is shown as it is. */
static const char *
escaped(struct str s)
{
	struct buf b = { 0 };
	const char *out;

	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '\\':
			buf_puts(&b, "\\e");
			break;
		case '"':
			buf_puts(&b, "\\(dq");
			break;
		case '`':
			buf_puts(&b, "\\(ga");
			break;
		case '-':
			buf_puts(&b, "\\-");
			break;
		case '~':
			buf_puts(&b, "\\(ti");
			break;
		case '^':
			buf_puts(&b, "\\(ha");
			break;
		default:
			buf_putc(&b, s.p[i]);
		}
	out = arena_dup(&arena, buf_str(&b));
	buf_free(&b);
	return out;
}

/* Text, each sentence on a line of its own; an empty line begins a paragraph, `words` between backquotes are literal. */
static void
put_text(const char *text)
{
	struct str rest = str_from(text);
	bool start = true;

	while (rest.n > 0) {
		size_t n = 0;

		while (n < rest.n && rest.p[n] != '\n' && !(rest.p[n] == '.' && n + 1 < rest.n && rest.p[n + 1] == ' '))
			n++;
		if (n < rest.n && rest.p[n] == '.')
			n++;
		if (n > 0) {
			if (start && (rest.p[0] == '.' || rest.p[0] == '\''))
				fputs("\\&", stdout);
			printf("%s\n", escaped(str_sub(rest, 0, n)));
		}
		rest = str_sub(rest, n, rest.n);
		if (str_starts(rest, "\n\n"))
			puts(".Pp");
		while (rest.n > 0 && (rest.p[0] == '\n' || rest.p[0] == ' '))
			rest = str_sub(rest, 1, rest.n);
	}
}

/* A text that is not a sentence becomes one. */
static void
put_sentence(const char *text)
{
	size_t n = strlen(text);

	printf("%s%s%s\n", text[0] == '.' || text[0] == '\'' ? "\\&" : "", escaped(str_from(text)), n > 0 && text[n - 1] != '.' ? "." : "");
}

/* A paragraph of their own; nothing when none is shown. */
static void
put_options(struct optset s)
{
	bool any = false;

	for (size_t i = 0; i < s.n; i++) {
		const struct opt *o = &s.opt[i];

		if (o->help == NULL || strcmp(o->name, "help") == 0)
			continue;
		if (!any)
			puts(".Pp\n.Bl -tag -width Ds -compact");
		any = true;
		printf(".It");
		if (o->letter != 0)
			printf(" Fl %c ,", o->letter);
		printf(" Fl \\-%s", escaped(str_from(o->name)));
		if (value_name(o)[0] != '\0')
			printf(" Ar \"%s\"", escaped(str_from(value_name(o))));
		putchar('\n');
		put_sentence(o->help);
		if (o->type == OPT_LIST)
			puts("May be repeated.");
		if (o->env != NULL)
			printf("Variable:\n.Ev %s .\n", o->env);
	}
	if (any)
		puts(".El");
}

static void
put_command(const char *name, const struct usage *u)
{
	printf(".It Ic %s", escaped(str_from(name)));
	if (u->nopt > 0 || u->flags & (USAGE_KEYS | USAGE_DRIVERS))
		printf(" Op Ar option ...");
	if (u->args[0] != '\0')
		printf(" Ar \"%s\"", escaped(str_from(u->args)));
	putchar('\n');
	put_text(u->about);
}

static void
page_commands(void)
{
	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < ncommands; i++) {
		const struct usage *u = commands[i].usage;

		if (commands[i].help == NULL)
			continue;
		put_command(commands[i].name, u);
		if (u->flags & USAGE_OWN_HELP) {
			printf("See\n.Xr windlass\\-%s 1 .\n", escaped(str_from(commands[i].name)));
			continue;
		}
		put_options((struct optset){ u->opt, u->nopt });
		if (u->flags & USAGE_KEYS)
			puts(".Pp\nAnd an option for each key of the runner's entry that has one; see\n.Sx OPTIONS OF A RUNNER .");
	}
	puts(".El");
}

static void
page_globals(void)
{
	put_options((struct optset){ cmd_globals, ncmd_globals });
}

static void
page_runner_options(void)
{
	static const struct opt none[1];
	struct runnerflags f;
	size_t from = 0;

	runnerflags_init(&f, none, 0);
	while (from < f.n) {
		size_t to = from + 1;

		while (to < f.n && f.key[to]->section == f.key[from]->section)
			to++;
		printf(".Ss %s\nFor this part of the entry:\n", escaped(str_from(key_section_title(f.key[from]->section))));
		put_options((struct optset){ f.opt + from, to - from });
		from = to;
	}
}

static void
page_machine_commands(void)
{
	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < nmachine_commands; i++) {
		const struct usage *u = machine_commands[i].usage;

		if (machine_commands[i].help == NULL)
			continue;
		put_command(machine_commands[i].name, u);
		if (u->flags & USAGE_DRIVERS) {
			puts("The options are those under\n.Sx OPTIONS OF CREATE\nand those of the driver.");
			continue;
		}
		put_options((struct optset){ u->opt, u->nopt });
	}
	puts(".El");
}

static void
page_machine_globals(void)
{
	put_options((struct optset){ machine_globals, nmachine_globals });
}

static void
page_create_options(void)
{
	put_options(create_options());
}

static void
page_drivers(void)
{
	for (size_t i = 0; cloud_drivers[i] != NULL; i++) {
		printf(".Ss Driver %s\n%s", cloud_drivers[i]->about->name, cloud_drivers[i]->about->noptions > 0 ? "Its options:\n" : "It has no options.\n");
		put_options(driver_options(cloud_drivers[i]));
	}
}

static void
put_key(const struct key *k)
{
	static const char *const use[] = {
		[KEY_LATER] = "Accepted; not honoured by this version: ",
		[KEY_NEVER] = "Accepted, without effect here: ",
		[KEY_GONE] = "Removed from gitlab-runner: ",
	};
	const char *differs = key_differs(k);

	printf(".It Ic %s\n", escaped(str_from(k->name)));
	if (k->type != KEY_SECTION && k->type != KEY_TABLES) {
		printf("(%s", escaped(str_from(key_type_name(k->type))));
		if (k->dflt != NULL)
			printf("; default %s", escaped(str_from(k->dflt)));
		puts(")");
	}
	put_sentence(use[k->use] != NULL ? arena_fmt(&arena, "%s%s", use[k->use], k->help) : k->help);
	if (k->type == KEY_SECTION || k->type == KEY_TABLES)
		printf("See\n.Sx \"%s\" .\n", escaped(str_from(key_section_title((enum key_section)k->sub))));
	if (differs != NULL)
		put_sentence(arena_fmt(&arena, "Other than in gitlab-runner: %s", differs));
	if (k->flag != NULL) {
		printf("Option of\n.Ic register :\n.Fl \\-%s", escaped(str_from(k->flag)));
		if (k->env != NULL)
			printf(" ;\nvariable:\n.Ev %s", k->env);
		puts(" .");
	}
}

static void
page_keys(void)
{
	for (enum key_section s = 0; s < KS_MAX; s++) {
		const char *title = key_section_title(s);
		bool any = false;

		/* Sections of other executors are named where they would stand. */
		if (s == KS_OTHER)
			continue;
		for (size_t i = 0; i < nkeys; i++) {
			if (keys[i].section != s)
				continue;
			if (!any)
				printf(".Ss %s\n.Bl -tag -width Ds\n", escaped(str_from(s == KS_GLOBAL ? "Global section" : title)));
			any = true;
			put_key(&keys[i]);
		}
		if (any)
			puts(".El");
	}
}

static const struct { const char *word; void (*put)(void); } blocks[] = {
	{ "@COMMANDS@", page_commands },
	{ "@GLOBALS@", page_globals },
	{ "@RUNNER_OPTIONS@", page_runner_options },
	{ "@MACHINE_COMMANDS@", page_machine_commands },
	{ "@MACHINE_GLOBALS@", page_machine_globals },
	{ "@CREATE_OPTIONS@", page_create_options },
	{ "@DRIVERS@", page_drivers },
	{ "@KEYS@", page_keys },
};

/* The day of the sources, so that the same sources give the same page. */
static const char *
date(void)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	int64_t s = 0;
	char day[64];
	time_t t;
	struct tm tm;

	if (text == NULL || str_to_i64(str_from(text), &s) < 0) {
		fprintf(stderr, "manual: SOURCE_DATE_EPOCH is not set\n");
		exit(1);
	}
	t = (time_t)s;
	gmtime_r(&t, &tm);
	strftime(day, sizeof(day), "%B %e, %Y", &tm);
	return arena_dup(&arena, str_from(day[0] != '\0' ? day : "?"));
}

static void
put_line(struct str line)
{
	static const char *const marks[] = { "@DATE@", "@VERSION@" };

	while (line.n > 0) {
		ssize_t at = -1;
		size_t which = 0;

		for (size_t i = 0; i < NELEM(marks); i++) {
			ssize_t here = str_find(line, marks[i]);

			if (here >= 0 && (at < 0 || here < at)) {
				at = here;
				which = i;
			}
		}
		if (at < 0) {
			printf("%.*s", STR_ARG(line));
			break;
		}
		printf("%.*s%s", (int)at, line.p, which == 0 ? date() : WL_VERSION);
		line = str_sub(line, (size_t)at + strlen(marks[which]), line.n);
	}
	putchar('\n');
}

static int
page(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	if (f == NULL) {
		fprintf(stderr, "manual: %s: %s\n", path, strerror(errno));
		return 1;
	}
	printf(".\\\" Made from %s by docs/man/manual.c; edit there, and in the tables.\n", strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path);
	while (fgets(line, sizeof(line), f) != NULL) {
		struct str s = str_trim(str_from(line));
		size_t i = 0;

		while (i < NELEM(blocks) && !str_eqc(s, blocks[i].word))
			i++;
		if (i < NELEM(blocks))
			blocks[i].put();
		else
			put_line(s);
	}
	fclose(f);
	return 0;
}

/* ---- completions ---- */

/* Every command as the shells know it: "list", "machine rm"; the options in front of one have "" and "machine". */
struct entry {
	const char	*path;
	const char	*help;
	const char	*args;
	struct optset	 set;
};
static struct entry entries[128];
static size_t nentries;

static void
add(const char *path, const char *help, const char *args, struct optset set)
{
	assert(nentries < NELEM(entries));
	entries[nentries++] = (struct entry){ path, help, args, set };
}

static void
collect(void)
{
	add("", "", "COMMAND", (struct optset){ cmd_globals, ncmd_globals });
	for (size_t i = 0; i < ncommands; i++)
		if (commands[i].help != NULL)
			add(commands[i].name, commands[i].help, commands[i].usage->args, options_of(commands[i].usage));
	for (size_t i = 0; i < nmachine_commands; i++)
		if (machine_commands[i].help != NULL)
			add(arena_fmt(&arena, "machine %s", machine_commands[i].name), machine_commands[i].help,
			    machine_commands[i].usage->args, options_of(machine_commands[i].usage));
	for (size_t i = 0; cloud_drivers[i] != NULL; i++)
		add(arena_fmt(&arena, "machine create %s", cloud_drivers[i]->about->name), NULL, "", driver_options(cloud_drivers[i]));
}

/* The names of windlass's commands, or of `machine`'s. */
static const char *
commands_under(bool machine)
{
	const char *list = "";

	for (size_t i = 1; i < nentries; i++) {
		const char *space = strchr(entries[i].path, ' ');

		if (entries[i].help != NULL && (space != NULL) == machine)
			list = arena_fmt(&arena, "%s%s%s", list, list[0] != '\0' ? " " : "", machine ? space + 1 : entries[i].path);
	}
	return list;
}

/* The same of a command's words: what they may be. */
static const char *
words_of(const char *args)
{
	if (strstr(args, "MACHINE") != NULL)
		return "machine";
	if (strstr(args, "COMMAND") != NULL)
		return "command";
	if (strstr(args, "FILE") != NULL)
		return "file";
	return "";
}

/* In single quotes of a shell. */
static const char *
quoted(const char *text)
{
	struct buf b = { 0 };
	const char *out;

	for (; *text != '\0'; text++)
		if (*text == '\'')
			buf_puts(&b, "'\\''");
		else
			buf_putc(&b, *text);
	out = arena_dup(&arena, buf_str(&b));
	buf_free(&b);
	return out;
}

static void
put_common_shell(void)
{
	size_t i;

	printf("# Made by docs/man/manual.c from the tables of windlass %s.\n\n", WL_VERSION);
	printf("_windlass_drivers='");
	for (i = 0; cloud_drivers[i] != NULL; i++)
		printf("%s%s", i > 0 ? " " : "", cloud_drivers[i]->about->name);
	puts("'\n\n"
	    "# Names of the store; nobody is asked.\n"
	    "_windlass_machines()\n{\n"
	    "\tlocal d\n"
	    "\tfor d in \"${MACHINE_STORAGE_PATH:-$HOME/.docker/machine}\"/machines/*/; do\n"
	    "\t\td=${d%/}\n"
	    "\t\t[ ! -e \"$d/config.json\" ] || printf '%s\\n' \"${d##*/}\"\n"
	    "\tdone\n}\n\n"
	    "# Names of config.toml's runners.\n"
	    "_windlass_runners()\n{\n"
	    "\twindlass --log-format json list 2>&1 | sed -n 's/^{\"Executor\":.*\"msg\":\"\\([^\"\\\\]*\\)\",\"time\".*/\\1/p'\n}\n");
}

static void
put_bash(void)
{
	put_common_shell();
	puts("# COMMAND: its options\n_windlass_options()\n{\n\tcase $1 in");
	for (size_t i = 0; i < nentries; i++) {
		printf("\t'%s') echo '", entries[i].path);
		for (size_t k = 0; k < entries[i].set.n; k++)
			if (entries[i].set.opt[k].help != NULL)
				printf("--%s ", entries[i].set.opt[k].name);
		puts("--help' ;;");
	}
	puts("\tesac\n}\n\n# COMMAND:OPTION: what its value may be; status 1: it takes none\n_windlass_value()\n{\n\tcase $1 in");
	for (size_t i = 0; i < nentries; i++)
		for (size_t k = 0; k < entries[i].set.n; k++) {
			const struct opt *o = &entries[i].set.opt[k];

			if (o->help == NULL || o->type == OPT_BOOL)
				continue;
			printf("\t'%s:--%s'", entries[i].path, o->name);
			if (o->letter != 0)
				printf(" | '%s:-%c'", entries[i].path, o->letter);
			printf(") echo '%s' ;;\n", kind_of(o->arg));
		}
	puts("\t*) return 1 ;;\n\tesac\n}\n\n# COMMAND: what its words may be\n_windlass_words()\n{\n\tcase $1 in");
	for (size_t i = 0; i < nentries; i++)
		if (words_of(entries[i].args)[0] != '\0')
			printf("\t'%s') echo %s ;;\n", entries[i].path, words_of(entries[i].args));
	printf("\tesac\n}\n\n_windlass_commands='%s'\n_windlass_machine_commands='%s", commands_under(false), commands_under(true));
	puts("'\n\n"
	    "_windlass()\n{\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev= cmd= driver= kind= word i=1 n=$COMP_CWORD\n"
	    "\tlocal IFS=$' \\t\\n'\n"
	    "\tCOMPREPLY=()\n"
	    "\t[ \"${COMP_WORDS[0]##*/}\" != docker-machine ] || cmd=machine\n"
	    "\t# \"--name=value\" comes in three pieces\n"
	    "\tif [ \"$cur\" = = ]; then\n\t\tcur=\n\t\tn=$((n - 1))\n"
	    "\telif [ \"$n\" -gt 1 ] && [ \"${COMP_WORDS[n - 1]}\" = = ]; then\n\t\tn=$((n - 2))\n"
	    "\telse\n\t\tn=-1\n\tfi\n"
	    "\t[ \"$n\" -lt 0 ] || prev=${COMP_WORDS[n]}\n"
	    "\twhile [ \"$i\" -lt \"$COMP_CWORD\" ]; do\n"
	    "\t\tword=${COMP_WORDS[i]}\n"
	    "\t\ti=$((i + 1))\n"
	    "\t\tcase $word in\n"
	    "\t\t=) i=$((i + 1)) ;;\n"
	    "\t\t-*)\n"
	    "\t\t\tif [ \"${COMP_WORDS[i]}\" = = ]; then\n\t\t\t\t[ \"$word\" != --driver ] || driver=${COMP_WORDS[i + 1]}\n"
	    "\t\t\t\tcontinue\n\t\t\tfi\n"
	    "\t\t\t_windlass_value \"$cmd:$word\" >/dev/null || { [ -n \"$driver\" ] && _windlass_value \"$cmd $driver:$word\" >/dev/null; } || continue\n"
	    "\t\t\tif [ \"$i\" -eq \"$COMP_CWORD\" ]; then\n\t\t\t\tprev=$word\n\t\t\telif [ \"$word\" = --driver ] || [ \"$word\" = -d ]; then\n"
	    "\t\t\t\tdriver=${COMP_WORDS[i]}\n\t\t\tfi\n"
	    "\t\t\ti=$((i + 1))\n"
	    "\t\t\t;;\n"
	    "\t\t*)\n"
	    "\t\t\tcase $cmd in\n\t\t\t'') cmd=$word ;;\n\t\t\tmachine) cmd=\"machine $word\" ;;\n\t\t\tesac\n"
	    "\t\t\t;;\n"
	    "\t\tesac\n"
	    "\tdone\n"
	    "\tif [ -n \"$prev\" ]; then\n"
	    "\t\tkind=$(_windlass_value \"$cmd:$prev\" || _windlass_value \"$cmd $driver:$prev\")\n"
	    "\telif [ \"${cur#-}\" != \"$cur\" ]; then\n"
	    "\t\tkind=$(_windlass_options \"$cmd\"; [ -z \"$driver\" ] || _windlass_options \"$cmd $driver\")\n"
	    "\telse\n"
	    "\t\tkind=$(_windlass_words \"$cmd\")\n"
	    "\tfi\n"
	    "\tcase $kind in\n"
	    "\t'') return ;;\n"
	    "\tfile) COMPREPLY=($(compgen -f -- \"$cur\")); compopt -o filenames 2>/dev/null; return ;;\n"
	    "\tdir) COMPREPLY=($(compgen -d -- \"$cur\")); compopt -o filenames 2>/dev/null; return ;;\n"
	    "\tmachine) kind=$(_windlass_machines) ;;\n"
	    "\trunner) kind=$(_windlass_runners); IFS=$'\\n' ;;\n"
	    "\tdriver) kind=$_windlass_drivers ;;\n"
	    "\tcommand) case $cmd in machine*) kind=$_windlass_machine_commands ;; *) kind=$_windlass_commands ;; esac ;;\n"
	    "\tesac\n"
	    "\tCOMPREPLY=($(compgen -W \"$kind\" -- \"$cur\"))\n"
	    "\tif [ \"$IFS\" = $'\\n' ]; then\n"
	    "\t\tfor i in \"${!COMPREPLY[@]}\"; do\n\t\t\tCOMPREPLY[i]=$(printf %q \"${COMPREPLY[i]}\")\n\t\tdone\n\tfi\n"
	    "}\n"
	    "complete -F _windlass windlass gitlab-runner docker-machine");
}

/* Inside a specification of zsh's _arguments, in single quotes. */
static const char *
zsh_text(const char *text)
{
	struct buf b = { 0 };
	const char *out;

	for (; *text != '\0'; text++) {
		if (strchr("[]:\\", *text) != NULL)
			buf_putc(&b, '\\');
		buf_putc(&b, *text);
	}
	out = quoted(arena_dup(&arena, buf_str(&b)));
	buf_free(&b);
	return out;
}

static const char *
zsh_action(const char *kind)
{
	if (strcmp(kind, "file") == 0)
		return "_files";
	if (strcmp(kind, "dir") == 0)
		return "_files -/";
	if (strcmp(kind, "machine") == 0 || strcmp(kind, "runner") == 0 || strcmp(kind, "driver") == 0)
		return arena_fmt(&arena, "_windlass_add_%ss", kind);
	return kind[0] != '\0' ? arena_fmt(&arena, "(%s)", kind) : " ";
}

static const char *
function_name(const char *path)
{
	char *name = arena_dup(&arena, str_from(path));

	for (char *p = name; *p != '\0'; p++)
		if (*p == ' ' || *p == '-')
			*p = '_';
	return name;
}

static void
put_zsh_options(struct optset s)
{
	for (size_t k = 0; k < s.n; k++) {
		const struct opt *o = &s.opt[k];
		const char *star = o->type == OPT_LIST ? "*" : "", *value = "";

		if (o->help == NULL)
			continue;
		if (o->type != OPT_BOOL)
			value = arena_fmt(&arena, ":%s:%s", zsh_text(value_name(o)), zsh_action(kind_of(o->arg)));
		if (o->letter != 0)
			printf("\t\t'%s-%c[%s]%s'\n", star, o->letter, zsh_text(o->help), value);
		printf("\t\t'%s--%s%s[%s]%s'\n", star, o->name, value[0] != '\0' ? "=" : "", zsh_text(o->help), value);
	}
}

static void
put_zsh_commands(const char *function, bool machine)
{
	printf("%s()\n{\n\tlocal -a list=(\n", function);
	for (size_t i = 1; i < nentries; i++) {
		bool of_machine = str_starts(str_from(entries[i].path), "machine ");

		if (entries[i].help == NULL || of_machine != machine)
			continue;
		printf("\t\t'%s:%s'\n", machine ? entries[i].path + strlen("machine ") : entries[i].path, quoted(entries[i].help));
	}
	puts("\t)\n\t_describe command list\n}\n");
}

static void
put_zsh(void)
{
	puts("#compdef windlass gitlab-runner docker-machine");
	put_common_shell();
	puts("_windlass_add_machines()\n{\n\tlocal -a list=(${(f)\"$(setopt nullglob; _windlass_machines)\"})\n\tcompadd -a list\n}\n\n"
	    "_windlass_add_runners()\n{\n\tlocal -a list=(${(f)\"$(_windlass_runners)\"})\n\tcompadd -a list\n}\n\n"
	    "_windlass_add_drivers()\n{\n\tcompadd ${=_windlass_drivers}\n}\n");
	put_zsh_commands("_windlass_commands", false);
	put_zsh_commands("_windlass_machine_commands", true);
	/* The options of each command, as an array. */
	for (size_t i = 0; i < nentries; i++) {
		printf("_windlass_spec_%s()\n{\n\tspec+=(\n", function_name(entries[i].path));
		put_zsh_options(entries[i].set);
		if (entries[i].help != NULL)
			puts("\t\t'(-h --help)'{-h,--help}'[this text]'");
		if (strcmp(words_of(entries[i].args), "machine") == 0)
			puts("\t\t'*:machine:_windlass_add_machines'");
		else if (strcmp(words_of(entries[i].args), "file") == 0)
			puts("\t\t'*:file:_files'");
		else if (strcmp(entries[i].path, "help") == 0)
			puts("\t\t'1:command:_windlass_commands'");
		else if (strcmp(entries[i].path, "machine help") == 0)
			puts("\t\t'1:command:_windlass_machine_commands'");
		puts("\t)\n}\n");
	}
	puts("# FUNCTION PREFIX: options, then a command of PREFIX's, then its own\n"
	    "_windlass_level()\n{\n"
	    "\tlocal curcontext=$curcontext state line driver name i\n"
	    "\tlocal -a spec\n"
	    "\tlocal -A opt_args\n"
	    "\t_windlass_spec_$2\n"
	    "\t_arguments -C -S -A '-*' $spec \"1:command:$1\" '*::argument:->rest' && return\n"
	    "\t[[ $state = rest ]] || return 1\n"
	    "\tif [[ $1 = _windlass_commands && $words[1] = machine ]]; then\n"
	    "\t\t_windlass_level _windlass_machine_commands machine\n\t\treturn\n\tfi\n"
	    "\tname=_windlass_spec_${2:+${2}_}${words[1]//-/_}\n"
	    "\t(( $+functions[$name] )) || return 1\n"
	    "\tspec=()\n\t$name\n"
	    "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	    "\t\tcase $words[i] in\n\t\t--driver=*) driver=${words[i]#--driver=} ;;\n"
	    "\t\t-d | --driver) driver=$words[i+1] ;;\n\t\tesac\n\tdone\n"
	    "\t(( ! $+functions[${name}_$driver] )) || [[ -z $driver ]] || ${name}_$driver\n"
	    "\t_arguments -S $spec\n}\n\n"
	    "case $service in\n"
	    "docker-machine) _windlass_level _windlass_machine_commands machine ;;\n"
	    "*) _windlass_level _windlass_commands '' ;;\n"
	    "esac");
}

static void
put_fish_options(const struct entry *e, const char *program, const char *condition)
{
	for (size_t k = 0; k < e->set.n; k++) {
		const struct opt *o = &e->set.opt[k];
		const char *kind = kind_of(o->arg);

		if (o->help == NULL)
			continue;
		printf("complete -c %s -n '%s' -l %s", program, condition, o->name);
		if (o->letter != 0)
			printf(" -s %c", o->letter);
		if (o->type != OPT_BOOL)
			printf(strcmp(kind, "file") == 0 ? " -r -F" : " -x");
		if (strcmp(kind, "dir") == 0)
			printf(" -a '(__fish_complete_directories)'");
		else if (strcmp(kind, "machine") == 0 || strcmp(kind, "runner") == 0 || strcmp(kind, "driver") == 0)
			printf(" -a '(__windlass_%ss)'", kind);
		else if (kind[0] != '\0' && strcmp(kind, "file") != 0)
			printf(" -a '%s'", kind);
		printf(" -d '%s'\n", quoted(o->help));
	}
}

static void
put_fish_program(const char *program, const char *under)
{
	for (size_t i = 0; i < nentries; i++) {
		const struct entry *e = &entries[i];
		struct str p = str_from(e->path);
		const char *condition;

		if (under[0] != '\0' && !str_starts(p, under))
			continue;
		p = str_sub(p, strlen(under), p.n);
		while (str_starts(p, " "))
			p = str_sub(p, 1, p.n);
		condition = arena_fmt(&arena, "__windlass_at %.*s", STR_ARG(p));
		put_fish_options(e, program, condition);
		if (e->help == NULL)
			continue;
		if (p.n > 0) {
			ssize_t space = str_rchr(p, ' ');
			struct str last = str_sub(p, (size_t)(space + 1), p.n), before = str_sub(p, 0, space < 0 ? 0 : (size_t)space);

			printf("complete -c %s -n '__windlass_at %.*s' -a %.*s -d '%s'\n", program, STR_ARG(before), STR_ARG(last), quoted(e->help));
			printf("complete -c %s -n '%s' -l help -s h -d 'this text'\n", program, condition);
		}
		if (strcmp(words_of(e->args), "command") == 0 && p.n > 0 && strstr(e->path, "help") != NULL)
			printf("complete -c %s -n '%s' -a '%s'\n", program, condition, commands_under(strchr(e->path, ' ') != NULL));
		if (strcmp(words_of(e->args), "machine") == 0)
			printf("complete -c %s -n '%s' -a '(__windlass_machines)'\n", program, condition);
	}
}

static void
put_fish(void)
{
	printf("# Made by docs/man/manual.c from the tables of windlass %s.\n\n", WL_VERSION);
	printf("function __windlass_drivers\n\tprintf '%%s\\n'");
	for (size_t i = 0; cloud_drivers[i] != NULL; i++)
		printf(" %s", cloud_drivers[i]->about->name);
	puts("\nend\n\n"
	    "function __windlass_machines\n"
	    "\tset -l store ~/.docker/machine\n"
	    "\tset -q MACHINE_STORAGE_PATH; and set store $MACHINE_STORAGE_PATH\n"
	    "\tfor f in $store/machines/*/config.json\n\t\tbasename (dirname $f)\n\tend\nend\n\n"
	    "function __windlass_runners\n"
	    "\twindlass --log-format json list 2>&1 | string replace -rf '^\\{\"Executor\":.*\"msg\":\"([^\"\\\\\\\\]*)\",\"time\".*' '$1'\nend\n\n"
	    "# Whether the words before the cursor, without options and their values, begin with these: for \"machine create none\",\n"
	    "# the third is the driver's name.\n"
	    "function __windlass_at\n"
	    "\tset -l words\n\tset -l driver\n\tset -l skip\n"
	    "\tfor w in (commandline -opc)[2..]\n"
	    "\t\tif test -n \"$skip\"\n\t\t\tcontains -- $skip -d --driver; and set driver $w\n\t\t\tset skip\n"
	    "\t\telse if string match -q -- '--driver=*' $w\n\t\t\tset driver (string replace -- --driver= '' $w)\n"
	    "\t\telse if string match -q -- '-*' $w\n\t\t\tcontains -- $w $__windlass_valued; and set skip $w\n"
	    "\t\telse\n\t\t\tset -a words $w\n\t\tend\n"
	    "\tend\n"
	    "\tset -l n (count $argv)\n"
	    "\tif test $n -gt 0; and test \"$argv[-1]\" = \"$driver\"\n\t\tset n (math $n - 1)\n"
	    "\telse if test $n -eq 0; or test \"$argv\" = machine\n\t\ttest \"$words\" = \"$argv\"\n\t\treturn\n\tend\n"
	    "\ttest (count $words) -ge $n; and test \"$words[1..$n]\" = \"$argv[1..$n]\"\nend\n");
	printf("set -g __windlass_valued");
	for (size_t i = 0; i < nentries; i++)
		for (size_t k = 0; k < entries[i].set.n; k++) {
			const struct opt *o = &entries[i].set.opt[k];

			if (o->help == NULL || o->type == OPT_BOOL)
				continue;
			printf(" --%s", o->name);
			if (o->letter != 0)
				printf(" -%c", o->letter);
		}
	puts("\n\ncomplete -c windlass -f\ncomplete -c gitlab-runner -f\ncomplete -c docker-machine -f");
	put_fish_program("windlass", "");
	put_fish_program("docker-machine", "machine");
	puts("complete -c gitlab-runner -w windlass");
}

int
main(int argc, char **argv)
{
	collect();
	if (argc == 3 && strcmp(argv[1], "page") == 0)
		return page(argv[2]);
	if (argc == 2 && strcmp(argv[1], "bash") == 0)
		put_bash();
	else if (argc == 2 && strcmp(argv[1], "zsh") == 0)
		put_zsh();
	else if (argc == 2 && strcmp(argv[1], "fish") == 0)
		put_fish();
	else {
		fprintf(stderr, "usage: manual page FILE.in | bash | zsh | fish\n");
		return 1;
	}
	return fflush(stdout) != 0;
}
