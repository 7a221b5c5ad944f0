/*
 * The scaling decision: (policy of this hour, machines, waiting and running
 * jobs, now) in, a plan with reasons out. Pure: no clock, no file, no
 * socket, no random number. The manager carries the plan out and brings the
 * results back in the next input; `simulate` does the same with a virtual clock.
 *
 * One call decides for one pool, that is one [[runners]] entry. Call it after
 * every event (job came, job ended, machine ready, machine gone, health
 * changed, configuration changed) and at plan.wake_at; calling it once too
 * often does nothing. Between call and call the manager applies:
 *
 *   ASSIGN	the machine becomes SCALE_USED, the job leaves `waiting`
 *   CREATE n	n machines appear as SCALE_CREATING; scale_create_started(gate) and
 *		budget_take() once for each
 *   REMOVE	the machine becomes SCALE_REMOVING until the cloud says it is gone
 *   ask	at most so many job requests may be in flight now, those already
 *		under way included (see struct scale_plan)
 *
 * and, as things happen: creation done -> SCALE_IDLE with used = now, and
 * scale_created(gate); creation failed -> the machine is removed or gone, and
 * scale_create_failed(gate, ...); job ended -> SCALE_IDLE with used = now and uses + 1
 * (counted at the job's start, kept in the machine's directory).
 *
 * Times are int64_t nanoseconds of one clock. It has to be wall time where
 * `created` and `used` outlive the process; a `used` or `created` in the future (clock
 * set back) counts as now.
 *
 * RULES. policy.rules says which of the better rules hold; 0 is the
 * original's algorithm (compat), bit for bit (spec machines 1.17 and 1.18),
 * SCALE_BETTER is the default. Invariants of SCALE_BETTER, whatever the history (tests/unit/policy_scale_test.c):
 * no CREATE that takes the pool above `limit` or above machines_free; no
 * REMOVE of a machine with a job; no CREATE for a job that an idle machine can take; no REMOVE
 * for idleness below the idle target, nor while no more than the target are unused for IdleTime; the oldest waiting job gets the first free machine.
 *
 * Without SCALE_QUEUE one call is one tick of the original's Acquire: run it before each
 * job request. plan.verdict and the TRY actions say whether to ask:
 *
 *   1. carry out REMOVE and CREATE;
 *   2. check the machines named by TRY in their order; the first that is reachable becomes
 *      SCALE_ACQUIRED: ask for one job with it. One that is not: SCALE_REMOVING,
 *      reason SCALE_WHY_UNAVAILABLE;
 *   3. none reachable (or no TRY): plan.verdict SCALE_ON_DEMAND or SCALE_UNBACKED -> ask for one
 *      job all the same, SCALE_NO_FREE -> do not ask.
 *   A request that brings a job turns its acquired machine SCALE_USED without asking the scaler
 *   again; one that brings none sets it back to SCALE_IDLE. A job that came without a machine goes into
 *   `waiting`: the next call gives it an idle machine (ASSIGN, newest first) or, once per job, creates
 *   one for it (CREATE with .job set; the caller sets scale_job.created), as the original's Use does: without
 *   looking at `limit` or MaxGrowthRate again. plan.ask is 1 when a job may be asked for (a TRY or a verdict other than NO_FREE), else 0.
 */
#ifndef POLICY_SCALE_H
#define POLICY_SCALE_H

#include "core/buf.h"
#include "core/err.h"
#include "policy/budget.h"

#define SCALE_UNLIMITED	INT_MAX

/* Spec machines 1.17; each is a switch. */
enum scale_rules {
	SCALE_COMPAT		= 0,
	SCALE_FULL_COUNTS	= 1 << 1,	/* B1: count the whole pool, not the part listed before */
	SCALE_VICTIM_ORDER	= 1 << 2,	/* B2: the right machine goes, not the newest */
	SCALE_RESERVE		= 1 << 3,	/* B3: an on-demand answer counts as a machine until used */
	SCALE_NO_UNBACKED	= 1 << 4,	/* B4: no job without a machine when IdleCount > 0 */
	SCALE_FAILURE_GATE	= 1 << 5,	/* B5: back off after failed creations */
	SCALE_BLIND_IS_OK	= 1 << 6,	/* B6: a check that could not see is not a bad machine */
	SCALE_OWN_CLOCK		= 1 << 7,	/* B7: wake_at is given */
	SCALE_PACE		= 1 << 8,	/* B8: token buckets for creations */
	SCALE_QUEUE		= 1 << 9,	/* ask ahead, one machine per waiting job, late binding; implies B1 */
	SCALE_LINGER		= 1 << 10,	/* beyond 1.17: surplus goes once it has been surplus for IdleTime (docs/simulate.md) */
	SCALE_BETTER		= (1 << 11) - (1 << 1),
};

/*
 * Rules by their words, in order: "better" (where one starts without any) and "compat" set them all, NAME adds one,
 * "no-NAME" takes one away. 0, or -1 (ERR_CONFIG) naming the word and those that there are.
 */
int	scale_rules_parse(const char *const *words, size_t n, unsigned *rules, struct err *e);
/* "better", "compat, queue", "better, no-pace": in few words. */
void	scale_rules_print(unsigned rules, struct buf *out);

struct scale_policy {
	unsigned	rules;		/* enum scale_rules */
	/* resolved once per decision for this hour (policy/periods.h) */
	int		idle_count;	/* IdleCount */
	int		idle_count_min;	/* IdleCountMin */
	double		idle_factor;	/* IdleScaleFactor; 0 = off */
	dur_t		idle_time;	/* IdleTime */
	int64_t		until;		/* when another period begins; 0 = not known: only for wake_at */
	/* of the runner */
	int		limit;		/* limit: most jobs, and most machines in any state; 0 = none */
	int		max_growth;	/* MaxGrowthRate: most creations in flight; 0 = no limit */
	int		max_builds;	/* MaxBuilds; 0 = no limit */
	int		factor_limit;	/* IdleScaleFactorLimit: most idle machines asked for by the factor; 0 = none */
	int		failure_threshold; /* FailureThreshold: failed checks in a row; <= 1: the first */
	dur_t		max_age;	/* a machine older than this takes no job and goes; 0 = none */
	dur_t		grace;		/* B2: a machine younger than this does not go for idleness */
	dur_t		billing_unit;	/* what the cloud charges whole: 1 h; 0 = by the second */
	dur_t		billing_margin;	/* time a removal needs before the next unit begins */
	bool		preemptive;	/* Preemptive: ask only with an idle machine in hand */
};

/* Everything off or unlimited but rules = SCALE_BETTER, failure_threshold 3, grace 60 s, billing_margin 2 min. */
struct scale_policy	scale_policy_default(void);

enum scale_state {
	SCALE_CREATING,		/* asked for; not ready */
	SCALE_IDLE,		/* ready, no job */
	SCALE_ACQUIRED,		/* compat only: held for one job request */
	SCALE_USED,		/* has a job */
	SCALE_REMOVING,		/* to be deleted; 3 or more removal_retries count as stuck */
	SCALE_STUCK,		/* in quarantine: deletion given up for now, it may still exist and counts */
};

enum scale_flags {
	SCALE_F_STALE = 1,	/* made with driver options that are not the configuration's any more; keep it set while removing */
	SCALE_F_DOOMED = 2,	/* the cloud takes it back (spot), its disk is full, ...: no new job, goes when idle */
	SCALE_F_ENDING = 8,	/* what it is trusted by ends soon, and a new one would live longer: no new job, goes when idle */
	SCALE_F_BLIND = 4,	/* the last check could not tell (cloud API throttled or away) */
};

/*
 * One machine, in list order (names bytewise, then those that exist only
 * in memory): compat depends on the order, the better rules do not.
 */
struct scale_machine {
	void		*ref;		/* the caller's; not looked at */
	int64_t		 created;	/* when it was asked for */
	int64_t		 used;		/* end of its last use, or when it became ready */
	uint32_t	 uses;		/* jobs it was given, the running one included */
	uint16_t	 failures;	/* health checks of its engine failed in a row */
	uint16_t	 removal_retries;
	uint8_t		 state;		/* enum scale_state */
	uint8_t		 flags;		/* enum scale_flags */
};

/* A job that was taken from GitLab and has no machine. Any order. */
struct scale_job {
	void		*ref;		/* the caller's; not looked at */
	int64_t		 arrived;
	bool		 created;	/* compat: a machine was already created for it */
};

enum scale_phase {
	SCALE_RUN,
	SCALE_QUIET,		/* SIGQUIT: ask for nothing, keep no more idle machines than there are; waiting jobs are served */
	SCALE_DRAIN,		/* the runner left the configuration, or shutdown_drain: idle machines go at once */
};

/*
 * B5. After k failures in a row one creation is tried per 30 s x 2^k (at most 10 minutes, +-20 %);
 * a success opens the gate. Creations that were started before the last
 * failure was known fail as one wave and count once. All zero = open.
 */
struct scale_gate {
	unsigned	failures;	/* k */
	int64_t		since;		/* when the last one that counted failed */
	int64_t		not_before;	/* the next probe */
	bool		probing;	/* the one allowed creation is under way */
};

void	scale_create_started(struct scale_gate *g, int64_t now);
void	scale_created(struct scale_gate *g);
/*
 * `started` is when that creation began, `retry_after` (absolute, 0 = none)
 * what the cloud demanded, `rnd` 64 random bits.
 */
void	scale_create_failed(struct scale_gate *g, int64_t started, int64_t retry_after,
	    int64_t now, uint64_t rnd);
/* A creation that ended without an answer about the cloud (cancelled by us). */
void	scale_create_cancelled(struct scale_gate *g, int64_t started);
/* Creations allowed now: SCALE_UNLIMITED, 1 or 0. */
int	scale_gate_room(const struct scale_gate *g, int64_t now);

/* Reasons: of actions, of what holds creation back, and of what bounds `ask`. */
enum scale_why {
	SCALE_WHY_NONE,
	/* REMOVE */
	SCALE_WHY_UNAVAILABLE,		/* a = failed checks */
	SCALE_WHY_BUILDS,		/* a = uses, b = MaxBuilds */
	SCALE_WHY_LIMIT,		/* a = machines, b = limit */
	SCALE_WHY_CAP,			/* a = machines of all runners above max_machines */
	SCALE_WHY_IDLE,			/* a = idle ns, b = IdleTime ns, c = idle wanted */
	SCALE_WHY_AGE,			/* a = age ns, b = its limit ns */
	SCALE_WHY_STALE,
	SCALE_WHY_DOOMED,
	SCALE_WHY_ENDING,
	SCALE_WHY_DRAIN,
	/* CREATE */
	SCALE_WHY_WAITING,		/* a = jobs waiting, b = machines coming already */
	SCALE_WHY_BELOW_IDLE,		/* a = available, b = wanted */
	/* ASSIGN and TRY */
	SCALE_WHY_OLDEST,		/* a = how long the job waited, ns */
	SCALE_WHY_NEWEST,		/* TRY: next in the order of trust */
	/* what holds back: plan.held, plan.ask_why */
	SCALE_WHY_AT_LIMIT,		/* limit reached */
	SCALE_WHY_AT_CAP,		/* max_machines reached */
	SCALE_WHY_AT_CONCURRENT,
	SCALE_WHY_GROWTH,		/* MaxGrowthRate creations in flight */
	SCALE_WHY_BACKOFF,		/* creations failed: waiting for the next try */
	SCALE_WHY_PACE,			/* GrowthRatePerSecond */
	SCALE_WHY_ACCOUNT,		/* the cloud account's budget */
	SCALE_WHY_QUOTA,		/* the account may have no more machines */
	SCALE_WHY_THROTTLED,		/* the cloud asks us to wait */
	SCALE_WHY_PREEMPTIVE,		/* Preemptive: no idle machine */
	SCALE_WHY_NO_FREE,		/* without SCALE_QUEUE: no idle machine */
	SCALE_WHY_CLOSING,		/* SCALE_QUIET or SCALE_DRAIN */
	SCALE_WHY_MAX
};

struct scale_input {
	int64_t				 now;
	const struct scale_policy	*policy;
	const struct scale_machine	*machines;
	size_t				 nmachines;
	const struct scale_job		*waiting;
	size_t				 nwaiting;
	int				 running;	/* jobs of this runner that have a machine or still count against limit */
	int				 slots_free;	/* concurrent minus all jobs of all runners */
	int				 machines_free;	/* max_machines minus all machines of all runners, those being removed included; SCALE_UNLIMITED */
	int				 machines_over;	/* machines of all runners, those being removed left out, above max_machines; else 0 */
	int				 pending;	/* B3: on-demand answers out, job not yet come */
	const struct scale_gate		*gate;		/* NULL = open */
	const struct budget		*growth;	/* this runner's bucket; NULL = none */
	const struct budget		*account;	/* the cloud account's; NULL = none */
	enum scale_why			 blocked;	/* what blocks the account while it is blocked; SCALE_WHY_NONE = not known */
	enum scale_phase		 phase;
};

enum scale_act { SCALE_ASSIGN, SCALE_CREATE, SCALE_REMOVE, SCALE_TRY };

struct scale_action {
	enum scale_act	act;
	enum scale_why	why;
	int		n;		/* CREATE: how many */
	int		machine;	/* index into machines, else -1 */
	int		job;		/* index into waiting, else -1 */
	int64_t		a, b, c;	/* the numbers of the reason */
};

struct scale_counts {
	int	acquired, creating, idle, used, removing, stuck;
};

/* The answer when no TRY succeeds (spec machines 1.17 step 5). */
enum scale_verdict { SCALE_NO_FREE, SCALE_ON_DEMAND, SCALE_UNBACKED };

/*
 * A plan is zeroed once, reused for every decision and freed at the end: the
 * arrays are malloc'd and grow to what the largest pool needed (about 90 bytes a machine or job).
 *
 * `ask` counts requests that may be in flight: the manager starts (ask - in flight) more, and lets a
 * surplus one run out. A job is never asked for that could not be given an idle machine, one that is coming,
 * or one that could be created now. With several runners the slots are shared: the caller gives each
 * what the others left.
 */
struct scale_plan {
	struct scale_action	*actions;	/* in the order to carry them out */
	size_t			 nactions;
	int			 ask;
	enum scale_why		 ask_why;	/* what bounds it */
	enum scale_why		 held;		/* why fewer machines are created than wanted, or SCALE_WHY_NONE */
	int			 short_by;	/* how many fewer */
	enum scale_verdict	 verdict;
	int64_t			 wake_at;	/* decide again then at the latest; 0 = only events matter */
	int			 idle_target;	/* idle machines wanted now */
	struct scale_counts	 counts;	/* with REMOVE, CREATE and ASSIGN done */
	/* private */
	size_t			 cap, wcap;
	struct choose_key	*work;
	int			*list;
};

/* Never fails (out of memory aborts). The plan's indexes refer to the input's arrays. */
void	scale_decide(const struct scale_input *in, struct scale_plan *plan);
void	scale_plan_free(struct scale_plan *plan);

/* The idle target alone: IdleCount, or what the factor makes of `in_use` machines. */
int	scale_idle_target(const struct scale_policy *p, int in_use);

/* The text that upstream logs and people grep for: "too many idle machines". */
const char *scale_why(enum scale_why why);
/* One word for metrics and --json: "idle", "limit", ... */
const char *scale_why_word(enum scale_why why);
/* A whole sentence with the numbers: "idle for 12m0s, longer than IdleTime 10m0s; 2 idle machines are wanted". */
void	scale_explain(const struct scale_action *a, struct buf *out);
const char *scale_state_name(enum scale_state s);

#endif
