/*
 * The options of `register` that stand for keys of a [[runners]] entry, made
 * from the one table of keys (config/keys.h), and the entry that they make. Options
 * and variables are gitlab-runner's (spec gitlab-runner 2.4 to 2.12).
 */
#ifndef CMD_RUNNERFLAGS_H
#define CMD_RUNNERFLAGS_H

#include "config/keys.h"
#include "core/buf.h"
#include "core/opt.h"
#include "wire/toml.h"

struct runnerflags {
	struct opt		 *opt;		/* the caller's own first */
	size_t			  n, nown;
	const struct key	**key;		/* which each stands for; NULL: an own one */
};

/* A row for each key with a flag behind the caller's own rows, which are copied. */
void	runnerflags_init(struct runnerflags *f, const struct opt *own, size_t nown);
/*
 * Parses argv[1..] and the environment. "--switch true" is taken as meant, with a warning, where gitlab-runner would drop
 * all that follows; other words are an error. Every value is checked against its key's type: ERR_CONFIG names the option.
 */
int	runnerflags_parse(struct runnerflags *f, int argc, char **argv, struct err *e);
void	runnerflags_free(struct runnerflags *f);
/* One of the caller's own, or the string option of a key. */
struct opt	*runnerflags_opt(const struct runnerflags *f, const char *name);
/* The option of a key that has one. */
struct opt	*runnerflags_of(const struct runnerflags *f, enum key_id id);
/* The text of a string option; "" if it was neither given nor set. */
const char	*runnerflags_str(const struct runnerflags *f, const char *flag);
/* As if it had been given: answers to questions. */
void	runnerflags_set(struct runnerflags *f, const char *flag, const char *value);

/* What is not an option but learned on the way. */
struct entry_facts {
	const char	*array;		/* the array's name as the file has it: "runners" */
	int64_t		 id;
	const char	*obtained, *expires;	/* dates as TOML text */
};
/*
 * Prints the entry, "[[runners]]" and all its sections. Where an option says nothing, or has a zero value, `template` (a
 * [[runners]] table, text its file; or NULL) says it. Of a template are kept: keys that nobody knows, services,
 * autoscaling and what else has no option; not: token, and sections of other executors.
 */
int	runnerflags_entry(const struct runnerflags *f, const struct entry_facts *facts, const struct toml *template,
	    struct str template_text, struct buf *out, struct err *e);

#endif
