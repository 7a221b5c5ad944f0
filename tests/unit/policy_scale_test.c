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
		/* lingering goes beyond the spec: see the cases */
		p.rules = SCALE_BETTER & ~(SCALE_QUEUE | SCALE_LINGER);
		scale_decide(&in, &plan);
		tick(&f, &plan, &got);
		is_str(got.p, better, "vector %d, better rules in a tick", vectors[i].n);
		if (vectors[i].n == 21 || vectors[i].n == 22)
			continue;	/* nobody tries a machine in queue mode: its checks run beside */
		p.rules = SCALE_BETTER & ~SCALE_LINGER;
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
	{ "surplus only", "IC2 IT600 L9", "m1..5:I(900)", "", { 0 },
	    "REMOVE m1 idle, REMOVE m2 idle, REMOVE m3 idle | ask 6 at-limit" },
	{ "what was needed within IdleTime lingers", "IC2 IT600 L9", "m1..4:I(900) m5:I(1)", "", { 0 },
	    "REMOVE m1 idle, REMOVE m2 idle | ask 7 at-limit wake 599" },
	{ "one more than wanted, for IdleTime", "IC2 IT600 L9", "m1:I(9000) m2:I(601) m3:I(600)", "", { 0 }, "| ask 9 at-limit wake 0" },
	{ "... and no longer", "IC2 IT600 L9", "m1:I(9000) m2:I(602) m3:I(601)", "", { 0 }, "REMOVE m1 idle | ask 8 at-limit" },
	{ "lingering changes nothing on demand", "IC0 IT600 L9", "m1:I(9000) m2:I(600)", "", { 0 }, "REMOVE m1 idle | ask 8 at-limit wake 0" },
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
	{ "in the middle of the third hour", "IC0 IT60 BILL3600", "m1:I(300,old10000)", "", { .slots = 1 },
	    "| ask 1 at-concurrent wake 680" },
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

/* Jobs that came without a machine in compat mode; the `x` after an age: one was created for it already. */
static const struct {
	const char	*name, *cfg, *fleet, *jobs;
	struct setting	 s;
	const char	*want;
} compat_cases[] = {
	{ "on demand: one creation for the job, whatever limit and growth say", "IC0 IT600 L1 G1", "m1:C", "5", { 0 },
	    "CREATE 1 waiting j0 | ask 0 at-limit" },
	{ "once only", "IC0 IT600", "m1:C", "5x", { 0 }, "| ask 1 none" },
	{ "an idle machine is taken instead, the newest", "IC0 IT600", "m1..2:I(5)", "5x", { 0 },
	    "j0->m2, TRY m1 | ask 1 none" },
	{ "the oldest job first", "IC0 IT600", "m1:I(5)", "5 9x", { 0 }, "j1->m1, CREATE 1 waiting j0 | ask 1 none" },
	{ "idle upkeep as ever", "IC2 IT600", "m1:I(5)", "", { 0 }, "CREATE 1 below-idle, TRY m1 | ask 1 none" },
	{ "no free machine: do not ask", "IC2 IT600", "m1..2:U", "", { .running = 2 },
	    "CREATE 2 below-idle | ask 0 no-free" },
	{ "limit of jobs", "IC2 IT600 L2", "m1..2:U", "", { .running = 2 }, "short 2 at-limit | ask 0 at-limit" },
	{ "concurrent", "IC0 IT600", "m1:I(5)", "", { .slots = -1 }, "TRY m1 | ask 0 at-concurrent" },
	{ "SIGQUIT: nothing ticks", "IC0 IT600", "m1..2:I(900)", "5", { .phase = SCALE_QUIET },
	    "j0->m2 | ask 0 closing" },
	{ "drained", "IC2 IT600", "m1..2:I(5) m3:A", "", { .phase = SCALE_DRAIN },
	    "REMOVE m2 drain, REMOVE m1 drain | ask 0 closing" },
	{ "negative IdleCount: as the original, for ever nothing", "IC-1 IT600", "", "", { 0 }, "| ask 0 no-free" },
};

static void
test_compat_use(void)
{
	struct scale_plan plan = { 0 };
	struct buf got = { 0 };

	for (size_t i = 0; i < NELEM(compat_cases); i++) {
		struct scale_policy p = policy_of(compat_cases[i].cfg, SCALE_COMPAT);
		struct scale_job jobs[8];
		struct str rest = str_from(compat_cases[i].jobs);
		struct scale_input in;
		struct fleet f;

		fleet_of(compat_cases[i].fleet, false, &f);
		in = input_of(&p, &f);
		while (rest.n > 0) {
			struct str w = str_cut(&rest, ' ');

			jobs[in.nwaiting++] = (struct scale_job){ NULL, NOW - strtol(w.p, NULL, 10) * S,
			    str_chr(w, 'x') >= 0 };
		}
		in.waiting = jobs;
		in.running = compat_cases[i].s.running;
		in.phase = compat_cases[i].s.phase;
		if (compat_cases[i].s.slots < 0)
			in.slots_free = 0;
		scale_decide(&in, &plan);
		line(&f, &plan, &got);
		is_str(got.p, compat_cases[i].want, "compat: %s", compat_cases[i].name);
	}
	scale_plan_free(&plan);
	buf_free(&got);
}

/* B3: a poll that was allowed without a machine keeps its place until its job comes or does not. */
static void
test_reserve(void)
{
	struct scale_plan plan = { 0 };
	struct scale_policy p = policy_of("IC0 IT600 L3", SCALE_BETTER & ~SCALE_QUEUE);
	struct scale_input in;
	struct fleet f;

	fleet_of("m1:U", false, &f);
	in = input_of(&p, &f);
	for (in.pending = 0; in.pending < 4; in.pending++) {
		scale_decide(&in, &plan);
		is_int(plan.verdict, in.pending < 2 ? SCALE_ON_DEMAND : SCALE_NO_FREE,
		    "limit 3, one used, %d polls out", in.pending);
	}
	p.rules = SCALE_COMPAT;
	scale_decide(&in, &plan);
	is_int(plan.verdict, SCALE_ON_DEMAND, "the original does not count them");
	scale_plan_free(&plan);
}

static void
test_gate(void)
{
	struct scale_gate g = { 0 };
	int64_t t = NOW;

	is_int(scale_gate_room(&g, t), SCALE_UNLIMITED, "gate: open at first");
	scale_create_started(&g, t);
	scale_create_started(&g, t);
	scale_create_failed(&g, t, 0, t + S, 1000000);
	is_int(g.not_before - t, 61 * S, "gate: 30 s x 2 after the first failure");
	is_int(scale_gate_room(&g, t + 60 * S), 0, "gate: shut");
	scale_create_failed(&g, t, 0, t + 2 * S, 1000000);
	is_int(g.failures, 1, "gate: a creation of the same wave counts once");
	is_int(g.not_before - t, 61 * S, "gate: ... and does not prolong it");
	scale_create_failed(&g, t, t + 90 * S, t + 2 * S, 1000000);
	is_int(g.not_before - t, 90 * S, "gate: but what the cloud demands counts");
	t = g.not_before;
	is_int(scale_gate_room(&g, t), 1, "gate: one probe");
	scale_create_started(&g, t);
	is_int(scale_gate_room(&g, t), 0, "gate: one at a time");
	scale_create_cancelled(&g, t - 1000 * S);
	is_int(scale_gate_room(&g, t), 0, "gate: an older creation that is cancelled is not the probe");
	scale_create_cancelled(&g, t);
	is_int(scale_gate_room(&g, t), 1, "gate: the cancelled probe may be repeated");
	for (int k = 2; k < 80; k++) {
		int64_t wait;

		scale_create_started(&g, t);
		scale_create_failed(&g, t, 0, t + S, k % 2 == 0 ? 0 : 2000000);
		wait = g.not_before - t - S;
		if (k <= 6)
			ok(wait == (k == 2 ? 96 : k == 3 ? 288 : k == 4 ? 384 : k == 5 ? 720 : 480) * S,
			    "gate: failure %d waits %lld s", k, (long long)(wait / S));
		else if (wait < 480 * S || wait > 720 * S)
			ok(false, "gate: failure %d waits %lld s", k, (long long)(wait / S));
		t = g.not_before;
	}
	is_int(scale_gate_room(&g, t - 86400 * S), 1, "gate: a clock set back by a day does not shut it for a day");
	scale_created(&g);
	is_int(scale_gate_room(&g, t), SCALE_UNLIMITED, "gate: a success opens it");
}

static void
test_words(void)
{
	static const struct { struct scale_action a; const char *want; } said[] = {
		{ { .act = SCALE_REMOVE, .why = SCALE_WHY_IDLE, .a = 720 * S + 5, .b = 600 * S, .c = 2 },
		    "idle for 12m0s, longer than IdleTime 10m0s; 2 idle machines are wanted" },
		{ { .act = SCALE_REMOVE, .why = SCALE_WHY_IDLE, .a = S, .b = 0, .c = 0 },
		    "idle for 1s, longer than IdleTime 0s; no idle machine is wanted" },
		{ { .act = SCALE_REMOVE, .why = SCALE_WHY_BUILDS, .a = 1, .b = 1 }, "it ran 1 job; MaxBuilds is 1" },
		{ { .act = SCALE_REMOVE, .why = SCALE_WHY_UNAVAILABLE, .a = 3 },
		    "its Docker Engine failed 3 checks in a row" },
		{ { .act = SCALE_REMOVE, .why = SCALE_WHY_LIMIT, .a = 5, .b = 2 }, "5 machines; limit is 2" },
		{ { .act = SCALE_CREATE, .why = SCALE_WHY_WAITING, .n = 2, .a = 3, .b = 1 },
		    "3 jobs waiting, 1 machine on the way" },
		{ { .act = SCALE_CREATE, .why = SCALE_WHY_BELOW_IDLE, .n = 2, .a = 0, .b = 2 },
		    "0 machines idle or on the way; 2 are wanted" },
		{ { .act = SCALE_ASSIGN, .why = SCALE_WHY_OLDEST, .a = 61 * S }, "the oldest waiting job, after 1m1s" },
		{ { .act = SCALE_REMOVE, .why = SCALE_WHY_DRAIN }, "shutdown drain" },
	};
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(said); i++) {
		buf_clear(&b);
		scale_explain(&said[i].a, &b);
		is_str(b.p, said[i].want, "explained: %s", scale_why_word(said[i].a.why));
	}
	for (int w = 0; w < SCALE_WHY_MAX; w++) {
		if (scale_why((enum scale_why)w) == NULL || scale_why_word((enum scale_why)w) == NULL)
			ok(false, "reason %d has no words", w);
	}
	is_str(scale_state_name(SCALE_STUCK), "stuck-on-removing", "names of states are those of the metrics");
	buf_free(&b);
}

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

/*
 * Histories: a small world with a cloud that fails now and then, jobs that come in bursts, settings that change. After
 * every plan the promises of scale.h are checked against the world itself.
 */
struct world {
	struct scale_policy	p;
	struct scale_gate	gate;
	struct budget		growth;
	struct scale_machine	m[256];
	int64_t			event[256];	/* when its creation, job or removal ends */
	int64_t			started[256];
	int			n;
	struct scale_job	waiting[256];
	int			nwaiting;
	int			queue;		/* jobs that GitLab still has */
	int			cap;		/* max_machines, 0 = none */
	int			slots;		/* concurrent */
	enum scale_phase	phase;
	int64_t			now, wake_at;
	int			ask;
	unsigned long		seed;
	int			step;
	/* what happened, so that the test cannot pass by doing nothing */
	int			assigned, created, removed, failed, held;
};

static int broken;

static void
breach(const struct world *w, const char *what)
{
	if (broken++ < 5)
		printf("# seed %lu step %d: %s\n", w->seed, w->step, what);
}

static int
in_state(const struct world *w, enum scale_state s)
{
	int n = 0;

	for (int i = 0; i < w->n; i++)
		n += w->m[i].state == s;
	return n;
}

static struct scale_input
view(const struct world *w)
{
	int over = w->n - in_state(w, SCALE_REMOVING) - w->cap;

	return (struct scale_input){
		.now = w->now, .policy = &w->p, .machines = w->m, .nmachines = (size_t)w->n,
		.waiting = w->waiting, .nwaiting = (size_t)w->nwaiting,
		.running = in_state(w, SCALE_USED),
		.slots_free = w->slots - w->nwaiting - in_state(w, SCALE_USED),
		.machines_free = w->cap > 0 ? w->cap - w->n : SCALE_UNLIMITED,
		.machines_over = w->cap > 0 && over > 0 ? over : 0,
		.gate = &w->gate, .growth = &w->growth, .phase = w->phase,
	};
}

/* Could this machine take a job now? By the words of the header, not by the code. */
static bool
fit(const struct world *w, const struct scale_machine *m)
{
	return m->state == SCALE_IDLE && m->failures == 0 && (m->flags & SCALE_F_DOOMED) == 0 &&
	    !(w->p.max_builds > 0 && m->uses >= (uint32_t)w->p.max_builds) &&
	    !(w->p.max_age > 0 && w->now - m->created > w->p.max_age);
}

static void
check_plan(const struct world *w, const struct scale_plan *plan)
{
	bool touched[256] = { false }, served[256] = { false };
	int64_t youngest = INT64_MIN;
	int fit_left = 0, unserved = w->nwaiting, coming = in_state(w, SCALE_CREATING);
	int removing = in_state(w, SCALE_REMOVING), idle = in_state(w, SCALE_IDLE);
	int all = w->n, created = 0, target, spare, used = in_state(w, SCALE_USED);
	int surplus_goes = 0, for_limit = 0, forced = 0, unused = 0;

	for (int i = 0; i < w->n; i++)
		fit_left += fit(w, &w->m[i]);
	for (size_t i = 0; i < plan->nactions; i++) {
		const struct scale_action *a = &plan->actions[i];
		const struct scale_machine *m = a->machine >= 0 ? &w->m[a->machine] : NULL;

		if (m != NULL && touched[a->machine])
			breach(w, "a machine is named twice");
		if (m != NULL && m->state != SCALE_IDLE)
			breach(w, "a machine that is not idle is assigned or removed");
		if (m != NULL)
			touched[a->machine] = true;
		switch (a->act) {
		case SCALE_ASSIGN:
			if (!fit(w, m))
				breach(w, "a job gets a machine that is not fit");
			if (served[a->job])
				breach(w, "a job gets two machines");
			served[a->job] = true;
			if (w->waiting[a->job].arrived > youngest)
				youngest = w->waiting[a->job].arrived;
			fit_left--;
			unserved--;
			idle--;
			used++;
			break;
		case SCALE_REMOVE:
			if (fit(w, m) && a->why != SCALE_WHY_IDLE && a->why != SCALE_WHY_LIMIT &&
			    a->why != SCALE_WHY_CAP && a->why != SCALE_WHY_STALE && a->why != SCALE_WHY_DRAIN)
				breach(w, "a fit machine is removed for a fault");
			if (fit(w, m))
				fit_left--;
			if (a->why == SCALE_WHY_IDLE) {
				surplus_goes++;
				if (w->now - m->used <= w->p.idle_time)
					breach(w, "removed before IdleTime was over");
				if (w->now - m->created < w->p.grace)
					breach(w, "removed within its grace time");
			}
			for_limit += a->why == SCALE_WHY_LIMIT;
			forced += a->why == SCALE_WHY_UNAVAILABLE || a->why == SCALE_WHY_BUILDS ||
			    a->why == SCALE_WHY_AGE || a->why == SCALE_WHY_DOOMED;
			idle--;
			removing++;
			break;
		case SCALE_CREATE:
			created += a->n;
			if (a->n <= 0)
				breach(w, "an empty creation");
			break;
		case SCALE_TRY:
			breach(w, "a try in queue mode");
			break;
		}
	}
	for (int j = 0; j < w->nwaiting; j++) {
		if (!served[j] && w->waiting[j].arrived < youngest)
			breach(w, "a younger job overtook an older one");
		if (!served[j] && fit_left > 0)
			breach(w, "a job waits while a fit machine stands idle");
	}
	/* creation */
	if (created > 0 && w->p.limit > 0 && all + created > w->p.limit)
		breach(w, "created above limit");
	if (created > 0 && w->cap > 0 && all + created > w->cap)
		breach(w, "created above max_machines");
	if (created > 0 && w->p.max_growth > 0 && coming + created > w->p.max_growth)
		breach(w, "created faster than MaxGrowthRate");
	if (created > 0 && created > scale_gate_room(&w->gate, w->now))
		breach(w, "created against the back-off");
	if (created > budget_available(&w->growth, w->now))
		breach(w, "created beyond the bucket");
	if (created > 0 && fit_left > 0 && unserved > 0)
		breach(w, "created for a job that an idle machine can take");
	target = scale_idle_target(&w->p, used + unserved);
	spare = idle + coming + created - unserved;
	if (created > 0 && spare > (w->phase == SCALE_RUN ? target : 0) && spare - created >= 0 &&
	    spare > target)
		breach(w, "created more than wanted");
	if (w->phase == SCALE_RUN && spare < target && plan->held == SCALE_WHY_NONE)
		breach(w, "fewer than wanted and no reason");
	if (plan->held != SCALE_WHY_NONE && plan->short_by != (w->phase == SCALE_RUN ? target : 0) - spare &&
	    w->phase == SCALE_RUN)
		breach(w, "short_by is wrong");
	/* removal */
	for (int i = 0; i < w->n; i++)
		unused += w->m[i].state == SCALE_IDLE && !touched[i] && w->now - w->m[i].used > w->p.idle_time;
	if (surplus_goes > 0 && (w->p.rules & SCALE_LINGER) != 0 && unused < target)
		breach(w, "a machine goes before there was surplus for IdleTime");
	if (surplus_goes > 0 && w->phase != SCALE_DRAIN && spare < target)
		breach(w, "idle machines went below the target");
	if (for_limit > 0 && for_limit > all - in_state(w, SCALE_REMOVING) - forced - w->p.limit)
		breach(w, "more went than limit demands");
	if (w->p.limit > 0 && idle > 0 && all - removing > w->p.limit)
		breach(w, "idle machines stay above limit");
	for (int i = 0; i < w->n && w->phase == SCALE_RUN; i++) {
		const struct scale_machine *m = &w->m[i];

		if (m->state == SCALE_IDLE && !touched[i] && spare > target &&
		    ((w->p.rules & SCALE_LINGER) == 0 || unused > target) && w->now - m->used > w->p.idle_time && w->now - m->created >= w->p.grace)
			breach(w, "surplus stays");
	}
	/* asking */
	if (plan->ask < 0 || (plan->ask > 0 && w->phase != SCALE_RUN))
		breach(w, "asks while closing");
	if (plan->ask > 0 && w->p.limit > 0 && plan->ask > w->p.limit - w->nwaiting - in_state(w, SCALE_USED))
		breach(w, "asks beyond limit");
	if (plan->ask > 0 && plan->ask > w->slots - w->nwaiting - in_state(w, SCALE_USED))
		breach(w, "asks beyond concurrent");
	if (plan->ask > 0 && w->p.limit > 0 &&
	    plan->ask > idle + coming - unserved + (w->p.limit > all ? w->p.limit - all : 0))
		breach(w, "asks for a job that can have no machine");
	/* counts and time */
	if (plan->counts.idle != idle || plan->counts.used != used || plan->counts.creating != coming + created ||
	    plan->counts.removing + plan->counts.stuck != removing)
		breach(w, "counts are wrong");
	if (plan->wake_at != 0 && plan->wake_at <= w->now)
		breach(w, "wakes in the past");
}

static void
apply(struct world *w, const struct scale_plan *plan)
{
	bool served[256] = { false };
	int keep = 0;

	for (size_t i = 0; i < plan->nactions; i++) {
		const struct scale_action *a = &plan->actions[i];

		switch (a->act) {
		case SCALE_ASSIGN:
			w->m[a->machine].state = SCALE_USED;
			w->m[a->machine].uses++;
			w->event[a->machine] = w->now + (1 + upto(400)) * S;
			served[a->job] = true;
			w->assigned++;
			break;
		case SCALE_REMOVE:
			w->m[a->machine].state = SCALE_REMOVING;
			w->event[a->machine] = w->now + (1 + upto(chance(5) ? 2000 : 40)) * S;
			w->removed++;
			break;
		case SCALE_CREATE:
			budget_take(&w->growth, a->n, w->now);
			for (int k = 0; k < a->n && w->n < 256; k++) {
				w->m[w->n] = (struct scale_machine){ .created = w->now, .used = w->now,
				    .state = SCALE_CREATING };
				w->started[w->n] = w->now;
				w->event[w->n++] = w->now + (20 + upto(100)) * S;
				scale_create_started(&w->gate, w->now);
				w->created++;
			}
			break;
		case SCALE_TRY:
			break;
		}
	}
	for (int j = 0; j < w->nwaiting; j++) {
		if (!served[j])
			w->waiting[keep++] = w->waiting[j];
	}
	w->nwaiting = keep;
	w->ask = plan->ask;
	w->wake_at = plan->wake_at;
	w->held += plan->held != SCALE_WHY_NONE;
}

/* What the cloud and the jobs did until now. */
static void
happen(struct world *w, int failures)
{
	for (int i = 0; i < w->n; i++) {
		struct scale_machine *m = &w->m[i];

		if (w->event[i] > w->now)
			continue;
		switch (m->state) {
		case SCALE_CREATING:
			if (chance(failures)) {
				scale_create_failed(&w->gate, w->started[i], 0, w->now, rnd());
				m->state = SCALE_REMOVING;
				w->event[i] = w->now + 5 * S;
				w->failed++;
			} else {
				scale_created(&w->gate);
				m->state = SCALE_IDLE;
				m->used = w->now;
			}
			break;
		case SCALE_USED:
			m->state = SCALE_IDLE;
			m->used = w->now;
			break;
		case SCALE_REMOVING:
			w->m[i] = w->m[--w->n];
			w->event[i] = w->event[w->n];
			w->started[i] = w->started[w->n];
			i--;
			break;
		default:
			break;
		}
	}
}

static void
disturb(struct world *w)
{
	if (chance(20))
		w->queue += chance(20) ? upto(30) : upto(3);
	if (w->n > 0 && chance(10))
		w->m[upto(w->n - 1)].failures++;
	if (w->n > 0 && chance(30))
		w->m[upto(w->n - 1)].failures = 0;
	if (w->n > 0 && chance(1))
		w->m[upto(w->n - 1)].flags ^= SCALE_F_DOOMED;
	if (w->n > 0 && chance(2))
		w->m[upto(w->n - 1)].flags |= SCALE_F_STALE;
	if (chance(1)) {
		w->p.limit = chance(40) ? 0 : 1 + upto(30);
		w->p.idle_count = chance(40) ? 0 : upto(8);
		w->p.idle_count_min = upto(3);
		w->p.idle_factor = chance(60) ? 0 : upto(25) / 10.0;
		w->p.idle_time = upto(600) * S;
		w->p.max_growth = chance(60) ? 0 : 1 + upto(4);
		w->p.max_builds = chance(60) ? 0 : 1 + upto(4);
		w->p.max_age = chance(70) ? 0 : (1000 + upto(4000)) * S;
		w->cap = chance(70) ? 0 : 1 + upto(20);
		w->slots = 1 + upto(40);
		w->phase = chance(85) ? SCALE_RUN : chance(50) ? SCALE_QUIET : SCALE_DRAIN;
		budget_change(&w->growth, chance(50) ? 0 : 0.02 * (1 + upto(10)), 1 + upto(5));
	}
}

static int64_t
next_event(const struct world *w)
{
	int64_t t = w->wake_at;

	for (int i = 0; i < w->n; i++) {
		if (w->m[i].state != SCALE_IDLE && (t == 0 || w->event[i] < t))
			t = w->event[i];
	}
	return t;
}

static void
decide_and_check(struct world *w, struct scale_plan *plan)
{
	struct scale_input in = view(w);

	scale_decide(&in, plan);
	check_plan(w, plan);
	apply(w, plan);
	/* once more at the same instant: nothing is left to do, and nothing is removed or asked for twice */
	in = view(w);
	scale_decide(&in, plan);
	check_plan(w, plan);
	if (plan->nactions > 0)
		breach(w, "does not settle");
	if (plan->ask != w->ask)
		breach(w, "ask changed without an event");
	/* and nothing changes by time alone before wake_at */
	if (w->p.idle_time > 0 && (w->wake_at == 0 || w->wake_at > w->now + 1)) {
		int64_t later = w->wake_at != 0 ? w->wake_at - 1 : w->now + 86400 * S;

		in.now = w->now + 1 + (int64_t)(rnd() % (uint64_t)(later - w->now));
		scale_decide(&in, plan);
		if (plan->nactions > 0 || plan->ask > w->ask)
			breach(w, "something changed before wake_at");
	}
}

static void
test_histories(void)
{
	struct scale_plan plan = { 0 };
	static struct world w;
	int assigned = 0, created = 0, removed = 0, failed = 0, held = 0, restless = 0;

	broken = 0;
	for (unsigned long k = 1; k <= 60; k++) {
		int spare, target;

		seed = k;
		w = (struct world){ .p = scale_policy_default(), .now = NOW, .slots = 30, .seed = k };
		w.p.idle_time = 300 * S;
		w.p.limit = 20;
		if (k % 3 == 0)
			w.p.rules &= ~(unsigned)SCALE_LINGER;
		for (w.step = 0; w.step < 3000; w.step++) {
			int64_t t = next_event(&w);
			int take;

			w.now = t != 0 && t > w.now && chance(70) ? t : w.now + upto(30) * S + 1;
			happen(&w, w.step / 500 % 2 == 0 ? 3 : 40);
			disturb(&w);
			take = w.ask < w.queue ? w.ask : w.queue;
			for (int j = 0; j < take && w.nwaiting < 200; j++) {
				w.waiting[w.nwaiting++] = (struct scale_job){ NULL, w.now - upto(2), false };
				w.queue--;
			}
			decide_and_check(&w, &plan);
		}
		/* no more jobs, a cloud that works: everything comes to rest at the idle target */
		w.queue = 0;
		w.phase = SCALE_RUN;
		w.p.max_age = 0;
		for (int i = 0; i < w.n; i++) {
			w.m[i].failures = 0;
			w.m[i].flags = 0;
		}
		w.wake_at = w.now + 1;
		for (int i = 0; i < 3000 && next_event(&w) != 0; i++, w.step++) {
			int64_t t = next_event(&w);

			w.now = t > w.now ? t : w.now + 1;
			happen(&w, 0);
			decide_and_check(&w, &plan);
		}
		if (next_event(&w) != 0)
			restless++;
		target = scale_idle_target(&w.p, 0);
		if (w.p.limit > 0 && target > w.p.limit)
			target = w.p.limit;
		if (w.cap > 0 && target > w.cap)
			target = w.cap;
		/* what has used up MaxBuilds is replaced, so only fit ones are left */
		spare = in_state(&w, SCALE_IDLE);
		if (w.n != spare || spare != target || w.nwaiting != 0) {
			printf("# seed %lu: %d machines, %d idle, %d wanted, %d jobs left\n", k, w.n, spare,
			    target, w.nwaiting);
			restless++;
		}
		assigned += w.assigned;
		created += w.created;
		removed += w.removed;
		failed += w.failed;
		held += w.held;
	}
	is_int(broken, 0, "60 histories of 3000 steps keep every promise");
	is_int(restless, 0, "each comes to rest at its idle target with every job done");
	ok(assigned > 10000 && created > 5000 && removed > 5000 && failed > 300 && held > 5000,
	    "they were eventful: %d jobs, %d created, %d removed, %d failed, %d plans held back", assigned,
	    created, removed, failed, held);
	scale_plan_free(&plan);
}

/* Numbers from a damaged file or an absurd configuration: no overflow (UBSan looks on), and counts that add up. */
static int64_t
absurd_time(void)
{
	static const int64_t times[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, NOW - 1, NOW, NOW + 1, INT64_MAX - 1, INT64_MAX };

	return chance(70) ? times[upto((int)NELEM(times) - 1)] : (int64_t)rnd();
}

static int
absurd_int(void)
{
	static const int ints[] = { INT_MIN, -1, 0, 1, 2, 3, 100, INT_MAX - 1, INT_MAX };

	return ints[upto((int)NELEM(ints) - 1)];
}

static void
test_absurd(void)
{
	static const double factors[] = { 0, -1, 0.5, 1, 1e300, -1e300 };
	struct scale_plan plan = { 0 };
	int wrong = 0;

	seed = 7;
	for (int round = 0; round < 30000; round++) {
		struct scale_policy p = { .rules = (unsigned)rnd() & SCALE_BETTER,
			.idle_count = absurd_int(), .idle_count_min = absurd_int(), .idle_factor = factors[upto(5)],
			.idle_time = absurd_time(), .until = absurd_time(), .limit = absurd_int(),
			.max_growth = absurd_int(), .max_builds = absurd_int(), .factor_limit = absurd_int(),
			.failure_threshold = absurd_int(), .max_age = absurd_time(), .grace = absurd_time(),
			.billing_unit = absurd_time(), .billing_margin = 120 * S, .preemptive = chance(10) };
		struct scale_gate gate = { (unsigned)upto(9), absurd_time(), absurd_time(), chance(50) };
		struct budget growth = { absurd_time() & (INT64_MAX / 4096), 1 + upto(9), absurd_time(), absurd_time() };
		struct scale_machine m[12];
		struct scale_job jobs[12];
		struct scale_input in = {
			.now = chance(80) ? NOW : 0, .policy = &p, .machines = m, .nmachines = (size_t)upto(12),
			.waiting = jobs, .nwaiting = (size_t)upto(12), .running = upto(3), .slots_free = absurd_int() / 2,
			.machines_free = chance(50) ? SCALE_UNLIMITED : upto(5) - 2, .machines_over = upto(2),
			.pending = upto(2), .gate = &gate, .growth = chance(50) ? &growth : NULL,
			.phase = (enum scale_phase)upto(2),
		};
		int n = 0;

		for (size_t i = 0; i < NELEM(m); i++)
			m[i] = (struct scale_machine){ NULL, absurd_time(), absurd_time(), (uint32_t)rnd(), (uint16_t)upto(4),
			    (uint16_t)upto(4), (uint8_t)upto(SCALE_STUCK), (uint8_t)upto(7) };
		for (size_t j = 0; j < NELEM(jobs); j++)
			jobs[j] = (struct scale_job){ NULL, absurd_time(), chance(50) };
		scale_decide(&in, &plan);
		n = plan.counts.acquired + plan.counts.creating + plan.counts.idle + plan.counts.used +
		    plan.counts.removing + plan.counts.stuck;
		for (size_t i = 0; i < plan.nactions; i++) {
			if (plan.actions[i].act == SCALE_CREATE)
				n -= plan.actions[i].n;
		}
		wrong += n != (int)in.nmachines || plan.ask < 0;
	}
	is_int(wrong, 0, "30000 absurd inputs: counts add up");
	scale_plan_free(&plan);
}

int
main(void)
{
	test_vectors();
	test_absurd();
	test_next_tick();
	test_cases();
	test_compat_use();
	test_reserve();
	test_gate();
	test_words();
	test_model(SCALE_COMPAT, "compat");
	test_model(SCALE_BETTER & ~(SCALE_QUEUE | SCALE_LINGER), "better");
	test_histories();
	return done_testing();
}
