/*
 * policy/scale: the 34 vectors of spec machines 1.18 in both modes, tables for the
 * rules of windlass, and properties over random histories with fixed seeds.
 */
#include "core/mono.h"
#include "policy/scale.h"
#include "tap.h"

#define S		NSEC_SEC
#define NOW		(INT64_C(1772445600) * NSEC_SEC)
#define MACHINES_MAX	64

/*
 * Fleets written as in the spec: "m1..5:I(900) u1:U x:R/3 b:I! j:I(5,uc1)". In the parentheses: idle for (s), uc uses,
 * old age (s, else a day more than idle), f failed checks, stale, doomed, blind.
 */
struct fleet {
	struct scale_machine	m[MACHINES_MAX];
	char			name[MACHINES_MAX][16];
	bool			unreachable[MACHINES_MAX];
	int			n;
};

static struct scale_policy
policy_of(const char *text, unsigned rules)
{
	struct scale_policy p = scale_policy_default();
	struct str rest = str_from(text);

	p.rules = rules;
	while (rest.p != NULL) {
		struct str w = str_cut(&rest, ' ');
		const char *v = w.p;

		if (str_starts(w, "AGE"))
			p.max_age = strtoll(v + 3, NULL, 10) * S;
		else if (str_starts(w, "BILL"))
			p.billing_unit = strtoll(v + 4, NULL, 10) * S;
		else if (str_starts(w, "FL"))
			p.factor_limit = (int)strtol(v + 2, NULL, 10);
		else if (str_starts(w, "FT"))
			p.failure_threshold = (int)strtol(v + 2, NULL, 10);
		else if (str_eqc(w, "PRE"))
			p.preemptive = true;
		else if (str_starts(w, "IC"))
			p.idle_count = (int)strtol(v + 2, NULL, 10);
		else if (str_starts(w, "IT"))
			p.idle_time = strtoll(v + 2, NULL, 10) * S;
		else if (str_starts(w, "MIN"))
			p.idle_count_min = (int)strtol(v + 3, NULL, 10);
		else if (str_starts(w, "MB"))
			p.max_builds = (int)strtol(v + 2, NULL, 10);
		else if (str_starts(w, "L"))
			p.limit = (int)strtol(v + 1, NULL, 10);
		else if (str_starts(w, "G"))
			p.max_growth = (int)strtol(v + 1, NULL, 10);
		else if (str_starts(w, "F"))
			p.idle_factor = strtod(v + 1, NULL);
		else
			abort();
	}
	return p;
}

static void
fleet_of(const char *text, bool restarted, struct fleet *f)
{
	static const char letters[] = "CIAURS";
	struct str rest = str_from(text);

	*f = (struct fleet){ 0 };
	while (rest.n > 0) {
		struct str w = str_cut(&rest, ' ');
		struct str names = str_cut(&w, ':');
		ssize_t dots = str_find(names, "..");
		char prefix = names.p[0];
		int first = 0, last;
		long age = 0, uses = 0, retries = 0, old = -1, failures = 0;
		bool bad = str_chr(w, '!') >= 0;
		ssize_t open = str_chr(w, '('), uc = str_find(w, "uc"), slash = str_chr(w, '/');
		ssize_t o = str_find(w, "old"), fails = str_find(w, ",f");

		if (names.n > 1)
			first = (int)strtol(names.p + 1, NULL, 10);
		last = dots > 0 ? (int)strtol(names.p + dots + 2, NULL, 10) : first;
		if (open >= 0)
			age = strtol(w.p + open + 1, NULL, 10);
		if (uc >= 0)
			uses = strtol(w.p + uc + 2, NULL, 10);
		if (o >= 0)
			old = strtol(w.p + o + 3, NULL, 10);
		if (fails >= 0)
			failures = strtol(w.p + fails + 2, NULL, 10);
		if (slash >= 0)
			retries = strtol(w.p + slash + 1, NULL, 10);
		for (int i = first; i <= last; i++) {
			struct scale_machine *m = &f->m[f->n];

			snprintf(f->name[f->n], sizeof(f->name[0]), "%c%d", prefix, i);
			f->unreachable[f->n] = bad;
			m->ref = f->name[f->n++];
			m->state = (uint8_t)(strchr(letters, w.p[0]) - letters);
			m->used = NOW - age * S;
			m->created = restarted ? m->used : m->used - 86400 * S;
			if (old >= 0)
				m->created = NOW - old * S;
			m->uses = (uint32_t)uses;
			m->failures = (uint16_t)failures;
			m->flags = (uint8_t)((str_find(w, "stale") >= 0 ? SCALE_F_STALE : 0) |
			    (str_find(w, "doomed") >= 0 ? SCALE_F_DOOMED : 0) |
			    (str_find(w, "blind") >= 0 ? SCALE_F_BLIND : 0));
			m->removal_retries = (uint16_t)retries;
		}
	}
}

static struct scale_input
input_of(const struct scale_policy *p, const struct fleet *f)
{
	return (struct scale_input){
		.now = NOW, .policy = p, .machines = f->m, .nmachines = (size_t)f->n,
		.slots_free = 1000, .machines_free = SCALE_UNLIMITED,
	};
}

/* Carries one tick out as a manager would: removals and creations, then the tries. */
static void
tick(const struct fleet *f, const struct scale_plan *plan, struct buf *out)
{
	const char *sep = "";
	enum scale_why last = SCALE_WHY_NONE;
	int acquired = -1;

	buf_clear(out);
	for (size_t i = 0; i < plan->nactions; i++) {
		const struct scale_action *a = &plan->actions[i];

		if (last != SCALE_WHY_NONE && (a->act != SCALE_REMOVE || a->why != last)) {
			buf_fmt(out, " (%s)", scale_why(last));
			last = SCALE_WHY_NONE;
		}
		switch (a->act) {
		case SCALE_REMOVE:
			if (last == SCALE_WHY_NONE)
				buf_fmt(out, "%sREMOVE", sep);
			buf_fmt(out, " %s", f->name[a->machine]);
			last = a->why;
			sep = ", ";
			break;
		case SCALE_CREATE:
			buf_fmt(out, "%sCREATE %d", sep, a->n);
			sep = ", ";
			break;
		case SCALE_ASSIGN:
			buf_fmt(out, "%sASSIGN %s", sep, f->name[a->machine]);
			sep = ", ";
			break;
		case SCALE_TRY:
			if (acquired >= 0)
				break;
			if (!f->unreachable[a->machine]) {
				acquired = a->machine;
				break;
			}
			buf_fmt(out, "%sREMOVE %s (%s)", sep, f->name[a->machine],
			    scale_why(SCALE_WHY_UNAVAILABLE));
			sep = ", ";
			break;
		}
	}
	if (last != SCALE_WHY_NONE)
		buf_fmt(out, " (%s)", scale_why(last));
	if (acquired >= 0)
		buf_fmt(out, "%s%sACQUIRED %s", *sep ? " " : "", "| ", f->name[acquired]);
	else
		buf_fmt(out, "%s| %s", *sep ? " " : "", plan->verdict == SCALE_ON_DEMAND ? "ON_DEMAND" :
		    plan->verdict == SCALE_UNBACKED ? "UNBACKED" : "NO_FREE");
}

static const struct {
	int		 n;
	const char	*cfg;
	const char	*fleet;
	const char	*want;
	const char	*better;	/* where it differs */
	bool		 restarted;
} vectors[] = {
	{ 1, "IC0 IT600 L10", "", "| ON_DEMAND", NULL, false },
	{ 2, "IC2 IT600 L10", "", "CREATE 2 | NO_FREE", NULL, false },
	{ 3, "IC5 IT600 L10 G2", "", "CREATE 2 | NO_FREE", NULL, false },
	{ 4, "IC2 IT600", "m1..2:C", "| NO_FREE", NULL, false },
	{ 5, "IC2 IT600 L10", "m1..3:U", "CREATE 2 | NO_FREE", NULL, false },
	{ 6, "IC5 IT600 L4", "m1..3:U", "CREATE 1 | NO_FREE", NULL, false },
	{ 7, "IC2 IT600 L3", "m1..3:U", "| NO_FREE", NULL, false },
	{ 8, "IC0 IT600 L2", "m1..2:U", "| NO_FREE", NULL, false },
	{ 9, "IC2 IT600", "m1..5:I(900)", "REMOVE m3 m4 m5 (too many idle machines) | ACQUIRED m2",
	    "REMOVE m1 m2 m3 (too many idle machines) | ACQUIRED m5", false },
	{ 10, "IC2 IT600", "m1..5:I(100)", "| ACQUIRED m5", NULL, false },
	{ 11, "IC0 IT600", "m1:I(600)", "| ACQUIRED m1", NULL, false },
	{ 12, "IC0 IT600", "m1:I(601)", "REMOVE m1 (too many idle machines) | ON_DEMAND", NULL, false },
	{ 13, "IC1 IT600 MB1", "m1:I(5,uc1)", "REMOVE m1 (too many builds), CREATE 1 | NO_FREE", NULL, false },
	{ 14, "IC2 IT600 MB1 L5", "m1..3:I(0,uc1)",
	    "REMOVE m1 m2 m3 (too many builds), CREATE 2 | NO_FREE", NULL, true },
	{ 15, "IC10 IT600 L2", "m1..5:I(1)", "REMOVE m3 m4 m5 (too many machines) | ACQUIRED m2",
	    "REMOVE m1 m2 m3 (too many machines) | ACQUIRED m5", false },
	{ 16, "IC100 MIN10 F1.1 IT600", "u0..9:U z0..4:I(5)", "CREATE 6 | ACQUIRED z4", NULL, false },
	{ 17, "IC100 F1.0 IT600", "", "CREATE 1 | NO_FREE", NULL, false },
	{ 18, "IC3 F2.0 IT600", "u0..4:U", "CREATE 3 | NO_FREE", NULL, false },
	{ 19, "IC100 MIN2 F1.0 IT10", "a0..3:I(60) u1:U",
	    "REMOVE a2 a3 (too many idle machines) | ACQUIRED a1",
	    "REMOVE a0 a1 (too many idle machines) | ACQUIRED a3", false },
	{ 20, "IC100 MIN2 F1.0 IT10", "a0..2:U b0..4:I(60)",
	    "REMOVE b3 b4 (too many idle machines) | ACQUIRED b2",
	    "REMOVE b0 b1 (too many idle machines) | ACQUIRED b4", false },
	{ 21, "IC2 IT600", "m1:I m2:I!", "REMOVE m2 (machine is unavailable) | ACQUIRED m1", NULL, false },
	{ 22, "IC1 IT600", "m1:I!", "REMOVE m1 (machine is unavailable) | UNBACKED",
	    "REMOVE m1 (machine is unavailable) | NO_FREE", false },
	{ 23, "IC2 IT600 L3", "m1:R m2:R/3 m3:U", "| NO_FREE", NULL, false },
	{ 24, "IC1 IT600", "m1:A", "| NO_FREE", NULL, false },
	{ 25, "IC5 IT600 G1", "m1:I m2:C", "| ACQUIRED m1", NULL, false },
	{ 26, "IC0 IT600 G1", "m1:C", "| NO_FREE", NULL, false },
	{ 27, "IC0 IT600 L1", "m1:I(30,uc2)", "| ACQUIRED m1", NULL, false },
	{ 28, "IC0 IT0", "m1:I(1)", "REMOVE m1 (too many idle machines) | ON_DEMAND", NULL, false },
	{ 29, "IC5 MIN10 F1.0 IT10", "m0..7:I(60)", "REMOVE m5 m6 m7 (too many idle machines) | ACQUIRED m4",
	    "REMOVE m0 m1 m2 (too many idle machines) | ACQUIRED m7", false },
	{ 30, "IC1 IT600", "m1:I(700) m2:U m3:I(20) m4:I(700)",
	    "REMOVE m4 (too many idle machines) | ACQUIRED m3",
	    "REMOVE m1 m4 (too many idle machines) | ACQUIRED m3", false },
	{ 31, "IC50 MIN1 F1.0 IT600", "a0..4:I(700) z0..4:U",
	    "REMOVE a1 a2 a3 a4 (too many idle machines), CREATE 4 | ACQUIRED a0",
	    "| ACQUIRED a4", false },
	{ 32, "IC1 IT1800 L10", "m1:U m2:I(100)", "| ACQUIRED m2", NULL, false },
	{ 33, "IC1 IT600", "m1..2:I(0,uc1)", "| ACQUIRED m2", NULL, true },
	{ 34, "IC1 IT600 MB2", "m1:I(0,uc1)", "| ACQUIRED m1", NULL, true },
};

/* Without the verdict: what the queue-aware rules must agree on when no job waits. */
static void
cut_verdict(struct buf *b)
{
	ssize_t bar = str_rchr(buf_str(b), '|');

	if (bar > 0 && b->p[bar - 1] == ' ')
		bar--;
	if (bar >= 0)
		buf_cut(b, (size_t)bar);
}

static void
test_vectors(void)
{
	struct scale_plan plan = { 0 };
	struct buf got = { 0 }, want = { 0 };

	for (size_t i = 0; i < NELEM(vectors); i++) {
		const char *better = vectors[i].better != NULL ? vectors[i].better : vectors[i].want;
		struct fleet f;
		struct scale_policy p;
		struct scale_input in;

		fleet_of(vectors[i].fleet, vectors[i].restarted, &f);
		p = policy_of(vectors[i].cfg, SCALE_COMPAT);
		in = input_of(&p, &f);
		scale_decide(&in, &plan);
		tick(&f, &plan, &got);
		is_str(got.p, vectors[i].want, "vector %d, compat: %s; %s", vectors[i].n,
		    vectors[i].cfg, vectors[i].fleet);
		if (vectors[i].n == 23) {
			is_int(plan.counts.removing, 1, "vector 23: removing");
			is_int(plan.counts.stuck, 1, "vector 23: stuck");
			is_int(plan.counts.used, 1, "vector 23: used");
		}
		p.rules = SCALE_BETTER & ~SCALE_QUEUE;
		scale_decide(&in, &plan);
		tick(&f, &plan, &got);
		is_str(got.p, better, "vector %d, better rules in a tick", vectors[i].n);
		if (vectors[i].n == 21 || vectors[i].n == 22)
			continue;	/* nobody tries a machine in queue mode: its checks run beside */
		p.rules = SCALE_BETTER;
		scale_decide(&in, &plan);
		tick(&f, &plan, &got);
		cut_verdict(&got);
		buf_clear(&want);
		buf_puts(&want, better);
		cut_verdict(&want);
		is_str(got.p, want.p != NULL ? want.p : "", "vector %d, better", vectors[i].n);
	}
	scale_plan_free(&plan);
	buf_free(&got);
	buf_free(&want);
}


/* A vector goes on: the machine that failed is being removed, the next tick replaces it. */
static void
test_next_tick(void)
{
	struct scale_plan plan = { 0 };
	struct scale_policy p = policy_of("IC1 IT600", SCALE_BETTER & ~SCALE_QUEUE);
	struct buf got = { 0 };
	struct scale_input in;
	struct fleet f;

	fleet_of("m1:R", false, &f);
	in = input_of(&p, &f);
	scale_decide(&in, &plan);
	tick(&f, &plan, &got);
	is_str(got.p, "CREATE 1 | NO_FREE", "vector 22, better, the next tick");
	scale_plan_free(&plan);
	buf_free(&got);
}

/* Queue mode: everything a plan says, in one line. */
struct setting {
	int	running, slots, cap, over, gate_failures, gate_wait, pending;
	double	rate, account_rate;
	enum scale_phase phase;
};

static void
line(const struct fleet *f, const struct scale_plan *plan, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < plan->nactions; i++) {
		const struct scale_action *a = &plan->actions[i];

		if (i > 0)
			buf_puts(out, ", ");
		switch (a->act) {
		case SCALE_ASSIGN:
			buf_fmt(out, "j%d->%s", a->job, f->name[a->machine]);
			break;
		case SCALE_REMOVE:
			buf_fmt(out, "REMOVE %s %s", f->name[a->machine], scale_why_word(a->why));
			break;
		case SCALE_CREATE:
			buf_fmt(out, "CREATE %d %s", a->n, scale_why_word(a->why));
			if (a->job >= 0)
				buf_fmt(out, " j%d", a->job);
			break;
		case SCALE_TRY:
			buf_fmt(out, "TRY %s", f->name[a->machine]);
			break;
		}
	}
	if (plan->held != SCALE_WHY_NONE)
		buf_fmt(out, "%sshort %d %s", out->n > 0 ? " " : "", plan->short_by,
		    scale_why_word(plan->held));
	buf_fmt(out, "%s| ask %d %s", out->n > 0 ? " " : "", plan->ask, scale_why_word(plan->ask_why));
	if (plan->wake_at != 0)
		buf_fmt(out, " wake %.0f", (double)(plan->wake_at - NOW) / 1e9);
}

static const struct {
	const char	*name, *cfg, *fleet, *jobs;	/* jobs: waiting for so many seconds each */
	struct setting	 s;
	const char	*want;
} cases[] = {
	/* on demand */
	{ "nothing at all", "IC0 IT600 L10", "", "", { 0 }, "| ask 10 at-limit" },
	{ "no limit: concurrent bounds", "IC0 IT600", "", "", { .slots = 7 }, "| ask 7 at-concurrent" },
	{ "one machine a job", "IC0 IT600 L10", "", "5 3 1", { 0 }, "CREATE 3 waiting | ask 7 at-limit" },
	{ "machines on the way count", "IC0 IT600 L10", "m1..2:C", "5 3 1", { 0 }, "CREATE 1 waiting | ask 7 at-limit" },
	{ "one on the way too many", "IC0 IT600 L10", "m1..4:C", "5 3 1", { 0 }, "| ask 7 at-limit" },
	{ "the oldest job takes the idle machine", "IC0 IT600 L10", "m1:I(5) m2:U", "1 9 5", { .running = 1 },
	    "j1->m1, CREATE 2 waiting | ask 6 at-limit" },
	{ "the warmest machine first", "IC0 IT600", "m1:I(9) m2:I(3) m3:I(7)", "2 1", { .slots = 5 },
	    "j0->m2, j1->m3 | ask 5 at-concurrent wake 591" },
	{ "never past the limit", "IC0 IT600 L3", "m1..2:U", "9 8 7", { .running = 2 },
	    "CREATE 1 waiting short 2 at-limit | ask 0 at-limit" },
	{ "machines being removed hold their place", "IC0 IT600 L3", "m1..2:U m3:R", "9", { .running = 2 },
	    "short 1 at-limit | ask 0 at-limit" },
	{ "so do those in quarantine", "IC0 IT600 L3", "m1..2:U m3:S", "", { .running = 2 }, "| ask 0 at-limit" },
	{ "MaxGrowthRate paces creation and asking", "IC0 IT600 L10 G2", "m1:C", "9 8 7", { 0 },
	    "CREATE 1 waiting short 1 growth | ask 0 growth" },
	{ "a coming machine that nobody waits for is asked for", "IC0 IT600 L10 G2", "m1..2:C", "9", { 0 },
	    "| ask 1 growth" },
	{ "max_machines", "IC0 IT600", "m1:U", "9 8 7", { .running = 1, .slots = 50, .cap = 2 },
	    "CREATE 2 waiting short 1 at-cap | ask 0 at-cap" },
	{ "idle and expired: gone", "IC0 IT600", "m1:I(601) m2:I(600)", "", { .slots = 2 },
	    "REMOVE m1 idle | ask 2 at-concurrent wake 0" },
	{ "a job comes before IdleTime", "IC0 IT600", "m1:I(601) m2:I(700)", "1", { .slots = 2 },
	    "j0->m1, REMOVE m2 idle | ask 2 at-concurrent" },
	{ "MaxBuilds", "IC0 IT600 MB3 L10", "m1:I(1,uc3) m2:I(1,uc2) m3:U(0,uc3)", "4 3", { .running = 1 },
	    "REMOVE m1 builds, j0->m2, CREATE 1 waiting | ask 6 at-limit" },
	/* upkeep */
	{ "upkeep comes on top of the jobs", "IC2 IT600 L20", "", "5 3", { 0 },
	    "CREATE 2 waiting, CREATE 2 below-idle | ask 18 at-limit" },
	{ "upkeep when jobs took the idle ones", "IC2 IT600 L20", "m1..2:I(5)", "5 3", { 0 },
	    "j0->m2, j1->m1, CREATE 2 below-idle | ask 18 at-limit" },
	{ "a burst against IdleCount 2", "IC2 IT600 L20", "m1..2:I(5)", "12 11 10 9 8 7 6 5 4 3 2 1", { 0 },
	    "j0->m2, j1->m1, CREATE 10 waiting, CREATE 2 below-idle | ask 8 at-limit" },
	{ "jobs come first when creation is bounded", "IC5 IT600 G3", "", "5 3", { .slots = 9 },
	    "CREATE 2 waiting, CREATE 1 below-idle short 4 growth | ask 1 growth" },
	{ "the factor counts waiting jobs as in use", "IC50 MIN1 F0.5 IT600 L90", "u1..4:U", "5 3", { .running = 4 },
	    "CREATE 2 waiting, CREATE 3 below-idle | ask 84 at-limit" },
	{ "IdleScaleFactorLimit", "IC50 MIN1 F2.0 FL4 IT600 L90", "u1..9:U", "", { .running = 9 },
	    "CREATE 4 below-idle | ask 81 at-limit" },
	{ "surplus only", "IC2 IT600 L9", "m1..4:I(900) m5:I(1)", "", { 0 },
	    "REMOVE m1 idle, REMOVE m2 idle, REMOVE m3 idle | ask 6 at-limit" },
	{ "machines for waiting jobs are no surplus", "IC1 IT600 L9", "m1..2:C m3:I(900,f1)", "1 1 1", { 0 },
	    "CREATE 1 below-idle | ask 5 at-limit" },
	{ "grace for the newly made", "IC0 IT10", "m1:I(30,old40)", "", { .slots = 1 }, "| ask 1 at-concurrent wake 20" },
	{ "no grace above limit", "IC0 IT600 L1", "m1:I(1,old5) m2:U", "", { .running = 1 },
	    "REMOVE m1 limit | ask 0 at-limit" },
	{ "a paid hour is used to its end", "IC0 IT60 BILL3600", "m1:I(300,old1800)", "", { .slots = 1 },
	    "| ask 1 at-concurrent wake 1680" },
	{ "... which is near", "IC0 IT60 BILL3600", "m1:I(300,old3500)", "", { .slots = 1 },
	    "REMOVE m1 idle | ask 1 at-concurrent" },
	{ "... of the fourth hour", "IC0 IT60 BILL3600", "m1:I(300,old14280)", "", { .slots = 1 },
	    "REMOVE m1 idle | ask 1 at-concurrent" },
	{ "IdleTime ends just before the hour does", "IC0 IT600 BILL3600", "m1:I(500,old3490)", "", { .slots = 1 },
	    "| ask 1 at-concurrent wake 100" },
	/* health, age, options */
	{ "unhealthy goes, one is made", "IC1 IT600 L9", "m1:I(5,f3)", "", { 0 },
	    "REMOVE m1 unavailable, CREATE 1 below-idle | ask 8 at-limit" },
	{ "suspect: no job, no panic", "IC0 IT600 L9", "m1:I(5,f2)", "3", { 0 }, "| ask 7 at-limit" },
	{ "suspect beside a healthy one", "IC0 IT600 L9", "m1:I(9) m2:I(5,f1)", "3 2", { 0 },
	    "j0->m1 | ask 6 at-limit" },
	{ "FailureThreshold 1", "IC0 IT600 FT1 L9", "m1:I(5,f1)", "3", { 0 },
	    "REMOVE m1 unavailable, CREATE 1 waiting | ask 7 at-limit" },
	{ "blind is not bad", "IC0 IT600 L9", "m1:I(5,blind)", "3", { 0 }, "j0->m1 | ask 8 at-limit" },
	{ "too old", "IC1 IT600 AGE1000 L9", "m1:I(5,old1001) m2:U(0,old2000)", "", { .running = 1 },
	    "REMOVE m1 age, CREATE 1 below-idle | ask 7 at-limit" },
	{ "old soon", "IC1 IT600 AGE1000 L9", "m1:I(5,old900)", "", { 0 }, "| ask 9 at-limit wake 100" },
	{ "taken back by the cloud", "IC0 IT600 L9", "m1:I(5,doomed) m2:U(0,doomed)", "3", { .running = 1 },
	    "REMOVE m1 doomed, CREATE 1 waiting | ask 6 at-limit" },
	{ "stale ones one by one", "IC2 IT600 L9", "m1:I(5,stale) m2:I(6,stale)", "", { 0 },
	    "REMOVE m2 stale, CREATE 1 below-idle | ask 8 at-limit" },
	{ "... the next when that is gone", "IC2 IT600 L9", "m1:I(5,stale) m2:R(0,stale) m3:C", "", { 0 }, "| ask 8 at-limit" },
	{ "stale serves when nothing else can", "IC0 IT600 L9", "m1:I(5,stale) m2:I(500)", "9 8", { 0 },
	    "j0->m2, j1->m1 | ask 7 at-limit" },
	/* failures and pace */
	{ "back-off: no creation, no asking", "IC0 IT600 L9", "", "9", { .gate_failures = 1, .gate_wait = 50 },
	    "short 1 back-off | ask 0 back-off wake 50" },
	{ "back-off over: one probe", "IC3 IT600 L9", "", "9 8", { .gate_failures = 2, .gate_wait = 0 },
	    "CREATE 1 waiting short 4 back-off | ask 0 back-off" },
	{ "back-off does not keep idle machines from jobs", "IC0 IT600 L9", "m1..3:I(5)", "9",
	    { .gate_failures = 1, .gate_wait = 50 }, "j0->m3 | ask 2 back-off wake 50" },
	{ "GrowthRatePerSecond", "IC9 IT600 L50", "", "9", { .rate = 2 },
	    "CREATE 1 waiting, CREATE 1 below-idle short 8 pace | ask 1 pace wake 0" },
	{ "the account's budget", "IC0 IT600 L50", "", "9 8 7", { .account_rate = 2 },
	    "CREATE 2 waiting short 1 account | ask 0 account wake 0" },
	/* asking */
	{ "Preemptive", "IC2 IT600 L9 PRE", "m1..2:I(5) m3:C", "", { 0 }, "| ask 2 preemptive wake 595" },
	{ "Preemptive, none idle", "IC2 IT600 L9 PRE", "m1:C", "", { 0 }, "CREATE 1 below-idle | ask 0 preemptive" },
	/* leaving */
	{ "SIGQUIT: serve, do not ask", "IC2 IT600 L9", "m1:I(5)", "9 8", { .phase = SCALE_QUIET },
	    "j0->m1, CREATE 1 waiting | ask 0 closing" },
	{ "drained", "IC2 IT600 L9", "m1..2:I(5) m3:U m4:C", "9", { .running = 1, .phase = SCALE_DRAIN },
	    "j0->m2, REMOVE m1 drain | ask 0 closing" },
	/* limits lowered */
	{ "limit lowered: idle ones go, used ones stay", "IC5 IT600 L2", "u1..3:U m1..2:I(5)", "", { .running = 3 },
	    "REMOVE m1 limit, REMOVE m2 limit short 5 at-limit | ask 0 at-limit" },
	{ "limit lowered: jobs first", "IC0 IT600 L2", "u1..2:U m1..2:I(5)", "9", { .running = 2 },
	    "j0->m2, REMOVE m1 limit | ask 0 at-limit" },
	{ "a slow removal drags no healthy machine after it", "IC2 IT600 L4", "m1..2:R m3..4:I(5)", "", { 0 },
	    "| ask 2 at-limit" },
	{ "max_machines lowered", "IC3 IT600", "m1..3:I(5)", "", { .slots = 9, .cap = -1, .over = 2 },
	    "REMOVE m1 cap, REMOVE m2 cap short 2 at-cap | ask 1 at-cap" },
	{ "max_machines lowered, something went anyway", "IC3 IT600 MB1", "m1:I(5,uc1) m2..3:I(5)", "",
	    { .slots = 9, .cap = -1, .over = 1 }, "REMOVE m1 builds short 1 at-cap | ask 2 at-cap" },
	{ "MaxGrowthRate lowered below what is in flight", "IC9 IT600 G2", "m1..5:C", "", { .slots = 9 },
	    "short 4 growth | ask 5 growth" },
};

static void
test_cases(void)
{
	struct scale_plan plan = { 0 };
	struct buf got = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++) {
		const struct setting *s = &cases[i].s;
		struct scale_policy p = policy_of(cases[i].cfg, SCALE_BETTER);
		struct scale_gate gate = { 0 };
		struct budget growth = budget_make(s->rate, 2), account = budget_make(s->account_rate, 2);
		struct scale_job jobs[32];
		struct str rest = str_from(cases[i].jobs);
		struct scale_input in;
		struct fleet f;

		fleet_of(cases[i].fleet, false, &f);
		in = input_of(&p, &f);
		while (rest.n > 0) {
			struct str w = str_cut(&rest, ' ');

			jobs[in.nwaiting++] = (struct scale_job){ NULL, NOW - strtol(w.p, NULL, 10) * S, false };
		}
		gate.failures = (unsigned)s->gate_failures;
		gate.since = NOW - 60 * S;
		gate.not_before = NOW + s->gate_wait * S;
		in.waiting = jobs;
		in.running = s->running;
		in.slots_free = s->slots > 0 ? s->slots : 1000;
		in.machines_free = s->cap != 0 ? s->cap : SCALE_UNLIMITED;
		in.machines_over = s->over;
		in.gate = &gate;
		in.growth = &growth;
		in.account = &account;
		in.phase = s->phase;
		if (p.limit == 0 && s->slots == 0)
			abort();
		scale_decide(&in, &plan);
		line(&f, &plan, &got);
		is_str(got.p, cases[i].want, "%s", cases[i].name);
	}
	scale_plan_free(&plan);
	buf_free(&got);
}

/* Random numbers with a seed (splitmix64): the same histories every time. */
static uint64_t seed;

static uint64_t
rnd(void)
{
	uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int
upto(int n)
{
	return (int)(rnd() % (uint64_t)(n + 1));
}

static bool
chance(int percent)
{
	return upto(99) < percent;
}

/*
 * Spec machines 1.5 and 1.17 once more, as literally as C allows: loops instead of
 * sums, one question at a time. What scale_decide() does cleverly must come out the same.
 */
struct model {
	struct scale_machine	m[MACHINES_MAX];
	int			n;
	struct scale_counts	c;
};

static void
model_count(struct scale_counts *c, const struct scale_machine *m, int by)
{
	switch (m->state) {
	case SCALE_CREATING:	c->creating += by; break;
	case SCALE_IDLE:	c->idle += by; break;
	case SCALE_ACQUIRED:	c->acquired += by; break;
	case SCALE_USED:	c->used += by; break;
	case SCALE_REMOVING:
		if (m->removal_retries < 3) {
			c->removing += by;
			break;
		}
		/* FALLTHROUGH */
	default:		c->stuck += by; break;
	}
}

static int
model_total(const struct scale_counts *c)
{
	return c->acquired + c->creating + c->idle + c->used + c->removing + c->stuck;
}

static bool
model_over_idle(const struct scale_policy *p, const struct scale_counts *c)
{
	int have = c->acquired + c->creating + c->idle;
	int min = p->idle_count_min;

	if (p->idle_factor > 0 && min < 1)
		min = 1;
	return have >= p->idle_count ||
	    (have >= min && p->idle_factor > 0 && have >= (int)(c->used * p->idle_factor));
}

/* Must the machine go, with these counters? The reason's text or NULL. */
static const char *
model_removal(const struct scale_policy *p, const struct scale_machine *m, const struct scale_counts *c, int all)
{
	if (p->max_builds > 0 && m->uses >= (uint32_t)p->max_builds)
		return "too many builds";
	if (p->limit > 0 && all >= p->limit)
		return "too many machines";
	if (NOW - m->used > p->idle_time && model_over_idle(p, c))
		return "too many idle machines";
	return NULL;
}

static void
model_remove(const struct fleet *f, struct model *w, int i, const char *why, struct buf *out)
{
	buf_fmt(out, "REMOVE %s %s;", f->name[i], why);
	w->m[i].state = SCALE_REMOVING;
	w->m[i].removal_retries = 0;
}

static void
model_compat(const struct fleet *f, const struct scale_policy *p, struct model *w, struct buf *out)
{
	for (int i = 0; i < w->n; i++) {
		if (w->m[i].state == SCALE_IDLE) {
			const char *why = model_removal(p, &w->m[i], &w->c, model_total(&w->c));

			if (why != NULL)
				model_remove(f, w, i, why, out);
		}
		model_count(&w->c, &w->m[i], 1);
	}
}

/*
 * B1 and B2: full counts without the candidate; the longest idle is asked first. Reasons one after the other, since what goes for
 * a better reason must not be counted when a worse one is looked at.
 */
static void
model_better(const struct fleet *f, const struct scale_policy *p, struct model *w, struct buf *out)
{
	static const char *const reasons[] = { "too many builds", "too many machines", "too many idle machines" };

	for (int i = 0; i < w->n; i++)
		model_count(&w->c, &w->m[i], 1);
	for (size_t r = 0; r < NELEM(reasons); r++) {
		bool asked[MACHINES_MAX] = { false };
		bool goes[MACHINES_MAX] = { false };

		for (;;) {
			int victim = -1;
			struct scale_counts c;
			const char *why;

			for (int i = 0; i < w->n; i++) {
				if (w->m[i].state != SCALE_IDLE || asked[i])
					continue;
				if (victim < 0 || w->m[i].used < w->m[victim].used ||
				    (w->m[i].used == w->m[victim].used && w->m[i].created < w->m[victim].created))
					victim = i;
			}
			if (victim < 0)
				break;
			asked[victim] = true;
			c = w->c;
			model_count(&c, &w->m[victim], -1);
			why = model_removal(p, &w->m[victim], &c, model_total(&c) - c.removing - c.stuck);
			if (why == NULL || strcmp(why, reasons[r]) != 0)
				continue;
			if (r == 2 && NOW - w->m[victim].created < p->grace)
				continue;
			goes[victim] = true;
			w->c = c;
			w->m[victim].state = SCALE_REMOVING;
			w->m[victim].removal_retries = 0;
			model_count(&w->c, &w->m[victim], 1);
		}
		for (int i = 0; i < w->n; i++) {
			if (goes[i])
				buf_fmt(out, "REMOVE %s %s;", f->name[i], reasons[r]);
		}
	}
}

static void
model_rest(const struct scale_policy *p, struct model *w, struct buf *out)
{
	int created = 0;

	for (;;) {
		bool c1 = p->max_growth <= 0 || w->c.creating < p->max_growth;
		bool c2 = p->limit <= 0 || model_total(&w->c) < p->limit;

		if (!c1 || !c2 || model_over_idle(p, &w->c)) {
			if (created > 0)
				buf_fmt(out, "CREATE %d;", created);
			buf_puts(out, p->idle_count == 0 && c1 && c2 ? "ON_DEMAND" : w->c.idle == 0 ? "NO_FREE" :
			    (p->rules & SCALE_NO_UNBACKED) != 0 && p->idle_count > 0 ? "NO_FREE" : "UNBACKED");
			return;
		}
		created++;
		w->c.creating++;
	}
}

static void
random_fleet(struct fleet *f, struct scale_policy *p)
{
	*f = (struct fleet){ .n = upto(14) };
	for (int i = 0; i < f->n; i++) {
		struct scale_machine *m = &f->m[i];

		snprintf(f->name[i], sizeof(f->name[0]), "m%d", i);
		m->state = (uint8_t)(chance(55) ? SCALE_IDLE : upto(SCALE_REMOVING));
		m->used = NOW - upto(20) * S + upto(1);
		m->created = m->used - upto(2) * 40 * S;
		m->uses = (uint32_t)upto(3);
		m->removal_retries = (uint16_t)(m->state == SCALE_REMOVING ? upto(4) : 0);
	}
	p->idle_count = chance(30) ? 0 : upto(8);
	p->idle_count_min = upto(4);
	p->idle_factor = chance(50) ? 0 : upto(30) / 10.0;
	p->idle_time = upto(20) * S;
	p->limit = chance(40) ? 0 : upto(16);
	p->max_growth = chance(60) ? 0 : upto(4);
	p->max_builds = chance(60) ? 0 : upto(4);
}

static void
test_model(unsigned rules, const char *name)
{
	struct scale_plan plan = { 0 };
	struct buf got = { 0 }, want = { 0 };
	int wrong = 0;

	seed = 20260302;
	for (int round = 0; round < 30000; round++) {
		struct scale_policy p = scale_policy_default();
		struct scale_input in;
		struct fleet f;
		struct model w = { 0 };
		int tries = 0, last = MACHINES_MAX;

		p.rules = rules;
		random_fleet(&f, &p);
		in = input_of(&p, &f);
		scale_decide(&in, &plan);
		w.n = f.n;
		memcpy(w.m, f.m, sizeof(w.m));
		buf_clear(&want);
		if ((rules & SCALE_FULL_COUNTS) != 0)
			model_better(&f, &p, &w, &want);
		else
			model_compat(&f, &p, &w, &want);
		model_rest(&p, &w, &want);

		buf_clear(&got);
		for (size_t i = 0; i < plan.nactions; i++) {
			const struct scale_action *a = &plan.actions[i];

			if (a->act == SCALE_REMOVE)
				buf_fmt(&got, "REMOVE %s %s;", f.name[a->machine], scale_why(a->why));
			else if (a->act == SCALE_CREATE)
				buf_fmt(&got, "CREATE %d;", a->n);
			else if (a->act == SCALE_TRY) {
				/* compat: the last of the list first; every idle machine that stays is tried */
				if (rules == SCALE_COMPAT && a->machine >= last)
					wrong++;
				last = a->machine;
				tries++;
			}
		}
		buf_puts(&got, plan.verdict == SCALE_ON_DEMAND ? "ON_DEMAND" :
		    plan.verdict == SCALE_NO_FREE ? "NO_FREE" : "UNBACKED");
		if (strcmp(got.p, want.p) != 0 || tries != w.c.idle ||
		    memcmp(&plan.counts, &w.c, sizeof(w.c)) != 0) {
			if (wrong++ == 0)
				printf("# round %d, %d machines, IC %d\n#  got %s\n# want %s\n", round, f.n,
				    p.idle_count, got.p, want.p);
		}
	}
	is_int(wrong, 0, "%s: 30000 random fleets agree with the literal rules", name);
	scale_plan_free(&plan);
	buf_free(&got);
	buf_free(&want);
}

int
main(void)
{
	test_vectors();
	test_next_tick();
	test_cases();
	test_model(SCALE_COMPAT, "compat");
	test_model(SCALE_BETTER & ~SCALE_QUEUE, "better");
	return done_testing();
}
