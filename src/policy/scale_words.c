/* The scaler's reasons in words, for logs, metrics and people. See scale.h. */
#include "core/mono.h"
#include "policy/scale.h"

static const struct {
	const char	*word;
	const char	*text;
} whys[SCALE_WHY_MAX] = {
	/* the texts of the original, where it has one, letter by letter: people grep for them */
	[SCALE_WHY_NONE]	= { "none",		"" },
	[SCALE_WHY_UNAVAILABLE]	= { "unavailable",	"machine is unavailable" },
	[SCALE_WHY_BUILDS]	= { "builds",		"too many builds" },
	[SCALE_WHY_LIMIT]	= { "limit",		"too many machines" },
	[SCALE_WHY_CAP]		= { "cap",		"too many machines of all runners" },
	[SCALE_WHY_IDLE]	= { "idle",		"too many idle machines" },
	[SCALE_WHY_AGE]		= { "age",		"machine is too old" },
	[SCALE_WHY_STALE]	= { "stale",		"driver options changed" },
	[SCALE_WHY_ENDING]	= { "ending",		"machine's certificates end soon" },
	[SCALE_WHY_DOOMED]	= { "doomed",		"machine is not to be used again" },
	[SCALE_WHY_DRAIN]	= { "drain",		"shutdown drain" },
	[SCALE_WHY_WAITING]	= { "waiting",		"jobs are waiting" },
	[SCALE_WHY_BELOW_IDLE]	= { "below-idle",	"too few idle machines" },
	[SCALE_WHY_OLDEST]	= { "oldest",		"oldest waiting job" },
	[SCALE_WHY_NEWEST]	= { "newest",		"most recently used machine" },
	[SCALE_WHY_AT_LIMIT]	= { "at-limit",		"limit is reached" },
	[SCALE_WHY_AT_CAP]	= { "at-cap",		"max_machines is reached" },
	[SCALE_WHY_AT_CONCURRENT] = { "at-concurrent",	"concurrent is reached" },
	[SCALE_WHY_GROWTH]	= { "growth",		"MaxGrowthRate machines are being created" },
	[SCALE_WHY_BACKOFF]	= { "back-off",		"creating a machine failed, the next try comes later" },
	[SCALE_WHY_PACE]	= { "pace",		"GrowthRatePerSecond is used up for the moment" },
	[SCALE_WHY_ACCOUNT]	= { "account",		"the cloud account's request budget is used up for the moment" },
	[SCALE_WHY_QUOTA]	= { "quota",		"the cloud account may have no more machines" },
	[SCALE_WHY_THROTTLED]	= { "throttled",	"the cloud asks to wait" },
	[SCALE_WHY_PREEMPTIVE]	= { "preemptive",	"Preemptive is set and no idle machine is left" },
	[SCALE_WHY_NO_FREE]	= { "no-free",		"no free machines that can process builds" },
	[SCALE_WHY_CLOSING]	= { "closing",		"no new jobs: shutting down or leaving the configuration" },
};

const char *
scale_why(enum scale_why why)
{
	return whys[why].text;
}

const char *
scale_why_word(enum scale_why why)
{
	return whys[why].word;
}

const char *
scale_state_name(enum scale_state s)
{
	switch (s) {
	case SCALE_CREATING:
		return "creating";
	case SCALE_IDLE:
		return "idle";
	case SCALE_ACQUIRED:
		return "acquired";
	case SCALE_USED:
		return "used";
	case SCALE_REMOVING:
		return "removing";
	case SCALE_STUCK:
		return "stuck-on-removing";
	}
	return "unknown";
}

/* Go's form of a duration, without the fraction that nobody reads. */
static void
put_seconds(struct buf *out, dur_t ns)
{
	char text[40];

	time_go_duration(ns - ns % NSEC_SEC, text);
	buf_puts(out, text);
}

static const char *
plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

void
scale_explain(const struct scale_action *x, struct buf *out)
{
	switch (x->why) {
	case SCALE_WHY_UNAVAILABLE:
		if (x->a > 0)
			buf_fmt(out, "its Docker Engine failed %" PRId64 " check%s in a row", x->a, plural(x->a));
		else
			buf_puts(out, "its state could not be checked");
		break;
	case SCALE_WHY_BUILDS:
		buf_fmt(out, "it ran %" PRId64 " job%s; MaxBuilds is %" PRId64, x->a, plural(x->a), x->b);
		break;
	case SCALE_WHY_LIMIT:
		buf_fmt(out, "%" PRId64 " machines; limit is %" PRId64, x->a, x->b);
		break;
	case SCALE_WHY_CAP:
		buf_fmt(out, "%" PRId64 " machine%s of all runners above max_machines", x->a, plural(x->a));
		break;
	case SCALE_WHY_IDLE:
		buf_puts(out, "idle for ");
		put_seconds(out, x->a);
		buf_puts(out, ", longer than IdleTime ");
		put_seconds(out, x->b);
		if (x->c == 0)
			buf_puts(out, "; no idle machine is wanted");
		else
			buf_fmt(out, "; %" PRId64 " idle machine%s wanted", x->c, x->c == 1 ? " is" : "s are");
		break;
	case SCALE_WHY_AGE:
		buf_puts(out, "created ");
		put_seconds(out, x->a);
		buf_puts(out, " ago; the oldest allowed is ");
		put_seconds(out, x->b);
		break;
	case SCALE_WHY_STALE:
		buf_puts(out, "made with driver options that have changed since");
		break;
	case SCALE_WHY_WAITING:
		buf_fmt(out, "%" PRId64 " job%s waiting, %" PRId64 " machine%s on the way", x->a,
		    plural(x->a), x->b, plural(x->b));
		break;
	case SCALE_WHY_BELOW_IDLE:
		buf_fmt(out, "%" PRId64 " machine%s idle or on the way; %" PRId64 " %s wanted", x->a,
		    plural(x->a), x->b, x->b == 1 ? "is" : "are");
		break;
	case SCALE_WHY_OLDEST:
		buf_puts(out, "the oldest waiting job, after ");
		put_seconds(out, x->a);
		break;
	default:
		buf_puts(out, scale_why(x->why));
		break;
	}
}

/* Names of rules in ScalingRules. "backed", since "no-" takes a rule away. */
static const struct { unsigned rule; const char *name; } rule_names[] = {
	{ SCALE_FULL_COUNTS, "full-counts" }, { SCALE_VICTIM_ORDER, "victim-order" }, { SCALE_RESERVE, "reserve" },
	{ SCALE_NO_UNBACKED, "backed" }, { SCALE_FAILURE_GATE, "failure-gate" }, { SCALE_BLIND_IS_OK, "blind-is-ok" },
	{ SCALE_OWN_CLOCK, "own-clock" }, { SCALE_PACE, "pace" }, { SCALE_QUEUE, "queue" },
	{ SCALE_LINGER, "linger" },
};

static unsigned
rule_of(struct str name)
{
	for (size_t i = 0; i < NELEM(rule_names); i++)
		if (str_eqc(name, rule_names[i].name))
			return rule_names[i].rule;
	return 0;
}

int
scale_rules_parse(const char *const *words, size_t n, unsigned *rules, struct err *e)
{
	unsigned set = SCALE_BETTER;
	struct buf known = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct str word = str_trim(str_from(words[i]));

		if (str_eqc(word, "better"))
			set = SCALE_BETTER;
		else if (str_eqc(word, "compat"))
			set = SCALE_COMPAT;
		else if (rule_of(word) != 0)
			set |= rule_of(word);
		else if (str_starts(word, "no-") && rule_of(str_sub(word, 3, word.n)) != 0)
			set &= ~rule_of(str_sub(word, 3, word.n));
		else {
			for (size_t k = 0; k < NELEM(rule_names); k++)
				buf_fmt(&known, " %s", rule_names[k].name);
			err_set(e, ERR_CONFIG, 0, "\"%.*s\" is none of: better compat%s (each also with no- in front)", STR_ARG(word), known.p);
			buf_free(&known);
			return -1;
		}
	}
	*rules = set;
	return 0;
}

void
scale_rules_print(unsigned rules, struct buf *out)
{
	unsigned on = 0;
	bool better;

	for (size_t i = 0; i < NELEM(rule_names); i++)
		on += (rules & rule_names[i].rule) != 0;
	better = on * 2 > NELEM(rule_names);
	buf_puts(out, better ? "better" : "compat");
	for (size_t i = 0; i < NELEM(rule_names); i++)
		if (((rules & rule_names[i].rule) != 0) != better)
			buf_fmt(out, ", %s%s", better ? "no-" : "", rule_names[i].name);
}
