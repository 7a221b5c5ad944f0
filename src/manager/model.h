/*
 * The manager's tables: pools, machines, jobs and children. They are a cache
 * of the two directories, made by model_scan() at start and kept by the same
 * code afterwards; nothing here is the only copy of anything.
 *
 * Everything is malloc'd, on one list each, freed by one function each.
 */
#ifndef MANAGER_MODEL_H
#define MANAGER_MODEL_H

#include <sys/types.h>

#include "books/jobdir.h"
#include "books/store.h"
#include "config/config.h"
#include "core/chan.h"
#include "core/list.h"
#include "core/mono.h"
#include "core/proc.h"
#include "machine/certs.h"
#include "policy/retry.h"
#include "policy/scale.h"
#include "wire/json.h"

struct manager;
struct catalog_calls;
struct watch;
struct events;
struct metrics;
struct target;
struct snapshot;
struct rounds;

typedef void watch_fn(struct manager *m, struct watch *w);

/* A descriptor in the loop. ready is called when it has something (or is at its end). */
struct watch {
	int		 fd;		/* -1: not watched */
	watch_fn	*ready;
	void		*owner;
};

/*
 * A process we look after: our own child, or one that an earlier manager
 * started and that we found by its lock (adopted: no exit status to be had).
 */
struct child {
	pid_t		 pid;		/* 0: none */
	bool		 adopted;
	struct watch	 exit;		/* pidfd */
	struct watch	 control;	/* pollers and operators */
	struct chan_talk talk;		/* over it */
	mono_t		 started;	/* the last time; MONO_NEVER: not yet */
	unsigned	 deaths;	/* in a row, without progress */
	mono_t		 again;		/* not to be started before; MONO_AT_ONCE when it is made */
	char		 error[256];	/* its own last words */
};

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_ENDED };

struct job {
	struct list	 link;
	char		*id;		/* its directory's name */
	struct pool	*pool;
	enum job_state	 state;
	wall_t		 queued;	/* when it began to wait in GitLab, as GitLab says */
	wall_t		 arrived, assigned, ended;
	struct machine	*machine;	/* NULL: none yet, or it is gone */
	char		 machine_name[MACHINE_NAME_MAX + 1];
	struct child	 executor, reporter;
	bool		 begun;		/* stage.json exists: it cannot go to another machine */
	bool		 reported;
	bool		 lost;		/* its executor does not reach the machine */
	bool		 dirty;
	bool		 unspeakable;	/* its files are damaged, and its reporter cannot even tell GitLab */
	unsigned	 machines_tried;
	char		 refused[200];	/* why the last of them could not be used; "" not said */
	int64_t		 slot;		/* CI_CONCURRENT_ID: the lowest number no other running job of the pool has */
	int		 wd;		/* inotify watch of its directory */
	char		 waiting[320];	/* what it waits for now; its own log is told what lasts (jobs.c) */
	wall_t		 waiting_until;	/* when that ends at the latest, if time alone ends it; WALL_UNKNOWN: else */
	mono_t		 waiting_since;	/* MONO_NEVER: `waiting` was never set */
	uint64_t	 told[4];	/* hashes of what its log was told, the newest last */
	mono_t		 told_at;	/* MONO_NEVER: nothing yet */
	/* for people and metrics, from runner.json */
	char		*name, *stage, *project, *url;
	char		 project_running[12];
	double		 queued_s;	/* at GitLab; < 0 unknown, and the next two */
	int64_t		 queue_size, queue_depth;
	char		 doing[40];	/* the stage its executor is in, as far as was looked at */
	bool		 stage_news;	/* stage.json was written since */
	bool		 announced;	/* its poller has said so: no message about it is on its way any more */
	bool		 created;	/* without SCALE_QUEUE: a machine was made for it */
	unsigned	 creations;	/* how many of those failed */
	char		 result[40];	/* "success" or the failure reason; "" while there is none */
	char		 result_text[200];
	const char	*waiting_why;	/* the same in one word; static */
};

struct machine {
	struct list	 link;
	char		 name[MACHINE_NAME_MAX + 1];
	struct pool	*pool;
	enum scale_state state;
	enum machine_phase phase;
	unsigned	 flags;		/* enum scale_flags */
	wall_t		 created, used;
	uint32_t	 uses;
	uint16_t	 failures;
	uint16_t	 removal_retries, drain_tries;
	struct job	*job;
	struct child	 operator;
	char		 doing[8];	/* what its operator does: create, remove, settle, look */
	struct account	*asks;		/* whom its operator will ask `calls` times; NULL: nobody, or it has */
	int		 calls;
	char		 why[160];	/* reason of its removal */
	wall_t		 not_before;	/* what the cloud demanded when the creation failed; WALL_UNKNOWN: nothing */
	wall_t		 settle_at;	/* when create calls without an answer can be settled; WALL_UNKNOWN: none */
	wall_t		 create_started, remove_started;	/* WALL_UNKNOWN: before this manager */
	const struct target *target;	/* manager/metrics.h; NULL: not looked at yet */
	mono_t		 check_at;	/* its next health check; MONO_AT_ONCE when it is made */
	mono_t		 tried_at;	/* when its engine last made a container, as far as is known; MONO_NEVER: not yet */
	uint16_t	 system_failures; /* of its jobs, in a row */
	int64_t		 ends;		/* when its certificates do, Unix s; 0: not known */
	bool		 doubted;	/* somebody could not reach it: the cloud is to be asked whether it still exists */
	mono_t		 look_after;	/* not to be asked about before; MONO_NEVER: no doubt so far, the first one is at once */
};

/* One poller process; a pool has request_concurrency of them at most. */
struct poller {
	struct list	 link;
	struct pool	*pool;
	struct child	 child;
	bool		 asked;		/* a request is under way */
	mono_t		 asked_at;	/* the last one; MONO_NEVER: none yet */
	struct machine	*acquired;	/* without SCALE_QUEUE: held for the job that the request may bring */
	bool		 leaving;	/* was told to stop */
	uint64_t	 plan_hash;
	int64_t		 files_mtime;	/* newest of the certificate files when it was started: it cannot look at them itself */
};

/* The machines and jobs of one [[runners]] entry; conf is NULL when it left the configuration (its machines are drained, after a grace). */
struct pool {
	struct list	 link;
	char		 key[9];
	struct runner	*conf;
	char		*runner, *runner_name;	/* short token and name, kept when the entry has gone; NULL: never known */
	struct list	 pollers;
	wall_t		 left;		/* since when there is no entry that can run; WALL_UNKNOWN: there is */
	dur_t		 grace;		/* how long idle machines stay all the same: the entry's last IdleTime */
	struct scale_gate gate;
	struct budget	 growth;	/* its own pace of creations */
	struct account	*account;	/* whose limits it shares; NULL: not configured */
	int		 section;	/* which [[runners.machine.autoscaling]] holds; -1: none */
	wall_t		 section_from, section_until;	/* between these that is known; until WALL_UNKNOWN: ask */
	struct health	 health;
	struct adaptive	 adaptive;
	struct pace	 pace;
	wall_t		 ask_after;	/* pace and hints; WALL_UNKNOWN: at once */
	struct instance	*instance;
	struct scale_plan plan;
	int		 ask;		/* of the last plan */
	bool		 unfinished;	/* a poller died with an answer in its hands: the next one is started for it, whatever else */
	bool		 exceeded, passed_over;	/* for metrics: more requests wanted than allowed; token refused */
	wall_t		 wake_at;	/* WALL_UNKNOWN: none */
	char		 create_error[200];	/* of the last creation that failed; "" since one succeeded */
	enum scale_why	 held_noted;	/* what held creation back when that was last noted */
	char		 trouble[200];	/* why no answer of GitLab's was had, the last time; "" it was */
	uint64_t	 told;		/* hash of the last complaint about GitLab that was logged; 0 none */
	mono_t		 told_at;	/* MONO_NEVER: none so far */
};

/* One cloud account, shared by the pools with its credentials. */
struct account {
	struct list	 link;
	char		 key[9];
	struct budget	 budget;	/* blocked while the cloud says so */
	enum scale_why	 blocked;	/* why it is, or last was: QUOTA or THROTTLED */
	char		 error[200];	/* in the cloud's words */
	const struct catalog_calls *limit;	/* NULL: none is known */
	struct budget_minute minute;	/* calls that operators have made */
	int		 under_way;	/* those that they are about to make */
	mono_t		 say;		/* that somebody waits for the limit, again; MONO_AT_ONCE when it is made */
};

/* Back-off of one GitLab instance, shared by its pools. */
struct instances {
	struct list	 link;
	char		 key[9];
	struct instance	 state;
};

/* One manager's life as other processes are told of it (handover.c). */
struct life {
	char		 id[17];	/* another one for each start */
	wall_t		 began;
	bool		 ready;		/* the first round is over */
	bool		 ends;		/* LEAVING: ends instead of becoming its successor */
	bool		 level_given, format_given;	/* by the command line or the environment */
	wall_t		 left;		/* when our predecessor stopped asking; WALL_UNKNOWN: not known */
	dur_t		 blind;		/* from then until we asked; -1: not known */
	int		 adopted;	/* executors and reporters found alive */
	mono_t		 watchdog;	/* when the service manager wants to hear from us; MONO_NEVER: it does not */
};

struct manager {
	struct config	*config;
	char		*config_path;
	/* reload.c: what the file last decided on looked like; one that is looked at, since when; SIGHUP came; it was refused */
	uint64_t	 config_stamp, config_pending;
	mono_t		 config_since;	/* of config_pending; MONO_NEVER: none so far */
	bool		 config_forced, config_refused;
	char		 system_id[15];
	char		 owner[17];
	char		*state_dir, *store;
	struct {
		int64_t		 ends;		/* when the store's certificate authority does, Unix s; 0: there is none */
		mono_t		 look, say;	/* when to look, and to warn, again; MONO_AT_ONCE when it is made */
	} ca;
	int		 state_fd, jobs_fd, lock_fd;
	int		 epoll, inotify;
	int		 jobs_wd;	/* inotify watch of jobs/ itself */
	struct watch	 signals, notify;
	struct list	 pools, machines, jobs, instances, accounts;
	/* LEAVING: the next manager takes over, jobs and all (handover.c) */
	enum manager_phase { MANAGER_RUNNING, MANAGER_DRAINING, MANAGER_STOPPING, MANAGER_LEAVING } phase;
	int		 stop_signal;
	mono_t		 stop_by;	/* MONO_NEVER: as long as it takes, or no stop is under way */
	struct {
		mono_t		 by;	/* shutdown_drain is under way until then; MONO_NEVER: it is not */
		unsigned	 gone, failed;
	} drain;
	struct life	 life;
	mono_t		 config_check;	/* when to look at the file; MONO_NEVER: reload_note() was not called yet */
	bool		 dirty;		/* something happened: decide again */
	int		 exit_status;
	bool		 done;
	bool		 history_failing;	/* history.c: the last line could not be written */
	size_t		 turn;		/* which pool asks first */
	struct events	*events;	/* manager/events.h */
	struct metrics	*metrics;	/* manager/metrics.h; made at the first count */
	struct child	 listener;	/* windlass-metrics */
	const char	*listen_address;	/* of the command line; NULL: the configuration's */
	char		*listener_address;	/* the one it has, or is to have */
	bool		 listener_leaving;	/* was told to end */
	bool		 listener_wrong;	/* its address is none: not tried again */
	struct snapshot	*snapshot;	/* manager/snapshot.h */
	struct rounds	*rounds;	/* manager/rounds.c */
};

/* The loop's watches. A watch is added once and dropped (with its descriptor closed) once. */
void	watch_add(struct manager *m, struct watch *w, int fd, watch_fn *ready, void *owner);
void	watch_drop(struct manager *m, struct watch *w);

/* Children. child_watch() takes over a pidfd; on its end `ended` is called with w->owner. */
struct child_process {
	pid_t	 pid;
	int	 pidfd;
	bool	 adopted;	/* somebody else's child, or one of this process in a life before */
};
void	child_watch(struct manager *m, struct child *c, struct child_process p, watch_fn *ended,
	    void *owner);
/* A role that gets a plan on descriptor 3 and a channel on 4, as its argv says. */
struct child_start {
	const char *const *argv;
	int		 plan;		/* taken over; -1: *e tells already why there is none */
	enum proc_life	 life;
	watch_fn	*says, *ended;	/* called with w->owner */
	void		*owner;
	enum chan_from	 peer;		/* what it may say */
};
int	child_start(struct manager *m, struct child *c, const struct child_start *s, struct err *e);
bool	child_alive(const struct child *c);
/*
 * Its next message (1), but not its last words: these become c->error. 0: there is none now, or ever again; then control is
 * dropped. A child that breaks the table is refused.
 */
int	child_hear(struct manager *m, struct child *c, struct chan_msg *msg);
/* What it says can only come of a broken one: logs why, kills it and hears nothing more of it. It ends as any other one. */
void	child_refuse(struct manager *m, struct child *c, const char *why);
/*
 * Reaps; returns the exit status (128 + signal) and forgets pid and descriptors. -1: an adopted one, not to be had
 * (it is when this process itself started it, in a life before).
 */
int	child_bury(struct manager *m, struct child *c);
/* A start or death without progress: waits 1 s, 2 s, 4 s ... 1 min before the next start. */
void	child_again_later(struct child *c);
/* If the lock of dir is held: adopts its holder. True when it did. */
bool	child_adopt(struct manager *m, struct child *c, int dirfd, const char *lock, watch_fn *ended, void *owner);

struct pool	*pool_find(struct manager *m, const char *key);
struct pool	*pool_get(struct manager *m, const char *key);		/* made if needed, conf NULL */
/* MaxRemovalAttempts: so many failed removals put a machine aside. */
int		 pool_removal_attempts(const struct pool *p);
struct machine	*machine_find(struct manager *m, const char *name);
struct machine	*machine_add(struct manager *m, const char *name, struct pool *pool);
void		 machine_free(struct manager *m, struct machine *mc);
struct job	*job_find(struct manager *m, const char *id);
void		 job_free(struct manager *m, struct job *j);
int		 jobs_active(const struct manager *m, const struct pool *pool);	/* without a result; pool NULL: all */
int		 jobs_with_machine(const struct manager *m, const struct pool *pool);

/* Reads machines and jobs from the directories. Machines first: jobs refer to them. 0 or -1. */
int	model_scan(struct manager *m, struct err *e);
/* Takes one machine's record into the tables; used by the scan and after each operator. */
void	model_load_machine(struct manager *m, const char *name);
/* Machines of the store that nobody has claimed so far: an entry that was broken may do so now. */
void	model_find_machines(struct manager *m);
/*
 * Jobs that a dead poller had written whole but not renamed into view: they are, now. pid 0: of any poller that is dead
 * (at the start; one of a killed manager may still be at it). What is not whole was never a job, and goes.
 */
void	model_finish_arrivals(struct manager *m, pid_t pid);
/* Marks the pools whose pollers died and left an answer that is not a job yet (poller.c). */
void	model_find_answers(struct manager *m);
/* Moves a job's directory, which nobody works in, out of the way, and says so loudly. */
void	model_put_aside(struct manager *m, const char *id, const char *why);
/* Takes one job's directory into the tables. NULL when it is no job (logged). */
struct job *model_load_job(struct manager *m, const char *id);
/* What result.json says, for people and counters. */
void	job_take_result(struct job *j, const struct jobdir_result *r);

#endif
