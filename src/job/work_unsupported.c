/* What a job asks for that this version of windlass does not do, in words for the job's log. See work.h. */
#include "core/core.h"
#include "job/work.h"

#define NAMES_MAX	10		/* in one line */
#define NAME_MAX_BYTES	120

struct line {
	struct buf	*out;
	const char	*intro;
	size_t		 n;
};

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

static void
end(struct line *l)
{
	if (l->n > NAMES_MAX)
		buf_fmt(l->out, " and %zu more", l->n - NAMES_MAX);
	if (l->n > 0)
		buf_putc(l->out, '\n');
}

static void
services(const struct work *w, struct buf *out)
{
	struct line l = { out, "Services are not started by this version of windlass", 0 };

	JSON_EACH(v, json_get(w->p->docker, "services"))
		add(&l, vars_expand_str(&w->vars, json_str(w->a, json_get(v, "name"))));
	JSON_EACH(v, json_get(w->p->root, "services"))
		add(&l, vars_expand_str(&w->vars, json_str(w->a, json_get(v, "name"))));
	end(&l);
}

static void
caches(const struct work *w, struct buf *out)
{
	struct line l = { out, "Caches are neither restored nor saved by this version of windlass", 0 };

	JSON_EACH(v, json_get(w->p->root, "cache"))
		if (json_len(json_get(v, "paths")) > 0 || json_bool(json_get(v, "untracked"), false))
			add(&l, vars_expand_str(&w->vars, json_str(w->a, json_get(v, "key"))));
	end(&l);
}

static void
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
	end(&l);
}

static void
dependencies(const struct work *w, struct buf *out)
{
	struct line l = { out, "Artifacts of earlier jobs are not downloaded by this version of windlass", 0 };

	JSON_EACH(v, json_get(w->p->root, "dependencies"))
		if (json_str(w->a, json_path(v, "artifacts_file.filename")).n > 0)
			add(&l, json_str(w->a, json_get(v, "name")));
	end(&l);
}

static void
secrets(const struct work *w, struct buf *out)
{
	struct line l = { out, "Secrets are not fetched by this version of windlass, their variables are missing", 0 };
	struct json_val all = json_get(w->p->root, "secrets");

	if (json_type(all) == JSON_OBJECT)
		JSON_EACH(v, all)
			add(&l, json_key(w->a, v));
	end(&l);
}

static void
inputs(const struct work *w, struct buf *out)
{
	struct line l = { out, "Inputs are not put into the job by this version of windlass", 0 };

	if (!work_flag(w, "FF_ENABLE_JOB_INPUTS_INTERPOLATION"))
		return;
	JSON_EACH(v, json_get(w->p->root, "inputs"))
		add(&l, json_str(w->a, json_get(v, "key")));
	end(&l);
}

void
work_unsupported(const struct work *w, struct buf *out)
{
	services(w, out);
	caches(w, out);
	artifacts(w, out);
	dependencies(w, out);
	secrets(w, out);
	inputs(w, out);
	if (w->native_steps)
		buf_puts(out, "Native steps (run:) are not run by this version of windlass itself: "
		    "the job's image must hold the program step-runner\n");
}
