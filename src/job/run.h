/*
 * One run of the executor: what it holds open and what it must remember.
 * `struct memory` is stage.json; everything else is made again from the job's
 * directory by whoever starts.
 */
#ifndef JOB_RUN_H
#define JOB_RUN_H

#include <sys/types.h>

#include "books/failure.h"
#include "docker/engine.h"
#include "job/container.h"
#include "job/image.h"
#include "job/output.h"
#include "job/puller.h"
#include "job/stages.h"
#include "net/dial.h"

/* How long a machine may be out of reach under a running job before the job is given up. */
#define LOST_LIMIT	(300 * NSEC_SEC)

enum phase {
	PHASE_ENTER,		/* nothing of it was begun */
	PHASE_STARTED,		/* its container may have been started: ask the engine */
};

enum order { ORDER_NONE, ORDER_CANCEL, ORDER_ABORT };

struct memory {
	const struct stage *stage;		/* the next one, or the one under way */
	enum phase	 phase;
	int64_t		 item;			/* of the stage, from 0 */
	int64_t		 attempt;		/* of the item, from 1 */
	bool		 cleared;		/* the worktree was cleared before the second attempt */
	bool		 opened;		/* this stage's section and heading are in the trace: said once, however often it is begun */
	char		 tag[17];		/* 16 hex digits in this job's names */
	wall_t		 started;		/* of the job's first stage: the timeout runs from here */
	wall_t		 deadline;		/* of the job */
	wall_t		 stage_deadline;	/* of this stage alone, if known */
	char		 helper[80], build[80];	/* container ids; "" not created */
	int64_t		 helper_taken, build_taken;	/* bytes of each one's log already in the trace */
	char		 started_before[48];	/* State.StartedAt before this stage's start */
	char		 helper_image[256], build_image[256];
	char		 engine_run[80];	/* see engine_run() */
	bool		 networked;		/* the job's network was created */
	bool		 begun;			/* the job's own script may have been begun: it cannot go to another machine */
	/* the outcome so far */
	bool		 failed, system;
	bool		 script_canceled;	/* the script was cancelled; what follows is not */
	enum failure	 failure;
	char		 text[300];
	int64_t		 exit_code;		/* of the script that failed the job */
	char		 status[16];		/* CI_JOB_STATUS */
	struct json_val	*unknown;		/* members of stage.json that this version does not know: written back */
	size_t		 nunknown;
};

struct run {
	struct arena	 arena;			/* lives to the end */
	struct arena	 scratch;		/* one exchange with the engine */
	struct payload	 job;
	struct work	 work;
	struct output	 out;
	struct memory	 mem;
	struct volumes	 volumes;
	struct engine	*api, *logs;
	int		 dir, lock;
	char		*machine;
	/* of the machine, read before this process was confined */
	char		*address;
	int		 engine_port;
	int		 machine_dir;		/* -1: it is not in the store */
	int		 machine_config;	/* its config.json, only to see whether it is still that one */
	struct err	 machine_why;		/* kind ERR_NONE: it can be used */
	int64_t		 concurrent_id;
	int		 signals;		/* signalfd */
	int		 sigterms;		/* seen: the second means now */
	enum order	 order;
	enum failure	 order_failure;
	char		 order_text[128];
	mono_t		 next_commit;
	bool		 lost_once;		/* the engine's connection broke under this stage */
	bool		 not_started;		/* this stage's container could not be made or started, by this process */
	/* The class of what last failed in this stage; FAILURE_NONE: its error's kind says it. */
	enum failure	 failure;
	int64_t		 exit_code;		/* of the stage's script, with OUT_OK and OUT_EXIT */
	bool		 given_back;
	bool		 dirty;			/* something of this job may be left on the machine */
	struct broker	 broker;
	struct puller	 puller;		/* of the build image */
};

/* memory.c: stage.json */
/* 1 read, 0 there is none (the job begins), -1 error. saved is the output's checkpoint. */
int	memory_read(struct run *r, struct json_val *saved, int64_t *trace, struct err *e);
/* Writes what is pending of the trace, then stage.json. Waits for space on a full disk as long as no order comes. */
void	commit(struct run *r);

/* outcome.c: how the job stands */
/* Notes the first failure; what fails after it does not change the result (spec gitlab-runner 7.4). */
void	outcome_fail(struct run *r, enum failure why, int64_t code, const char *text);
/* The job's own time limit is over. */
void	outcome_fail_time(struct run *r);
/* Somebody ended the job: r->order. */
void	outcome_fail_order(struct run *r);
/* Turns what became of the current stage into what becomes of the job. */
void	outcome_settle(struct run *r, enum outcome out, const struct err *e);
/* Whether nothing but the end may follow: aborted, cancelled before the script, out of time, or the machine is lost. */
bool	outcome_ends_job(const struct run *r, enum outcome out);

/* stage.c: containers and scripts */
/* Makes the wait functions of net end by the order signal; takes an order that is there. */
void	orders_heed(struct run *r);
void	orders_read(struct run *r);
mono_t	deadline_of(const struct run *r);
/* Whether the job's own time limit is over; not one of the script or the stage alone. */
bool	time_is_over(const struct run *r);
/* The beginning of a stage's section in the job's log, with its heading. */
void	stage_open_section(struct run *r, const struct stage *s, size_t item);
/* Runs the script of one item in its container, as the current stage. *e and r->failure for OUT_FAILED. */
enum outcome stage_run(struct run *r, const struct stage *s, size_t item, struct err *e);
void	say(struct run *r, void (*style)(struct buf *b, const char *fmt, ...), const char *fmt, ...) PRINTFLIKE(3, 4);

/* prepare.c */
/*
 * Takes what counts of the machine: its address, and its certificates, which stay readable. What is wrong is said by machine_connect().
 * Returns whether the address is a name, which will have to be looked up.
 */
bool	machine_open(struct run *r);
/* The machine's files and directory, for who is not root and opens them by their paths: at most 6 places. How many. */
struct sandbox_place;
size_t	machine_places(struct run *r, struct sandbox_place *places);
/* Whether this job's machine is no more: the manager says so, or the store does not have it, or says that it is going. */
bool	machine_gone(const struct run *r);
/* Says so: -1. */
int	machine_gone_why(const struct run *r, struct err *e);
/* First contact with the machine, before anything is written: -1 the machine is not usable. */
int	machine_connect(struct run *r, struct err *e);
/* Starts the job's puller; the machine's address and certificates go into the plan. 0 or -1. */
int	machine_puller(struct run *r, struct puller_plan *plan, struct broker *voice,
	    struct err *e);
/* The stage prepare_executor: leftovers removed, images, network, volumes and the helper container made. */
enum outcome prepare_executor(struct run *r, struct err *e);
/* Waits for the puller and prints its lines. 0 (at once when the image is known), or -1 with r->failure. */
int	build_image_ready(struct run *r, struct err *e);
/*
 * What tells one run of the engine from the next: it makes its default network anew at each start, except when
 * containers lived on through it (live-restore). "" when the engine has no such network. 0 or -1.
 */
int	engine_run(struct run *r, char out[80], struct err *e);
/* Creates a container and puts its id into memory. 0, or -1 with r->failure. */
int	container_make(struct run *r, enum container_kind kind, struct err *e);
/* The build container, made while the sources are fetched if its image is there: its failure is left to whoever needs it. */
void	build_container_ahead(struct run *r);
/*
 * Whether the job failed before its own first line for a reason that the engine explains itself and that is its machine's
 * (policy/fault.h): then it may go to another one.
 */
bool	machine_unfit(const struct run *r, const struct err *e);
/* Removes the job's containers, temporary volumes and network; r->dirty when something may be left. */
void	machine_tidy(struct run *r);

#endif
