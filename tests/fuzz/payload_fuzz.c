/*
 * A job's payload to work to scripts. Whatever GitLab sends: no script holds
 * a NUL, every quote is closed, every variable's value comes out of the
 * quoting as it went in, directories stay where they belong, and the same
 * input gives the same scripts.
 *
 * The input is a payload, or {"payload": ..., "runner": ...}.
 */
#include "core/core.h"
#include "job/script.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SCRIPT_MAX	(8u << 20)

static void
read_payload(struct arena *a, struct json_val root, struct json_val runner, struct payload *p)
{
	int64_t s = json_i64(json_path(root, "runner_info.timeout"), 0);

	*p = (struct payload){ .arena = a, .root = root };
	p->id = json_i64(json_get(root, "id"), 0);
	p->token = SECRET(json_cstr(a, json_get(root, "token")));
	p->timeout = (s > 0 && s < INT64_C(315360000) ? s : 7200) * NSEC_SEC;
	settings_read(a, runner, &p->runner);
	p->trace_sections = json_bool(json_path(root, "features.trace_sections"), false);
}

/*
 * The next word of a script into w, as a shell would read it; expansions are
 * left as they stand. *end gets the byte behind it. Asserts that quotes are closed.
 */
static bool
next_word(struct str *s, struct buf *w, char *end)
{
	bool any = false;

	buf_clear(w);
	buf_puts(w, "");
	for (size_t i = 0;; i++) {
		char c = i < s->n ? s->p[i] : '\0';

		if (c == '\0' || c == '\n' || c == ' ' || c == '\t' || c == ';') {
			*end = c;
			*s = str_sub(*s, i + 1, s->n);
			return any || c != '\0';
		}
		any = true;
		if (c == '\'') {
			for (i++; i < s->n && s->p[i] != '\''; i++)
				buf_putc(w, s->p[i]);
			assert(i < s->n);
		} else if (c == '"') {
			for (i++; i < s->n && s->p[i] != '"'; i++) {
				i += s->p[i] == '\\';
				assert(i < s->n);
				buf_putc(w, s->p[i]);
			}
			assert(i < s->n);
		} else if (c == '\\') {
			i++;
			assert(i < s->n);
			buf_putc(w, s->p[i]);
		} else
			buf_putc(w, c);
	}
}

static struct str
expected(const struct work *w, const struct var *v)
{
	return (v->flags & VAR_FILE) != 0 ? str_from(work_file_path(w, v->key)) : v->value;
}

/* One "export NAME=value" or "NAME=value": it must be what the variable is. Returns whether it is one of the job's. */
static bool
check_assignment(const struct work *w, struct str word)
{
	struct str value = word, name = str_cut(&value, '=');
	const struct var *v = value.p != NULL ? vars_find(&w->vars, name) : NULL;

	if (v == NULL || !vars_name_ok(name) || str_eqc(name, "GITLAB_ENV") || str_eqc(name, "GIT_CONFIG_GLOBAL") || str_eqc(name, "GIT_CONFIG_COUNT"))
		return false;
	assert(str_eq(value, expected(w, v)));
	return true;
}

/* Every variable is right, and where all lines are ours every word of them is closed. */
static void
check_words(const struct work *w, struct str s, bool variables, bool own)
{
	struct buf word = { .max = SCRIPT_MAX };
	size_t seen = 0, want = 0;
	char end;

	for (size_t i = 0; variables && i < w->vars.n; i++)
		want += vars_find(&w->vars, w->vars.v[i].key) == &w->vars.v[i] && vars_name_ok(w->vars.v[i].key) &&
		    !str_eqc(w->vars.v[i].key, "GITLAB_ENV") && !str_eqc(w->vars.v[i].key, "GIT_CONFIG_GLOBAL") &&
		    !str_eqc(w->vars.v[i].key, "GIT_CONFIG_COUNT");
	while ((own || seen < want) && next_word(&s, &word, &end))
		if (seen < want)
			seen += check_assignment(w, buf_str(&word));
	assert(seen >= want);
	buf_free(&word);
}

/* What printf's %b makes of a text that script_text_body() wrote. */
static void
decode(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\\') {
			buf_putc(out, s.p[i]);
			continue;
		}
		i++;
		assert(i < s.n);
		if (s.p[i] == '0') {
			assert(i + 3 < s.n && (strncmp(s.p + i, "0047", 4) == 0 || strncmp(s.p + i, "0043", 4) == 0));
			buf_putc(out, s.p[i + 3] == '7' ? '\'' : '#');
			i += 3;
		} else {
			assert(s.p[i] == '\\' || s.p[i] == 'n');
			buf_putc(out, s.p[i] == 'n' ? '\n' : '\\');
		}
	}
}

/* What goes to a shell: one line behind two, with the script within one pair of quotes. */
static void
check_text(const struct work *w, struct str script)
{
	struct buf text = { .max = 8 * SCRIPT_MAX }, back = { .max = SCRIPT_MAX + 64 };
	struct str line, word;
	ssize_t quote;

	script_text_head(w, "0123456789abcdef", &text);
	script_text_body(script, &text);
	script_text_tail(w, "0123456789abcdef", &text);
	line = buf_str(&text);
	assert(!text.failed);
	(void)str_cut(&line, '\n');
	assert(str_cut(&line, '\n').n == 0);
	assert(str_chr(line, '\n') == (ssize_t)line.n - 1);
	quote = str_chr(line, '\'');
	word = str_sub(line, (size_t)quote + 1, line.n);
	quote = str_chr(word, '\'');
	assert(quote >= 0 && str_chr(str_sub(word, (size_t)quote + 1, word.n), '\'') < 0);
	decode(str_sub(word, 0, (size_t)quote), &back);
	assert(str_ends(buf_str(&back), "\n#0123456789abcdef"));
	assert(str_eq(str_sub(buf_str(&back), 0, back.n - 18), script));
	buf_free(&text);
	buf_free(&back);
}

static bool
has_lines_of_others(const struct work *w)
{
	if (w->p->runner.pre_get_sources_script[0] != '\0' || w->p->runner.post_get_sources_script[0] != '\0')
		return true;
	return json_len(json_get(w->p->root, "hooks")) > 0;
}

static void
check_script(const struct work *w, const struct buf *script, bool variables, bool own)
{
	if (script->failed)
		return;
	assert(memchr(script->p, '\0', script->n) == NULL);
	check_words(w, buf_str(script), variables, own);
	check_text(w, buf_str(script));
}

/* All scripts, one behind the other; each is checked when `check`. */
static void
make_all(const struct work *w, struct buf *all, bool check)
{
	static void (*const stages[])(const struct work *w, struct buf *out) = {
		script_prepare, script_get_sources, script_clear_worktree, script_after, script_cleanup,
	};
	struct buf b = { .max = SCRIPT_MAX };

	for (size_t i = 0; i < NELEM(stages); i++) {
		buf_clear(&b);
		stages[i](w, &b);
		if (check)
			check_script(w, &b, i > 0, i != 3 && !(i == 1 && has_lines_of_others(w)));
		buf_putstr(all, buf_str(&b));
	}
	for (size_t i = 0; i < w->nsteps && i < 20; i++) {
		buf_clear(&b);
		script_step(w, &w->steps[i], &b);
		if (check)
			check_script(w, &b, true, false);
		buf_putstr(all, buf_str(&b));
	}
	buf_free(&b);
}

static void
check_path(const char *path, const char *root)
{
	size_t n = strlen(root);

	assert(path[0] == '/' && strncmp(path, root, n) == 0);
	assert(strstr(path, "/../") == NULL && strstr(path, "//") == NULL);
	for (const char *c = path; *c != '\0'; c++)
		assert((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void
check_work(const struct work *w)
{
	struct str *phrases, *prefixes;
	size_t nphrases, nprefixes;
	struct buf b = { .max = 1u << 20 };

	check_path(w->project_dir, w->builds_dir);
	check_path(w->cache_dir, w->cache_root);
	assert(strlen(w->unique_name) <= 63 && strlen(w->network_name) <= 63 && strlen(w->volume_hash) == 32);
	assert(w->get_sources_attempts >= 1 && w->get_sources_attempts <= 10 && w->depth >= 0 && w->submodule_depth >= 0);
	assert(w->script_timeout >= 0 && w->script_timeout <= w->p->timeout && w->after_script_timeout >= 0);
	for (size_t i = 0; i < w->nsteps; i++)
		for (const char *c = w->steps[i].stage; *c != '\0'; c++)
			assert((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr("_.-", *c) != NULL);
	for (size_t i = 0; i < w->vars.n; i++)
		assert(memchr(w->vars.v[i].value.n > 0 ? w->vars.v[i].value.p : "x", '\0', w->vars.v[i].value.n > 0 ? w->vars.v[i].value.n : 1) == NULL);
	work_mask_phrases(w, &phrases, &nphrases, &prefixes, &nprefixes);
	for (size_t i = 0; i < nphrases; i++)
		assert(phrases[i].n > 0);
	assert(work_flags_changed(w) != NULL && work_job_url(w)[0] != '\0');
	work_unsupported(w, &b);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct json_val v;
	struct payload p;
	struct work w;
	struct buf first = { .max = 8 * SCRIPT_MAX }, second = { .max = 8 * SCRIPT_MAX };

	if (json_parse(&a, str_of(data, size), &v, NULL) == 0) {
		struct json_val root = json_get(v, "payload");

		read_payload(&a, json_present(root) ? root : v, json_get(v, "runner"), &p);
		work_init(&w, &p, "runner-x-1", "0123456789abcdef", 0);
		check_work(&w);
		make_all(&w, &first, true);
		buf_free(&w.warnings);
		work_init(&w, &p, "runner-x-1", "0123456789abcdef", 0);
		make_all(&w, &second, false);
		assert(str_eq(buf_str(&first), buf_str(&second)));
		work_set_status(&w, "failed");
		buf_free(&w.warnings);
	}
	buf_free(&first);
	buf_free(&second);
	arena_reset(&a);
	return 0;
}
