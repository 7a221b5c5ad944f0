/*
 * One run of the executor: what it holds open and what it must remember.
 * `struct memory` is stage.json; everything else is made again from the job's
 * directory by whoever starts.
 */
#ifndef JOB_RUN_H
#define JOB_RUN_H

#include "books/failure.h"
#include "docker/engine.h"
#include "job/containers.h"
#include "job/image.h"
#include "job/orders.h"
#include "job/outcome.h"
#include "job/output.h"
#include "job/prepare.h"
#include "job/puller.h"
#include "job/reach.h"
#include "job/stage.h"
#include "job/stages.h"
#include "job/stream.h"
#include "net/dial.h"

enum phase {
	PHASE_ENTER,		/* nothing of it was begun */
	PHASE_STARTED,		/* its container may have been started: ask the engine */
};

struct memory {
	const struct stage *stage;		/* the next one, or the one under way */
	enum phase	 phase;
	int64_t		 item;			/* of the stage, from 0 */
	int64_t		 attempt;		/* of the item, from 1 */
	bool		 cleared;		/* `again` of the stage was run */
	/* This stage's heading is in the trace: said once, however often the stage is begun. */
	bool		 opened;
	char		 tag[17];		/* 16 hex digits in this job's names */
	wall_t		 started;		/* the job's timeout runs from here */
	wall_t		 deadline;		/* of the job */
	wall_t		 stage_deadline;	/* of this stage alone, if known */
	char		 started_before[48];	/* State.StartedAt before this stage's start */
	struct containers containers;
	char		 engine_run[80];	/* see reach_engine_run() */
	bool		 networked;		/* the job's network was created */
	/* The job's script may have been begun: the job cannot go to another machine. */
	bool		 begun;
	/* the outcome so far */
	bool		 failed, system;
	bool		 script_canceled;	/* the script was cancelled; what follows is not */
	enum failure	 failure;
	char		 text[300];
	int64_t		 exit_code;		/* of the script that failed the job */
	char		 status[16];		/* CI_JOB_STATUS */
	/* Members of stage.json that this version does not know: an object's text, written back. */
	struct str	 unknown;
};

/* What is pulled side by side: an image each. */
enum pull { PULL_BUILD, PULL_HELPER, PULLERS };
_Static_assert(PULLERS <= PULLERS_MAX, "the broker has a voice for each");

struct run {
	struct arena	 arena;			/* lives to the end */
	struct arena	 scratch;		/* one exchange with the engine */
	struct payload	 job;
	struct work	 work;
	struct output	 out;
	struct stream	 stream;
	struct memory	 mem;
	struct volumes	 volumes;
	struct engine	*api, *logs;
	int		 dir, lock;
	const char	*machine;
	struct reach	 reach;
	int64_t		 concurrent_id;
	int		 signals;		/* signalfd */
	int		 sigterms;		/* seen: the second means now */
	enum order	 order;
	enum failure	 order_failure;
	char		 order_text[128];
	mono_t		 next_commit;
	const struct stage *running;		/* mem.stage, or what it wants to run before */
	/* An attach to this stage's container was lost before its start: its next run has no stdin. */
	bool		 spent;
	bool		 inherited;		/* the job was begun by another process, and no stage by this one */
	bool		 lost_once;		/* the engine's connection broke under this stage */
	/* This stage's container could not be made or started, by this process. */
	bool		 not_started;
	/* The class of what last failed in this stage; FAILURE_NONE: its error's kind says it. */
	enum failure	 failure;
	int64_t		 exit_code;		/* of the stage's script: OUT_OK, OUT_EXIT */
	bool		 given_back;
	bool		 dirty;			/* something may be left on the machine */
	struct puller	 pullers[PULLERS];
};

/* memory.c: stage.json */
/* 1 read, 0 there is none (the job begins), -1 error. saved is the output's checkpoint. */
int	memory_read(struct run *r, struct json_val *saved, int64_t *trace, struct err *e);
/*
 * Writes what is pending of the trace, then stage.json. Waits for space on a full disk as long as
 * no order comes.
 */
void	job_commit(struct run *r);
/* The same without waiting: -1 (ERR_SYS) when it cannot be written now. */
int	job_commit_once(struct run *r, struct err *e);

#endif
