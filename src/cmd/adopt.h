/*
 * `windlass adopt`: what windlass would take over from a gitlab-runner and a
 * docker-machine that are here already, and taking it over.
 *
 *	adopt.c		the command: what is asked, in which order, and the doing
 *	adopt_look.c	the store: whose each machine is, whether engine and cloud know it
 *	adopt_proc.c	gitlab-runners that run on this host, and their units
 *	adopt_print.c	all of it as text and as JSON
 *
 * Taking over writes a windlass.json and a lock beside each machine's config.json, and nothing else: the original does not
 * look at them, so the way back is to stop windlass and to start gitlab-runner.
 */
#ifndef CMD_ADOPT_H
#define CMD_ADOPT_H

#include <sys/types.h>

#include "books/store.h"
#include "cmd/check.h"
#include "machine/certs.h"

/* What becomes of a machine of the store. */
enum adopt_fate {
	ADOPT_TAKE,		/* made by the original, named as a runner of ours names its machines */
	ADOPT_OURS,		/* has our record already */
	ADOPT_BY_HAND,		/* windlass made it by hand: the pool leaves it alone */
	ADOPT_FOREIGN,		/* its name is no runner's */
	ADOPT_OTHERS,		/* another windlass's: its record names another owner */
	ADOPT_NO_DRIVER,	/* of a cloud that windlass does not know, so it could not be removed */
	ADOPT_BROKEN,		/* it cannot be read: *why */
	ADOPT_NFATES,
};

/* What engine and cloud said; empty texts: they were not asked. Written through a pipe, so of fixed size. */
struct adopt_probe {
	bool	engine_ok, cloud_ok, cloud_gone;
	char	engine[512];	/* its version, or why it does not answer */
	char	cloud[512];	/* its state, or why there is none */
};

struct adopt_machine {
	const char		*name;
	enum adopt_fate		 fate;
	const struct runner	*runner;	/* whose it is or will be; NULL: nobody's here */
	size_t			 rivals;	/* runners beside that one whom the original would have let use it */
	const char		*driver, *ip;
	wall_t			 created;
	int64_t			 uses;		/* -1: the original does not write them down */
	const char		*why;		/* ADOPT_BROKEN */
	struct adopt_probe	 probe;
	/* the doing */
	bool			 done;
	const char		*failed;	/* NULL: not */
};

/* A gitlab-runner that runs here. */
struct adopt_process {
	pid_t		 pid;
	const char	*config;	/* as it was given, or its default */
	bool		 same_config;
	const char	*unit;		/* systemd's; "" none */
	bool		 user_unit;	/* of a user's systemd */
	bool		 contained;	/* in a container: its paths are not ours */
	const char	*store;		/* "" unknown */
};

struct adopt {
	struct arena		 arena;
	struct check		 check;
	char			*store, *state_dir;
	uid_t			 uid;		/* the store's: what we write there becomes its owner's */
	gid_t			 gid;
	char			 owner[17];	/* "" : windlass has not run here yet */
	struct certs_facts	 certs;
	struct err		 certs_err;	/* kind ERR_NONE: they are good */
	struct adopt_machine	*machines;
	size_t			 n, fates[ADOPT_NFATES];
	struct adopt_process	*processes;
	size_t			 nprocesses;
	const char		*enabled_unit;	/* a gitlab-runner that would start with the host; NULL: none */
	int			 manager_pid;	/* a windlass that runs on this state directory; 0: none */
	bool			 probed;
	bool			 did;		/* the doing was begun */
	const char		*in_the_way;	/* why it must not be done now; NULL: nothing is */
};

/* Which runner a machine without a record belongs to; NULL: none. *rivals: how many more claim it. */
const struct runner *adopt_runner_of(const struct config *c, struct str name, size_t *rivals);
/* Fills machines; 0 or -1. a->store, owner and check.config are set. */
int	adopt_look(struct adopt *a, struct err *e);
/* Asks engine and cloud about every machine that is to be taken over or ours. */
void	adopt_ask(struct adopt *a, dur_t limit_ns);
/* Writes the record of one machine of fate ADOPT_TAKE: it is ours from then on. One of ADOPT_OURS is only gone over again. */
int	adopt_take(const struct adopt *a, const struct adopt_machine *m, struct err *e);

/*
 * gitlab-runners in a proc file system, windlass under that name left out. config: the absolute path of ours. The array lives in the
 * arena; the count is returned.
 */
size_t	adopt_processes(struct arena *a, const char *proc, const char *config, struct adopt_process **out);
/* The unit of a gitlab-runner that starts with the host, "" + name below root (/etc/systemd/system); NULL: none. */
const char *adopt_enabled_unit(struct arena *a, const char *root);

void	adopt_print_text(const struct adopt *a, FILE *f);
/* After the doing. */
void	adopt_print_done(const struct adopt *a, FILE *f);
void	adopt_print_json(const struct adopt *a, FILE *f);

#endif
