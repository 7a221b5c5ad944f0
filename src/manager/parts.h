/* The manager's parts, as they call each other: see each file's head. */
#ifndef MANAGER_PARTS_H
#define MANAGER_PARTS_H

#include "manager/events.h"
#include "manager/manager.h"
#include "manager/metrics.h"
#include "manager/model.h"

/* jobs.c */
void	jobs_watch(struct manager *m);			/* before the scan: a predecessor's poller may still bring one */
void	jobs_start(struct manager *m);			/* after the scan: watches, reporters, executors */
void	job_arrived(struct manager *m, struct str id);
void	job_assign(struct manager *m, struct job *j, struct machine *mc, const char *why, struct str sentence);
void	job_refresh(struct manager *m, struct job *j);	/* its directory changed */
void	jobs_tend(struct manager *m);			/* restarts what is due */
mono_t	jobs_wake(const struct manager *m);
/*
 * What it waits for: a static word, and a sentence; until: when time alone ends that, or WALL_UNKNOWN. Its own log and the events are
 * told only what lasts: nothing of the first two seconds, no line twice in a short while.
 */
void	job_tell(struct manager *m, struct job *j, const char *why, const char *text, wall_t until);
void	job_give_up(struct manager *m, struct job *j, const char *text);	/* one without a machine: fails as runner_system_failure */
void	job_bereave(struct manager *m, struct job *j, const char *why);	/* tells its executor that the machine is no more */
void	jobs_abort(struct manager *m, const char *signal_name);
void	jobs_refuse(struct manager *m, const char *signal_name);	/* those without a machine, while stopping */
void	jobs_notify(struct manager *m, struct watch *w);	/* inotify */

/* Why the machines of an entry that is gone go. */
#define MACHINE_LEFT	"its runner left the configuration"

/* manager.c: pools get their entries of the new configuration, which is taken; those left without one are drained after their grace. */
void	manager_apply(struct manager *m, struct config *c);

/* reload.c */
void	reload_note(struct manager *m);			/* how the file looks, before it is first read */
int	reload_first(struct manager *m, struct err *e);	/* a missing one is an empty one, and said */
void	reload_loaded(const struct manager *m, bool first);	/* "Configuration loaded" */
void	reload_tend(struct manager *m);			/* looks at the file when it is time */
void	reload_now(struct manager *m);			/* SIGHUP */

/* machines.c */
void	machines_start(struct manager *m);
void	machines_create(struct manager *m, struct pool *p, const char *why, struct str sentence);	/* why: one word */
void	machines_remove(struct manager *m, struct machine *mc, const char *why);
/* The same with a word for the counters and the whole story (manager/events.h); why is what the log and the record say. */
void	machines_remove_for(struct manager *m, struct machine *mc, const char *why, const char *word, struct str sentence);
bool	machines_unasked(const struct machine *mc);	/* being made, and the cloud was not asked for it yet */
/* A creation that is not wanted any more: forgotten when nothing was begun, else removed. May free mc. */
void	machines_call_off(struct manager *m, struct machine *mc, const char *why);
void	machines_used(struct manager *m, struct machine *mc, bool ended);	/* writes uses and last use */
bool	machines_rested(const struct machine *mc);	/* idle, or about to be used, and long not tried out (MACHINE_PROBE_NS) */
void	machines_tend(struct manager *m);
mono_t	machines_wake(const struct manager *m);

/* drain.c */
bool	drain_over(struct manager *m);			/* nothing is left to remove, or the time for it is over; begins it */
/* A removal ended. False: not under way, the usual rules hold; else tries and pauses are seen to. */
bool	drain_removed(struct manager *m, struct machine *mc, bool gone);

/* pollers.c */
void	pollers_ask(struct manager *m);
void	pollers_stop(struct manager *m, struct pool *p);
void	pollers_reload(struct manager *m);
int	pollers_in_flight(const struct pool *p);
void	poller_release(struct manager *m, struct poller *po);	/* the machine it holds, if any */
wall_t	pollers_wake(const struct manager *m);		/* WALL_UNKNOWN: none */
wall_t	pollers_disabled_until(const struct pool *p);	/* GitLab refused its token so often; WALL_UNKNOWN: it may be asked for */

/* handover.c */
void	life_begin(struct manager *m, const struct manager_opts *o);	/* first of all */
void	life_inherit(struct manager *m);		/* from its predecessor, once the lock is held */
void	life_ready(struct manager *m);			/* after the first round: told to the service manager */
void	life_write(struct manager *m);			/* manager.json */
void	life_tend(struct manager *m);			/* the watchdog, each round */
void	life_end(struct manager *m);			/* the last act of a manager that ends */
mono_t	life_wake(const struct manager *m);
void	handover(struct manager *m);			/* SIGUSR2 */
void	handover_tend(struct manager *m);		/* leaves, or becomes its successor, once no poller is at work */
/* listener.c */
void	listener_tend(struct manager *m);
mono_t	listener_wake(const struct manager *m);
bool	listener_wanted(const struct manager *m);

/* Whether this machine still exists is to be asked of the cloud, soon. */
void	machines_doubt(struct manager *m, struct machine *mc, const char *why);
/* Writes what an operator needs to know of a machine of this name, or of the account (NULL: with its names, to look for strangers): a descriptor, or -1. */
int	machines_plan(struct manager *m, const struct pool *p, const char *name, struct err *e);

/* rounds.c */
void	rounds_tend(struct manager *m);			/* starts what is due */
void	rounds_reconcile(struct manager *m);		/* as soon as can be: something is not as it should be */
bool	rounds_watch(const struct manager *m, const struct pool *p);	/* whether the account of this pool has a watcher, or soon will */
mono_t	rounds_wake(const struct manager *m);
mono_t	rounds_next_check(void);			/* of a machine that has just answered */

/* scaler.c */
void	scaler_run(struct manager *m);
/* After the scan: machines that were being made when our predecessor ended are for the jobs that waited then. */
void	scaler_start(struct manager *m);
void	scaler_reload(struct manager *m);		/* after pools got their entries */
/*
 * Whether a job may be asked for now, and the machine that is held for it (SCALE_ACQUIRED; NULL: none, and none needed).
 * With the original's algorithm this is its tick.
 */
bool	scaler_acquire(struct manager *m, struct pool *p, struct machine **got);
void	scaler_throttled(struct manager *m, struct machine *mc, struct str unix_ms);	/* by the cloud */
/* A creation failed with that status of its operator; not_before is what the cloud demanded, WALL_UNKNOWN: nothing. */
void	scaler_create_failed(struct manager *m, struct machine *mc, int status, wall_t not_before);
/* Appends why fewer machines are made than wanted, with the cloud's own words. Returns when that ends by time alone; WALL_UNKNOWN: it does not. */
wall_t	scaler_held(const struct pool *p, struct buf *b);
wall_t	scaler_wake(const struct manager *m);		/* WALL_UNKNOWN: none */

#endif
