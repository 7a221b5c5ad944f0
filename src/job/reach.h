/*
 * The way from an executor to its job's machine: where its engine is, with
 * which certificates, whether there still is a machine, and how long to wait
 * for one that does not answer.
 *
 * What counts of the machine is taken before the executor confines itself. An
 * address or certificates that change later are the successor's:
 * reach_exit_if_changed() ends this process.
 */
#ifndef JOB_REACH_H
#define JOB_REACH_H

#include "docker/engine.h"
#include "job/puller.h"

/* How long a machine may be out of reach under a running job before the job is given up. */
#define LOST_LIMIT	(300 * NSEC_SEC)

struct run;
struct sandbox_place;

/* Of the machine, read before the process was confined. */
struct reach {
	char		*address;
	int		 engine_port;
	int		 dir;		/* -1: it is not in the store */
	int		 config;	/* its config.json, to see whether it is still that one */
	struct err	 why;		/* kind ERR_NONE: it can be used */
};

/*
 * Takes what counts of the machine: its address, and its certificates, which stay readable. What is
 * wrong is said by reach_connect(). Returns whether the address is a name, which will have to be
 * looked up.
 */
bool	reach_open(struct run *r);
/*
 * The machine's files and directory, for who is not root and opens them by their paths: at most 6
 * places. How many.
 */
size_t	reach_places(struct run *r, struct sandbox_place *places);
/*
 * Starts the job's pullers (enum pull), each with its voice of the broker; the machine's address and
 * certificates go into the plan. 0 or -1.
 */
int	reach_pullers(struct run *r, struct puller_plan *plan, struct broker *voices,
	    struct err *e);

/* First contact with the machine, before anything is written: -1 the machine is not usable. */
int	reach_connect(struct run *r, struct err *e);
/*
 * The same for a job that a predecessor began: a machine that boots, or a network that is away, has
 * LOST_LIMIT.
 */
int	reach_connect_patiently(struct run *r, struct err *e);
/*
 * The connection broke at `since`: again and again for LOST_LIMIT, while there is a machine. 0 it
 * answers, -1 given up.
 */
int	reach_again(struct run *r, mono_t since, struct err *e);
/*
 * Ends this process with EXIT_RETRY when the machine has a new address or new certificates: the
 * successor reads them.
 */
void	reach_exit_if_changed(const struct run *r);

/*
 * Whether this job's machine is no more: the manager says so, or the store does not have it, or
 * says that it is going.
 */
bool	reach_gone(const struct run *r);
/* Says so: -1. */
int	reach_gone_why(const struct run *r, struct err *e);

/* A call that may be repeated, until call_deadline(); its answer lives in r->scratch. 0 or -1. */
int	reach_call(struct run *r, const char *method, const char *path, struct str body,
	    struct json_val *v, struct err *e);
/*
 * What tells one run of the engine from the next: it makes its default network anew at each start,
 * except when containers lived on through it (live-restore). "" when the engine has no such
 * network. 0 or -1.
 */
int	reach_engine_run(struct run *r, char out[80], struct err *e);

#endif
