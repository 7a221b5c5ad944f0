/* `windlass ls`: machines and jobs as they are now. */
#include "cmd/cmd.h"
#include "cmd/watch.h"
#include "machine/certs.h"

static const struct opt opts[] = {
	OPT_STATE_DIR,
	OPT_STORAGE,
	OPT_JSON,
};
const struct usage cmd_ls_usage = USAGE("[machines | jobs]",
    "Lists the machines and the jobs of the windlass of this host, each with what it is at or waits for. Ages are of the\n"
    "state (SINCE) and of the machine (AGE); JOBS is how many a machine was given.\n\n"
    "Works without a running windlass, too, and says so. Exit status 1 when there is no state directory to read.", opts);

/* A heading alone says nothing. */
static void
put(struct buf *out, struct watch_table *t, const char *nothing)
{
	if (watch_table_empty(t))
		buf_puts(out, nothing);
	else
		watch_table_put(t, out, 0, 0);
}

int
cmd_ls(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	const char **words = xcalloc((size_t)argc + 1, sizeof(*words));
	struct watch_table machines = { .n = 0 }, jobs = { .n = 0 };
	struct buf out = { .max = 256u << 20 }, head = { 0 }, ending = { 0 };
	struct json_w w = { .b = &out, .indent = 2 };
	wall_t now = wall_now();
	struct view v;
	size_t nwords;
	char *dir;
	bool all;

	if (cmd_options(&cmd_ls_usage, o, argc, argv, words, &nwords) < 0)
		return 1;
	all = nwords == 0;
	if (nwords > 1 || (nwords == 1 && strcmp(words[0], "machines") != 0 && strcmp(words[0], "jobs") != 0)) {
		fprintf(stderr, "FATAL: ls: it lists \"machines\" or \"jobs\"; `%s why %s` may know more of that one\n", cmd_program, words[0]);
		return 1;
	}
	if (watch_load(&v, "ls", o[0].value, o[1].value, &dir) < 0)
		return 1;
	if (o[2].number) {
		jw_object(&w, NULL);
		watch_json(&w, &v);
		jw_end_object(&w);
		buf_putc(&out, '\n');
	} else {
		watch_put_dead(&head, &v, dir, now);
		if (certs_say(v.store, &ending))
			buf_fmt(&head, "WARNING: %s.\n", ending.p);
		fwrite(head.p, 1, head.n, stderr);
		now = watch_as_of(&v, now);
		watch_table_machines(&machines, &v, WATCH_WIDE, now);
		watch_table_jobs(&jobs, &v, WATCH_WIDE, now);
		if (all || strcmp(words[0], "machines") == 0)
			put(&out, &machines, "No machine.\n");
		if (all)
			buf_putc(&out, '\n');
		if (all || strcmp(words[0], "jobs") == 0)
			put(&out, &jobs, "No job.\n");
	}
	fwrite(out.p, 1, out.n, stdout);
	watch_table_free(&machines);
	watch_table_free(&jobs);
	buf_free(&out);
	buf_free(&head);
	buf_free(&ending);
	view_free(&v);
	free(dir);
	free(words);
	opt_free(o, NELEM(o));
	return fflush(stdout) == 0 ? 0 : 1;
}
