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

/* Fleets written as in the spec: "m1..5:I(900) u1:U x:R/3 b:I! j:I(5,uc1)". */
struct fleet {
	struct scale_machine	m[MACHINES_MAX];
	char			name[MACHINES_MAX][8];
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

		if (str_starts(w, "IC"))
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
		long age = 0, uses = 0, retries = 0;
		bool bad = str_chr(w, '!') >= 0;
		ssize_t open = str_chr(w, '('), uc = str_find(w, "uc"), slash = str_chr(w, '/');

		if (names.n > 1)
			first = (int)strtol(names.p + 1, NULL, 10);
		last = dots > 0 ? (int)strtol(names.p + dots + 2, NULL, 10) : first;
		if (open >= 0)
			age = strtol(w.p + open + 1, NULL, 10);
		if (uc >= 0)
			uses = strtol(w.p + uc + 2, NULL, 10);
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
			m->uses = (uint32_t)uses;
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

int
main(void)
{
	test_vectors();
	return done_testing();
}
