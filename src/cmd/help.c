/* What --help prints, and what is said to wrong options: see cmd.h. All of it comes from the tables. */
#include "cmd/cmd.h"
#include "cmd/runnerflags.h"

static const struct opt help_row[] = { OPT_HELP };

int
cmd_bad_usage(const char *command, const struct err *e)
{
	fprintf(stderr, "FATAL: %s: %s (`%s %s --help` lists the options)\n", command, e->msg, cmd_program, command);
	return 1;
}

int
cmd_options(const struct usage *u, struct opt *o, int argc, char **argv, const char **words, size_t *nwords)
{
	struct opt_words w = { .v = words };
	struct err e = { 0 };
	int rc;

	memcpy(o, u->opt, u->nopt * sizeof(*o));
	rc = opt_parse(o, u->nopt, argc, argv, words != NULL ? &w : NULL, &e);
	if (nwords != NULL)
		*nwords = w.n;
	if (rc < 0)
		cmd_bad_usage(argv[0], &e);
	return rc;
}

bool
cmd_asks_help(const struct usage *u, int argc, char **argv)
{
	struct runnerflags f;
	struct opt *all;
	size_t n = u->nopt;
	bool asked;

	if (u->flags & USAGE_OWN_HELP)
		return false;
	if (u->flags & USAGE_RAW)
		return argc == 2 && opt_asked(help_row, 1, argc, argv, "help");
	if (u->flags & USAGE_KEYS) {
		runnerflags_init(&f, u->opt, n);
		n = f.n;
	}
	all = xcalloc(n + 1, sizeof(*all));
	memcpy(all, u->flags & USAGE_KEYS ? f.opt : u->opt, n * sizeof(*all));
	all[n] = help_row[0];
	asked = opt_asked(all, n + 1, argc, argv, "help");
	free(all);
	if (u->flags & USAGE_KEYS)
		runnerflags_free(&f);
	return asked;
}

/* An option for each key, under the key's section. */
static void
print_keys(FILE *f)
{
	struct runnerflags r;
	size_t from = 0;

	runnerflags_init(&r, help_row, 0);
	while (from < r.n) {
		size_t to = from + 1;

		while (to < r.n && r.key[to]->section == r.key[from]->section)
			to++;
		fprintf(f, "\nFor %s of the runner's entry:\n", key_section_title(r.key[from]->section));
		opt_help(r.opt + from, to - from, f);
		from = to;
	}
	runnerflags_free(&r);
}

void
cmd_print_usage(const char *program, const char *name, const struct usage *u, FILE *f)
{
	struct buf line = { 0 };

	buf_fmt(&line, "Usage: %s %s%s%s%s\n\n%s\n\nOptions:", program, name, u->flags & USAGE_RAW ? "" : " [OPTION...]",
	    u->args[0] != '\0' ? " " : "", u->args, u->about);
	opt_text(f, line.p, 0);
	buf_free(&line);
	opt_help(u->opt, u->nopt, f);
	if (opt_find((struct opt *)(uintptr_t)u->opt, u->nopt, "help") == NULL)
		opt_help(help_row, 1, f);
	if (u->flags & USAGE_KEYS)
		print_keys(f);
}

void
cmd_print_commands(FILE *f)
{
	fprintf(f, "Usage: %s [OPTION...] COMMAND [OPTION...]\n\n", cmd_program);
	opt_text(f, "windlass takes CI jobs from GitLab, creates cloud machines to run them, and removes machines that nobody needs. "
	    "It does the work of gitlab-runner with the docker+machine executor, and of docker-machine; called by either name it answers "
	    "as that program.\n\nCommands:", 0);
	for (size_t i = 0; i < ncommands; i++)
		if (commands[i].help != NULL)
			opt_text(f, commands[i].help, fprintf(f, "  %-12s  ", commands[i].name));
	fprintf(f, "\nOptions, before the command:\n");
	opt_help(cmd_globals, ncmd_globals, f);
	fprintf(f, "\n`%s COMMAND --help` tells more.\n", cmd_program);
}

int
cmd_unknown(const char *name)
{
	const char *near = NULL;
	unsigned least = 4;

	for (size_t i = 0; i < ncommands; i++) {
		unsigned d = commands[i].help != NULL ? str_distance(str_from(name), str_from(commands[i].name)) : 99;

		if (d < least && 2 * d <= strlen(commands[i].name)) {
			least = d;
			near = commands[i].name;
		}
	}
	fprintf(stderr, "FATAL: Command %s not found", name);
	if (near != NULL)
		fprintf(stderr, ": did you mean %s?\n", near);
	else
		fprintf(stderr, ". `%s --help` lists the commands.\n", cmd_program);
	return 1;
}

int
cmd_help(int argc, char **argv)
{
	const struct command *c = argc > 1 ? command_find(argv[1]) : NULL;
	char help[] = "help";

	if (argc < 2) {
		cmd_print_commands(stdout);
		return 0;
	}
	if (c == NULL)
		return cmd_unknown(argv[1]);
	if (c->usage->flags & USAGE_OWN_HELP) {
		argv[0] = argv[1];
		argv[1] = help;
		return c->fn(argc, argv);
	}
	cmd_print_usage(cmd_program, c->name, c->usage, stdout);
	return 0;
}
