/* What runs, and hardly as meant; most of it costs money. See check.h. */
#include "cmd/check_machine.h"
#include "core/mono.h"
#include "wire/url.h"

#define SOON	(30 * 86400 * NSEC_SEC)

/* ---- tokens ---- */

static bool
is_large(char c)
{
	return (c >= 'A' && c <= 'Z') || c == '_';
}

/* ${NAME} and $(NAME) anywhere; $NAME where it begins, and in capital letters anywhere: "pa$word" is a password. */
bool
check_looks_expanded(struct str value)
{
	for (size_t i = 0; i + 1 < value.n; i++) {
		char c = value.p[i + 1];

		if (value.p[i] == '$' && (c == '{' || c == '(' || (i == 0 && (c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))) ||
		    (i + 2 < value.n && is_large(c) && is_large(value.p[i + 2]))))
			return true;
	}
	return false;
}

/* What is behind glrt- and the kind, t1_ to t3_: the letters that are drawn. */
static struct str
drawn(struct str token)
{
	if (str_starts(token, "glrt-"))
		token = str_sub(token, strlen("glrt-"), token.n);
	if (token.n > 3 && token.p[0] == 't' && token.p[1] >= '1' && token.p[1] <= '9' && token.p[2] == '_')
		token = str_sub(token, 3, token.n);
	return token;
}

/* Letters, digits, - and _ are drawn, and a dot stands between parts: one of another kind, or one again and again, is no token's. */
static bool
cannot_be_drawn(struct str s)
{
	size_t same = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		same += c == s.p[0];
		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' || c == '.'))
			return true;
	}
	return s.n < 6 || same == s.n;
}

/*
 * What a template leaves behind when nobody fills it in. A token is twenty random letters, of which these words come by chance
 * once in ten thousand tokens; a pair of _ comes once in two hundred, so it has to stand at both ends.
 */
static bool
is_placeholder(struct str token)
{
	static const char *const signs[] = { "...", "token", "replace", "your", "change", "paste", "placeholder", "redacted", "registration",
		"runner", "secret", "xxxx", "insert", "example", "dummy" };
	char low[200];
	size_t n = token.n < sizeof(low) - 1 ? token.n : sizeof(low) - 1;

	for (size_t i = 0; i < n; i++)
		low[i] = (char)(token.p[i] >= 'A' && token.p[i] <= 'Z' ? token.p[i] | 0x20 : token.p[i]);
	for (size_t i = 0; i < NELEM(signs); i++)
		if (str_find(str_of(low, n), signs[i]) >= 0)
			return true;
	return cannot_be_drawn(drawn(token)) || (str_starts(token, "__") && str_ends(token, "__"));
}

/* GitLab's other tokens say in front what they are: glpat-, gldt-, glcbt-, ...; a runner's is glrt-, a registration's is said elsewhere. */
static bool
is_other_kind(struct str token)
{
	ssize_t dash = str_chr(token, '-');

	for (ssize_t i = 2; i < dash; i++)
		if (token.p[i] < 'a' || token.p[i] > 'z')
			return false;
	return str_starts(token, "gl") && dash > 3 && dash < 10 && !str_starts(token, "glrt-") && !str_starts(token, "glrtr-");
}

static void
check_token_trap(struct check *c, const struct runner *r, const struct toml *t)
{
	struct check_at where = check_at(K_RUNNER_token, t);
	const struct toml *written = key_value(K_RUNNER_token, t);
	struct str token = str_from(secret_reveal(r->token));

	/* A part of it is missing: what is left says nothing. Where nothing is left the entry itself is at fault. */
	if (token.n > 0 && r->unset != NULL && written != NULL && str_find(written->s, r->unset) >= 0) {
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "the variable %s is not set in this %s: without it GitLab will refuse the token", r->unset,
		    c->own_environment ? "service's environment" : "shell");
		return;
	}
	for (size_t i = 0; i < token.n; i++)
		if ((unsigned char)token.p[i] <= ' ' || (unsigned char)token.p[i] >= 0x7f) {
			check_say(c, CHECK_WARNING, CHECK_TRAP, where, "it holds a blank, a line break or another character that no token has: GitLab will refuse it");
			return;
		}
	if (token.n > 0 && is_placeholder(token))
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "this looks like a template's placeholder, not like a token: GitLab will refuse it");
	else if (is_other_kind(token))
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%.*s is another kind of GitLab's tokens; a runner's begins with glrt-: GitLab will refuse it",
		    (int)str_chr(token, '-') + 1, token.p);
}

static void
check_expiry(struct check *c, const struct toml *t)
{
	const struct toml *v = key_value(K_RUNNER_token_expires_at, t);
	struct check_at where = check_at(K_RUNNER_token_expires_at, t);
	char at[TIME_RFC3339_MAX];
	wall_t when, now = wall_now();

	/* Beyond the year 2200 the nanoseconds overflow, and nobody's token lives. */
	if (v == NULL || (v->type != TOML_DATETIME && v->type != TOML_LOCAL_DATETIME) || v->date.year <= 1970 || v->date.year > 2200)
		return;
	when = wall_of_seconds(((time_days(v->date.year, v->date.month, v->date.day) * 24 +
	    v->date.hour) * 60 + v->date.minute - v->date.offset_min) * 60);
	time_rfc3339(when, 0, at);
	if (!wall_before(now, when))
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "the token expired on %.10s, and GitLab refuses it since: `windlass reset-token` or a new one of GitLab", at);
	else if (wall_between(now, when) < SOON)
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "the token expires on %.10s, and nothing renews it by itself here: `windlass reset-token` does it", at);
}

/* ---- concurrent and limit ---- */

static bool
concurrent_given(const struct check *c)
{
	return key_value(K_GLOBAL_concurrent, c->root) != NULL;
}

static void
check_limit(struct check *c, const struct runner *r, const struct toml *t)
{
	struct check_at where = check_at(K_RUNNER_limit, t);
	int64_t concurrent = c->config->concurrent;

	if (r->limit <= concurrent)
		return;
	if (concurrent_given(c))
		check_say(c, CHECK_INFO, CHECK_TRAP, where, "%" PRId64 " is never reached: concurrent is %" PRId64 " for all runners together", r->limit, concurrent);
	else
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%" PRId64 " is never reached: concurrent is not in the file, so it is 1 and one job runs at a time", r->limit);
}

void
check_runner_traps(struct check *c, const struct runner *r, const struct toml *t)
{
	if (c->judging)
		return;
	check_token_trap(c, r, t);
	check_expiry(c, t);
	check_limit(c, r, t);
}

/* ---- idle machines ---- */

struct idle { struct check_at count, time; int64_t idle_count, idle_time; };

static void
check_idle_cost(struct check *c, const struct runner *r, const struct idle *i)
{
	int64_t concurrent = c->config->concurrent, most = c->config->max_machines;

	if (r->limit > 0 && i->idle_count > r->limit)
		check_say(c, CHECK_WARNING, CHECK_TRAP, i->count, "%" PRId64 " is above limit (%" PRId64 "), which counts idle machines too", i->idle_count, r->limit);
	else if (most > 0 && i->idle_count > most)
		check_say(c, CHECK_WARNING, CHECK_TRAP, i->count, "%" PRId64 " is above max_machines (%" PRId64 "), which counts idle machines too", i->idle_count, most);
	if (i->idle_count > concurrent && !concurrent_given(c))
		check_say(c, CHECK_WARNING, CHECK_TRAP, i->count, "costs money: concurrent is not in the file, so it is 1: %" PRId64 " idle machines are paid for, and one job runs at a time",
		    i->idle_count);
	else if (i->idle_count > concurrent)
		check_say(c, CHECK_WARNING, CHECK_TRAP, i->count, "costs money: %" PRId64 " idle machines are paid for, and concurrent lets %" PRId64 " job%s run at once",
		    i->idle_count, concurrent, concurrent == 1 ? "" : "s");
	if (i->idle_time != 0)
		return;
	if (i->idle_count > 0)
		check_say(c, CHECK_INFO, CHECK_TRAP, i->time, "0: whatever is above IdleCount goes the moment its job ends");
	else if (r->max_builds != 1)
		check_say(c, CHECK_INFO, CHECK_TRAP, i->time, "0, with IdleCount 0: a new machine for every job, thrown away after it; IdleTime = 600 lets the next job use it");
}

void
check_machine_traps(struct check *c, const struct runner *r, const struct toml *machine)
{
	const struct toml *list = key_value(K_MACHINE_autoscaling, machine);
	struct idle base = { check_at(K_MACHINE_idle_count, machine), check_at(K_MACHINE_idle_time, machine), r->idle_count, r->idle_time };
	size_t i = 0;

	if (c->judging)
		return;
	check_idle_cost(c, r, &base);
	if (list != NULL && list->type == TOML_ARRAY)
		TOML_EACH(t, list) {
			struct idle one = { check_at(K_AUTOSCALING_idle_count, t), check_at(K_AUTOSCALING_idle_time, t), 0, 0 };

			if (i >= r->nautoscaling)
				break;
			one.idle_count = r->autoscaling[i].idle_count;
			one.idle_time = r->autoscaling[i++].idle_time;
			check_idle_cost(c, r, &one);
		}
	if (!concurrent_given(c) && r->idle_count <= 1 && r->limit <= 1)
		check_say(c, CHECK_INFO, CHECK_TRAP, CHECK_AT_LINE(0), "concurrent is not in the file, so it is 1: one job at a time, over all runners");
	else if (c->config->concurrent == 1 && r->idle_count <= 1 && r->limit <= 1 && c->config->nrunners == 1)
		check_say(c, CHECK_INFO, CHECK_TRAP, check_at(K_GLOBAL_concurrent, c->root), "1: one job at a time, over all runners");
}

/* ---- options ---- */

static void
check_expansion(struct check *c, const struct opt *row, struct str name, struct str value, struct check_at where)
{
	if (value.p == NULL || !check_looks_expanded(value))
		return;
	if (row != NULL && row->env != NULL)
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%.*s: a variable is not expanded here, only in url and token: leave the option out, and set %s for the service",
		    STR_ARG(name), row->env);
	else
		check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%.*s: a variable is not expanded here, only in url and token", STR_ARG(name));
}

/* Written twice: the last counts. */
static void
check_twice(struct check *c, const struct opt *row, const struct toml *list, const struct toml *v, struct check_at where)
{
	struct str rest = v->s, name = str_cut(&rest, '=');

	if (row == NULL || row->type == OPT_LIST)
		return;
	TOML_EACH(other, list) {
		struct str tail = other->s;

		if (other == v)
			return;
		if (str_eq(str_cut(&tail, '='), name)) {
			check_say(c, CHECK_INFO, CHECK_TRAP, where, "%.*s: given twice, first in line %d; the last one counts", STR_ARG(name), other->line);
			return;
		}
	}
}

static void
check_option_list(struct check *c, struct machine_options *rows, enum key_id key, const struct toml *machine)
{
	const struct toml *list = key_value(key, machine);

	if (list == NULL || list->type != TOML_ARRAY)
		return;
	TOML_EACH(v, list) {
		struct check_at where = CHECK_AT_KEY(&keys[key], v->line);
		struct str rest = v->s, name = str_cut(&rest, '=');
		char *copy = str_dup(name);
		const struct opt *row = opt_find(rows->opt, rows->n, copy);

		free(copy);
		check_expansion(c, row, name, rest, where);
		check_twice(c, row, list, v, where);
	}
}

/* What nobody named, and what is taken then. */
static void
check_unnamed(struct check *c, const struct runner *r, struct machine_options *o, const struct toml *machine)
{
	struct check_at where = check_at(K_MACHINE_machine_options, machine);
	struct err e = { 0 };

	if (machine_options_take(o, &c->arena, r->machine_options.v, r->machine_options.n, &e) < 0)
		return;
	for (size_t i = 0; i < o->driver->about->noptions; i++) {
		const struct catalog_option *f = &o->driver->about->options[i];
		const struct opt *given = opt_find(o->opt, o->n, f->name);

		if (given->given && given->value != NULL && (f->roles & OPTION_RETIRED) != 0 &&
		    strcmp(given->value, f->dflt) == 0)
			check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%s: %s is one that the cloud has retired: no machine can be made of it", f->name, f->dflt);
		if (given->given || f->dflt == NULL || f->dflt[0] == '\0')
			continue;
		if ((f->roles & OPTION_RETIRED) != 0)
			check_say(c, CHECK_WARNING, CHECK_TRAP, where, "%s is not named, and docker-machine's default, %s, is one that the cloud has retired: no machine can be made of it",
			    f->name, f->dflt);
		else if ((f->roles & (OPTION_REGION | OPTION_SIZE)) != 0)
			check_say(c, CHECK_INFO, CHECK_TRAP, where, "%s is not named: %s is taken, docker-machine's default", f->name, f->dflt);
	}
}

void
check_option_traps(struct check *c, const struct runner *r, const struct toml *machine)
{
	const struct cloud_driver *d = cloud_driver_find(str_from(r->machine_driver));
	struct machine_options o;

	if (c->judging)
		return;
	machine_options_init(&o, d);
	check_option_list(c, &o, K_MACHINE_machine_options, machine);
	check_option_list(c, &o, K_MACHINE_machine_options_with_name, machine);
	if (d != NULL)
		check_unnamed(c, r, &o, machine);
	machine_options_free(&o);
}
