/* What `adopt` found and did, as text and as JSON: see adopt.h. */
#include "cmd/adopt.h"
#include "wire/json.h"

#define SOON_S		(60 * 86400)	/* a certificate that ends within is worth a word */
#define NAME_WIDTH	45

static const char *const fates[] = {
	[ADOPT_TAKE] = "take over", [ADOPT_OURS] = "is windlass's already", [ADOPT_BY_HAND] = "made by hand, left alone",
	[ADOPT_FOREIGN] = "no runner's, left alone", [ADOPT_OTHERS] = "another windlass's, left alone",
	[ADOPT_NO_DRIVER] = "no such driver, left alone", [ADOPT_BROKEN] = "not readable, left alone",
};
static const char *const fate_words[] = {
	[ADOPT_TAKE] = "take", [ADOPT_OURS] = "ours", [ADOPT_BY_HAND] = "by_hand", [ADOPT_FOREIGN] = "foreign",
	[ADOPT_OTHERS] = "other_windlass", [ADOPT_NO_DRIVER] = "no_driver", [ADOPT_BROKEN] = "broken",
};

static const char *
plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static bool
is_machine_runner(const struct runner *r)
{
	return strcmp(r->executor, "docker+machine") == 0;
}

static size_t
machines_of(const struct adopt *a, const struct runner *r)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += a->machines[i].runner == r && (a->machines[i].fate == ADOPT_TAKE || a->machines[i].fate == ADOPT_OURS);
	return n;
}

/* ---- config.toml ---- */

static void
print_runner(const struct adopt *a, const struct runner *r, FILE *f)
{
	fputs("    \"", f);
	check_put(f, r->name);
	if (config_foreign_executor(r->executor)) {
		fputs("\": executor ", f);
		check_put(f, r->executor);
		fputs(", not for windlass: it stays with gitlab-runner\n", f);
		return;
	}
	if (r->disabled != NULL) {
		fputs("\": would be skipped, as said below; its machines are left alone\n", f);
		return;
	}
	fprintf(f, "\": machines named %s*%s, %zu here\n", r->names.prefix, r->names.suffix, machines_of(a, r));
	if (r->max_builds == 1 && machines_of(a, r) > 0)
		fputs("        MaxBuilds = 1, and what the original made counts as used once: these machines are removed, not used\n", f);
}

static bool
others_stay(const struct config *c)
{
	bool ours = false, others = false;

	for (size_t i = 0; i < c->nrunners; i++)
		*(is_machine_runner(&c->runners[i]) ? &ours : &others) = true;
	return ours && others;
}

static void
print_config(const struct adopt *a, FILE *f)
{
	const struct check *c = &a->check;

	fputs("Configuration ", f);
	check_put(f, c->path);
	fprintf(f, ": %zu error%s, %zu warning%s\n", c->count[CHECK_ERROR], plural(c->count[CHECK_ERROR]), c->count[CHECK_WARNING], plural(c->count[CHECK_WARNING]));
	for (size_t i = 0; c->config != NULL && i < c->config->nrunners; i++)
		print_runner(a, &c->config->runners[i], f);
	for (int level = CHECK_WARNING; level <= CHECK_ERROR; level++)
		for (const struct check_note *n = c->first; n != NULL; n = n->next)
			if ((int)n->level == level) {
				fputs("    ", f);
				check_print_note(c, n, f);
			}
	if (c->count[CHECK_INFO] > 0)
		fprintf(f, "    %zu smaller difference%s: `windlass check --config %s` lists them\n", c->count[CHECK_INFO], plural(c->count[CHECK_INFO]), c->path);
	if (c->config != NULL && others_stay(c->config))
		fputs("    gitlab-runner may go on for the other executors, but with a config.toml of its own that has no docker+machine entry\n"
		    "    any more: two programs with the same token would use and remove each other's machines.\n", f);
}

/* ---- gitlab-runner ---- */

static void
print_process(const struct adopt *a, const struct adopt_process *p, FILE *f)
{
	const char *user = p->user_unit ? " --user" : "";

	fprintf(f, "gitlab-runner runs: pid %d", (int)p->pid);
	if (p->unit[0] != '\0')
		fprintf(f, ", unit %s", p->unit);
	if (p->contained)
		fputs(", in a container", f);
	fputs(", configuration ", f);
	check_put(f, p->config[0] != '\0' ? p->config : "unknown");
	if (!p->same_config) {
		fputs(": another file, so it may go on\n", f);
		return;
	}
	fprintf(f, "\n    It has to be gone first. Nothing is lost when it may finish its jobs:\n"
	    "        kill -QUIT %d                      # takes no more jobs, ends with the last one\n"
	    "        tail --pid=%d -f /dev/null         # waits for that\n", (int)p->pid, (int)p->pid);
	if (p->contained)
		fputs("    and stop its container before that starts it again.\n", f);
	else if (p->unit[0] != '\0')
		fprintf(f, "        systemctl%s disable --now %s    # or it is started again, two minutes later and at every boot\n", user, p->unit);
	if (p->store[0] != '\0' && strcmp(p->store, a->store) != 0 && !p->contained) {
		fputs("    It keeps its machines in ", f);
		check_put(f, p->store);
		fputs(", which is not the store below: --storage-path chooses that one.\n", f);
	}
}

static void
print_processes(const struct adopt *a, FILE *f)
{
	bool running = false;

	for (size_t i = 0; i < a->nprocesses; i++) {
		print_process(a, &a->processes[i], f);
		running = running || a->processes[i].same_config;
	}
	if (!running)
		fputs("No gitlab-runner works on this configuration here.\n", f);
	if (a->enabled_unit != NULL && !running)
		fprintf(f, "    But %s would start with the host: systemctl disable %s\n", a->enabled_unit, a->enabled_unit);
	if (a->manager_pid != 0)
		fprintf(f, "windlass runs already on %s, pid %d: it knows these machines by their names.\n", a->state_dir, a->manager_pid);
}

/* ---- store ---- */

static void
print_end(const char *what, int64_t ends, FILE *f)
{
	char at[TIME_RFC3339_MAX];

	if (ends == 0)
		return;
	time_rfc3339(wall_of_seconds(ends), 0, at);
	fprintf(f, "    %s until %.10s", what, at);
	if (ends - wall_seconds(wall_now()) < SOON_S)
		fprintf(f, ": %s",
		    ends <= wall_seconds(wall_now()) ? "it has EXPIRED" : "it ends soon");
	fputc('\n', f);
}

static void
print_store(const struct adopt *a, FILE *f)
{
	char what[64];

	fputs("Store ", f);
	check_put(f, a->store);
	fprintf(f, ": %zu machine%s\n", a->n, plural(a->n));
	snprintf(what, sizeof(what), "certificate authority (%s)", a->certs.ca_key);
	print_end(what, a->certs.ca_ends, f);
	print_end("client certificate", a->certs.client_ends, f);
	if (a->certs_err.kind == ERR_NONE)
		fputs("    They fit together; windlass signs new machines with them.\n", f);
	else if (a->certs_err.kind == ERR_NOTFOUND && a->certs.ca_ends == 0 && a->n == 0)
		fputs("    No certificates yet: the first machine makes them.\n", f);
	else if (a->certs_err.kind == ERR_NOTFOUND && a->certs.ca_ends != 0)
		fputs("    The client's is missing or past two thirds of its life: windlass signs a new one when it makes its next machine.\n", f);
	else {
		fputs("    Not in order, and no machine can be made with them: ", f);
		check_put(f, a->certs_err.msg);
		fputc('\n', f);
	}
}

static void
print_machine(const struct adopt *a, const struct adopt_machine *m, FILE *f)
{
	fprintf(f, "    %-*s %-13s ", NAME_WIDTH, m->name, m->driver);
	fputs(fates[m->fate], f);
	if (m->fate == ADOPT_TAKE || m->fate == ADOPT_OURS) {
		fputs(m->runner != NULL ? " for \"" : ": its runner has left the configuration, it will be removed", f);
		check_put(f, m->runner != NULL ? m->runner->name : "");
		fputs(m->runner != NULL ? "\"" : "", f);
	}
	if (m->uses >= 0 && m->fate == ADOPT_OURS)
		fprintf(f, ", used %" PRId64 " times", m->uses);
	else if (m->fate == ADOPT_TAKE)
		fputs(", uses unknown", f);
	fputc('\n', f);
	if (m->why != NULL) {
		fputs("        ", f);
		check_put(f, m->why);
		fputc('\n', f);
	}
	if (m->rivals > 0)
		fputs("        gitlab-runner would have let another runner use it, too: their names begin alike\n", f);
	if (!a->probed || (m->fate != ADOPT_TAKE && m->fate != ADOPT_OURS))
		return;
	fprintf(f, "        engine: %s", m->probe.engine_ok ? "answers with the certificates of the store, Docker " : "does not answer: ");
	check_put(f, m->probe.engine);
	fputs("\n        cloud: ", f);
	check_put(f, m->probe.cloud);
	fputc('\n', f);
	if (m->probe.cloud_gone)
		fputs("        It is gone: windlass removes what the store still has of it.\n", f);
	else if (!m->probe.engine_ok)
		fputs("        windlass would find that out before it gives it a job, and remove it.\n", f);
}

static void
print_foreign_advice(const struct adopt *a, FILE *f)
{
	if (a->fates[ADOPT_FOREIGN] > 0)
		fputs("    What is no runner's nobody removes: an old token or MachineName, or made by hand. `windlass machine rm NAME` removes it.\n", f);
	if (a->fates[ADOPT_NO_DRIVER] > 0)
		fputs("    A machine of a driver that windlass does not have can only be removed with docker-machine: docker-machine rm NAME.\n", f);
	if (a->fates[ADOPT_OTHERS] > 0)
		fprintf(f, "    Another windlass's: it has another state directory than %s; --state-dir chooses one.\n", a->state_dir);
}

void
adopt_print_text(const struct adopt *a, FILE *f)
{
	print_config(a, f);
	print_processes(a, f);
	print_store(a, f);
	for (size_t i = 0; i < a->n; i++)
		print_machine(a, &a->machines[i], f);
	print_foreign_advice(a, f);
}

static void
print_next(const struct adopt *a, FILE *f)
{
	fputs("Start windlass as the same user, with the same directories:\n    windlass run --config ", f);
	check_put(f, a->check.path);
	fprintf(f, " --storage-path %s --state-dir %s\n", a->store, a->state_dir);
	fputs("The way back, at any time: end it with SIGQUIT, start gitlab-runner again. Nothing has to be undone: docker-machine does not\n"
	    "look at windlass.json and lock, and every config.json is as it was.\n", f);
}

void
adopt_print_done(const struct adopt *a, FILE *f)
{
	size_t done = 0, failed = 0;

	if (!a->did) {
		if (a->in_the_way != NULL)
			fprintf(f, "Nothing was changed: %s.\n", a->in_the_way);
		else if (a->fates[ADOPT_TAKE] > 0)
			fprintf(f, "Nothing was changed. %zu machine%s would be taken over: `windlass adopt --yes` does it.\n", a->fates[ADOPT_TAKE],
			    plural(a->fates[ADOPT_TAKE]));
		else {
			fputs("There is nothing to take over.\n", f);
			print_next(a, f);
		}
		return;
	}
	for (size_t i = 0; i < a->n; i++) {
		const struct adopt_machine *m = &a->machines[i];

		done += m->done && m->fate == ADOPT_TAKE;
		failed += m->failed != NULL;
		if (m->failed != NULL) {
			fputs("Not taken over: ", f);
			check_put(f, m->failed);
			fputc('\n', f);
		}
	}
	fprintf(f, "Taken over: %zu machine%s (%zu %s windlass's already, %zu failed).\n", done, plural(done), a->fates[ADOPT_OURS],
	    a->fates[ADOPT_OURS] == 1 ? "was" : "were", failed);
	print_next(a, f);
}

/* ---- JSON ---- */

static void
json_runners(struct json_w *w, const struct adopt *a)
{
	jw_array(w, "runners");
	for (size_t i = 0; a->check.config != NULL && i < a->check.config->nrunners; i++) {
		const struct runner *r = &a->check.config->runners[i];

		jw_object(w, NULL);
		jw_cstr(w, "name", r->name);
		jw_cstr(w, "executor", r->executor);
		jw_bool(w, "windlass", is_machine_runner(r) && r->disabled == NULL);
		jw_i64(w, "machines", (int64_t)machines_of(a, r));
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void
json_processes(struct json_w *w, const struct adopt *a)
{
	jw_array(w, "gitlab_runners");
	for (size_t i = 0; i < a->nprocesses; i++) {
		const struct adopt_process *p = &a->processes[i];

		jw_object(w, NULL);
		jw_i64(w, "pid", p->pid);
		jw_cstr(w, "config", p->config);
		jw_bool(w, "same_config", p->same_config);
		jw_cstr(w, "unit", p->unit);
		jw_end_object(w);
	}
	jw_end_array(w);
}

static void
json_machine(struct json_w *w, const struct adopt *a, const struct adopt_machine *m)
{

	jw_object(w, NULL);
	jw_cstr(w, "name", m->name);
	jw_cstr(w, "fate", fate_words[m->fate]);
	jw_cstr(w, "driver", m->driver);
	jw_cstr(w, "address", m->ip);
	if (m->runner != NULL)
		jw_cstr(w, "runner", m->runner->name);
	jw_time(w, "created", m->created, 0);
	if (m->uses >= 0)
		jw_i64(w, "uses", m->uses);
	if (m->why != NULL)
		jw_cstr(w, "why", m->why);
	if (a->probed && (m->fate == ADOPT_TAKE || m->fate == ADOPT_OURS)) {
		jw_bool(w, "engine_answers", m->probe.engine_ok);
		jw_cstr(w, "engine", m->probe.engine);
		jw_bool(w, "cloud_runs", m->probe.cloud_ok);
		jw_cstr(w, "cloud", m->probe.cloud);
	}
	if (m->fate == ADOPT_TAKE)
		jw_bool(w, "taken", m->done);
	if (m->failed != NULL)
		jw_cstr(w, "failed", m->failed);
	jw_end_object(w);
}

void
adopt_print_json(const struct adopt *a, FILE *f)
{
	struct buf b = { .max = 64u << 20 };
	struct json_w w = { .b = &b, .indent = 2 };

	jw_object(&w, NULL);
	jw_cstr(&w, "config", a->check.path);
	jw_i64(&w, "errors", (int64_t)a->check.count[CHECK_ERROR]);
	jw_i64(&w, "warnings", (int64_t)a->check.count[CHECK_WARNING]);
	json_runners(&w, a);
	json_processes(&w, a);
	jw_cstr(&w, "store", a->store);
	jw_cstr(&w, "state_dir", a->state_dir);
	jw_object(&w, "certificates");
	jw_bool(&w, "ok", a->certs_err.kind == ERR_NONE);
	jw_cstr(&w, "error", a->certs_err.msg);
	jw_cstr(&w, "authority", a->certs.ca_key);
	jw_i64(&w, "authority_ends", a->certs.ca_ends);
	jw_i64(&w, "client_ends", a->certs.client_ends);
	jw_end_object(&w);
	jw_array(&w, "machines");
	for (size_t i = 0; i < a->n; i++)
		json_machine(&w, a, &a->machines[i]);
	jw_end_array(&w);
	jw_cstr(&w, "in_the_way", a->in_the_way != NULL ? a->in_the_way : "");
	jw_bool(&w, "done", a->did);
	jw_end_object(&w);
	fwrite(b.p, 1, b.n, f);
	fputc('\n', f);
	buf_free(&b);
}
