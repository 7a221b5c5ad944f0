/* Create bodies for a job's containers and volumes: see container.h. */
#include <arpa/inet.h>

#include "config/keys.h"
#include "core/fs.h"
#include "core/hash.h"
#include "job/container.h"
#include "wire/glob.h"

#define LABEL	"com.gitlab.gitlab-runner."
/* One entry above this makes every exec in the container fail (Linux MAX_ARG_STRLEN). */
#define ENV_ENTRY_MAX	(128u << 10)
#define SECCOMP_MAX	(1u << 20)

/*
 * The first shell there is, which reads the stage's text from its stdin (docs/streams.md): exit
 * codes and output are the script's own.
 */
#define DETECT_SHELL \
	"for s in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh /busybox/sh; do " \
	"if [ -x \"$s\" ]; then exec \"$s\"; fi; done; echo shell not found; exit 1"
static const char detect_shell[] = DETECT_SHELL;
static const char detect_shell_umask[] = "umask 0000; " DETECT_SHELL;

/* ---- settings ---- */

static const struct docker_settings *
docker_of(const struct work *w)
{
	return &w->p->runner.docker;
}

int
container_parse_size(struct str s, bool allow_unlimited, int64_t *bytes)
{
	static const char units[] = "bkmgt";
	int64_t n, factor = 1;
	const char *u;
	struct str digits;

	s = str_trim(s);
	if (s.n == 0) {
		*bytes = 0;
		return 0;
	}
	if (str_eqc(s, "-1")) {
		*bytes = -1;
		return allow_unlimited ? 0 : -1;
	}
	digits = s;
	while (digits.n > 0 && (digits.p[digits.n - 1] | 0x20) >= 'a')
		digits.n--;
	s = str_sub(s, digits.n, s.n);
	if (s.n > 0) {
		u = strchr(units, s.p[0] | 0x20);
		if (u == NULL)
			return -1;
		for (; u > units; u--)
			factor *= 1024;
		s = str_sub(s, 1, s.n);
		if (!(s.n == 0 || str_caseeq(s, "b") || str_caseeq(s, "ib") || str_caseeq(s, "i")))
			return -1;
	}
	if (str_to_i64(str_trim(digits), &n) < 0 || n < 0 || __builtin_mul_overflow(n, factor, bytes))
		return -1;
	return 0;
}

static int
put_size(struct json_w *j, const char *field, enum key_id id, const char *size, struct err *e)
{
	struct str s = str_from(size);
	int64_t n;

	if (container_parse_size(s, id == K_DOCKER_memory_swap, &n) < 0)
		return err_set(e, ERR_CONFIG, 0, "%s = \"%s\" in [runners.docker] is no size: write 512m or 2g", keys[id].name, size);
	if (n != 0)
		jw_i64(j, field, n);
	return 0;
}

/* "1.5" or "3/2" CPUs as billionths. */
static int
parse_cpus(struct str s, int64_t *nano)
{
	struct str rest = s, first = str_cut(&rest, '/');
	int64_t whole = 0, frac = 0, div = 1, scale = NSEC_SEC;
	struct str f = first, w = str_cut(&f, '.');

	if (w.n > 0 && str_to_i64(w, &whole) < 0)
		return -1;
	for (; f.p != NULL && f.n > 0; f = str_sub(f, 1, f.n)) {
		if (f.p[0] < '0' || f.p[0] > '9' || scale == 1)
			return -1;
		scale /= 10;
		frac += (f.p[0] - '0') * scale;
	}
	if (rest.p != NULL && (str_to_i64(rest, &div) < 0 || div <= 0))
		return -1;
	if (whole < 0 || whole > 100000 || (whole * NSEC_SEC + frac) % div != 0)
		return -1;
	*nano = (whole * NSEC_SEC + frac) / div;
	return 0;
}

static void
put_list(struct json_w *j, const char *field, const struct field_list *l)
{
	if (l->n == 0)
		return;
	jw_array(j, field);
	for (size_t i = 0; i < l->n; i++)
		jw_cstr(j, NULL, l->v[i]);
	jw_end_array(j);
}

static void
put_map(struct json_w *j, const char *field, const struct field_map *m)
{
	if (m->n == 0)
		return;
	jw_object(j, field);
	for (size_t i = 0; i < m->n; i++)
		jw_keystr(j, str_from(m->v[i].name), str_from(m->v[i].text));
	jw_end_object(j);
}

static void
put_text(struct json_w *j, const char *field, const char *text)
{
	if (text[0] != '\0')
		jw_cstr(j, field, text);
}

/* NET_ADMIN, net_admin and CAP_NET_ADMIN are one; ALL stays. */
static void
put_caps(struct json_w *j, const char *field, const struct field_list *l)
{
	if (l->n == 0)
		return;
	jw_array(j, field);
	for (size_t n = 0; n < l->n; n++) {
		struct str c = str_trim(str_from(l->v[n]));
		struct buf b = { .max = 256 };

		if (!str_casestarts(c, "CAP_") && !str_caseeq(c, "ALL"))
			buf_puts(&b, "CAP_");
		for (size_t i = 0; i < c.n; i++)
			buf_putc(&b, c.p[i] >= 'a' && c.p[i] <= 'z' ? c.p[i] - 32 : c.p[i]);
		jw_str(j, NULL, buf_str(&b));
		buf_free(&b);
	}
	jw_end_array(j);
}

/*
 * seccomp=FILE means a profile on this host, and the engine wants its text;
 * unconfined, builtin and JSON pass as they are (spec job-execution 1.10).
 */
static int
put_security(const struct work *w, struct json_w *j, struct err *e)
{
	const struct field_list *list = &docker_of(w)->security_opt;
	struct json_val parsed;

	if (list->n == 0)
		return 0;
	jw_array(j, "SecurityOpt");
	for (size_t i = 0; i < list->n; i++) {
		struct str o = str_from(list->v[i]), file = str_sub(o, strlen("seccomp="), o.n);
		struct buf b = { .max = SECCOMP_MAX };

		if ((!str_starts(o, "seccomp=") && !str_starts(o, "seccomp:")) || str_eqc(file, "unconfined") ||
		    str_eqc(file, "builtin") || str_starts(file, "{")) {
			jw_str(j, NULL, o);
			continue;
		}
		if (fs_read(AT_FDCWD, arena_dup(w->a, file), SECCOMP_MAX, &b, e) < 0) {
			e->kind = ERR_CONFIG;
			return err_ctx(e, "security_opt \"%.*s\" in [runners.docker]", STR_ARG(o));
		}
		if (json_parse(w->a, buf_str(&b), &parsed, e) < 0) {
			buf_free(&b);
			e->kind = ERR_CONFIG;
			return err_ctx(e, "security_opt \"%.*s\" in [runners.docker]", STR_ARG(o));
		}
		jw_str(j, NULL, str_from(arena_fmt(w->a, "seccomp=%s", b.p)));
		buf_free(&b);
	}
	jw_end_array(j);
	return 0;
}

static void
put_devices(struct json_w *j, const struct field_list *list)
{
	if (list->n == 0)
		return;
	jw_array(j, "Devices");
	for (size_t i = 0; i < list->n; i++) {
		struct str rest = str_from(list->v[i]), host = str_cut(&rest, ':'), in = rest.p != NULL ? str_cut(&rest, ':') : host;

		jw_object(j, NULL);
		jw_str(j, "PathOnHost", host);
		jw_str(j, "PathInContainer", in.n > 0 ? in : host);
		jw_str(j, "CgroupPermissions", rest.p != NULL && rest.n > 0 ? rest : STR("rwm"));
		jw_end_object(j);
	}
	jw_end_array(j);
}

static int
put_ulimits(struct json_w *j, const struct field_map *map, struct err *e)
{
	if (map->n == 0)
		return 0;
	jw_array(j, "Ulimits");
	for (size_t i = 0; i < map->n; i++) {
		const char *name = map->v[i].name;
		struct str rest = str_from(map->v[i].text), soft = str_cut(&rest, ':');
		int64_t s, h;

		if (str_to_i64(soft, &s) < 0 || (rest.p != NULL ? str_to_i64(rest, &h) : (h = s, 0)) < 0)
			return err_set(e, ERR_CONFIG, 0, "ulimit %s in [runners.docker] needs soft[:hard] in numbers", name);
		jw_object(j, NULL);
		jw_cstr(j, "Name", name);
		jw_i64(j, "Soft", s);
		jw_i64(j, "Hard", h);
		jw_end_object(j);
	}
	jw_end_array(j);
	return 0;
}

/* The grammar of `docker run --gpus` without CSV quoting: all, N, or key=value pairs. */
static int
put_gpus(struct json_w *j, const char *gpus, struct err *e)
{
	struct str s = str_trim(str_from(gpus));
	int64_t n = 0;
	bool all = str_eqc(s, "all");

	if (s.n == 0)
		return 0;
	jw_array(j, "DeviceRequests");
	jw_object(j, NULL);
	if (all || str_to_i64(s, &n) == 0) {
		jw_i64(j, "Count", all ? -1 : n);
	} else {
		struct str rest = s;
		bool device = false;

		while (rest.p != NULL) {
			struct str value = str_cut(&rest, ','), key = str_cut(&value, '=');

			if (str_eqc(key, "driver"))
				jw_str(j, "Driver", value);
			else if (str_eqc(key, "count") && str_eqc(value, "all"))
				jw_i64(j, "Count", -1);
			else if (str_eqc(key, "count") && str_to_i64(value, &n) == 0)
				jw_i64(j, "Count", n);
			else if (str_eqc(key, "device") && !device) {
				device = true;
				jw_array(j, "DeviceIDs");
				jw_str(j, NULL, value);
				jw_end_array(j);
			} else
				return err_set(e, ERR_CONFIG, 0, "gpus = \"%.*s\" in [runners.docker]: write all, a number, or device=ID", STR_ARG(s));
		}
	}
	jw_array(j, "Capabilities");
	jw_array(j, NULL);
	jw_cstr(j, NULL, "gpu");
	jw_end_array(j);
	jw_end_array(j);
	jw_end_object(j);
	jw_end_array(j);
	return 0;
}

static int
put_dns(struct json_w *j, const struct docker_settings *d, struct err *e)
{
	unsigned char addr[16];

	for (size_t i = 0; i < d->dns.n; i++) {
		const char *s = d->dns.v[i];

		if (inet_pton(AF_INET, s, addr) != 1 && inet_pton(AF_INET6, s, addr) != 1)
			return err_set(e, ERR_CONFIG, 0, "dns entry \"%s\" in [runners.docker] is no address", s);
	}
	put_list(j, "Dns", &d->dns);
	put_list(j, "DnsSearch", &d->dns_search);
	return 0;
}

/*
 * The engine's own log is how output is read, also after our death. The local driver keeps every byte
 * (json-file does not) but rotates at 20 MB x 5 unless told otherwise; a label or env option that
 * the operator wants in the log needs json-file.
 */
static int
put_log(struct json_w *j, const struct field_map *map, struct err *e)
{
	jw_object(j, "LogConfig");
	if (map->n == 0) {
		jw_cstr(j, "Type", "local");
		jw_object(j, "Config");
		jw_cstr(j, "max-size", "1t");
		jw_cstr(j, "max-file", "1");
		jw_cstr(j, "compress", "false");
		jw_end_object(j);
	} else {
		jw_cstr(j, "Type", "json-file");
		jw_object(j, "Config");
		for (size_t i = 0; i < map->n; i++) {
			const char *k = map->v[i].name;

			if (strcmp(k, "env") != 0 && strcmp(k, "labels") != 0)
				return err_set(e, ERR_CONFIG, 0, "log_options key \"%s\" in [runners.docker]: only env and labels are possible", k);
			jw_cstr(j, k, map->v[i].text);
		}
		jw_end_object(j);
	}
	jw_end_object(j);
	return 0;
}

static bool
user_defined(struct str mode)
{
	static const char *const own[] = { "", "default", "bridge", "host", "none" };

	for (size_t i = 0; i < NELEM(own); i++)
		if (str_eqc(mode, own[i]))
			return false;
	return !str_starts(mode, "container:");
}

bool
network_wanted(const struct work *w)
{
	return work_flag(w, "FF_NETWORK_PER_BUILD") && docker_of(w)->network_mode[0] == '\0';
}

static struct str
network_mode(const struct work *w)
{
	return str_from(network_wanted(w) ? w->network_name : docker_of(w)->network_mode);
}

const char *
container_hostname(const struct work *w)
{
	struct str mode = network_mode(w);

	return str_eqc(mode, "host") || str_starts(mode, "container:") ? NULL : w->hostname;
}

/* The entries of privileged images are compared with the image that is used, not with the one the job names. */
static bool
privileged(const struct work *w)
{
	const struct field_list *list = &docker_of(w)->allowed_privileged_images;
	struct str *patterns;

	if (!docker_of(w)->privileged)
		return false;
	patterns = arena_calloc(w->a, list->n + 1, sizeof(*patterns));
	for (size_t i = 0; i < list->n; i++)
		patterns[i] = str_from(list->v[i]);
	return glob_allowed(patterns, list->n, w->image);
}

static int
put_host_config(const struct work *w, enum container_kind kind, const struct volumes *vs, struct json_w *j, struct err *e)
{
	const struct docker_settings *d = docker_of(w);
	struct str mode = network_mode(w), cpus = str_from(d->cpus);
	int64_t nano;

	jw_object(j, "HostConfig");
	jw_array(j, "Binds");
	for (size_t i = 0; i < vs->n; i++)
		jw_cstr(j, NULL, vs->v[i].bind);
	jw_end_array(j);
	jw_str(j, "NetworkMode", mode);
	jw_object(j, "RestartPolicy");
	jw_cstr(j, "Name", "no");
	jw_end_object(j);
	if (put_log(j, &d->log_options, e) < 0 || put_dns(j, d, e) < 0 ||
	    put_ulimits(j, &d->ulimit, e) < 0 || put_gpus(j, d->gpus, e) < 0 ||
	    put_size(j, "Memory", K_DOCKER_memory, d->memory, e) < 0 ||
	    put_size(j, "MemorySwap", K_DOCKER_memory_swap, d->memory_swap, e) < 0 ||
	    put_size(j, "MemoryReservation", K_DOCKER_memory_reservation, d->memory_reservation, e) < 0)
		return -1;
	if (cpus.n > 0) {
		if (parse_cpus(cpus, &nano) < 0)
			return err_set(e, ERR_CONFIG, 0, "cpus = \"%.*s\" in [runners.docker] is no number of CPUs", STR_ARG(cpus));
		jw_i64(j, "NanoCpus", nano);
	}
	if (d->isolation[0] != '\0' && strcmp(d->isolation, "default") != 0)
		return err_set(e, ERR_CONFIG, 0, "isolation = \"%s\" in [runners.docker] is for Windows", d->isolation);
	put_text(j, "CgroupParent", d->cgroup_parent);
	put_text(j, "CpusetCpus", d->cpuset_cpus);
	put_text(j, "CpusetMems", d->cpuset_mems);
	if (d->cpu_shares > 0)
		jw_i64(j, "CpuShares", d->cpu_shares);
	if (d->oom_kill_disable)
		jw_bool(j, "OomKillDisable", true);
	if (d->oom_score_adjust != 0)
		jw_i64(j, "OomScoreAdj", d->oom_score_adjust);
	if (privileged(w))
		jw_bool(j, "Privileged", true);
	put_caps(j, "CapAdd", &d->cap_add);
	put_caps(j, "CapDrop", &d->cap_drop);
	if (put_security(w, j, e) < 0)
		return -1;
	put_devices(j, &d->devices);
	put_list(j, "DeviceCgroupRules", &d->device_cgroup_rules);
	put_list(j, "VolumesFrom", &d->volumes_from);
	put_text(j, "VolumeDriver", d->volume_driver);
	put_map(j, "Tmpfs", &d->tmpfs);
	if (d->shm_size > 0)
		jw_i64(j, "ShmSize", d->shm_size);
	put_map(j, "Sysctls", &d->sysctls);
	put_list(j, "ExtraHosts", &d->extra_hosts);
	if (kind == CONTAINER_BUILD)
		put_text(j, "PidMode", d->pid_mode);
	put_text(j, "IpcMode", d->ipcmode);
	put_text(j, "UsernsMode", d->userns_mode);
	put_list(j, "GroupAdd", &d->group_add);
	put_list(j, "Links", &d->links);
	put_text(j, "Runtime", d->runtime);
	if (kind == CONTAINER_BUILD && work_flag(w, "FF_USE_INIT_WITH_DOCKER_EXECUTOR"))
		jw_bool(j, "Init", true);
	jw_end_object(j);
	return 0;
}

static void
put_networking(const struct work *w, enum container_kind kind, int api, struct json_w *j)
{
	struct str mode = network_mode(w), mac = str_from(docker_of(w)->mac_address);
	bool own = user_defined(mode);

	if (!own && (mac.n == 0 || api < 44 || str_eqc(mode, "host") || str_eqc(mode, "none") || str_starts(mode, "container:")))
		return;
	jw_object(j, "NetworkingConfig");
	jw_object(j, "EndpointsConfig");
	jw_object(j, own ? arena_dup(w->a, mode) : mode.n > 0 ? arena_dup(w->a, mode) : "default");
	if (mac.n > 0 && api >= 44)
		jw_str(j, "MacAddress", mac);
	if (own) {
		jw_array(j, "Aliases");
		jw_cstr(j, NULL, "build");
		jw_cstr(j, NULL, kind == CONTAINER_BUILD ? w->build_name : w->helper_name);
		jw_end_array(j);
	}
	jw_end_object(j);
	jw_end_object(j);
	jw_end_object(j);
}

/* ---- labels and environment ---- */

static void
put_label(const struct work *w, struct json_w *j, const char *key, struct str value)
{
	jw_str(j, arena_fmt(w->a, LABEL "%s", key), value);
}

static void
put_label_i64(const struct work *w, struct json_w *j, const char *key, int64_t v)
{
	put_label(w, j, key, str_from(arena_fmt(w->a, "%" PRId64, v)));
}

static void
put_labels(const struct work *w, struct json_w *j, const char *type)
{
	const struct payload *p = w->p;
	const struct field_map *labels = &docker_of(w)->container_labels;
	char timeout[40];

	time_go_duration(p->timeout, timeout);
	jw_object(j, "Labels");
	put_label_i64(w, j, "job.id", p->id);
	put_label(w, j, "job.runner.url", str_from(work_job_url(w)));
	put_label(w, j, "job.sha", json_str(w->a, json_path(p->root, "git_info.sha")));
	put_label(w, j, "job.before_sha", json_str(w->a, json_path(p->root, "git_info.before_sha")));
	put_label(w, j, "job.ref", json_str(w->a, json_path(p->root, "git_info.ref")));
	put_label(w, j, "job.timeout", str_from(timeout));
	put_label_i64(w, j, "project.id", w->project_id);
	put_label(w, j, "project.runner_id", STR("0"));
	put_label(w, j, "pipeline.id", vars_get(&w->vars, "CI_PIPELINE_ID", STR("")));
	put_label(w, j, "runner.id", str_from(p->runner.short_token));
	put_label(w, j, "runner.local_id", vars_get(&w->vars, "CI_CONCURRENT_ID", STR("0")));
	put_label(w, j, "runner.system_id", str_from(p->runner.system_id));
	put_label(w, j, "managed", STR("true"));
	put_label(w, j, "type", str_from(type));
	for (size_t i = 0; i < labels->n; i++)
		jw_str(j, labels->v[i].name, vars_expand_str(&w->vars, str_from(labels->v[i].text)));
	jw_end_object(j);
}

/* Each variable once, with its last value; what would make every exec fail stays out (work_exported(); its warnings name them). */
static void
put_env(const struct work *w, struct json_w *j)
{
	jw_array(j, "Env");
	for (size_t i = 0; i < w->vars.n; i++) {
		const struct var *v = &w->vars.v[i];
		struct buf b = { .max = ENV_ENTRY_MAX };

		if (vars_find(&w->vars, v->key) != v || !vars_name_ok(v->key) || !work_exported(w, v) || str_chr(v->value, '\0') >= 0)
			continue;
		buf_putstr(&b, v->key);
		buf_putc(&b, '=');
		if (v->flags & VAR_FILE)
			buf_fmt(&b, "%s/%.*s", w->tmp_dir, STR_ARG(v->key));
		else
			buf_putstr(&b, v->value);
		if (!b.failed)
			jw_str(j, NULL, buf_str(&b));
		buf_free(&b);
	}
	jw_end_array(j);
}

static void
put_entrypoint(const struct work *w, struct json_w *j)
{
	struct json_val list = json_get(w->image_json, "entrypoint");

	if (json_type(list) != JSON_ARRAY || docker_of(w)->disable_entrypoint_overwrite)
		return;
	jw_array(j, "Entrypoint");
	/* Word for word: `exec "$@"` is the shell's to fill in. */
	JSON_EACH(v, list)
		jw_str(j, NULL, json_str(w->a, v));
	/* An empty list means none: the engine takes [""] for that. */
	if (json_len(list) == 0)
		jw_cstr(j, NULL, "");
	jw_end_array(j);
}

static int
put_user(const struct work *w, struct json_w *j, struct err *e)
{
	const struct field_list *allowed = &docker_of(w)->allowed_users;
	struct str user = vars_expand_str(&w->vars, str_from(docker_of(w)->user)), chosen = vars_expand_str(&w->vars, json_str(w->a, json_path(w->image_json, "executor_opts.docker.user")));
	bool listed = allowed->n == 0;

	if (chosen.n == 0 && json_type(json_path(w->image_json, "executor_opts.docker.user")) == JSON_NUMBER)
		chosen = json_raw(json_path(w->image_json, "executor_opts.docker.user"));
	if (user.n == 0)
		user = chosen;
	if (user.n == 0)
		return 0;
	for (size_t i = 0; i < allowed->n; i++)
		listed |= str_eq(user, vars_expand_str(&w->vars, str_from(allowed->v[i])));
	if (!listed)
		return err_set(e, ERR_CONFIG, 0, "user \"%.*s\" is not in allowed_users of the runner", STR_ARG(user));
	jw_str(j, "User", user);
	return 0;
}

int
container_put_create(const struct work *w, const struct container_order *o, struct buf *body,
    struct err *e)
{
	struct json_w j = { .b = body };
	enum container_kind kind = o->kind;
	bool umask = kind == CONTAINER_HELPER &&
	    !work_flag(w, "FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR");
	struct str mac = str_from(docker_of(w)->mac_address);

	jw_object(&j, NULL);
	jw_str(&j, "Image", o->image);
	jw_cstr(&j, "Hostname", w->hostname);
	jw_array(&j, "Cmd");
	jw_cstr(&j, NULL, "sh");
	jw_cstr(&j, NULL, "-c");
	jw_cstr(&j, NULL, umask ? detect_shell_umask : detect_shell);
	jw_end_array(&j);
	if (kind == CONTAINER_BUILD) {
		put_entrypoint(w, &j);
		if (put_user(w, &j, e) < 0)
			return -1;
	}
	put_env(w, &j);
	jw_bool(&j, "Tty", false);
	jw_bool(&j, "OpenStdin", true);
	jw_bool(&j, "StdinOnce", true);
	jw_bool(&j, "AttachStdin", true);
	jw_bool(&j, "AttachStdout", true);
	jw_bool(&j, "AttachStderr", true);
	put_labels(w, &j, kind == CONTAINER_BUILD ? "build" : "predefined");
	if (mac.n > 0 && o->api < 44)
		jw_str(&j, "MacAddress", mac);
	if (put_host_config(w, kind, o->volumes, &j, e) < 0)
		return -1;
	put_networking(w, kind, o->api, &j);
	jw_end_object(&j);
	return body->failed ? err_set(e, ERR_CONFIG, 0, "the container's description is too large") : 0;
}

void
network_put_create(const struct work *w, int api, struct buf *body)
{
	struct json_w j = { .b = body };
	int64_t mtu = docker_of(w)->network_mtu;

	jw_object(&j, NULL);
	jw_cstr(&j, "Name", w->network_name);
	if (docker_of(w)->enable_ipv6)
		jw_bool(&j, "EnableIPv6", true);
	if (mtu > 0) {
		jw_object(&j, "Options");
		jw_cstr(&j, "com.docker.network.driver.mtu", arena_fmt(w->a, "%" PRId64, mtu));
		jw_end_object(&j);
	}
	/* Old engines would make a second network of the same name. */
	if (api < 44)
		jw_bool(&j, "CheckDuplicate", true);
	put_labels(w, &j, "network");
	jw_end_object(&j);
}

/* ---- volumes ---- */

/* [source:]destination[:mode][,label][,propagation]: the part with the destination in it. */
static int
split_volume(struct str spec, struct str *source, struct str *dest, struct str *mode)
{
	struct str rest = spec, first = str_cut(&rest, ':');

	*source = STR_NULL;
	*mode = STR_NULL;
	if (rest.p == NULL) {
		*dest = first;
	} else {
		struct str second = str_cut(&rest, ':');

		if (str_starts(second, "/") || str_starts(second, "$")) {
			*source = first;
			*dest = second;
			*mode = rest;
		} else {
			/* "/cache:ro": a destination with a mode and no source. */
			*dest = first;
			*mode = second;
			if (rest.p != NULL)
				return -1;
		}
	}
	return dest->n > 0 ? 0 : -1;
}

static bool
mode_ok(struct str mode)
{
	static const char *const words[] = { "ro", "rw", "O", "o", "z", "Z", "shared", "slave", "private", "rshared", "rslave", "rprivate", "RO", "RW" };

	while (mode.p != NULL) {
		struct str part = str_cut(&mode, ',');
		bool known = false;

		while (part.p != NULL) {
			struct str wd = str_cut(&part, ':');

			known = false;
			for (size_t i = 0; i < NELEM(words); i++)
				known |= str_eqc(wd, words[i]);
			if (!known)
				return false;
		}
	}
	return true;
}

/* "/a//b/../c/" as the engine sees it; NULL when it is not absolute or leaves the root. */
static char *
clean_path(struct arena *a, struct str path)
{
	struct str part[256];
	struct buf b = { .max = 8192 };
	size_t n = 0;
	char *out;

	if (!str_starts(path, "/"))
		return NULL;
	while (path.p != NULL) {
		struct str c = str_cut(&path, '/');

		if (c.n == 0 || str_eqc(c, "."))
			continue;
		if (str_eqc(c, "..")) {
			n -= n > 0;
			continue;
		}
		if (n == NELEM(part))
			return NULL;
		part[n++] = c;
	}
	for (size_t i = 0; i < n; i++) {
		buf_putc(&b, '/');
		buf_putstr(&b, part[i]);
	}
	if (n == 0)
		buf_putc(&b, '/');
	out = arena_dup(a, buf_str(&b));
	buf_free(&b);
	return out;
}

static char *
md5_hex(struct arena *a, const char *text)
{
	uint8_t sum[16];
	char *hex = arena_alloc(a, 33);

	hash_md5(text, strlen(text), sum);
	hash_hex(sum, 16, hex);
	return hex;
}

/* A volume without a source: for the job's life, in a directory of the machine, or kept for the next job of the project. */
static void
cache_volume(const struct work *w, struct volume *v, bool temporary)
{
	const char *suffix = w->protected ? "-protected" : "", *md5 = md5_hex(w->a, v->destination);
	struct str host = str_from(docker_of(w)->cache_dir);

	if (temporary) {
		v->temporary = true;
		v->name = arena_fmt(w->a, "%s-cache-%s%s", w->random_name, md5, suffix);
	} else if (host.n > 0) {
		v->bind = arena_fmt(w->a, "%.*s/runner-%s/%s%s:%s", STR_ARG(host), w->volume_hash, md5, suffix, v->destination);
		return;
	} else
		v->name = arena_fmt(w->a, "runner-%s-cache-%s%s", w->volume_hash, md5, suffix);
	v->bind = arena_fmt(w->a, "%s:%s", v->name, v->destination);
}

static bool
defined(const struct volumes *vs, const char *destination)
{
	for (size_t i = 0; i < vs->n; i++)
		if (strcmp(vs->v[i].destination, destination) == 0)
			return true;
	return false;
}

int
volumes_plan(const struct work *w, struct volumes *vs, struct err *e)
{
	const struct field_list *list = &docker_of(w)->volumes;
	struct volume *v;

	vs->v = arena_calloc(w->a, list->n + 2, sizeof(*vs->v));
	vs->n = 0;
	for (size_t i = 0; i < list->n; i++) {
		struct str spec = str_from(list->v[i]), source, dest, mode;

		v = &vs->v[vs->n];
		if (split_volume(spec, &source, &dest, &mode) < 0 || !mode_ok(mode))
			return err_set(e, ERR_CONFIG, 0, "volume \"%.*s\" in [runners.docker] is no volume specification", STR_ARG(spec));
		v->destination = clean_path(w->a, vars_expand_str(&w->vars, dest));
		if (v->destination == NULL || strcmp(v->destination, "/") == 0)
			return err_set(e, ERR_CONFIG, 0, "volume \"%.*s\" in [runners.docker]: the path in the container must be absolute and not /", STR_ARG(spec));
		if (defined(vs, v->destination))
			return err_set(e, ERR_CONFIG, 0, "volume for %s is already defined", v->destination);
		if (source.p != NULL)
			v->bind = arena_fmt(w->a, "%.*s:%s%s%.*s", STR_ARG(source), v->destination, mode.p != NULL ? ":" : "", STR_ARG(mode));
		else
			cache_volume(w, v, docker_of(w)->disable_cache);
		vs->n++;
	}
	/* The checkout: kept for the next fetch of this project, or gone with the job. */
	if (defined(vs, w->builds_dir))
		return 0;
	v = &vs->v[vs->n++];
	v->destination = w->builds_dir;
	cache_volume(w, v, w->git != GIT_FETCH || docker_of(w)->disable_cache);
	return 0;
}

void
volume_put_create(const struct work *w, const struct volume *v, struct buf *body)
{
	struct json_w j = { .b = body };

	jw_object(&j, NULL);
	jw_cstr(&j, "Name", v->name);
	put_text(&j, "Driver", docker_of(w)->volume_driver);
	put_map(&j, "DriverOpts", &docker_of(w)->volume_driver_ops);
	put_labels(w, &j, "cache");
	jw_end_object(&j);
}
