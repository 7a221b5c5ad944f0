/*
 * `windlass check`: what a config.toml means here, read as windlass reads it.
 *
 *	check.c		the command; the keys: known, of the right type, what becomes of each
 *	check_rules.c	what values mean, alone and together
 *	check_traps.c	what runs, and hardly as meant
 *	check_paste.c	removed keys, answered with the lines that say the same today
 *	check_env.c	the environment of the service whose file it is
 *	check_jobs.c	[runners.docker], asked of the executor's own code
 *	check_online.c	whether what it names exists: GitLab, cloud, mirrors, caches
 *	check_print.c	the findings as text and as JSON
 *
 * Each finding is about one line of the file. A finding never shows a value that may be a secret. An error is what `run` skips
 * the entry or the whole file for, and nothing else: check_judge() is asked by both.
 */
#ifndef CMD_CHECK_H
#define CMD_CHECK_H

#include "config/config.h"
#include "config/keys.h"

enum check_level { CHECK_INFO, CHECK_WARNING, CHECK_ERROR, CHECK_NLEVELS };

/* What becomes of the key. */
enum check_verdict {
	CHECK_HONOURED,
	CHECK_DIFFERENT,	/* honoured, and not just as gitlab-runner does it */
	CHECK_LATER,		/* accepted, not honoured by this version */
	CHECK_NO_EFFECT,	/* accepted, can have none */
	CHECK_UNKNOWN,
	CHECK_REFUSED,		/* with this, the entry or the whole does not run */
	CHECK_TRAP,		/* it runs, but hardly as meant */
	CHECK_ASKED,		/* --online: found out by asking */
	CHECK_NVERDICTS,
};

struct check_note {
	struct check_note	*next;
	size_t			 number;	/* in the order they were made */
	enum check_level	 level;
	enum check_verdict	 verdict;
	int			 line;		/* 0: of no line */
	const char		*runner;	/* name; NULL: of no entry */
	const char		*section, *key;	/* "" if of none */
	const char		*text;
	const char		*paste;		/* lines to put into the file; NULL */
};

struct check {
	struct arena		 arena;
	const char		*path;
	struct str		 text;
	struct toml		*root;		/* NULL: it is not TOML */
	struct config		*config;	/* NULL: the manager would refuse it */
	struct check_note	*first, **last, *latest;
	size_t			 count[CHECK_NLEVELS];
	bool			 all;		/* also what is honoured as ever */
	bool			 judging;	/* for run: no file is looked at, and nobody reads what is no error */
	bool			 own_environment;	/* it is the service's, or is to be taken for it */
	/* what the notes made now are about */
	const struct runner	*runner;
};

struct check_at {
	int			 line;
	const char		*section, *key;
};
#define CHECK_AT_KEY(k, l)	((struct check_at){ (l), key_section_title((k)->section), (k)->name })
#define CHECK_AT_LINE(l)	((struct check_at){ (l), "", "" })

void	check_say(struct check *c, enum check_level level, enum check_verdict verdict, struct check_at at,
	    const char *fmt, ...) PRINTFLIKE(5, 6);

/* Lines to paste, with the finding that was made last. */
void	check_say_paste(struct check *c, struct str lines);
/* The worst that can be said about a key: an error only of what is honoured, for nothing else stops an entry. */
enum check_level check_worst(const struct key *k);
/* By what the error is: a file that is not there today may be there tomorrow, and run does not wait for it. */
enum check_level check_level_of(const struct err *e);

/* A config_judge: the first error of an entry, as `run` says it. */
const char *check_judge(struct arena *a, const struct config *conf, struct runner *r, const struct toml *t);

/* What the value of one key means. */
void	check_value(struct check *c, const struct key *k, const struct toml *v);
/* What the keys of the file mean together; and of one entry, t its table. */
void	check_whole(struct check *c);
void	check_runner(struct check *c, const struct runner *r, const struct toml *t);
/* [runners.docker] of an entry, and its [runners.feature_flags]. */
void	check_docker(struct check *c, const struct runner *r, const struct toml *docker, const struct toml *flags);
/* What runs, and hardly as meant: of the entry, of [runners.machine] (with driver and options), of the whole. */
void	check_runner_traps(struct check *c, const struct runner *r, const struct toml *t);
void	check_machine_traps(struct check *c, const struct runner *r, const struct toml *machine);
void	check_option_traps(struct check *c, const struct runner *r, const struct toml *machine);
/* A value of a key that is not expanded, and looks as if somebody thought so. */
bool	check_looks_expanded(struct str value);
/* Removed keys whose section can say the same today. */
void	check_paste_machine(struct check *c, const struct toml *machine);
void	check_paste_cache(struct check *c, const struct toml *cache);
bool	check_has_flat_cache(const struct toml *cache);
/* Whether the finding of this key is made by one of those two. */
bool	check_pasted(const struct key *k, const struct toml *section);
/*
 * When root asks for the file of the installed service: what the service has in its environment becomes ours. True when it was that
 * file.
 */
bool	check_service_environment(const char *config);

/* Asks everybody. */
void	check_online(struct check *c);

/* How many errors are about this entry: it runs when there are none. */
size_t	check_errors(const struct check *c, const struct runner *r);

/* Reads a file (config NULL: the default one) for judging: 0, or -1 when it cannot be read. check_close() in both cases. */
int	check_open(struct check *c, const char *config, struct err *e);
/* All that can be said without asking anybody. */
void	check_file(struct check *c);
void	check_close(struct check *c);

/* A value of a file or of somebody else, without control characters: they must not reach the terminal. */
void	check_put(FILE *f, const char *s);
/* One finding, one line. */
void	check_print_note(const struct check *c, const struct check_note *n, FILE *f);
/* How many entries would run. */
size_t	check_runnable(const struct check *c);
void	check_print_text(const struct check *c, FILE *f);
void	check_print_json(const struct check *c, FILE *f);

/* A key's place where the table t of its section holds it; else the table's own. */
struct check_at	check_at(enum key_id id, const struct toml *t);

#endif
