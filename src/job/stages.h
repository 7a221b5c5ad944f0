/*
 * The stages of a job in their order, as a table: a stage is a row here and
 * its script function. How far a job is, what may end it, what follows a
 * failure, which limit holds and what `windlass ls` calls it all come from the
 * rows; no other file compares one stage with another.
 *
 * A row may be run several times, once for each of its items, and any number
 * of rows may stand before and after the script: each says where it runs, on
 * which side of the script it is, and after what kind of job it has a place.
 */
#ifndef JOB_STAGES_H
#define JOB_STAGES_H

#include "job/work.h"

struct run;

/* What became of a stage. */
enum outcome {
	OUT_OK,
	OUT_EXIT,		/* the script ended with r->exit_code != 0 */
	OUT_TIMEOUT,		/* the job's time is over */
	OUT_STAGE_TIMEOUT,	/* the stage's own time is over */
	OUT_CANCELED,		/* an order: r->order */
	OUT_FAILED,		/* the machine, the engine or the configuration: *e, r->failure */
};

enum stage_where {
	STAGE_NOWHERE,		/* the job's end, the last row */
	STAGE_ENGINE,		/* calls of the executor to the machine's engine: `engine` */
	STAGE_HELPER,		/* a script in the helper container */
	STAGE_BUILD,		/* a script in the build container */
};

/*
 * Which side of the job's script. A cancel ends the whole job before the
 * script, the script alone while it runs, and nothing after it. A machine's
 * fault sends the job to another machine until its script has begun. Those
 * after it are told CI_JOB_STATUS.
 */
enum stage_side { STAGE_BEFORE, STAGE_SCRIPT, STAGE_AFTER };

enum {
	STAGE_ON_OK = 1 << 0,		/* has a place in a job that has not failed */
	STAGE_ON_FAILURE = 1 << 1,	/* has a place in a job that has */
	STAGE_ALWAYS = STAGE_ON_OK | STAGE_ON_FAILURE,
	STAGE_IF_SCRIPT = 1 << 2,	/* only where the script had its turn */
	STAGE_QUIET = 1 << 3,		/* its failure is the runner's: not in the job's log */
	STAGE_LIMIT_ENDS = 1 << 4,	/* its own limit ends the job at once */
	STAGE_AHEAD = 1 << 5,		/* the build container is made while it runs */
};

struct stage_limit {
	/* 0: none. NULL: there never is one. */
	dur_t		(*length)(const struct work *w);
	const char	*variable;	/* of the job, that says it; NULL: */
	int		 key;		/* the key of config.toml that does: enum key_id */
	bool		 from_job;	/* counts from the job's first stage, not this one */
};

struct stage {
	/* In stage.json: never changed, never given to another stage. */
	const char	*name;
	/* gitlab-runner's name, in the log's section marks and in `windlass ls`. */
	const char	*section;
	const char	*heading;	/* of the section; "%s" in it is the section's name */
	enum stage_where where;
	enum stage_side	 side;
	unsigned	 when;
	struct stage_limit limit;
	bool		(*wanted)(const struct work *w);		/* NULL: by every job */
	size_t		(*items)(const struct work *w);			/* NULL: one */
	/* The section of an item; NULL: the stage's. */
	const char	*(*item_section)(const struct work *w, size_t item);
	void		(*script)(const struct work *w, size_t item, struct buf *b);
	enum outcome	(*engine)(struct run *r, struct err *e);
	/* True when one line says all that the script would, and it need not run. */
	bool		(*said)(const struct work *w, struct buf *line);
	int		(*attempts)(const struct work *w);		/* NULL: one */
	const struct stage *again;	/* run before the second attempt, under this stage's name */
	/* Whether the job goes on in spite of its exit code; NULL: never. */
	bool		(*soft)(const struct work *w);
	/* Around "exit code N" in the job's last line; NULL: nothing. */
	const char	*exit_noun, *exit_hint;
};

/* The rows by number; NULL behind the last one. */
const struct stage *stage_at(size_t i);
/* The stage of that name, NULL: this version has none. */
const struct stage *stage_find(struct str name);
bool	stage_is_end(const struct stage *s);
/* The last row, the job's end. */
const struct stage *stage_end(void);
/* The next stage that has a place in the job, which has failed or not when `s` is over. */
const struct stage *stage_next(const struct stage *s, const struct work *w, bool failed);
/* Whether the job wants it at all. */
bool	stage_wanted(const struct stage *s, const struct work *w);

/* How many items it has for this job. */
size_t	stage_items(const struct stage *s, const struct work *w);
/* The section of one of them, and the heading, which is appended. */
const char *stage_section(const struct stage *s, const struct work *w, size_t item);
void	stage_put_heading(const struct stage *s, const struct work *w, size_t item, struct buf *b);
int	stage_attempts(const struct stage *s, const struct work *w);
/* Its own limit; 0: none. */
dur_t	stage_limit(const struct stage *s, const struct work *w);
/* The setting or variable that says it, of a stage that may have one. */
const char *stage_limit_name(const struct stage *s);

/*
 * gitlab-runner's name for a stage that stage.json names; "" at the end, the name itself where it
 * is a newer version's.
 */
struct str stage_shown(struct str name);

#endif
