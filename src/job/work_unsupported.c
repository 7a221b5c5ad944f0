/* What a job asks for that this version of windlass does not do, in words for the job's log. See work.h. */
#include "config/keys.h"
#include "core/core.h"
#include "job/work.h"

#define NAMES_MAX	10		/* in one line */
#define NAME_MAX_BYTES	120

struct line {
	struct buf	*out;
	const char	*intro;
	size_t		 n;
};

/* What a job can ask for in vain, as work.h promises it: a bit each, and its name in a sentence. */
static const char *const needs[] = { "services", "caches", "artifacts", "artifacts of earlier jobs", "secrets", "inputs" };

/* Names come from the job: what is no character of a name does not reach the terminal. */
static void
put_name(struct buf *out, struct str name)
{
	for (size_t i = 0; i < name.n && i < NAME_MAX_BYTES; i++)
		buf_putc(out, (unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f ? '?' : name.p[i]);
	if (name.n > NAME_MAX_BYTES)
		buf_puts(out, "...");
}

static void
add(struct line *l, struct str name)
{
	if (l->n++ == 0)
		buf_fmt(l->out, "%s: ", l->intro);
	else if (l->n <= NAMES_MAX)
		buf_puts(l->out, ", ");
	if (l->n <= NAMES_MAX)
		put_name(l->out, name.n > 0 ? name : STR("(unnamed)"));
}

/* Whether there was anything to say. */
static bool
end(struct line *l)
{
	if (l->n > NAMES_MAX)
		buf_fmt(l->out, " and %zu more", l->n - NAMES_MAX);
	if (l->n > 0)
		buf_putc(l->out, '\n');
	return l->n > 0;
}

static bool
services(const struct work *w, struct buf *out)
{
	struct line l = { out, "Services are not started by this version of windlass", 0 };
	struct json_val own = JSON_NONE;

	if (w->p->runner.docker.services.n > 0)
		json_parse(w->a, w->p->runner.docker.services, &own, NULL);
	JSON_EACH(v, own)
		add(&l, vars_expand_str(&w->vars, json_str(w->a, json_get(v, keys[K_SERVICES_name].name))));
	JSON_EACH(v, json_get(w->p->root, "services"))
		add(&l, vars_expand_str(&w->vars, json_str(w->a, json_get(v, "name"))));
	return end(&l);
}

static bool
caches(const struct work *w, struct buf *out)
{
	struct line l = { out, "Caches are neither restored nor saved by this version of windlass", 0 };

	JSON_EACH(v, json_get(w->p->root, "cache"))
		if (json_len(json_get(v, "paths")) > 0 || json_bool(json_get(v, "untracked"), false))
			add(&l, vars_expand_str(&w->vars, json_str(w->a, json_get(v, "key"))));
	return end(&l);
}

static bool
artifacts(const struct work *w, struct buf *out)
{
	struct line l = { out, "Artifacts are not uploaded by this version of windlass", 0 };

	JSON_EACH(v, json_get(w->p->root, "artifacts")) {
		struct str name = json_str(w->a, json_get(v, "name"));

		if (json_len(json_get(v, "paths")) == 0 && !json_bool(json_get(v, "untracked"), false))
			continue;
		if (name.n == 0)
			name = json_str_or(w->a, json_get(v, "artifact_type"), STR("archive"));
		add(&l, vars_expand_str(&w->vars, name));
	}
	return end(&l);
}

static bool
dependencies(const struct work *w, struct buf *out)
{
	struct line l = { out, "Artifacts of earlier jobs are not downloaded by this version of windlass", 0 };

	JSON_EACH(v, json_get(w->p->root, "dependencies"))
		if (json_str(w->a, json_path(v, "artifacts_file.filename")).n > 0)
			add(&l, json_str(w->a, json_get(v, "name")));
	return end(&l);
}

static bool
secrets(const struct work *w, struct buf *out)
{
	struct line l = { out, "Secrets are not fetched by this version of windlass, their variables are missing", 0 };
	struct json_val all = json_get(w->p->root, "secrets");

	if (json_type(all) == JSON_OBJECT)
		JSON_EACH(v, all)
			add(&l, json_key(w->a, v));
	return end(&l);
}

static bool
inputs(const struct work *w, struct buf *out)
{
	struct line l = { out, "Inputs are not put into the job by this version of windlass", 0 };

	if (!work_flag(w, "FF_ENABLE_JOB_INPUTS_INTERPOLATION"))
		return false;
	JSON_EACH(v, json_get(w->p->root, "inputs"))
		add(&l, json_str(w->a, json_get(v, "key")));
	return end(&l);
}

unsigned
work_unsupported(const struct work *w, struct buf *out)
{
	static bool (*const looks[NELEM(needs)])(const struct work *w, struct buf *out) = {
		services, caches, artifacts, dependencies, secrets, inputs,
	};
	unsigned asked = 0;

	for (unsigned i = 0; i < NELEM(needs); i++)
		asked |= looks[i](w, out) ? 1u << i : 0;
	if (w->native_steps)
		buf_puts(out, "Native steps (run:) are not run by this version of windlass itself: "
		    "the job's image must hold the program step-runner\n");
	return asked;
}

void
work_unsupported_why(unsigned asked, struct buf *out)
{
	unsigned left = asked;

	buf_puts(out, "the job needs ");
	for (unsigned i = 0; i < NELEM(needs); i++) {
		if ((left & 1u << i) == 0)
			continue;
		left &= ~(1u << i);
		buf_fmt(out, "%s%s", needs[i], left == 0 ? "" : (left & (left - 1)) == 0 ? " and " : ", ");
	}
	buf_puts(out, ", which this version of windlass does not have: without them it could be green for nothing "
	    "(ignore_unsupported = true in [[runners]] runs it all the same)");
}
