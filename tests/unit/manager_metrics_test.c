/* manager/metrics, snapshot, view and prom: from the manager's tables to the text that Prometheus reads. */
#include <sys/stat.h>
#include <math.h>
#include <unistd.h>

#include "core/fs.h"
#include "manager/parts.h"
#include "manager/prom.h"
#include "manager/snapshot.h"
#include "manager/view.h"
#include "tap.h"

static char dir[] = "/tmp/windlass-metrics.XXXXXX";

static void
test_table(void)
{
	bool good = true;

	for (enum metric id = 0; id < METRIC_MAX; id++) {
		const struct metric_info *i = &metric_info[id];
		size_t n;

		metric_bounds(id, &n);
		good &= ok(i->name != NULL && (strncmp(i->name, "gitlab_runner_", 14) == 0 || strncmp(i->name, "process_", 8) == 0 ||
		    strncmp(i->name, "windlass_", 9) == 0) && i->help[0] != '\0' && metric_nlabels(id) <= METRIC_LABELS_MAX &&
		    (i->type == METRIC_HISTOGRAM) == (n > 0) && metric_find(str_from(i->name)) == id &&
		    (i->type != METRIC_COUNTER || str_ends(str_from(i->name), "_total")), "%s", i->name != NULL ? i->name : "?");
	}
	is_int((long long)metric_nlabels(M_VERSION_INFO), 8, "labels are counted");
	is_int((long long)metric_nlabels(M_CONCURRENT), 0, "none, too");
	ok(metric_find(STR("gitlab_runner_nonsense")) == METRIC_MAX, "what is not there is not found");
}

static void
test_text(void)
{
	static const struct { double v; const char *want; } numbers[] = {
		{ 0, "0" }, { 12, "12" }, { -3, "-3" }, { 0.25, "0.25" }, { 0.1, "0.1" }, { 223.51741790771484375, "223.51741790771484" },
		{ 1e15, "1000000000000000" }, { 1e300, "1e+300" }, { INFINITY, "+Inf" }, { -INFINITY, "-Inf" }, { NAN, "NaN" },
	};
	static const struct { struct str in; const char *want; } values[] = {
		{ { "plain", 5 }, "plain" }, { { "a\"b\\c\nd", 7 }, "a\\\"b\\\\c\\nd" }, { { "a\0b", 3 }, "a\xef\xbf\xbd" "b" },
		{ { "\t", 1 }, "\t" }, { { "\xc3\xa4", 2 }, "\xc3\xa4" }, { { "", 0 }, "" },
	};
	struct buf b = { 0 };

	for (size_t i = 0; i < NELEM(numbers); i++) {
		buf_clear(&b);
		prom_put_number(&b, numbers[i].v);
		is_str(b.p, numbers[i].want, "number %s", numbers[i].want);
	}
	for (size_t i = 0; i < NELEM(values); i++) {
		buf_clear(&b);
		buf_puts(&b, "");
		prom_put_value(&b, values[i].in);
		is_str(b.p, values[i].want, "label value %zu", i);
	}
	buf_clear(&b);
	prom_put_help(&b, "a \\ b \n c \" d");
	is_str(b.p, "a \\\\ b \\n c \" d", "help: quotes stay");
	buf_free(&b);
}

/* A manager with one pool, one waiting, one running job and two machines, as far as observing needs it. */
struct world {
	struct manager	 m;
	struct config	 config;
	struct runner	 runner;
	struct pool	 pool;
	struct machine	 idle, used;
	struct job	 waiting, running;
};

static void
world_init(struct world *w)
{
	static char name[] = "the \"one\"\\\n", token[] = "AbCdEfGhI", config[] = "c.toml", id1[] = "41", id2[] = "42", project[] = "acme/web",
	    url[] = "https://gitlab.example/acme/web/-/jobs/42", job[] = "unit";
	struct err e = { 0 };

	*w = (struct world){ .config = { .concurrent = 7, .listen_address = ":0" }, .runner = { .limit = 5, .request_concurrency = 3,
	    .base_url = "https://gitlab.example", .machine_driver = "digitalocean" } };
	w->m = (struct manager){ .config = &w->config, .config_path = config, .store = dir, .system_id = "s_0123456789ab" };
	w->m.state_fd = fs_opendir(AT_FDCWD, dir, &e);
	w->m.jobs_fd = fs_opendir(AT_FDCWD, dir, &e);
	list_init(&w->m.pools);
	list_init(&w->m.machines);
	list_init(&w->m.jobs);
	w->pool = (struct pool){ .key = "0a1b2c3d", .conf = &w->runner, .runner = token, .runner_name = name };
	list_init(&w->pool.pollers);
	list_add(&w->m.pools, &w->pool.link);
	w->idle = (struct machine){ .name = "runner-a-1", .pool = &w->pool, .state = SCALE_IDLE, .phase = PHASE_READY, .created = wall_add(wall_now(), -100 * NSEC_SEC) };
	w->used = (struct machine){ .name = "runner-a-2", .pool = &w->pool, .state = SCALE_USED, .phase = PHASE_READY, .created = wall_add(wall_now(), -10 * NSEC_SEC), .uses = 2 };
	list_add(&w->m.machines, &w->idle.link);
	list_add(&w->m.machines, &w->used.link);
	w->waiting = (struct job){ .id = id1, .pool = &w->pool, .state = JOB_WAITING, .arrived = wall_add(wall_now(), -5 * NSEC_SEC), .waiting = "Waiting for a machine",
	    .waiting_why = "creating", .queued_s = 2, .queue_size = 9, .queue_depth = 1, .project_running = "+Inf" };
	w->running = (struct job){ .id = id2, .pool = &w->pool, .state = JOB_RUNNING, .arrived = wall_add(wall_now(), -50 * NSEC_SEC), .assigned = wall_add(wall_now(), -20 * NSEC_SEC),
	    .machine = &w->used, .machine_name = "runner-a-2", .doing = "step_script", .name = job, .project = project, .url = url, .queued_s = -1,
	    .queue_size = -1, .queue_depth = -1 };
	w->used.job = &w->running;
	list_add(&w->m.jobs, &w->waiting.link);
	list_add(&w->m.jobs, &w->running.link);
	events_open(&w->m);
	snapshot_open(&w->m);
}

static void
world_end(struct world *w)
{
	events_close(&w->m);
	metrics_free(&w->m);
	free(w->m.snapshot);
	close(w->m.state_fd);
	close(w->m.jobs_fd);
}

static bool
has(const struct buf *b, const char *line)
{
	struct str rest = buf_str(b);

	while (rest.p != NULL)
		if (str_eqc(str_cut(&rest, '\n'), line))
			return true;
	printf("# no line: %s\n", line);
	return false;
}

#define WHO	"runner=\"AbCdEfGhI\",runner_name=\"the \\\"one\\\"\\\\\\n\",system_id=\"s_0123456789ab\""

static void
test_whole(void)
{
	struct world w;
	struct view v = { .pid = 0 };
	struct prom_process p = { .known = true, .cpu_seconds = 1.5, .open_fds = -1, .max_fds = 1024, .version = "19.4.0", .revision = "abc", .branch = "b" };
	struct buf text = { 0 }, out = { 0 };
	struct err e = { 0 };

	world_init(&w);
	event_note(&w.m, EVENT_ARRIVED, ABOUT(.job = &w.waiting), "job", "%s", "");
	event_note(&w.m, EVENT_ARRIVED, ABOUT(.job = &w.running), "job", "%s", "");
	event_note(&w.m, EVENT_ASSIGN, ABOUT(.machine = &w.used, .job = &w.running), "oldest",
	    "%s", "");
	event_note(&w.m, EVENT_ENDED, ABOUT(.job = &w.running), "script_failure", "%s", "");
	event_note(&w.m, EVENT_REMOVE, ABOUT(.machine = &w.idle), "idle", "%s", "");
	event_note(&w.m, EVENT_MACHINE, ABOUT_ALL, "stray-stays", "%s", "");
	metrics_request(&w.m, &w.pool, 204, 40 * NSEC_SEC);
	metrics_request(&w.m, &w.pool, 0, NSEC_SEC / 2);
	snapshot_put(&w.m, &text);
	ok(str_find(buf_str(&text), "glrt-") < 0, "no token in the snapshot");
	if (!ok(view_parse(&v, buf_str(&text), &e) == 0, "the snapshot reads back %s", e.msg))
		return;
	is_int((long long)v.nmachines, 2, "machines");
	is_int((long long)v.njobs, 2, "jobs");
	is_str(view_machine(&v, "runner-a-2")->job, "42", "which machine has which job");
	is_str(view_job(&v, "41")->waiting_why, "creating", "what a job waits for");
	is_str(view_job(&v, "42")->stage, "step_script", "how far one is");
	is_str(view_pool(&v, "0a1b2c3d")->name, "the \"one\"\\\n", "the runner's name, whole");
	is_int(view_pool(&v, "0a1b2c3d")->limit, 5, "limit");
	ok(view_pool(&v, "ffffffff") == NULL && view_machine(&v, "x") == NULL && view_job(&v, "1") == NULL, "what is not there is not found");
	v.alive = true;
	prom_put(&out, &v, &p, wall_now());
	ok(has(&out, "gitlab_runner_concurrent 7"), "a gauge without labels");
	ok(has(&out, "gitlab_runner_limit{" WHO "} 5"), "labels are escaped");
	ok(has(&out, "gitlab_runner_jobs{" WHO ",state=\"idle\",stage=\"idle\",executor_stage=\"idle\"} 0"), "the series that is always there");
	ok(has(&out, "gitlab_runner_jobs{" WHO ",state=\"running\",stage=\"step_script\",executor_stage=\"docker_run\"} 1"), "a running job");
	ok(has(&out, "gitlab_runner_jobs{" WHO ",state=\"pending\",stage=\"prepare_executor\",executor_stage=\"docker_machine_use_machine\"} 1"), "a waiting one");
	ok(has(&out, "gitlab_runner_jobs_total{" WHO "} 2"), "a counter");
	ok(has(&out, "gitlab_runner_job_queue_duration_seconds_bucket{" WHO ",project_jobs_running=\"+Inf\",le=\"3\"} 1"), "what GitLab said of its queue");
	ok(has(&out, "gitlab_runner_job_queue_size{" WHO "} 9"), "and of its size");
	ok(has(&out, "gitlab_runner_failed_jobs_total{runner=\"AbCdEfGhI\",runner_name=\"the \\\"one\\\"\\\\\\n\",failure_reason=\"script_failure\",mode=\"traditional\"} 1"), "a failed job");
	ok(has(&out, "gitlab_runner_worker_processing_failures_total{failure_type=\"no_free_executor\"," WHO "} 0"), "zeros are there from the start");
	ok(has(&out, "gitlab_runner_api_request_statuses_total{runner=\"AbCdEfGhI\",system_id=\"s_0123456789ab\",endpoint=\"request_job\",status=\"-1\",method=\"post\"} 1"), "no answer is status -1");
	ok(has(&out, "gitlab_runner_api_request_duration_seconds_bucket{runner=\"AbCdEfGhI\",system_id=\"s_0123456789ab\",endpoint=\"request_job\",status_class=\"2xx\",method=\"post\",le=\"30\"} 0") &&
	    has(&out, "gitlab_runner_api_request_duration_seconds_bucket{runner=\"AbCdEfGhI\",system_id=\"s_0123456789ab\",endpoint=\"request_job\",status_class=\"2xx\",method=\"post\",le=\"60\"} 1") &&
	    has(&out, "gitlab_runner_api_request_duration_seconds_sum{runner=\"AbCdEfGhI\",system_id=\"s_0123456789ab\",endpoint=\"request_job\",status_class=\"2xx\",method=\"post\"} 40"), "a histogram is cumulative");
	ok(has(&out, "gitlab_runner_autoscaling_actions_total{executor=\"docker+machine\",action=\"used\",target_zone=\"\",target_region=\"\",target_project=\"\",target_machine_type=\"\"} 1"), "an action");
	ok(has(&out, "gitlab_runner_autoscaling_machine_states{executor=\"docker+machine\",state=\"idle\",target_zone=\"\",target_region=\"\",target_project=\"\",target_machine_type=\"\"} 1"), "machines by state");
	ok(has(&out, "windlass_decisions_total{" WHO ",decision=\"remove\",reason=\"idle\"} 1"), "decisions by reason");
	ok(has(&out, "windlass_strays_total{result=\"stays\"} 1") && has(&out, "windlass_strays_total{result=\"removed\"} 0"), "what nobody knew of");
	ok(has(&out, "windlass_jobs_waiting{" WHO ",reason=\"creating\"} 1"), "waiting jobs by reason");
	ok(has(&out, "process_cpu_seconds_total 1.5") && str_find(buf_str(&out), "process_open_fds") < 0, "what is not to be had is left out");
	ok(str_find(buf_str(&out), "windlass_job_wait_seconds_bucket{" WHO ",le=\"30\"} 0") > 0 &&
	    has(&out, "windlass_job_wait_seconds_bucket{" WHO ",le=\"60\"} 1"), "how long a job waited");
	buf_clear(&out);
	prom_put_jobs(&out, &v, wall_now());
	ok(str_find(buf_str(&out), "url=https://gitlab.example/acme/web/-/jobs/42 state=running stage=step_script executor_stage=docker_run duration=5") >= 0, "the list of jobs");
	buf_free(&out);
	buf_free(&text);
	view_free(&v);
	world_end(&w);
}

static void
test_snapshot_file(void)
{
	struct world w;
	struct stat first, second;
	struct view v;
	struct err e = { 0 };

	world_init(&w);
	snapshot_tend(&w.m, true);
	ok(fstatat(w.m.state_fd, SNAPSHOT_FILE, &first, 0) == 0 && (first.st_mode & 0777) == 0640, "written, for the metrics server's group too");
	w.used.uses = 3;
	snapshot_tend(&w.m, true);
	ok(fstatat(w.m.state_fd, SNAPSHOT_FILE, &second, 0) == 0 && first.st_ino == second.st_ino, "a second time within the second: not yet");
	ok(!mono_is_never(snapshot_wake(&w.m)), "but the manager will wake for it");
	snapshot_end(&w.m);
	fstatat(w.m.state_fd, SNAPSHOT_FILE, &second, 0);
	ok(first.st_ino != second.st_ino || first.st_mtim.tv_nsec != second.st_mtim.tv_nsec, "a change is written");
	first = second;
	snapshot_end(&w.m);
	fstatat(w.m.state_fd, SNAPSHOT_FILE, &second, 0);
	ok(first.st_ino == second.st_ino && first.st_mtim.tv_nsec == second.st_mtim.tv_nsec, "what has not changed is not");
	/* Nobody holds the lock: a dead manager. Its machines are not in the store: they are not shown. */
	if (ok(view_load(&v, dir, NULL, &e) == 0, "a dead manager's directory can be looked at %s", e.msg)) {
		ok(!v.alive && v.snapshot && wall_known(v.at), "it is known to be dead, and since when this is known");
		is_int((long long)v.nmachines, 0, "what the directories do not have is not there");
		is_int((long long)v.npools, 1, "its pools are");
		view_free(&v);
	}
	ok(view_load(&v, "/nonexistent/windlass", NULL, &e) < 0, "no directory: an error");
	view_free(&v);
	world_end(&w);
}

static bool
of_machine(void *ctx, const struct event_record *ev)
{
	return strcmp(ev->machine, ctx) == 0;
}

static void
test_events_read(void)
{
	struct world w;
	struct view v = { .pid = 0 };
	struct event_record *ev;
	char name[] = "runner-a-1";
	size_t n;

	world_init(&w);
	unlinkat(w.m.state_fd, EVENTS_FILE, 0);
	events_close(&w.m);
	events_open(&w.m);
	for (int i = 0; i < 50; i++)
		event_note(&w.m, EVENT_MACHINE, ABOUT(.machine = i % 2 ? &w.idle : &w.used), "x",
		    "%d", i);
	events_flush(&w.m);
	n = events_read(&v.arena, dir, of_machine, name, 10, &ev);
	is_int((long long)n, 10, "the newest ten of one machine");
	is_str(ev[0].text, "31", "oldest first");
	is_str(ev[9].text, "49", "to the newest");
	n = events_read(&v.arena, dir, NULL, NULL, 3, &ev);
	ok(n == 3 && strcmp(ev[2].text, "49") == 0 && strcmp(ev[0].text, "47") == 0, "the last three of all");
	view_free(&v);
	world_end(&w);
}

int
main(void)
{
	struct err e = { 0 };

	log_setup(LOG_FATAL, LOG_RUNNER);
	if (mkdtemp(dir) == NULL)
		return 1;
	test_table();
	test_text();
	test_whole();
	test_snapshot_file();
	test_events_read();
	fs_remove_tree(AT_FDCWD, dir, &e);
	return done_testing();
}
