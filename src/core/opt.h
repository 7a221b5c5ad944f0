/*
 * Command-line options from tables, in the forms both old programs take:
 * --name value, --name=value, -n value, single dash long names, booleans bare or with =.
 * Options may stand before or after positional words; "--" ends them.
 */
#ifndef CORE_OPT_H
#define CORE_OPT_H

#include "core/err.h"
#include "core/str.h"

enum opt_type { OPT_STRING, OPT_BOOL, OPT_INT, OPT_LIST };

struct opt {
	const char	*name;		/* long name without dashes */
	char		 letter;	/* or 0 */
	enum opt_type	 type;
	const char	*env;		/* variable that gives a default, or NULL; empty counts as unset */
	const char	*help;		/* one line; NULL hides it */
	const char	*arg;		/* what its value is, for --help: "FILE", "a|b"; NULL: VALUE, or N for a number */
	/* results, malloc'd by the parser (opt_free) */
	const char	*value;		/* OPT_STRING; NULL if not given */
	int64_t		 number;	/* OPT_INT and OPT_BOOL */
	const char	**list;		/* OPT_LIST */
	size_t		 nlist;
	bool		 given;		/* on the command line or by its variable */
};

/* What stands between the options; begins with n = 0. */
struct opt_words {
	const char	**v;		/* the caller's, room for argc; views of argv */
	size_t		 n;
	bool		 end_options;	/* set by the caller: behind a word nothing is an option (ssh NAME CMD...) */
};

/*
 * Parses argv[1..argc); words (NULL: there must be none) are collected in order.
 * 0, or -1 with a sentence naming the option.
 */
int	opt_parse(struct opt *opts, size_t n, int argc, char **argv, struct opt_words *words, struct err *e);
struct opt *opt_find(struct opt *opts, size_t n, const char *name);
/* The name (of those that --help shows, and "help") nearest to a misspelt one, with at least half of its letters; NULL when nothing is near. */
const char *opt_nearest(const struct opt *opts, size_t n, struct str name);
/* Whether this switch stands among the options, without parsing them: also when they are wrong. */
bool	opt_asked(const struct opt *opts, size_t n, int argc, char **argv, const char *name);
void	opt_free(struct opt *opts, size_t n);
/* How wide a text for people may be: the terminal's width, 40 to 100; 80 where f is no terminal. */
int	opt_columns(FILE *f);
/*
 * Prints a text broken between words to opt_columns(), the first line from `column` on, where the cursor is already, the others
 * indented to it. "\n" breaks a line behind a full stop, a colon or another "\n"; elsewhere it is a blank.
 */
void	opt_text(FILE *f, const char *text, int column);
/* The options part of a --help text from the table, aligned, wrapped by opt_text(). */
void	opt_help(const struct opt *opts, size_t n, FILE *f);

#endif
