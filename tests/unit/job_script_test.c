/*
 * The scripts of a job's stages, run by every shell of this machine: see
 * job/script.h. Those that are about git are in job_sources_test.c.
 */
#include "core/core.h"
#include "core/mono.h"
#include "tap.h"
#include "job_shells.h"

#define RUNNER	"\"builds_dir\":\"@B/builds\""
#define PROJECT	"builds/acme/shop/web"
#define V(k, v)	"{\"key\":\"" k "\",\"value\":\"" v "\"}"

static struct arena arena;
static struct payload payload;
static struct work work;

static struct work *
make(const struct fake_spec *s)
{
	struct fake_spec with = *s;

	with.runner = s->runner != NULL ? arena_fmt(&arena, RUNNER ",%s", s->runner) : RUNNER;
	buf_free(&work.warnings);
	fake_work(&arena, &with, base, &payload, &work);
	return &work;
}

static int
step(const struct fake_spec *s)
{
	must("rm -rf @B/builds; mkdir -p @B/" PROJECT);
	return run_step(make(s));
}

/* ---- status, errexit, pipefail, stdin ---- */

enum { PIPEFAIL = 1 };	/* the status is 0 where the shell has no pipefail */

static const struct {
	const char	*name, *script;
	int		 status;
	const char	*has, *hasnt;
	unsigned	 flags;
} lines[] = {
	{ "true", "\"true\"", 0, "$ true", NULL, 0 },
	{ "nothing at all", "", 0, NULL, "$", 0 },
	{ "exit status", "\"exit 37\"", 37, NULL, NULL, 0 },
	{ "exit 255", "\"exit 255\"", 255, NULL, NULL, 0 },
	{ "exit 0 ends it well", "\"exit 0\",\"echo no\"", 0, NULL, "\nno\n", 0 },
	{ "a failing command", "\"(exit 5)\",\"echo no\"", 5, NULL, "\nno\n", 0 },
	{ "a command that is not there", "\"no-such-command-here\"", 127, "no-such-command-here", NULL, 0 },
	{ "killed", "\"sh -c 'kill -9 $$'\"", 137, NULL, NULL, 0 },
	{ "or", "\"false || true\",\"echo yes\"", 0, "\nyes\n", NULL, 0 },
	{ "a condition", "\"if false; then :; fi\",\"echo yes\"", 0, "\nyes\n", NULL, 0 },
	{ "an and that fails", "\"false && true\",\"echo yes\"", 0, "\nyes\n", NULL, 0 },
	{ "errexit within an element", "\"echo one\\nfalse\\necho two\"", 1, "\none\n", "\ntwo\n", 0 },
	{ "errexit switched off", "\"set +e\",\"false\",\"echo yes\"", 0, "\nyes\n", NULL, 0 },
	{ "pipefail", "\"false | true\"", 1, NULL, NULL, PIPEFAIL },
	{ "pipefail, last command", "\"true | (exit 3)\"", 3, NULL, NULL, 0 },
	{ "a function that fails", "\"f() { return 9; }\",\"f\",\"echo no\"", 9, NULL, "\nno\n", 0 },
	{ "a syntax error", "\"if\",\"echo no\"", 2, NULL, "\nno\n", 0 },
	{ "cat meets the end", "\"cat\",\"echo yes\"", 0, "\nyes\n", "stolen", 0 },
	{ "read meets the end", "\"if read x; then echo got $x; fi\",\"echo yes\"", 0, "\nyes\n", "\ngot", 0 },
	{ "a reader like ssh in a loop", "\"for i in 1 2; do cat > /dev/null; echo n$i; done\"", 0, "n1\nn2\n", NULL, 0 },
	{ "stdin of children", "\"sh -c 'cat; echo yes'\"", 0, "\nyes\n", NULL, 0 },
	{ "one shell for all", "\"cd /\",\"x=5\",\"f() { echo f$1; }\",\"f $x$PWD\"", 0, "\nf5/\n", NULL, 0 },
	{ "noclobber is off", "\"echo a > f\",\"echo b > f\",\"cat f\"", 0, "\nb\n", NULL, 0 },
	{ "starts in the project directory", "\"pwd\"", 0, "/" PROJECT "\n", NULL, 0 },
	{ "a here document", "\"cat <<E\\nit's $((1+1))\\nE\"", 0, "\nit's 2\n", NULL, 0 },
	{ "a quoted here document", "\"cat <<'E'\\n$x `y` \\\\\\\\ \\\"\\nE\"", 0, "\n$x `y` \\\\ \"\n", NULL, 0 },
	{ "quotes of all kinds", "\"echo 'a'\\\"b\\\"\\\\c'd\\\"'\"", 0, "\nabcd\"\n", NULL, 0 },
	{ "an empty element", "\"\",\"  \",\"echo yes\"", 0, "\n\n\033[32;1m$ echo yes", NULL, 0 },
	{ "a comment", "\"# nothing\",\"echo yes\"", 0, "\nyes\n", NULL, 0 },
	{ "blanks around", "\"  echo yes \\n\"", 0, "$ echo yes\033[0;m\nyes\n", NULL, 0 },
	{ "collapsed text", "\"echo one\\necho two\"", 0, "\033[32;1m$ echo one # collapsed multi-line command\033[0;m\none\ntwo\n", NULL, 0 },
	{ "backslashes in what is shown", "\"echo 'a\\\\nb' %s\"", 0, "\033[32;1m$ echo 'a\\nb' %s\033[0;m\n", NULL, 0 },
	{ "an exit trap of the job", "\"trap 'echo bye' EXIT\",\"exit 4\"", 4, "bye\n", NULL, 0 },
	{ "a NUL is dropped", "\"echo a\\u0000b\"", 0, "\nab\n", NULL, 0 },
	{ "no variable of ours hides an error", "\"echo ${UNSET_HERE:-unset}\"", 0, "\nunset\n", NULL, 0 },
};

static void
test_lines(void)
{
	static const char *const wrappers[] = { "", "\"FF_USE_LEGACY_BASH_EVAL\":true" };

	EACH_SHELL
		for (size_t f = 0; f < NELEM(wrappers); f++)
			for (size_t i = 0; i < NELEM(lines); i++) {
				int want = (lines[i].flags & PIPEFAIL) != 0 && !sh->pipefail ? 0 : lines[i].status;
				int got = step(&(struct fake_spec){ .script = lines[i].script, .flags = wrappers[f] });

				if (!ok(got == want && (lines[i].has == NULL || saw(lines[i].has)) && (lines[i].hasnt == NULL || !saw(lines[i].hasnt)),
				    "%s%s: %s", sh->name, f > 0 ? ", legacy eval" : "", lines[i].name))
					printf("# status %d, not %d, output:\n# %s\n", got, want, said.p);
			}
}

static void
test_options(void)
{
	EACH_SHELL {
		is_int(step(&(struct fake_spec){ .script = "\"set +e\\nfalse\",\"echo yes\"", .flags = "\"FF_ENABLE_BASH_EXIT_CODE_CHECK\":true" }), 1, "%s: exit code check", sh->name);
		ok(!saw("\nyes\n"), "%s: ends there", sh->name);
		is_int(step(&(struct fake_spec){ .script = "\"echo hello\"", .vars = V("CI_DEBUG_TRACE", "true") }), 0, "%s: debug trace", sh->name);
		ok(saw("+ echo hello\n"), "%s: shows the commands", sh->name);
		ok(saw("+ export ") && !saw("+ eval"), "%s: and the variables, but not the whole script twice", sh->name);
		is_int(step(&(struct fake_spec){ .script = "\"echo hello\"", .vars = V("CI_DEBUG_TRACE", "true"), .runner = "\"debug_trace_disabled\":true" }), 0, "%s: debug trace forbidden", sh->name);
		ok(!saw("+ echo hello\n"), "%s: does not show the commands", sh->name);
		is_int(step(&(struct fake_spec){ .script = "\"echo $x\"", .runner = "\"pre_build_script\":\"x=pre\\necho 1\",\"post_build_script\":\"echo post $x\"" }), 0, "%s: pre and post build script", sh->name);
		ok(saw("$ x=pre # collapsed multi-line command\033[0;m\n1\n\033[32;1m$ echo $x\033[0;m\npre\n\033[32;1m$ echo post $x\033[0;m\npost pre\n"), "%s: in one shell", sh->name);
		is_int(step(&(struct fake_spec){ .script = "\"false\"", .runner = "\"post_build_script\":\"echo post\"" }), 1, "%s: a script that fails", sh->name);
		ok(!saw("\npost\n"), "%s: has no post build script", sh->name);
	}
}

static void
test_sections(void)
{
	EACH_SHELL {
		const char *start, *name;
		int64_t at = 0;

		is_int(step(&(struct fake_spec){ .script = "\"true\",\"echo one\\necho 'two'\"", .flags = "\"FF_SCRIPT_SECTIONS\":true" }), 0, "%s: sections", sh->name);
		start = strstr(said.p, "section_start:");
		name = start != NULL ? strstr(start, ":section_script_step_1[hide_duration=true,collapsed=true]\r\033[0K\033[32;1m$ echo one\necho 'two'\033[0;m\n") : NULL;
		ok(name != NULL && str_to_i64(str_of(start + 14, (size_t)(name - start) - 14), &at) == 0, "%s: a section for the command's text", sh->name);
		ok(at > wall_seconds(wall_now()) - 100 && at <= wall_seconds(wall_now()),
		    "%s: with the time", sh->name);
		ok(saw(arena_fmt(&arena, "section_end:%" PRId64 ":section_script_step_1\r\033[0Kone\ntwo\n", at)), "%s: that ends before it runs", sh->name);
		ok(!saw("section_script_step_0"), "%s: not for a single line", sh->name);
		is_int(step(&(struct fake_spec){ .script = "\"a=1\\nb=2\"", .flags = "\"FF_SCRIPT_SECTIONS\":true", .job = "\"features\":{\"trace_sections\":false}" }), 0, "%s", sh->name);
		ok(!saw("section_start"), "%s: only for a server that wants them", sh->name);
	}
}

/* ---- variables ---- */

static const struct { const char *name; const char *value; size_t n; } torture[] = {
#define T(name, lit) { name, lit, sizeof(lit) - 1 }
	T("EMPTY", ""),
	T("BLANK", " "),
	T("NEWLINES", "\n\na\nb\n"),
	T("SINGLE", "'"),
	T("SINGLES", "''a'b'''"),
	T("DOUBLE", "\"a\"b\""),
	T("DOLLAR", "$HOME ${HOME} $(echo x) `echo x` $$"),
	T("BACKSLASH", "\\ \\\\ \\' \\\" \\n \\"),
	T("GLOB", "* ? [a-z] ~ {a,b}"),
	T("OPTIONS", "-n -e %s %d\\c"),
	T("OPERATORS", "; exit 3 & | > /dev/null ( ) < # !"),
	T("UTF8", "gr\303\274n \342\202\254 \360\237\230\200"),
	T("BYTES", "\001\002\003\007\010\013\014\016\033\177\200\201\277\300\376\377"),
	T("CRLF", "a\r\nb\r\n"),
	T("TABS", "\ta\t\tb"),
	T("HEREDOC", "EOF\n<<EOF\nEOF\n"),
	T("EQUALS", "a=b=c"),
	T("HISTORY", "!! !$ ^a^b"),
#undef T
};

/* Each is set, reaches children, and stays as it is. Values are put in behind JSON, which could not hold them all. */
static void
test_torture(void)
{
	struct buf script = { .max = 1u << 20 };

	for (size_t i = 0; i < NELEM(torture); i++)
		buf_fmt(&script, "%s\"printf '%%s' \\\"$%s\\\" > %s.set; sh -c 'printf %%s \\\"$%s\\\"' > %s.env\"", i > 0 ? "," : "",
		    torture[i].name, torture[i].name, torture[i].name, torture[i].name);
	EACH_SHELL {
		must("rm -rf @B/builds; mkdir -p @B/" PROJECT);
		make(&(struct fake_spec){ .script = script.p });
		for (size_t i = 0; i < NELEM(torture); i++)
			vars_add(&work.vars, str_from(torture[i].name), str_of(torture[i].value, torture[i].n), VAR_RAW);
		is_int(run_step(&work), 0, "%s: values", sh->name);
		for (size_t i = 0; i < NELEM(torture); i++) {
			struct str set = slurp(&arena, arena_fmt(&arena, PROJECT "/%s.set", torture[i].name));
			struct str env = slurp(&arena, arena_fmt(&arena, PROJECT "/%s.env", torture[i].name));
			struct str want = str_of(torture[i].value, torture[i].n);

			ok(set.p != NULL && str_eq(set, want) && env.p != NULL && str_eq(env, want), "%s: value %s", sh->name, torture[i].name);
		}
	}
	buf_free(&script);
}

/* The same through files, which take every length. */
static void
test_files(void)
{
	static const char json[] = "\"printf '%s' \\\"$F\\\" > path\",\"cp \\\"$F\\\" copy\",\"cp \\\"$BIGFILE\\\" big\",\"rm -f \\\"$F\\\"\"";
	struct buf big = { .max = 1u << 20 };

	for (int i = 0; i < 200 << 10; i++)
		buf_putc(&big, "'\n\\$x\377"[i % 6]);
	EACH_SHELL {
		must("rm -rf @B/builds; mkdir -p @B/" PROJECT);
		make(&(struct fake_spec){ .script = json, .vars = "{\"key\":\"F\",\"value\":\"it's\\n$BIG\\\\n\",\"file\":true,\"raw\":true}" });
		vars_add(&work.vars, STR("BIGFILE"), buf_str(&big), VAR_FILE | VAR_RAW);
		is_int(run_step(&work), 0, "%s: file variables", sh->name);
		ok(str_eqc(slurp(&arena, PROJECT "/path"), path_of(&arena, PROJECT ".tmp/F")), "%s: the value is the path", sh->name);
		ok(str_eqc(slurp(&arena, PROJECT "/copy"), "it's\n$BIG\\n"), "%s: the content is exact, without a newline more", sh->name);
		ok(str_eq(slurp(&arena, PROJECT "/big"), buf_str(&big)), "%s: 200 KiB of anything", sh->name);
		is_int(run_step(&work), 0, "%s: written again for each stage", sh->name);
		is_int(run_cleanup(&work), 0, "%s: cleaning up", sh->name);
		ok(!exists(&arena, PROJECT ".tmp/F") && !exists(&arena, PROJECT ".tmp/BIGFILE"), "%s: removes them", sh->name);
		ok(!saw("it's"), "%s: and does not write them first", sh->name);
	}
	buf_free(&big);
}

static void
test_large(void)
{
	struct buf b = { .max = 1u << 20 };

	buf_puts(&b, "{\"key\":\"BIG\",\"value\":\"");
	for (int i = 0; i < 200 << 10; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\"},{\"key\":\"UID\",\"value\":\"5\"},{\"key\":\"1bad\",\"value\":\"x\"},{\"key\":\"a-b\",\"value\":\"x\"},{\"key\":\"IFS\",\"value\":\"/e\"}");
	EACH_SHELL {
		/* An image may bring a variable of that name. */
		env_more = "BIG=small";
		is_int(step(&(struct fake_spec){ .script = "\"echo ${#BIG} | cat\",\"env > e\"", .vars = b.p }), 0, "%s: a value of 200 KiB does not keep programs from starting", sh->name);
		env_more = NULL;
		ok(saw("\n204800\n"), "%s: and the script has it", sh->name);
		ok(str_find(slurp(&arena, PROJECT "/e"), "\nBIG=") < 0, "%s: programs have not", sh->name);
		ok(str_find(slurp(&arena, PROJECT "/e"), "1bad") < 0, "%s: names that no shell takes are left out", sh->name);
		ok((strncmp(sh->name, "bash", 4) == 0) == saw("WARNING: The shell does not let the variable UID be set"), "%s: nor is a read-only one an error", sh->name);
		ok(str_find(work.warnings.n > 0 ? buf_str(&work.warnings) : STR(""), "BIG") >= 0, "%s: the job's log names it", sh->name);
	}
	buf_free(&b);
}

/* 10,000 variables are usual enough, and 1.5 MiB of them must not keep programs from starting. */
static void
test_many(void)
{
	struct buf b = { .max = 16u << 20 };

	for (int i = 0; i < 10000; i++)
		buf_fmt(&b, "%s{\"key\":\"VAR_%d\",\"value\":\"value number %d %0250d\",\"file\":%s}", i > 0 ? "," : "", i, i, i, i % 100 == 0 ? "true" : "false");
	EACH_SHELL {
		mono_t start = mono_now();
		int rc = step(&(struct fake_spec){ .script = "\"echo $VAR_9999 | cat\",\"cat $VAR_5000\"", .vars = b.p });

		is_int(rc, 0, "%s: 10,000 variables", sh->name);
		ok(saw("value number 9999 0") && saw("value number 5000 0"), "%s: all are there", sh->name);
		printf("# %s: %.2f s\n", sh->name, (double)(mono_since(start)) / NSEC_SEC);
		ok(mono_since(start) < 20 * NSEC_SEC, "%s: in time", sh->name);
		is_int(run_cleanup(&work), 0, "%s: and are cleaned up", sh->name);
		ok(!exists(&arena, PROJECT ".tmp/VAR_5000"), "%s: files too", sh->name);
	}
	buf_free(&b);
}

/* ---- one stage to the next ---- */

static void
test_gitlab_env(void)
{
	EACH_SHELL {
		is_int(step(&(struct fake_spec){
			.script = "\"echo \\\"A=it's $HOME \\\\\\\\ x\\\" >> $GITLAB_ENV\",\"echo '  LEAD=1  ' >> $GITLAB_ENV\",\"printf 'no-name=1\\\\n\\\\n=x\\\\nplain\\\\nUID=7\\\\nLAST=2' >> $GITLAB_ENV\"",
			.after = "\"echo \\\"[$A][$LEAD][$LAST][$CI_JOB_STATUS][$V]\\\"\",\"sh -c 'echo \\\"($A)\\\"'\"", .vars = V("V", "1") "," V("LAST", "0") }), 0, "%s: GITLAB_ENV", sh->name);
		work_set_status(&work, "success");
		is_int(run_after(&work), 0, "%s: after_script", sh->name);
		ok(saw(arena_fmt(&arena, "\n[it's %s/home \\ x][1][2][success][1]\n", base)), "%s: has what the script left", sh->name);
		ok(saw(arena_fmt(&arena, "(it's %s/home \\ x)", base)), "%s: exported", sh->name);
		ok(saw("WARNING: A line of the file GITLAB_ENV is left out"), "%s: and says what it cannot take", sh->name);
		ok(saw("Running after script..."), "%s: announced", sh->name);
		make(&(struct fake_spec){ .script = "\"echo now $LEAD[$LAST]\"", .vars = V("GIT_STRATEGY", "none") });
		is_int(run_sources(&work), 0, "%s: the next job on the volume", sh->name);
		is_int(run_step(&work), 0, "%s: its script", sh->name);
		ok(saw("\nnow []\n"), "%s: forgets what another job left", sh->name);
	}
}

static void
test_after(void)
{
	static const char *const status[] = { "success", "failed", "canceled", "timedout" };

	EACH_SHELL {
		must("rm -rf @B/builds; mkdir -p @B/" PROJECT);
		make(&(struct fake_spec){ .script = "\"true\"", .after = "\"echo got $CI_JOB_STATUS in $PWD\",\"exit 6\"", .runner = "\"post_build_script\":\"echo post\"" });
		for (size_t i = 0; i < NELEM(status); i++) {
			work_set_status(&work, status[i]);
			is_int(run_after(&work), 6, "%s: after_script's own status", sh->name);
			ok(saw(arena_fmt(&arena, "\ngot %s in %s/" PROJECT "\n", status[i], base)), "%s: CI_JOB_STATUS %s", sh->name, status[i]);
		}
		ok(!saw("post"), "%s: without post_build_script", sh->name);
	}
}

static void
test_prepare(void)
{
	struct buf script = { .max = 1u << 20 };
	char host[256] = "";
	FILE *f = fopen("/etc/hostname", "re");

	if (f == NULL || fscanf(f, "%255s", host) != 1)
		gethostname(host, sizeof(host) - 1);
	if (f != NULL)
		fclose(f);
	EACH_SHELL {
		must("rm -rf @B/builds; mkdir -p @B/" PROJECT ".tmp; echo x > @B/" PROJECT ".tmp/masking.db");
		make(&(struct fake_spec){ .vars = V("SECRET", "sesame") "," V("GIT_STRATEGY", "none") });
		is_int(run_prepare(&work), 0, "%s: prepare", sh->name);
		is_str(said.p, arena_fmt(&arena, "Running on %s via runner-x-1...\n", host), "%s: who and where", sh->name);
		is_int(run_sources(&work), 0, "%s: sources", sh->name);
		ok(!exists(&arena, PROJECT ".tmp/masking.db"), "%s: old files go", sh->name);
	}
	script_prepare(&work, &script);
	ok(memmem(script.p, script.n, "sesame", 6) == NULL, "the variables are not in it");
	buf_free(&script);
}

static void
test_release(void)
{
	EACH_SHELL {
		is_int(step(&(struct fake_spec){ .job = "\"steps\":[{\"name\":\"release\",\"script\":[\"echo '$V'\"]}]", .vars = V("V", "1.0") }), 0, "%s: release", sh->name);
		ok(saw("$ echo '1.0'\033[0;m\n1.0\n"), "%s: its lines are expanded by us", sh->name);
	}
}

/* A job that runs as another user than the helper may use git all the same; its own settings stay. */
static void
test_git_trust(void)
{
	static const char json[] = "\"git config --get-all safe.directory\",\"git config a.b\",\"echo n=$GIT_CONFIG_COUNT\"";

	EACH_SHELL {
		is_int(step(&(struct fake_spec){ .script = json, .vars = V("GIT_CONFIG_COUNT", "1") "," V("GIT_CONFIG_KEY_0", "a.b") "," V("GIT_CONFIG_VALUE_0", "mine") }), 0, "%s: git's trust", sh->name);
		ok(saw(arena_fmt(&arena, "\n%s/" PROJECT "\n%s/" PROJECT "/*\n", base, base)), "%s: in the project directory", sh->name);
		ok(saw("\nmine\n") && saw("\nn=3\n"), "%s: beside the job's own", sh->name);
		is_int(step(&(struct fake_spec){ .script = "\"echo n=$GIT_CONFIG_COUNT\"", .runner = "\"safe_directory_checkout\":false" }), 0, "%s", sh->name);
		ok(saw("\nn=\n"), "%s: not where the runner forbids it", sh->name);
		is_int(step(&(struct fake_spec){ .script = "\"echo n=$GIT_CONFIG_COUNT\"", .vars = V("GIT_CONFIG_COUNT", "x; exit") }), 0, "%s", sh->name);
		ok(saw("\nn=x; exit\n"), "%s: nonsense is left alone", sh->name);
	}
}

/* A TERM ends the script with 1; its processes are the engine's business. */
static void
test_term(void)
{
	EACH_SHELL {
		struct buf script = { .max = 1u << 20 };
		mono_t start = mono_now();
		int marks, marked;

		must("rm -rf @B/builds; mkdir -p @B/" PROJECT);
		make(&(struct fake_spec){ .script = "\"kill -TERM $$; sleep 0.2\",\"echo no\"" });
		script_step(&work, &work.steps[0], &script);
		is_int(run_framed(&work, &script, &marks, &marked), 1, "%s: TERM", sh->name);
		is_int(marks, 1, "%s: it began, and marks no end", sh->name);
		ok(!saw("kill: ") && mono_since(start) < 10 * NSEC_SEC,
		    "%s: without a word", sh->name);
		buf_free(&script);
	}
}

/* Gives the shell pieces of the file "text": all but the last `stride` bytes, and so on; the same from its beginning. */
static const char cuts[] =
	"cd @B; rm -f ran; n=$(wc -c < text); bad=; i=$4\n"
	"while [ $i -lt $((n - 1)) ]; do\n"
	"	head -c $i text | $1 > /dev/null 2>&1; [ ! -e ran ] || bad=\"$bad after $i of $n:$(tail -c +$((i + 1)) text)\"; rm -f ran\n"
	"	[ $i -le $3 ] || { tail -c +$((i + 1)) text | $1 > /dev/null 2>&1; [ ! -e ran ] || bad=\"$bad before $i of $n:$(tail -c +$((i + 1)) text | head -c 40)\"; rm -f ran; }\n"
	"	i=$((i + $2))\n"
	"done\n"
	"tail -c +$(($3 + 1)) text | $1 > /dev/null 2>&1; [ -e ran ] || bad=headless\n"
	"echo \"bad=$bad\"\n";

/*
 * What a giver that died left of a text, and what a wrapper around the shell left when it had read
 * some of it: nothing of a script runs that did not arrive whole.
 */
static void
test_cut(void)
{
	static const char body[] = "\": > @B/ran; echo 'it''s' # a 'comment\",\"cat <<'X'\\na ' b \\\\ \\\"\\nX\",\"echo $(echo `echo b`) }\"";
	size_t at = 0;

	EACH_SHELL {
		struct buf script = { .max = 1u << 20 }, text = { .max = 1u << 20 }, spec = { .max = 4096 },
		    driver = { .max = 8192 };
		const char *argv[] = { "sh", "-c", NULL, "sh",
		    strcmp(sh->argv[0], "busybox") == 0 ? "busybox sh" : sh->name, "13", NULL, NULL, NULL };
		FILE *f;

		must("rm -rf @B/builds; mkdir -p @B/" PROJECT);
		fake_put(&spec, body, base);
		fake_put(&driver, cuts, base);
		make(&(struct fake_spec){ .script = spec.p });
		script_step(&work, &work.steps[0], &script);
		frame(&work, &script, &text);
		f = fopen(path_of(&arena, "text"), "we");
		ok(f != NULL && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0, "text");
		argv[2] = driver.p;
		/* Two lines may go: the script is on the third. */
		argv[6] = arena_fmt(&arena, "%zd", str_find(buf_str(&text), "\n\n") + 2);
		argv[7] = arena_fmt(&arena, "%zu", 1 + at++ * 3);
		is_int(run_argv(argv), 0, "%s", sh->name);
		ok(saw("bad=\n"), "%s: cut anywhere nothing of it runs: %s", sh->name, said.p);
		buf_free(&script);
		buf_free(&text);
		buf_free(&spec);
		buf_free(&driver);
	}
}

static void
test_limit(void)
{
	struct buf script = { .max = 2000 };

	make(&(struct fake_spec){ .script = "\"true\"" });
	script_step(&work, &work.steps[0], &script);
	ok(script.failed, "a script above its buffer's limit fails whole");
	buf_free(&script);
}

int
main(void)
{
	shells_init();
	test_lines();
	test_options();
	test_sections();
	test_torture();
	test_files();
	test_large();
	test_many();
	test_gitlab_env();
	test_after();
	test_prepare();
	test_release();
	test_git_trust();
	test_term();
	test_cut();
	test_limit();
	shells_clean();
	buf_free(&said);
	buf_free(&work.warnings);
	arena_reset(&arena);
	return done_testing();
}
