/*
 * Feature flags: the table of those that gitlab-runner knows, and which are
 * on for a job. The runner's [runners.feature_flags] wins over the job's
 * variable, which wins over the default; the outcome is a variable of the
 * job (spec job-execution 10, gitlab-runner 8). Many have no meaning for this executor: jobs may ask for them all the same.
 */
#include "core/core.h"
#include "job/work_parts.h"

enum flag_kind {
	FLAG_USED,		/* something in windlass heeds it, or its default is all there is */
	FLAG_ABSENT,		/* asks for what windlass does not do: worth a warning when it is on */
};

/* The order is that of the variables; the place in the table is the bit in flags_on. */
static const struct {
	const char	*name;
	bool		 dflt;
	enum flag_kind	 kind;
} table[] = {
	{ "FF_NETWORK_PER_BUILD",			false,	FLAG_USED },
	{ "FF_USE_DIRECT_DOWNLOAD",			true,	FLAG_USED },
	{ "FF_TIMESTAMPS",				true,	FLAG_USED },
	{ "FF_MASK_ALL_DEFAULT_TOKENS",			true,	FLAG_USED },
	{ "FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY",	true,	FLAG_USED },
	{ "FF_SECRET_RESOLVING_FAILS_IF_MISSING",	true,	FLAG_USED },
	{ "FF_USE_GIT_BUNDLE_URIS",			true,	FLAG_USED },
	{ "FF_USE_GITALY_CORRELATION_ID",		true,	FLAG_USED },
	{ "FF_USE_ADAPTIVE_REQUEST_CONCURRENCY",	true,	FLAG_USED },
	{ "FF_ENABLE_JOB_INPUTS_INTERPOLATION",		true,	FLAG_USED },
	{ "FF_USE_FASTZIP",				true,	FLAG_USED },
	{ "FF_USE_POD_ACTIVE_DEADLINE_SECONDS",		true,	FLAG_USED },
	{ "FF_USE_DOCKER_AUTOSCALER_DIAL_STDIO",	true,	FLAG_USED },
	{ "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR",	false,	FLAG_USED },
	{ "FF_ENABLE_BASH_EXIT_CODE_CHECK",		false,	FLAG_USED },
	{ "FF_USE_LEGACY_BASH_EVAL",			false,	FLAG_USED },
	{ "FF_POSIXLY_CORRECT_ESCAPES",			false,	FLAG_USED },
	{ "FF_SCRIPT_SECTIONS",				false,	FLAG_USED },
	{ "FF_ENABLE_JOB_CLEANUP",			false,	FLAG_USED },
	{ "FF_USE_INIT_WITH_DOCKER_EXECUTOR",		false,	FLAG_USED },
	{ "FF_USE_NATIVE_CONTAINER_STOP",		false,	FLAG_USED },
	{ "FF_GIT_URLS_WITHOUT_TOKENS",			false,	FLAG_USED },
	{ "FF_USE_GIT_NATIVE_CLONE",			false,	FLAG_USED },
	{ "FF_USE_GIT_PROACTIVE_AUTH",			false,	FLAG_USED },
	{ "FF_HASH_CACHE_KEYS",				false,	FLAG_USED },
	{ "FF_CLEAN_UP_FAILED_CACHE_EXTRACT",		false,	FLAG_USED },
	{ "FF_LOG_IMAGES_CONFIGURED_FOR_JOB",		false,	FLAG_USED },
	{ "FF_RESOLVE_FULL_TLS_CHAIN",			false,	FLAG_USED },
	{ "FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL",	false,	FLAG_USED },
	{ "FF_DISABLE_AUTOMATIC_TOKEN_ROTATION",	false,	FLAG_USED },
	{ "FF_EXPORT_HIGH_CARDINALITY_METRICS",		false,	FLAG_USED },
	{ "FF_USE_PARALLEL_CACHE_TRANSFER",		false,	FLAG_USED },
	{ "FF_USE_PARALLEL_ARTIFACT_TRANSFER",		false,	FLAG_USED },
	{ "FF_USE_LEGACY_S3_CACHE_ADAPTER",		false,	FLAG_USED },
	{ "FF_USE_LEGACY_GCS_CACHE_ADAPTER",		false,	FLAG_USED },
	{ "FF_USE_JOB_ROUTER",				false,	FLAG_ABSENT },
	{ "FF_CONCRETE",				false,	FLAG_ABSENT },
	{ "FF_SCRIPT_TO_STEP_MIGRATION",		false,	FLAG_ABSENT },
	{ "FF_SUSPENDABLE_ENVIRONMENTS",		false,	FLAG_ABSENT },
	{ "FF_USE_FLEETING_ACQUIRE_HEARTBEATS",		false,	FLAG_USED },
	{ "FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY", false,	FLAG_USED },
	{ "FF_KUBERNETES_HONOR_ENTRYPOINT",		false,	FLAG_USED },
	{ "FF_USE_ADVANCED_POD_SPEC_CONFIGURATION",	false,	FLAG_USED },
	{ "FF_PRINT_POD_EVENTS",			false,	FLAG_USED },
	{ "FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR",	false,	FLAG_USED },
	{ "FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR",	false,	FLAG_USED },
	{ "FF_WAIT_FOR_POD_TO_BE_REACHABLE",		false,	FLAG_USED },
	{ "FF_USE_WINDOWS_LEGACY_PROCESS_STRATEGY",	false,	FLAG_USED },
	{ "FF_USE_WINDOWS_JOB_OBJECT",			false,	FLAG_USED },
	{ "FF_USE_POWERSHELL_PATH_RESOLVER",		false,	FLAG_USED },
	{ "FF_DISABLE_POWERSHELL_STDIN",		false,	FLAG_USED },
	{ "FF_TEST_FEATURE",				false,	FLAG_USED },
};

_Static_assert(NELEM(table) <= 64, "flags_on has a bit for each");

static ssize_t
find(struct str name)
{
	for (size_t i = 0; i < NELEM(table); i++)
		if (str_eqc(name, table[i].name))
			return (ssize_t)i;
	return -1;
}

bool
work_flags_known(struct str name)
{
	return str_starts(name, "FF_") && find(name) >= 0;
}

bool
work_flag(const struct work *w, const char *name)
{
	ssize_t i = find(str_from(name));

	return i >= 0 && (w->flags_on >> i & 1) != 0;
}

char *
work_flags_changed(const struct work *w)
{
	struct buf b = { .max = 4096 };
	char *s;

	for (size_t i = 0; i < NELEM(table); i++) {
		bool on = (w->flags_on >> i & 1) != 0;

		if (on != table[i].dflt)
			buf_fmt(&b, "%s%s:%s", b.n > 0 ? ", " : "", table[i].name, on ? "true" : "false");
	}
	s = arena_dup(w->a, buf_str(&b));
	buf_free(&b);
	return s;
}

void
work_flags_collect(struct work *w)
{
	for (size_t i = 0; i < NELEM(table); i++)
		vars_add(&w->vars, str_from(table[i].name), table[i].dflt ? STR("true") : STR("false"), VAR_PUBLIC | VAR_RAW);
}

/* What the runner's `environment` and then the job's variables say of each flag; raw values are marked so. */
static void
collect_wishes(const struct work *w, struct str wish[NELEM(table)], bool raw[NELEM(table)])
{
	const struct field_list *environment = &w->p->runner.environment;

	for (size_t n = 0; n < environment->n; n++) {
		struct str value = str_from(environment->v[n]), key = str_cut(&value, '=');
		ssize_t i = value.p != NULL ? find(key) : -1;

		if (i >= 0)
			wish[i] = value;
	}
	JSON_EACH(v, json_get(w->p->root, "variables")) {
		struct str key = json_str(w->a, json_get(v, "key"));
		ssize_t i = str_starts(key, "FF_") ? find(key) : -1;

		if (i < 0)
			continue;
		wish[i] = json_text(w->a, json_get(v, "value"));
		raw[i] = json_bool(json_get(v, "raw"), false);
	}
}

static bool
decide(struct work *w, size_t i, struct str wish, bool raw)
{
	const char *set = fields_pair(&w->p->runner.feature_flags, table[i].name);
	bool on = table[i].dflt;

	if (set != NULL && str_to_bool(str_from(set), &on) == 0)
		return on;
	if (wish.p == NULL)
		return on;
	if (!raw)
		wish = vars_expand_str(&w->vars, wish);
	wish = str_trim(wish);
	if (wish.n > 0 && str_to_bool(wish, &on) < 0)
		work_warn(w, "%s is %s, which is neither true nor false: %s is used",
		    table[i].name, work_quoted(w, wish), table[i].dflt ? "true" : "false");
	return on;
}

void
work_flags_decide(struct work *w)
{
	struct str wish[NELEM(table)] = { { NULL, 0 } };
	bool raw[NELEM(table)] = { false };

	w->flags_on = 0;
	collect_wishes(w, wish, raw);
	for (size_t i = 0; i < NELEM(table); i++) {
		bool on = decide(w, i, wish[i], raw[i]);

		w->flags_on |= (uint64_t)on << i;
		/* They were added first, in this order. */
		w->vars.v[i].value = on ? STR("true") : STR("false");
		if (on && table[i].kind == FLAG_ABSENT)
			work_warn(w, "%s is on: windlass does not know how, the job runs without it", table[i].name);
	}
}
