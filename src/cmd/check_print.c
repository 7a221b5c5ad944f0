/* The findings of a check, as text and as JSON: see check.h. */
#include "cmd/check.h"
#include "wire/json.h"

static const char *const levels[] = { [CHECK_INFO] = "info", [CHECK_WARNING] = "warning", [CHECK_ERROR] = "error" };
static const char *const verdicts[] = {
	[CHECK_HONOURED] = "honoured", [CHECK_DIFFERENT] = "honoured differently", [CHECK_LATER] = "not honoured by this version",
	[CHECK_NO_EFFECT] = "no effect", [CHECK_UNKNOWN] = "unknown", [CHECK_REFUSED] = "refused", [CHECK_TRAP] = "trap",
	[CHECK_ASKED] = "asked",
};

void
check_put(FILE *f, const char *s)
{
	for (; *s != '\0'; s++)
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, f);
}

/* "PATH:LINE: level: [section] key: text", as compilers do it, so that editors find the place. */
void
check_print_note(const struct check *c, const struct check_note *n, FILE *f)
{
	check_put(f, c->path);
	if (n->line > 0)
		fprintf(f, ":%d", n->line);
	fprintf(f, ": %s: ", levels[n->level]);
	if (n->section[0] != '\0') {
		if (strcmp(n->section, key_section_title(KS_GLOBAL)) != 0)
			fprintf(f, "%s ", n->section);
		check_put(f, n->key);
		fputs(": ", f);
	} else if (n->runner != NULL && n->runner[0] == '\0') {
		fputs("runner without a name: ", f);
	} else if (n->runner != NULL) {
		fputs("runner \"", f);
		check_put(f, n->runner);
		fputs("\": ", f);
	}
	if (n->verdict == CHECK_DIFFERENT || n->verdict == CHECK_LATER || n->verdict == CHECK_NO_EFFECT || n->verdict == CHECK_HONOURED)
		fprintf(f, "%s: ", verdicts[n->verdict]);
	check_put(f, n->text);
	fputc('\n', f);
	/* As it stands, so that it can be pasted. */
	for (struct str rest = str_from(n->paste); rest.n > 0;) {
		char *line = str_dup(str_cut(&rest, '\n'));

		check_put(f, line);
		fputc('\n', f);
		free(line);
	}
}

static bool
runs(const struct check *c, const struct runner *r)
{
	return !r->stays && check_errors(c, r) == 0;
}

size_t
check_runnable(const struct check *c)
{
	size_t n = 0;

	for (size_t i = 0; c->config != NULL && i < c->config->nrunners; i++)
		n += runs(c, &c->config->runners[i]);
	return n;
}

static const char *
plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static size_t
staying(const struct check *c)
{
	size_t n = 0;

	for (size_t i = 0; c->config != NULL && i < c->config->nrunners; i++)
		n += c->config->runners[i].stays;
	return n;
}

static int
by_line(const void *a, const void *b)
{
	const struct check_note *x = *(const struct check_note *const *)a, *y = *(const struct check_note *const *)b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

void
check_print_text(const struct check *c, FILE *f)
{
	size_t n = 0, most = c->count[CHECK_INFO] + c->count[CHECK_WARNING] + c->count[CHECK_ERROR];
	const struct check_note **list = xcalloc(most + 1, sizeof(*list));

	for (const struct check_note *note = c->first; note != NULL; note = note->next)
		list[n++] = note;
	/* What matters most stands last, where the eye is when the text has scrolled. */
	if (n > 1)
		qsort(list, n, sizeof(*list), by_line);
	for (size_t i = 0; i < n; i++)
		check_print_note(c, list[i], f);
	free(list);
	check_put(f, c->path);
	if (c->config == NULL)
		fputs(": windlass would not run with this file", f);
	else
		fprintf(f, ": windlass would run %zu of %zu runner%s", check_runnable(c), c->config->nrunners - staying(c), plural(c->config->nrunners - staying(c)));
	if (staying(c) > 0)
		fprintf(f, ", %zu stay%s with gitlab-runner", staying(c), staying(c) == 1 ? "s" : "");
	fprintf(f, "; %zu error%s, %zu warning%s\n", c->count[CHECK_ERROR], plural(c->count[CHECK_ERROR]), c->count[CHECK_WARNING], plural(c->count[CHECK_WARNING]));
}

void
check_print_json(const struct check *c, FILE *f)
{
	struct buf b = { .max = 64u << 20 };
	struct json_w w = { .b = &b, .indent = 2 };

	jw_object(&w, NULL);
	jw_cstr(&w, "file", c->path);
	jw_bool(&w, "ok", c->count[CHECK_ERROR] == 0);
	jw_i64(&w, "errors", (int64_t)c->count[CHECK_ERROR]);
	jw_i64(&w, "warnings", (int64_t)c->count[CHECK_WARNING]);
	jw_array(&w, "runners");
	for (size_t i = 0; c->config != NULL && i < c->config->nrunners; i++) {
		const struct runner *r = &c->config->runners[i];

		jw_object(&w, NULL);
		jw_cstr(&w, "name", r->name);
		jw_i64(&w, "line", r->line);
		jw_bool(&w, "runs", runs(c, r));
		if (r->stays)
			jw_bool(&w, "stays_with_gitlab_runner", true);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_array(&w, "findings");
	for (const struct check_note *n = c->first; n != NULL; n = n->next) {
		jw_object(&w, NULL);
		jw_cstr(&w, "level", levels[n->level]);
		jw_cstr(&w, "verdict", verdicts[n->verdict]);
		if (n->line > 0)
			jw_i64(&w, "line", n->line);
		if (n->runner != NULL)
			jw_cstr(&w, "runner", n->runner);
		if (n->section[0] != '\0') {
			jw_cstr(&w, "section", n->section);
			jw_cstr(&w, "key", n->key);
		}
		jw_cstr(&w, "text", n->text);
		if (n->paste != NULL)
			jw_cstr(&w, "paste", n->paste);
		jw_end_object(&w);
	}
	jw_end_array(&w);
	jw_end_object(&w);
	fwrite(b.p, 1, b.n, f);
	fputc('\n', f);
	buf_free(&b);
}
