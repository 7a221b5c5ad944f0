/* Replaying a history of jobs. See simulate.h. */
#include "core/mono.h"
#include "policy/simulate.h"

#define CHECK_INTERVAL	(3 * NSEC_SEC)
#define HOUR		3600e9
#define SECONDS_MAX	2000000000	/* of a history; 63 years, far from the end of int64_t */

enum event_kind { BOOTED, ENDED, GONE };

struct event {
	int64_t		at;
	uint64_t	order;		/* events of one instant happen in the order they were planned */
	enum event_kind	kind;
	struct machine	*m;
};

struct machine {
	int64_t		created;
	size_t		place;		/* in sim.m */
	bool		doomed;		/* its creation will fail */
	struct machine	*next_free;
};

/* A first-in-first-out queue of job numbers. */
struct fifo {
	size_t	*v;
	size_t	 head, tail;
};

struct sim {
	const struct sim_config	*cfg;
	const struct sim_job	*jobs;	/* by arrival */
	size_t			 njobs, arrived;
	int64_t			 now;

	struct scale_policy	 policy;
	struct scale_gate	 gate;
	struct budget		 growth;
	struct scale_plan	 plan;
	int64_t			 wake_at;
	uint64_t		 random;

	struct scale_machine	*m;	/* .ref is the struct machine */
	size_t			 nm, capm;
	struct machine		*free;	/* list of those that are not in use */
	struct scale_job	*waiting;	/* .ref is the job's number */
	size_t			 nwaiting, capwaiting;
	struct fifo		 queue;	/* at GitLab */

	struct event		*heap;
	size_t			 nheap, capheap;
	uint64_t		 order;

	/* the original's mode: one request at a time */
	int64_t			 tick_at;
	int64_t			 held_until;	/* a request is out; 0 = none */
	int64_t			 held_since;
	struct machine		*held;		/* its machine, or NULL */

	int			 busy, idle, coming, going;
	dur_t			*waits;
	size_t			 started, ended;
	dur_t			 bucket;	/* width of a sample */
	size_t			 capsamples;
	struct sim_result	 r;
};

static uint64_t
draw(struct sim *s)
{
	uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static double
fraction(struct sim *s)
{
	return (double)(draw(s) >> 11) / 9007199254740992.0;
}

/* Room for one element more. */
static void *
room(void *p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return p;
	*cap = *cap == 0 ? 64 : *cap * 2;
	return xrealloc(p, *cap * size);
}

/* Events. */

static bool
sooner(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
plan_event(struct sim *s, int64_t at, enum event_kind kind, struct machine *m)
{
	struct event e = { at, s->order++, kind, m };
	size_t i = s->nheap++;

	s->heap = room(s->heap, i, &s->capheap, sizeof(*s->heap));
	for (; i > 0 && sooner(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = e;
}

static struct event
next_event(struct sim *s)
{
	struct event top = s->heap[0], last = s->heap[--s->nheap];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->nheap)
			break;
		if (child + 1 < s->nheap && sooner(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!sooner(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

/* Bookkeeping. */

static void
sample(struct sim *s, int64_t from, int64_t to)
{
	struct sim_result *r = &s->r;
	int waiting = (int)(s->nwaiting + s->queue.tail - s->queue.head);

	while (from < to) {
		size_t i = (size_t)(from / s->bucket);
		int64_t end = (int64_t)(i + 1) * s->bucket;
		double share;
		struct sim_sample *x;

		while (r->ntimeline <= i) {
			r->timeline = room(r->timeline, r->ntimeline, &s->capsamples, sizeof(*r->timeline));
			r->timeline[r->ntimeline] = (struct sim_sample){ .from = (int64_t)r->ntimeline * s->bucket };
			r->ntimeline++;
		}
		if (end > to)
			end = to;
		x = &r->timeline[i];
		share = (double)(end - from) / (double)s->bucket;
		x->busy += share * s->busy;
		x->idle += share * s->idle;
		x->coming += share * s->coming;
		x->removing += share * s->going;
		x->waiting += share * waiting;
		if (waiting > x->waiting_peak)
			x->waiting_peak = waiting;
		from = end;
	}
}

static void
advance(struct sim *s, int64_t to)
{
	if (s->bucket > 0)
		sample(s, s->now, to);
	s->now = to;
}

/* What a machine's life costs when it ends now. */
static void
bill(struct sim *s, const struct machine *m)
{
	dur_t life = s->now - m->created;

	s->r.machine_hours += (double)life / HOUR;
	s->r.paid_hours += (double)billing_paid(&s->cfg->billing, life, s->cfg->price_per_hour) / HOUR;
}

static void
gone(struct sim *s, struct machine *m)
{
	bill(s, m);
	/* the list keeps its order: the original's decisions depend on it */
	s->nm--;
	memmove(&s->m[m->place], &s->m[m->place + 1], (s->nm - m->place) * sizeof(*s->m));
	for (size_t i = m->place; i < s->nm; i++)
		((struct machine *)s->m[i].ref)->place = i;
	m->next_free = s->free;
	s->free = m;
	s->going--;
}

static void
run_job(struct sim *s, size_t job, struct machine *m)
{
	struct scale_machine *x = &s->m[m->place];

	x->state = SCALE_USED;
	x->used = s->now;
	x->uses++;
	s->busy++;
	s->waits[s->started++] = s->now - s->jobs[job].arrival;
	s->r.busy_hours += (double)s->jobs[job].duration / HOUR;
	plan_event(s, s->now + s->jobs[job].duration, ENDED, m);
}

static void
create_machine(struct sim *s)
{
	const struct sim_config *c = s->cfg;
	double spread = c->boot_spread > 0 ? 1 + c->boot_spread * (2 * fraction(s) - 1) : 1;
	struct machine *m = s->free;

	if (m != NULL)
		s->free = m->next_free;
	else
		m = xmalloc(sizeof(*m));
	s->m = room(s->m, s->nm, &s->capm, sizeof(*s->m));
	*m = (struct machine){ .created = s->now, .place = s->nm,
	    .doomed = c->boot_failures > 0 && fraction(s) < c->boot_failures };
	s->m[s->nm++] = (struct scale_machine){ .ref = m, .created = s->now, .used = s->now,
	    .state = SCALE_CREATING };
	s->coming++;
	s->r.created++;
	if ((int)s->nm > s->r.peak_machines)
		s->r.peak_machines = (int)s->nm;
	scale_create_started(&s->gate, s->now);
	plan_event(s, s->now + (dur_t)((double)c->boot * (spread > 0 ? spread : 0)), BOOTED, m);
}

static void
remove_machine(struct sim *s, struct machine *m)
{
	s->m[m->place].state = SCALE_REMOVING;
	s->m[m->place].used = s->now;
	s->going++;
	s->r.removed++;
	plan_event(s, s->now + s->cfg->removal, GONE, m);
}

static void
happen(struct sim *s, const struct event *e)
{
	struct scale_machine *x = &s->m[e->m->place];

	switch (e->kind) {
	case BOOTED:
		s->coming--;
		if (e->m->doomed) {
			s->r.failed++;
			scale_create_failed(&s->gate, x->created, 0, s->now, draw(s));
			remove_machine(s, e->m);
			break;
		}
		scale_created(&s->gate);
		x->state = SCALE_IDLE;
		x->used = s->now;
		s->idle++;
		break;
	case ENDED:
		x->state = SCALE_IDLE;
		x->used = s->now;
		s->busy--;
		s->idle++;
		s->ended++;
		s->r.end = s->now;
		break;
	case GONE:
		gone(s, e->m);
		break;
	}
}

/* Deciding and carrying out. */

/* As runner_policy() of the manager has it. */
static void
grace(struct sim *s)
{
	s->policy.grace = s->policy.idle_count == 0 || s->cfg->policy.grace > s->policy.idle_time ? 0 : s->cfg->policy.grace;
}

/* The idle settings of this hour. Only they look at wall time; all else counts from the beginning. */
static void
turn_clock(struct sim *s)
{
	const struct sim_config *c = s->cfg;

	if (c->periods == NULL || s->now < s->policy.until)
		return;
	periods_apply(c->periods, wall_add(c->start, s->now), &s->policy);
	s->policy.until -= c->start.ns;
	grace(s);
}

static void
decide(struct sim *s)
{
	const struct sim_config *c = s->cfg;
	int taken = (int)s->nwaiting + s->busy, kept = (int)s->nm - s->going;
	struct scale_input in = {
		.now = s->now, .policy = &s->policy, .machines = s->m, .nmachines = s->nm,
		.waiting = s->waiting, .nwaiting = s->nwaiting, .running = s->busy,
		.slots_free = c->concurrent > 0 ? c->concurrent - taken : INT_MAX / 2,
		.machines_free = c->max_machines > 0 ? c->max_machines - (int)s->nm : SCALE_UNLIMITED,
		.machines_over = c->max_machines > 0 && kept > c->max_machines ? kept - c->max_machines : 0,
		.gate = &s->gate, .growth = &s->growth,
	};

	scale_decide(&in, &s->plan);
	s->wake_at = s->plan.wake_at;
	s->r.decisions++;
}

static void
carry_out(struct sim *s)
{
	size_t keep = 0;

	for (size_t i = 0; i < s->plan.nactions; i++) {
		const struct scale_action *a = &s->plan.actions[i];

		switch (a->act) {
		case SCALE_ASSIGN:
			s->idle--;
			run_job(s, (size_t)(uintptr_t)s->waiting[a->job].ref, s->m[a->machine].ref);
			s->waiting[a->job].arrived = INT64_MIN;
			break;
		case SCALE_CREATE:
			budget_take(&s->growth, a->n, s->now);
			for (int k = 0; k < a->n; k++)
				create_machine(s);
			if (a->job >= 0)
				s->waiting[a->job].created = true;
			break;
		case SCALE_REMOVE:
			s->idle--;
			remove_machine(s, s->m[a->machine].ref);
			break;
		case SCALE_TRY:
			break;
		}
	}
	for (size_t j = 0; j < s->nwaiting; j++) {
		if (s->waiting[j].arrived != INT64_MIN)
			s->waiting[keep++] = s->waiting[j];
	}
	s->nwaiting = keep;
}

/* Jobs that have come into being by now, oldest first. */
static void
arrive(struct sim *s)
{
	while (s->arrived < s->njobs && s->jobs[s->arrived].arrival <= s->now)
		s->queue.v[s->queue.tail++] = s->arrived++;
}

static bool
queued(const struct sim *s)
{
	return s->queue.head < s->queue.tail;
}

static size_t
hand_out(struct sim *s)
{
	return s->queue.v[s->queue.head++];
}

static void
wait_for_machine(struct sim *s, size_t job)
{
	s->waiting = room(s->waiting, s->nwaiting, &s->capwaiting, sizeof(*s->waiting));
	s->waiting[s->nwaiting++] = (struct scale_job){ .ref = (void *)(uintptr_t)job,
	    .arrived = s->now };
}

/* windlass: ask for as many as the plan says, and decide again when some came. */
static void
step_queue(struct sim *s)
{
	int asked;

	do {
		decide(s);
		carry_out(s);
		for (asked = 0; asked < s->plan.ask && queued(s); asked++)
			wait_for_machine(s, hand_out(s));
	} while (asked > 0);
}

/* The original: the request that is out gets a job, or ends. */
static void
answer_request(struct sim *s)
{
	bool job = queued(s);

	if (s->held_until == 0 || (!job && s->now < s->held_until))
		return;
	s->held_until = 0;
	if (job && s->held != NULL) {
		run_job(s, hand_out(s), s->held);
	} else if (s->held != NULL) {
		s->m[s->held->place].state = SCALE_IDLE;
		s->idle++;
	} else if (job) {
		wait_for_machine(s, hand_out(s));
	}
	s->held = NULL;
	s->tick_at = s->held_since + (s->cfg->check_interval > 0 ? s->cfg->check_interval : CHECK_INTERVAL);
	/* after a job the next request follows at once */
	if (job || s->tick_at < s->now)
		s->tick_at = s->now;
}

/* A free worker slot, and fewer jobs than limit: else the original does not even tick. */
static bool
may_tick(const struct sim *s)
{
	int taken = (int)s->nwaiting + s->busy;

	return s->held_until == 0 && s->now >= s->tick_at &&
	    (s->cfg->concurrent <= 0 || taken < s->cfg->concurrent) &&
	    (s->policy.limit <= 0 || taken < s->policy.limit);
}

static void
send_request(struct sim *s)
{
	s->held_since = s->now;
	s->held_until = s->now + s->cfg->long_poll + 1;
	for (size_t i = 0; i < s->plan.nactions; i++) {
		const struct scale_action *a = &s->plan.actions[i];

		if (a->act != SCALE_TRY)
			continue;
		s->held = s->m[a->machine].ref;
		s->m[a->machine].state = SCALE_ACQUIRED;
		s->idle--;
		return;
	}
}

static void
step_tick(struct sim *s)
{
	dur_t interval = s->cfg->check_interval > 0 ? s->cfg->check_interval : CHECK_INTERVAL;

	answer_request(s);
	/* jobs that came without a machine look for one whenever something happens */
	if (s->nwaiting > 0) {
		decide(s);
		carry_out(s);
	}
	while (may_tick(s)) {
		decide(s);
		/* the machine to try is found by its place, which creations and removals leave alone */
		carry_out(s);
		s->tick_at = s->now + interval;
		if (s->plan.ask > 0) {
			send_request(s);
			answer_request(s);
		}
		if (s->nwaiting > 0) {
			decide(s);
			carry_out(s);
		}
	}
	if (s->tick_at <= s->now)
		s->tick_at = s->now + interval;
}

/* When something happens next; INT64_MAX: never. */
static int64_t
next_moment(const struct sim *s)
{
	int64_t t = INT64_MAX;

	if (s->nheap > 0)
		t = s->heap[0].at;
	if (s->arrived < s->njobs && s->jobs[s->arrived].arrival < t)
		t = s->jobs[s->arrived].arrival;
	if (s->wake_at > s->now && s->wake_at < t)
		t = s->wake_at;
	if ((s->policy.rules & SCALE_QUEUE) != 0)
		return t;
	if (s->held_until != 0 && s->held_until < t)
		t = s->held_until;
	if (s->held_until == 0 && s->tick_at < t)
		t = s->tick_at;
	return t;
}

/*
 * All jobs have arrived, none runs, and for a week none has come or started: the rest never will
 * (a limit of nothing, a cloud that always fails).
 */
static bool
hopeless(const struct sim *s, int64_t last_move)
{
	return s->arrived == s->njobs && s->busy == 0 && s->now - last_move > 7 * 86400 * NSEC_SEC;
}

static void
replay(struct sim *s)
{
	bool queue = (s->policy.rules & SCALE_QUEUE) != 0;
	int64_t last_move = 0;

	while (s->ended < s->njobs) {
		int64_t t = next_moment(s);
		size_t moved = s->started + s->arrived;

		if (t == INT64_MAX || hopeless(s, last_move))
			break;
		advance(s, t);
		while (s->nheap > 0 && s->heap[0].at <= s->now) {
			struct event e = next_event(s);

			happen(s, &e);
		}
		arrive(s);
		turn_clock(s);
		if (queue)
			step_queue(s);
		else
			step_tick(s);
		if (s->started + s->arrived > moved || s->arrived < s->njobs)
			last_move = s->now;
	}
}

static int
by_arrival(const void *a, const void *b)
{
	const struct sim_job *x = a, *y = b;

	if (x->arrival != y->arrival)
		return x->arrival < y->arrival ? -1 : 1;
	return x->duration < y->duration ? -1 : x->duration > y->duration;
}

static int
by_value(const void *a, const void *b)
{
	dur_t x = *(const dur_t *)a, y = *(const dur_t *)b;

	return x < y ? -1 : x > y;
}

static void
statistics(struct sim *s)
{
	struct sim_result *r = &s->r;
	size_t n = s->started;
	double sum = 0;

	r->jobs = s->njobs;
	r->unfinished = s->njobs - s->ended;
	if (n == 0)
		return;
	qsort(s->waits, n, sizeof(*s->waits), by_value);
	for (size_t i = 0; i < n; i++)
		sum += (double)s->waits[i];
	r->wait_mean = (dur_t)(sum / (double)n);
	/* the smallest wait that so many per cent of the jobs did not exceed */
	r->wait_p50 = s->waits[(n * 50 + 99) / 100 - 1];
	r->wait_p95 = s->waits[(n * 95 + 99) / 100 - 1];
	r->wait_p99 = s->waits[(n * 99 + 99) / 100 - 1];
	r->wait_max = s->waits[n - 1];
}

static struct sim_job *
sorted(const struct sim_job *jobs, size_t n)
{
	struct sim_job *copy = xcalloc(n > 0 ? n : 1, sizeof(*copy));

	for (size_t i = 0; i < n; i++) {
		copy[i].arrival = jobs[i].arrival > 0 ? jobs[i].arrival : 0;
		copy[i].duration = jobs[i].duration > 0 ? jobs[i].duration : 0;
	}
	qsort(copy, n, sizeof(*copy), by_arrival);
	return copy;
}

struct sim_result
simulate(const struct sim_config *cfg, const struct sim_job *jobs, size_t n)
{
	struct sim_job *copy = sorted(jobs, n);
	struct sim s = {
		.cfg = cfg, .jobs = copy, .njobs = n, .policy = cfg->policy, .random = cfg->seed,
		.growth = budget_make(cfg->growth_per_second, cfg->growth_burst),
	};

	s.waits = xcalloc(n > 0 ? n : 1, sizeof(*s.waits));
	s.queue.v = xcalloc(n > 0 ? n : 1, sizeof(*s.queue.v));
	s.policy.until = 0;
	grace(&s);
	if (cfg->samples > 0 && n > 0)
		s.bucket = (copy[n - 1].arrival + 3600 * NSEC_SEC) / (int64_t)cfg->samples + 1;
	replay(&s);
	for (size_t i = 0; i < s.nm; i++)
		bill(&s, s.m[i].ref);
	s.r.money = s.r.paid_hours * cfg->price_per_hour;
	statistics(&s);

	for (size_t i = 0; i < s.nm; i++)
		free(s.m[i].ref);
	while (s.free != NULL) {
		struct machine *m = s.free;

		s.free = m->next_free;
		free(m);
	}
	scale_plan_free(&s.plan);
	free(s.m);
	free(s.waiting);
	free(s.queue.v);
	free(s.heap);
	free(s.waits);
	free(copy);
	return s.r;
}

void
sim_result_free(struct sim_result *r)
{
	free(r->timeline);
	*r = (struct sim_result){ 0 };
}

/* Histories in files. */

/* Seconds with up to nine decimals, in ns. */
static bool
read_seconds(struct str s, int64_t *ns)
{
	struct str decimals = str_trim(s);
	struct str whole = str_cut(&decimals, '.');
	int64_t unit = NSEC_SEC, v;

	if (whole.n == 0 || whole.p[0] < '0' || whole.p[0] > '9' || str_to_i64(whole, &v) < 0 || v > SECONDS_MAX)
		return false;
	v *= NSEC_SEC;
	for (size_t i = 0; i < decimals.n; i++) {
		if (decimals.p[i] < '0' || decimals.p[i] > '9')
			return false;
		unit /= 10;
		v += (decimals.p[i] - '0') * unit;
	}
	*ns = v;
	return true;
}

/* Which columns of the file are the two that count; from the heading, or as they always were. */
struct columns { int arrival, duration; };

static const char arrival_name[] = "arrival_seconds", duration_name[] = "duration_seconds";

/* A field, perhaps in double quotes as spreadsheets write it. */
static struct str
field(struct str *line)
{
	struct str f = str_trim(str_cut(line, ','));

	if (f.n >= 2 && f.p[0] == '"' && f.p[f.n - 1] == '"')
		f = str_trim(str_sub(f, 1, f.n - 2));
	return f;
}

static int
quoted(struct str s)
{
	return (int)(s.n < 60 ? s.n : 60);
}

/* Whether the line is a heading; 1 with *c set, 0 no, -1 one that lacks a column. */
static int
read_heading(struct str line, size_t number, struct columns *c, struct err *e)
{
	struct str rest = line, first = str_trim(line);
	struct columns found = { -1, -1 };

	if (first.n == 0 || first.p[0] == '-' || first.p[0] == '+' || first.p[0] == '.' || first.p[0] == ',' ||
	    (first.p[0] >= '0' && first.p[0] <= '9'))
		return 0;
	for (int i = 0; rest.p != NULL; i++) {
		struct str f = field(&rest);

		if (str_caseeq(f, arrival_name))
			found.arrival = i;
		else if (str_caseeq(f, duration_name))
			found.duration = i;
	}
	if (found.arrival < 0 || found.duration < 0)
		return err_set(e, ERR_PARSE, 0, "line %zu is \"%.*s\", neither numbers nor a heading with the columns %s and %s: "
		    "begin the file with %s,%s", number, quoted(line), line.p, arrival_name, duration_name, arrival_name, duration_name);
	*c = found;
	return 1;
}

static int
read_row(struct str line, size_t number, const struct columns *c, struct sim_job *job, struct err *e)
{
	struct str rest = line;
	int last = c->arrival > c->duration ? c->arrival : c->duration;

	for (int i = 0; i <= last; i++) {
		bool arrival = i == c->arrival;
		struct str f;

		if (rest.p == NULL)
			return err_set(e, ERR_PARSE, 0, "line %zu is \"%.*s\": column %d, %s, is missing: "
			    "each line is an arrival and a duration in seconds, as in 12.5,300", number, quoted(line), line.p, i + 1,
			    arrival ? arrival_name : duration_name);
		f = field(&rest);
		if ((arrival || i == c->duration) && !read_seconds(f, arrival ? &job->arrival : &job->duration))
			return err_set(e, ERR_PARSE, 0, "line %zu, column %d: %s is \"%.*s\": "
			    "write seconds from 0 to %d, such as 300 or 12.5", number, i + 1, arrival ? arrival_name : duration_name,
			    quoted(f), f.p, SECONDS_MAX);
	}
	return 0;
}

ssize_t
sim_read_csv(struct str text, struct sim_job **jobs, struct err *e)
{
	struct columns columns = { 0, 1 };
	struct sim_job *v = NULL;
	size_t n = 0, cap = 0, number = 0;
	bool begun = false;

	/* the mark that Windows programs put in front of UTF-8 */
	if (str_starts(text, "\xef\xbb\xbf"))
		text = str_sub(text, 3, text.n);
	while (text.p != NULL) {
		struct str line = str_trim(str_cut(&text, '\n'));
		struct sim_job job;
		int heading = 0;

		number++;
		if (line.n == 0)
			continue;
		if (!begun)
			heading = read_heading(line, number, &columns, e);
		begun = true;
		if (heading > 0)
			continue;
		if (heading < 0 || read_row(line, number, &columns, &job, e) < 0) {
			free(v);
			return -1;
		}
		v = room(v, n, &cap, sizeof(*v));
		v[n++] = job;
	}
	*jobs = v;
	return (ssize_t)n;
}

/* Pictures. */

/* The timeline averaged into one of `width` columns. */
static struct sim_sample
column(const struct sim_result *r, int x, int width)
{
	size_t from = r->ntimeline * (size_t)x / (size_t)width;
	size_t to = r->ntimeline * (size_t)(x + 1) / (size_t)width;
	struct sim_sample sum = { 0 };

	if (to <= from)
		to = from + 1;
	for (size_t i = from; i < to; i++) {
		const struct sim_sample *t = &r->timeline[i];
		double share = 1.0 / (double)(to - from);

		sum.busy += t->busy * share;
		sum.idle += t->idle * share;
		sum.coming += t->coming * share;
		sum.removing += t->removing * share;
		sum.waiting += t->waiting * share;
		if (t->waiting_peak > sum.waiting_peak)
			sum.waiting_peak = t->waiting_peak;
	}
	sum.from = r->timeline[from].from;
	return sum;
}

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

/* The highest stack of machines, and the most jobs waiting. */
static void
peaks(const struct sim_result *r, int width, double *machines, double *waiting)
{
	*machines = 1;
	*waiting = 0;
	for (int x = 0; x < width; x++) {
		struct sim_sample c = column(r, x, width);

		*machines = larger(*machines, c.busy + c.idle + c.coming);
		*waiting = larger(*waiting, c.waiting);
	}
}

/* When the columns are: minutes, hours from three hours on, days from three days on. */
static void
time_axis(const struct sim_result *r, int width, struct buf *out)
{
	double end = (double)r->timeline[r->ntimeline - 1].from / HOUR;
	const char *unit = end > 72 ? "d" : end > 3 ? "h" : "m";
	double scale = end > 72 ? 1.0 / 24 : end > 3 ? 1 : 60;
	int written = 0;

	for (int i = 0; i <= 4; i++) {
		char label[32];
		int n = snprintf(label, sizeof(label), "%.1f%s", end * i / 4 * scale, unit);
		int place = i < 4 ? width * i / 4 : width - n;

		/* too narrow for all of them */
		if (place < written + (i > 0) || (i > 0 && place + n > width))
			continue;
		buf_fmt(out, "%*s%s", place - written, "", label);
		written = place + n;
	}
	buf_putc(out, '\n');
}

/*
 * Machines as a stack of # (busy), . (idle) and + (coming); a last row tells where jobs
 * waited: 1 to 9, * for ten and more on average.
 */
void
sim_sketch(const struct sim_result *r, int width, int height, struct buf *out)
{
	double machines, waiting;

	if (r->ntimeline == 0 || width < 1 || height < 1)
		return;
	peaks(r, width, &machines, &waiting);
	for (int y = height; y > 0; y--) {
		double level = (y - 0.5) / height * machines;

		buf_fmt(out, "%6.0f |", (double)y / height * machines);
		for (int x = 0; x < width; x++) {
			struct sim_sample c = column(r, x, width);

			buf_putc(out, level < c.busy ? '#' : level < c.busy + c.idle ? '.' :
			    level < c.busy + c.idle + c.coming ? '+' : ' ');
		}
		buf_putc(out, '\n');
	}
	buf_puts(out, "waiting ");
	for (int x = 0; x < width; x++) {
		double w = column(r, x, width).waiting;

		buf_putc(out, w < 0.05 ? '-' : w < 1 ? '1' : w < 10 ? '0' + (int)w : '*');
	}
	buf_puts(out, "\n        ");
	time_axis(r, width, out);
	buf_puts(out, "        # busy  . idle  + coming machines\n");
}

#define SVG_LEFT	48
#define SVG_TOP		32
#define SVG_PLOT_W	(SIM_SVG_WIDTH - SVG_LEFT - 16)
#define SVG_PLOT_H	(SIM_SVG_HEIGHT - SVG_TOP - 40)

enum layer { LAYER_BUSY, LAYER_IDLE, LAYER_COMING, LAYERS };

/* The upper edge of a layer of the stack. */
static double
edge(const struct sim_sample *c, int layer)
{
	double y = c->busy;

	if (layer >= LAYER_IDLE)
		y += c->idle;
	if (layer >= LAYER_COMING)
		y += c->coming;
	return y;
}

static double
svg_x(int x, int columns)
{
	return SVG_LEFT + (x + 0.5) * SVG_PLOT_W / columns;
}

static double
svg_y(double v, double top)
{
	return SVG_TOP + SVG_PLOT_H * (1 - v / top);
}

static void
put_xml(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		default:
			if ((unsigned char)*text >= ' ')
				buf_putc(out, *text);
			break;
		}
	}
}

void
sim_svg(const struct sim_result *r, const char *title, struct buf *out)
{
	static const struct { const char *name, *colour; } layers[LAYERS] = {
		{ "busy", "#2f6f4f" }, { "idle", "#a9cdb8" }, { "coming", "#e2b95b" },
	};
	int columns = r->ntimeline < SVG_PLOT_W ? (int)r->ntimeline : SVG_PLOT_W;
	double machines, waiting, top;

	if (columns == 0)
		return;
	peaks(r, columns, &machines, &waiting);
	top = larger(machines, waiting);
	buf_fmt(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
	    "font-family=\"sans-serif\" font-size=\"12\">\n<title>", SIM_SVG_WIDTH, SIM_SVG_HEIGHT, SIM_SVG_WIDTH, SIM_SVG_HEIGHT);
	put_xml(out, title);
	buf_fmt(out, "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n<text x=\"%d\" y=\"20\">",
	    SIM_SVG_WIDTH, SIM_SVG_HEIGHT, SVG_LEFT);
	put_xml(out, title);
	buf_puts(out, "</text>\n");
	/* the highest layer first, so that the lower ones cover it */
	for (int l = LAYERS - 1; l >= 0; l--) {
		buf_fmt(out, "<path fill=\"%s\" d=\"M%.1f %.1f", layers[l].colour, svg_x(0, columns), svg_y(0, top));
		for (int x = 0; x < columns; x++) {
			struct sim_sample c = column(r, x, columns);

			buf_fmt(out, "L%.1f %.1f", svg_x(x, columns), svg_y(edge(&c, l), top));
		}
		buf_fmt(out, "L%.1f %.1fZ\"/>\n", svg_x(columns - 1, columns), svg_y(0, top));
	}
	buf_puts(out, "<path fill=\"none\" stroke=\"#b3261e\" d=\"");
	for (int x = 0; x < columns; x++)
		buf_fmt(out, "%c%.1f %.1f", x == 0 ? 'M' : 'L', svg_x(x, columns),
		    svg_y(column(r, x, columns).waiting, top));
	buf_puts(out, "\"/>\n");
	for (int i = 0; i <= 4; i++)
		buf_fmt(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n", SVG_LEFT - 6,
		    svg_y(top * i / 4, top) + 4, top * i / 4);
	for (int i = 0; i <= 6; i++) {
		double t = (double)r->timeline[r->ntimeline - 1].from * i / 6;

		buf_fmt(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.1f h</text>\n",
		    SVG_LEFT + (double)SVG_PLOT_W * i / 6, SVG_TOP + SVG_PLOT_H + 16, t / HOUR);
	}
	for (int l = 0; l <= LAYERS; l++)
		buf_fmt(out, "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"%s\"/>"
		    "<text x=\"%d\" y=\"%d\">%s</text>\n", SVG_LEFT + l * 110, SIM_SVG_HEIGHT - 14,
		    l < LAYERS ? layers[l].colour : "#b3261e", SVG_LEFT + l * 110 + 14, SIM_SVG_HEIGHT - 5,
		    l < LAYERS ? layers[l].name : "jobs waiting");
	buf_puts(out, "</svg>\n");
}
