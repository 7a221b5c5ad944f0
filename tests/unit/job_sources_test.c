/*
 * The stages around a job's sources, with real repositories and real git,
 * run by every shell of this machine: see job/script.h.
 */
#include "core/core.h"
#include "core/mono.h"
#include "tap.h"
#include "job_shells.h"

#define RUNNER	"\"builds_dir\":\"@B/builds\",\"url\":\"http://127.0.0.1:@PORT/\""
#define V(k, v)	"{\"key\":\"" k "\",\"value\":\"" v "\"}"
#define REFS	"\"refspecs\":[\"+refs/pipelines/7:refs/pipelines/7\",\"+refs/heads/main:refs/remotes/origin/main\"]"
#define HTTP	"\"repo_url\":\"http://gitlab-ci-token:" FAKE_TOKEN "@127.0.0.1:@PORT/acme/shop/web.git\""
#define WEB	"\"repo_url\":\"file://@B/srv/acme/shop/web.git\""

static struct arena arena;
static struct payload payload;
static struct work work;
static char port[16] = "0", tls_port[16] = "0";

/* ---- making jobs ---- */

/* "@S:main~3@" becomes that commit of web.git, "@PORT" and "@TLSPORT" what they say. */
static char *
fill(const char *s)
{
	struct buf b = { .max = 1u << 20 };
	char *r;

	while (*s != '\0') {
		if (strncmp(s, "@PORT", 5) == 0) {
			buf_puts(&b, port);
			s += 5;
		} else if (strncmp(s, "@TLSPORT", 8) == 0) {
			buf_puts(&b, tls_port);
			s += 8;
		} else if (strncmp(s, "@S:", 3) == 0) {
			const char *end = strchr(s + 3, '@');

			struct buf keep = said;

			said = (struct buf){ .max = 4096 };
			must(arena_fmt(&arena, "git -C @B/srv/acme/shop/web.git rev-parse '%.*s^{commit}' | tr -d '\\n'", (int)(end - s) - 3, s + 3));
			buf_putstr(&b, buf_str(&said));
			buf_free(&said);
			said = keep;
			s = end + 1;
		} else
			buf_putc(&b, *s++);
	}
	r = arena_dup(&arena, buf_str(&b));
	buf_free(&b);
	return r;
}

static struct work *
make(const struct fake_spec *s)
{
	struct fake_spec with = *s;

	with.runner = fill(s->runner != NULL ? arena_fmt(&arena, RUNNER ",%s", s->runner) : RUNNER);
	with.git = fill(s->git != NULL ? s->git : WEB "," REFS ",\"ref\":\"main\",\"sha\":\"@S:main@\",\"depth\":20");
	with.vars = fill(s->vars != NULL ? s->vars : "");
	buf_free(&work.warnings);
	fake_work(&arena, &with, base, &payload, &work);
	return &work;
}

static int
sources(const struct fake_spec *s)
{
	return run_sources(make(s));
}

static void
fresh(void)
{
	must("chmod -R u+rwX @B/builds; rm -rf @B/builds @B/home; mkdir @B/builds @B/home");
}

/* A command in the project directory, which knows the temporary one as $T and the test's as $B; its output without the last newline. */
static const char *
in_project(const char *command)
{
	const char *argv[] = { "sh", "-c", arena_fmt(&arena, "B='%s'; T='%s'; cd '%s' && %s", base, work.tmp_dir, work.project_dir, command), NULL };
	struct buf keep = said;
	char *s;

	said = (struct buf){ .max = 64u << 20 };
	run_argv(argv);
	while (str_ends(buf_str(&said), "\n"))
		buf_cut(&said, said.n - 1);
	s = arena_dup(&arena, buf_str(&said));
	buf_free(&said);
	said = keep;
	return s;
}

static bool
is_checked_out(const char *commit)
{
	return strcmp(in_project("git rev-parse HEAD"), fill(arena_fmt(&arena, "@S:%s@", commit))) == 0 &&
	    strcmp(in_project("git status --porcelain --ignored"), "") == 0;
}

/* A failed check shows what the script said. */
static bool
good(bool yes, const char *what)
{
	struct buf keep = said;

	if (!ok(yes, "%s: %s", sh->name, what)) {
		for (char *line = keep.p; line != NULL && *line != '\0';) {
			size_t n = strcspn(line, "\n");

			printf("# | %.*s\n", (int)n, line);
			line += n + (line[n] == '\n');
		}
		if (work.warnings.n > 0)
			printf("# warnings: %s", work.warnings.p);
	}
	return yes;
}

/* good() evaluates its condition after which said must be what it was: conditions use saw() and in_project(). */
#define GOOD(cond, what)	good(cond, what)

/* ---- the repositories ---- */

static void
make_repositories(void)
{
	must("cat > @B/home/.gitconfig <<E\n[user]\n\tname = T\n\temail = t@example\n[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n[advice]\n\tdetachedHead = false\nE\n"
	    "mkdir -p @B/srv/acme/shop @B/tmp; cd @B/srv/acme/shop\n"
	    "for r in web lib deep lfs; do git init -q --bare $r.git; done\n"
	    "git init -q @B/tmp/deep; cd @B/tmp/deep; echo deep > deep.txt; git add .; git commit -qm 1; git push -q @B/srv/acme/shop/deep.git main\n"
	    "git init -q @B/tmp/lib; cd @B/tmp/lib; echo lib > lib.txt; git add .; git commit -qm 1\n"
	    "git submodule --quiet add ../deep.git deep 2>/dev/null || git -c protocol.file.allow=always submodule --quiet add @B/srv/acme/shop/deep.git deep\n"
	    "git config -f .gitmodules submodule.deep.url ../deep.git; git add .; git commit -qm 2; git push -q @B/srv/acme/shop/lib.git main\n"
	    "git init -q @B/tmp/web; cd @B/tmp/web; printf '*.o\\n' > .gitignore; git add .\n"
	    "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do echo $i > n.txt; git add n.txt; git commit -qm $i; done\n"
	    "git tag v1 HEAD~27; git tag -am x v2 HEAD~2\n"
	    "git push -q @B/srv/acme/shop/web.git main v1 v2 main:refs/pipelines/7\n"
	    "git checkout -q --detach HEAD~1; echo lost > n.txt; git commit -qam lost; git push -q @B/srv/acme/shop/web.git HEAD:refs/heads/lost\n"
	    "git checkout -q -b subs main; git -c protocol.file.allow=always submodule --quiet add @B/srv/acme/shop/lib.git lib\n"
	    "git config -f .gitmodules submodule.lib.url ../lib.git; git add .; git commit -qm subs; git push -q @B/srv/acme/shop/web.git subs\n"
	    "git checkout -q -b large main 2>/dev/null; printf '*.bin filter=lfs diff=lfs merge=lfs -text\\n' > .gitattributes; git add .gitattributes; git commit -qm lfs; git push -q @B/srv/acme/shop/web.git large\n"
	    "cd @B/srv/acme/shop/web.git; git rev-parse lost > @B/lost; git update-ref -d refs/heads/lost\n"
	    "git init -q --bare --object-format=sha256 @B/srv/acme/shop/new.git 2>/dev/null && { git init -q --object-format=sha256 @B/tmp/new; cd @B/tmp/new; echo new > n.txt; git add .; git commit -qm 1; git push -q @B/srv/acme/shop/new.git main; } || :\n"
	    "rm -rf @B/home; mkdir @B/home");
}

/* git as the scripts start it, with a line for each in @B/calls. */
static void
watch_git(void)
{
	must("cat > @B/bin/git <<E\n#!/bin/sh\nprintf '%s\\n' \"\\$*\" >> @B/calls\nexec $(command -v git) \"\\$@\"\nE\nchmod +x @B/bin/git; rm -f @B/calls");
}

static void
unwatch_git(void)
{
	must("rm -f @B/bin/git");
}

/* ---- fetch and clone ---- */

static void
test_fetch(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ 0 }) == 0, "fetch into nothing");
	GOOD(saw("Fetching changes with git depth set to 20...") && saw("Created fresh repository."), "says so");
	GOOD(saw(arena_fmt(&arena, "Checking out %.8s as detached HEAD (ref is main)...", fill("@S:main@"))), "names the commit");
	GOOD(saw("Skipping Git submodules setup"), "no submodules");
	GOOD(is_checked_out("main"), "the commit is there");
	GOOD(strcmp(in_project("git rev-list --count HEAD"), "20") == 0, "as deep as it should be");
	GOOD(strcmp(in_project("git rev-parse refs/pipelines/7 refs/remotes/origin/main | sort -u | wc -l"), "1") == 0, "all refspecs");
	in_project("echo x > n.txt; echo x > new; echo x > a.o; mkdir -p d/e; echo x > d/e/f; git init -q nested");
	GOOD(run_sources(&work) == 0, "again");
	GOOD(!saw("Created fresh") && is_checked_out("main") && access(arena_fmt(&arena, "%s/nested", work.project_dir), F_OK) < 0, "old files are gone");
	GOOD(strcmp(in_project("git config remote.origin.url"), arena_fmt(&arena, "file://%s/srv/acme/shop/web.git", base)) == 0, "origin");
	GOOD(strcmp(in_project("git config --get-all remote.origin.fetch"), "+refs/heads/*:refs/remotes/origin/*") == 0, "its branches");

	GOOD(sources(&(struct fake_spec){ .git = WEB "," REFS ",\"sha\":\"@S:main@\",\"depth\":0" }) == 0, "full history after a shallow one");
	GOOD(saw("Fetching changes...") && strcmp(in_project("git rev-list --count HEAD"), "30") == 0 && is_checked_out("main"), "all of it");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "and again");
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = WEB "," REFS ",\"sha\":\"@S:main@\",\"depth\":0" }) == 0 && strcmp(in_project("git rev-list --count HEAD"), "30") == 0, "full history at once");
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = WEB "," REFS ",\"sha\":\"@S:main@\",\"depth\":1" }) == 0 && strcmp(in_project("git rev-list --count HEAD"), "1") == 0, "depth 1");
	GOOD(sources(&(struct fake_spec){ .git = WEB ",\"refspecs\":[\"+refs/tags/v2:refs/tags/v2\"],\"ref\":\"v2\",\"ref_type\":\"tag\",\"sha\":\"@S:v2@\",\"depth\":1" }) == 0, "a tag");
	GOOD(is_checked_out("v2") && strcmp(in_project("git describe --exact-match"), "v2") == 0, "is known by its name");
	GOOD(sources(&(struct fake_spec){ .git = WEB ",\"refspecs\":null,\"ref\":\"main\",\"sha\":\"@S:main@\",\"depth\":2" }) == 0 && is_checked_out("main"), "no refspecs: all branches");
}

/* A first fetch is what most jobs wait for. */
static void
test_speed(void)
{
	struct str calls;
	size_t n = 0;

	fresh();
	make(&(struct fake_spec){ .git = HTTP "," REFS ",\"ref\":\"main\",\"sha\":\"@S:main@\",\"depth\":20" });
	watch_git();
	GOOD(run_sources(&work) == 0, "watched");
	unwatch_git();
	calls = slurp(&arena, "calls");
	for (struct str s = calls; s.p != NULL && s.n > 0; str_cut(&s, '\n'))
		n++;
	if (!ok(n == 5, "%s: git is started five times for new sources", sh->name))
		printf("# %.*s\n", STR_ARG(calls));
}

static void
test_clone(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_STRATEGY", "clone") }) == 0 && is_checked_out("main"), "clone");
	in_project("touch .git/marker; mkdir d; touch d/x; chmod 500 d");
	GOOD(run_sources(&work) == 0 && is_checked_out("main") && saw("Created fresh repository."), "clone over an old one");
	GOOD(strcmp(in_project("ls .git/marker d 2>&1 | grep -c 'No such'"), "2") == 0, "which is gone");
	/* A git that says it can clone as FF_USE_GIT_NATIVE_CLONE wants it: branches are cloned alike by all. */
	must("cat > @B/bin/git <<E\n#!/bin/sh\nif [ \"\\$1\" = version ]; then echo git version 2.50.1; exit; fi\nexec $(command -v git) \"\\$@\"\nE\nchmod +x @B/bin/git");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_STRATEGY", "clone"), .flags = "\"FF_USE_GIT_NATIVE_CLONE\":true" }) == 0 && saw("Cloning into") && is_checked_out("main"), "native clone");
	GOOD(strcmp(in_project("git config --get-all remote.origin.fetch; git rev-list --count HEAD"), "+refs/heads/main:refs/remotes/origin/main\n20") == 0, "has the one branch, as deep as it should be");
	must("rm @B/bin/git");
	in_project("cd / && rm -rf \"$OLDPWD\" && ln -s /tmp \"$OLDPWD\"");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "clone over a link");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_STRATEGY", "clone"), .flags = "\"FF_USE_GIT_NATIVE_CLONE\":true" }) == 0 && is_checked_out("main"), "native clone, or what this git has in its place");
}

static void
test_none(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_STRATEGY", "none") }) == 0 && saw("Skipping Git repository setup") && saw("Skipping Git checkout"), "none");
	GOOD(strcmp(in_project("ls -A"), "") == 0, "makes the directory");
	in_project("touch keep");
	GOOD(run_sources(&work) == 0 && strcmp(in_project("ls -A"), "keep") == 0, "and keeps what is in it");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_STRATEGY", "empty") }) == 0 && str_ends(str_from(work.project_dir), "-empty"), "empty");
	in_project("touch x .y; mkdir d; touch d/x; chmod 500 d");
	GOOD(run_sources(&work) == 0 && strcmp(in_project("ls -A"), "") == 0, "is always empty");
	fresh();
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_CHECKOUT", "false") }) == 0 && saw("Skipping Git checkout"), "no checkout");
	GOOD(strcmp(in_project("ls"), "") == 0 && strcmp(in_project("git rev-list --count origin/main"), "20") == 0, "but everything fetched");
}

static void
test_outside(void)
{
	const char *lost = arena_dup(&arena, str_trim(slurp(&arena, "lost")));

	fresh();
	GOOD(sources(&(struct fake_spec){ .git = WEB "," REFS ",\"sha\":\"@S:main~25@\",\"depth\":3" }) == 0 && is_checked_out("main~25"), "a commit deeper than the depth");
	GOOD(saw("is not among what was fetched") && !saw("fatal:"), "is asked for without a fright");
	GOOD(strcmp(in_project("git rev-list --count HEAD"), "3") == 0, "with the depth");
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = arena_fmt(&arena, WEB "," REFS ",\"sha\":\"%s\",\"depth\":0", lost) }) == 0, "a commit that no branch has");
	GOOD(strcmp(in_project("git rev-parse HEAD; cat n.txt"), arena_fmt(&arena, "%s\nlost", lost)) == 0, "is had by its id");
	/* The old protocol: only what has a name. */
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = WEB "," REFS ",\"sha\":\"@S:main~25@\",\"depth\":3",
	    .vars = V("GIT_CONFIG_COUNT", "1") "," V("GIT_CONFIG_KEY_0", "protocol.version") "," V("GIT_CONFIG_VALUE_0", "0") }) == 0 && is_checked_out("main~25"), "a server that gives none by id");
	GOOD(saw("fetching the whole history"), "gives the history");
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = WEB "," REFS ",\"sha\":\"1234567890123456789012345678901234567890\",\"depth\":3" }) == 128, "a commit that is nowhere");
	GOOD(saw("fatal:") && saw("1234567890"), "is named in the error");
	in_project("touch .git/kept");
	GOOD(run_sources(&work) == 128 && access(arena_fmt(&arena, "%s/.git/kept", work.project_dir), F_OK) == 0, "and does not cost the repository");
	GOOD(sources(&(struct fake_spec){ .git = "\"repo_url\":\"file://@B/srv/none.git\",\"sha\":\"@S:main@\"" }) == 128, "no repository");
	GOOD(sources(&(struct fake_spec){ .git = WEB ",\"sha\":\"@S:main@\",\"refspecs\":[\"+refs/heads/gone:refs/x\"]" }) == 128 && saw("refs/heads/gone"), "no such ref");
}

#define GONE(refs)	WEB ",\"refspecs\":[" refs "],\"ref\":\"main\",\"sha\":\"@S:main@\",\"depth\":20"
#define PIPE	"\"+refs/pipelines/7:refs/pipelines/7\""

/* findings F10: GitLab's servers do not show at once what they have, and a branch may be deleted before its job begins. */
static void
test_refs_that_are_gone(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = GONE(PIPE ",\"+refs/heads/deleted:refs/remotes/origin/deleted\"") }) == 0 && is_checked_out("main"), "a deleted branch, its pipeline's ref is there");
	GOOD(saw("Going on without refs/heads/deleted") && saw("asking again in 3 seconds"), "is told");
	in_project("touch .git/kept");
	GOOD(sources(&(struct fake_spec){ .git = GONE("\"+refs/pipelines/8:refs/pipelines/8\"") }) == 128 && saw("refs/pipelines/8"), "a pipeline that is nowhere");
	GOOD(!saw("starting with a fresh one") && access(arena_fmt(&arena, "%s/.git/kept", work.project_dir), F_OK) == 0, "is no fault of the kept repository");
	/* It appears while we wait. */
	must("(sleep 1; git -C @B/srv/acme/shop/web.git update-ref refs/pipelines/9 main) > /dev/null 2>&1 &");
	GOOD(sources(&(struct fake_spec){ .git = GONE("\"+refs/pipelines/9:refs/pipelines/9\"") }) == 0 && is_checked_out("main") && saw("asking again"), "a ref that comes a little later is waited for");
	must("git -C @B/srv/acme/shop/web.git update-ref -d refs/pipelines/9");
	GOOD(access(arena_fmt(&arena, "%s/.git/kept", work.project_dir), F_OK) == 0, "in the kept repository");
}

static void
test_sha256(void)
{
	if (access(path_of(&arena, "srv/acme/shop/new.git"), F_OK) < 0) {
		ok(true, "%s: # SKIP this git has no SHA-256", sh->name);
		return;
	}
	fresh();
	must("git -C @B/srv/acme/shop/new.git rev-parse main | tr -d '\\n'");
	make(&(struct fake_spec){ .git = arena_fmt(&arena, "\"repo_url\":\"file://@B/srv/acme/shop/new.git\",\"repo_object_format\":\"sha256\",\"sha\":\"%s\",\"depth\":1", said.p) });
	GOOD(run_sources(&work) == 0 && strcmp(in_project("cat n.txt"), "new") == 0, "a SHA-256 repository");
	GOOD(run_sources(&work) == 0, "again");
}

/* ---- what an earlier job or a killed git left ---- */

static void
test_leftovers(void)
{
	static const char *const locks = "touch .git/index.lock .git/shallow.lock .git/HEAD.lock .git/config.lock .git/packed-refs.lock "
	    ".git/refs/remotes/origin/main.lock .git/refs/heads/x.lock";

	fresh();
	GOOD(sources(&(struct fake_spec){ 0 }) == 0, "fetch");
	in_project(locks);
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "lock files");
	GOOD(strcmp(in_project("find .git -name '*.lock'"), "") == 0, "are gone");
	in_project("mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch %s/evil\\n' $B > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout; mkdir -p $T/git-template/hooks; cp .git/hooks/post-checkout $T/git-template/hooks");
	GOOD(run_sources(&work) == 0 && is_checked_out("main") && strcmp(in_project("ls .git/hooks 2>/dev/null"), "") == 0, "hooks are not run");
	in_project("git config core.fsmonitor \"touch $B/evil; false\"; git config core.sshCommand evil; git config url.file:///nowhere/.insteadOf file://");
	GOOD(run_sources(&work) == 0 && is_checked_out("main") && strcmp(in_project("git config core.fsmonitor"), "") == 0, "configuration is not kept");
	in_project("printf 'broken [' > .git/config");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "a broken configuration");
	in_project("git init -q ../elsewhere && git -C ../elsewhere config core.fsmonitor \"touch $B/evil; false\" && rm -rf .git && echo 'gitdir: ../elsewhere/.git' > .git");
	GOOD(run_sources(&work) == 0 && is_checked_out("main") && strcmp(in_project("test -d .git && echo yes"), "yes") == 0, "a file in the repository's place");
	in_project("rm -rf .git && ln -s ../elsewhere/.git .git");
	GOOD(run_sources(&work) == 0 && is_checked_out("main") && strcmp(in_project("test -L .git || echo no"), "no") == 0, "a link in the repository's place");
	in_project("cp -r .git ../common && git config -f ../common/config core.fsmonitor \"touch $B/evil; false\" && echo ../../common > .git/commondir");
	GOOD(run_sources(&work) == 0 && !exists(&arena, "evil") && is_checked_out("main") && strcmp(in_project("cat .git/commondir 2>/dev/null"), "") == 0, "another directory for its configuration");
	GOOD(!exists(&arena, "evil"), "and nothing of that was run");
	must("rm -f @B/evil");
}

static void
test_broken(void)
{
	const char *message = "The repository that was kept from an earlier job cannot be used";

	fresh();
	GOOD(sources(&(struct fake_spec){ 0 }) == 0 && !saw(message), "fetch");
	in_project("chmod -R u+w .git; for f in $(find .git/objects -type f); do printf garbage > $f; done");
	GOOD(run_sources(&work) == 0 && is_checked_out("main") && saw(message), "broken objects");
	in_project("echo nonsense > .git/HEAD");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "a broken HEAD");
	in_project("chmod -R u+w .git; rm -rf .git/objects; mkdir .git/objects");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "no objects");
	in_project("printf x > .git/index");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "a broken index");
	GOOD(strcmp(in_project("ls -d $T/broken.git 2>/dev/null"), "") == 0, "nothing of it stays");
	/* The server is away: that is not the repository's fault. */
	must("mv @B/srv/acme/shop/web.git @B/srv/away");
	in_project("touch .git/kept");
	GOOD(run_sources(&work) == 128 && !saw(message) && strcmp(in_project("ls .git/kept"), ".git/kept") == 0, "no server, no blame");
	must("mv @B/srv/away @B/srv/acme/shop/web.git");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "and on it goes");
	/* A repository of the other kind. */
	if (access(path_of(&arena, "srv/acme/shop/new.git"), F_OK) == 0) {
		in_project("rm -rf .git && git init -q --object-format=sha256 .");
		GOOD(run_sources(&work) == 0 && is_checked_out("main"), "a repository with other hashes");
	}
	GOOD(run_clear(&work) == 0 && strcmp(in_project("ls -A"), ".git") == 0, "clear_worktree");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "and sources after it");
	must("rm -rf @B/builds/*");
	GOOD(run_clear(&work) == 0, "clear_worktree where there is nothing");
}

static void
test_kept_config(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .runner = "\"clean_git_config\":false" }) == 0 && is_checked_out("main"), "clean_git_config = false");
	in_project("git config a.b kept; git remote set-url origin file:///nowhere; git config include.path /nowhere/.gitlab-runner.ext.conf; touch .git/config.lock");
	GOOD(run_sources(&work) == 0 && is_checked_out("main"), "again");
	GOOD(strcmp(in_project("git config a.b"), "kept") == 0, "keeps the configuration");
	GOOD(strcmp(in_project("git config --get-all include.path"), arena_fmt(&arena, "%s/.gitlab-runner.ext.conf", work.tmp_dir)) == 0, "with this job's file");
}

static void
test_flags(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_CLEAN_FLAGS", "none") }) == 0, "fetch");
	in_project("touch new.o new");
	GOOD(run_sources(&work) == 0 && strcmp(in_project("ls new new.o"), "new\nnew.o") == 0, "clean flags: none");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_CLEAN_FLAGS", " -ffd\\t -e new ") }) == 0 && strcmp(in_project("ls new new.o"), "new\nnew.o") == 0, "clean flags: some");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_CLEAN_FLAGS", "-ffdx") }) == 0 && strcmp(in_project("ls"), "n.txt") == 0, "clean flags: all");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_CLEAN_FLAGS", "-ffdx ; touch evil") }) == 0 && strcmp(in_project("ls"), "n.txt") == 0, "clean flags are words");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_FETCH_EXTRA_FLAGS", "--no-tags --quiet +refs/heads/subs:refs/remotes/origin/subs") }) == 0 &&
	    strcmp(in_project("git rev-parse -q --verify origin/subs >/dev/null && echo yes"), "yes") == 0, "fetch flags");
}

/* ---- submodules ---- */

#define SUBS	WEB ",\"refspecs\":[\"+refs/heads/subs:refs/remotes/origin/subs\"],\"ref\":\"subs\",\"sha\":\"@S:subs@\",\"depth\":"
#define FILES	V("GIT_ALLOW_PROTOCOL", "file:http")

static void
test_submodules(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = SUBS "0" }) == 0 && strcmp(in_project("ls lib"), "") == 0, "submodules: none");
	GOOD(sources(&(struct fake_spec){ .git = SUBS "0", .vars = V("GIT_SUBMODULE_STRATEGY", "normal") "," FILES }) == 0, "submodules: normal");
	GOOD(saw("Updating/initializing submodules...") && strcmp(in_project("cat lib/lib.txt; ls lib/deep"), "lib") == 0, "one level");
	GOOD(sources(&(struct fake_spec){ .git = SUBS "1", .vars = V("GIT_SUBMODULE_STRATEGY", "recursive") "," FILES }) == 0, "submodules: recursive");
	GOOD(saw("submodules recursively with git depth set to 1...") && strcmp(in_project("cat lib/lib.txt lib/deep/deep.txt"), "lib\ndeep") == 0, "all levels");
	in_project("echo x > lib/lib.txt; echo x > lib/new; echo x > lib/deep/new; touch .git/modules/lib/index.lock .git/modules/lib/refs/heads/x.lock");
	in_project("git -C lib -c user.name=x -c user.email=x commit -q --allow-empty -m x; mkdir -p .git/modules/lib/hooks; "
	    "printf '#!/bin/sh\\ntouch %s/evil\\n' $B > .git/modules/lib/hooks/post-checkout; chmod +x .git/modules/lib/hooks/post-checkout");
	GOOD(run_sources(&work) == 0, "submodules again");
	GOOD(strcmp(in_project("cat lib/lib.txt lib/deep/deep.txt; git submodule status --recursive | grep -c '^ '; git submodule foreach -q --recursive git status --porcelain"), "lib\ndeep\n2") == 0, "are as they should be");
	GOOD(!exists(&arena, "evil"), "and their hooks are not run");
	GOOD(strcmp(in_project("git -C lib config include.path; git -C lib/deep config include.path"),
	    arena_fmt(&arena, "%s/.gitlab-runner.ext.conf\n%s/.gitlab-runner.ext.conf", work.tmp_dir, work.tmp_dir)) == 0, "and know the job's credentials");
	GOOD(sources(&(struct fake_spec){ 0 }) == 0 && is_checked_out("main"), "a commit without them");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_SUBMODULE_STRATEGY", "recursive") "," FILES }) == 0, "asked for where there are none");
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = SUBS "1", .vars = V("GIT_SUBMODULE_STRATEGY", "normal") "," V("GIT_SUBMODULE_PATHS", " :(exclude)lib ") "," FILES }) == 0 && strcmp(in_project("ls lib"), "") == 0, "paths");
	GOOD(sources(&(struct fake_spec){ .git = SUBS "1", .vars = V("GIT_SUBMODULE_STRATEGY", "normal") "," V("GIT_SUBMODULE_PATHS", ":(exclude) lib") "," FILES }) == 1 && saw("ERROR: GIT_SUBMODULE_PATHS"), "a lone :(exclude)");
	GOOD(sources(&(struct fake_spec){ .git = SUBS "1", .vars = V("GIT_SUBMODULE_STRATEGY", "some") }) == 1 && saw("ERROR: GIT_SUBMODULE_STRATEGY"), "an unknown strategy");
	GOOD(sources(&(struct fake_spec){ .git = SUBS "1", .vars = V("GIT_SUBMODULE_STRATEGY", "normal") "," V("GIT_ALLOW_PROTOCOL", "file") "," V("GIT_SUBMODULE_UPDATE_FLAGS", "--remote --jobs 2") }) == 0 &&
	    strcmp(in_project("cat lib/lib.txt"), "lib") == 0, "update flags");
	must("mv @B/srv/acme/shop/lib.git @B/srv/away");
	in_project("rm -rf .git/modules lib");
	GOOD(run_sources(&work) != 0 && saw("WARNING: Updating submodules failed"), "one that cannot be had fails the stage");
	must("mv @B/srv/away @B/srv/acme/shop/lib.git");
}

/* ---- hooks, LFS, later stages ---- */

static void
test_hooks(void)
{
	static const struct fake_spec s = {
		.job = "\"hooks\":[{\"name\":\"pre_get_sources_script\",\"script\":[\"echo job-pre $V\"]},{\"name\":\"post_get_sources_script\",\"script\":[\"echo job-post\",\"cat n.txt; pwd\",\"echo H=hook >> $GITLAB_ENV\"]}]",
		.runner = "\"pre_get_sources_script\":\"echo runner-pre\\necho 2\",\"post_get_sources_script\":\"echo runner-post; cat; x() { echo $PWD; }\"",
		.vars = V("V", "1"), .script = "\"echo [$H]\"",
	};
	const char *at[4];

	fresh();
	GOOD(sources(&s) == 0, "hooks");
	at[0] = strstr(said.p, "\nrunner-pre\n2\n");
	at[1] = strstr(said.p, "\njob-pre 1\n");
	at[2] = strstr(said.p, arena_fmt(&arena, "\njob-post\n\033[32;1m$ cat n.txt; pwd\033[0;m\n30\n%s\n", work.project_dir));
	at[3] = strstr(said.p, "\nrunner-post\n");
	GOOD(at[0] != NULL && at[1] > at[0] && at[2] > at[1] && at[3] > at[2], "in order and in place");
	GOOD(run_step(&work) == 0 && saw("\n[hook]\n"), "leave variables to the script");
	GOOD(sources(&(struct fake_spec){ .job = "\"hooks\":[{\"name\":\"pre_get_sources_script\",\"script\":[\"exit 9\"]}]" }) == 9, "a failing hook fails the stage");
	GOOD(!saw("Fetching changes"), "before anything is fetched");
	GOOD(sources(&(struct fake_spec){ .job = "\"hooks\":[{\"name\":\"post_get_sources_script\",\"script\":[\"false\",\"echo no\"]}]" }) == 1 && !saw("\nno\n"), "errexit in hooks");
	GOOD(sources(&(struct fake_spec){ .job = "\"hooks\":[{\"name\":\"pre_get_sources_script\",\"script\":[\"echo pre\"]}]", .vars = V("GIT_STRATEGY", "none") }) == 0 && !saw("pre"), "none without git");
}

#define LARGE	WEB ",\"refspecs\":[\"+refs/heads/large:refs/remotes/origin/large\"],\"ref\":\"large\",\"sha\":\"@S:large@\",\"depth\":1"

static void
test_lfs(void)
{
	fresh();
	must("printf '#!/bin/sh\\necho \"lfs $* skip=$GIT_LFS_SKIP_SMUDGE\"\\n' > @B/bin/git-lfs; chmod +x @B/bin/git-lfs");
	GOOD(sources(&(struct fake_spec){ 0 }) == 0 && !saw("lfs "), "LFS is not asked for where it is not used");
	GOOD(sources(&(struct fake_spec){ .git = LARGE }) == 0 && saw("\nlfs pull skip=1\n"), "files of LFS are pulled at once");
	GOOD(sources(&(struct fake_spec){ .git = LARGE, .vars = V("GIT_LFS_SKIP_SMUDGE", "true") }) == 0 && !saw("lfs pull"), "but not for who wants pointers");
	must("printf '#!/bin/sh\\ntest \"$1\" != pull || exit 2\\n' > @B/bin/git-lfs");
	GOOD(sources(&(struct fake_spec){ .git = LARGE }) == 2, "a failing pull fails the stage");
	must("printf '#!/bin/sh\\nexit 1\\n' > @B/bin/git-lfs");
	GOOD(sources(&(struct fake_spec){ .git = LARGE }) == 0 && saw("WARNING: The project uses Git LFS"), "no LFS in the helper is said");
	must("rm @B/bin/git-lfs");
}

static void
test_cleanup(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .vars = "{\"key\":\"F\",\"value\":\"x\",\"file\":true}" }) == 0, "fetch");
	in_project("touch new");
	GOOD(run_cleanup(&work) == 0, "cleaning up");
	GOOD(strcmp(in_project("cd $T && find . -type f | sort | tr '\\n' ' '"), "./checkout.err ./git-template/config ") == 0, "what is secret is gone");
	GOOD(strcmp(in_project("ls"), "n.txt\nnew") == 0, "the project is left alone");
	GOOD(sources(&(struct fake_spec){ .flags = "\"FF_ENABLE_JOB_CLEANUP\":true" }) == 0, "fetch");
	in_project("echo x > n.txt; touch new new.o .git/index.lock");
	in_project("rm .git/index.lock");
	GOOD(run_cleanup(&work) == 0 && strcmp(in_project("ls; cat n.txt; ls .git/config 2>/dev/null"), "n.txt\n30") == 0, "FF_ENABLE_JOB_CLEANUP, fetch");
	GOOD(sources(&(struct fake_spec){ .vars = V("GIT_STRATEGY", "clone"), .flags = "\"FF_ENABLE_JOB_CLEANUP\":true" }) == 0, "clone");
	GOOD(run_cleanup(&work) == 0 && access(work.project_dir, F_OK) < 0, "FF_ENABLE_JOB_CLEANUP, clone");
	GOOD(run_cleanup(&work) == 0, "cleaning up twice");
	fresh();
	GOOD(run_cleanup(&work) == 0, "cleaning up what never was");
}

/* ---- the token ---- */

static pid_t
serve(const char *cert, const char *key, int *stdin_fd, char out[16])
{
	int in[2], answer[2];
	size_t n;
	pid_t pid;

	*stdin_fd = -1;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(answer, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(answer[1], 1);
		execlp("python3", "python3", "tests/unit/git_http.py", path_of(&arena, "srv"), FAKE_TOKEN, path_of(&arena, "log"), cert, key, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(answer[1]);
	*stdin_fd = in[1];
	for (n = 0; n < 15 && read(answer[0], out + n, 1) == 1 && out[n] != '\n'; n++)
		;
	close(answer[0]);
	out[n] = '\0';
	return n > 0 ? pid : -1;
}

static const char *
requests(void)
{
	const char *s = arena_dup(&arena, slurp(&arena, "log"));

	must("rm -f @B/log");
	return s;
}

#define HTTP_SUBS HTTP ",\"refspecs\":[\"+refs/heads/subs:refs/remotes/origin/subs\"],\"ref\":\"subs\",\"sha\":\"@S:subs@\",\"depth\":1"

static void
test_http(void)
{
	static const struct fake_spec s = { .git = HTTP_SUBS, .vars = V("GIT_SUBMODULE_STRATEGY", "recursive") "," V("CI_JOB_TOKEN", FAKE_TOKEN),
	    .runner = "\"correlation_id\":\"01HX-corr\"", .script = "\"git fetch -q origin main\",\"git -C lib fetch -q\",\"git -C lib/deep fetch -q\"" };
	const char *log;

	fresh();
	requests();
	GOOD(sources(&s) == 0 && strcmp(in_project("cat n.txt lib/lib.txt lib/deep/deep.txt"), "30\nlib\ndeep") == 0, "over HTTP with submodules");
	GOOD(saw("Gitaly correlation ID: 01HX-corr"), "the correlation id is shown");
	log = requests();
	GOOD(strstr(log, "/acme/shop/web.git/info/refs?service=git-upload-pack\t" FAKE_TOKEN "\tgitlab-runner 19.4.0 linux/") != NULL, "the user agent");
	GOOD(strstr(log, "\t01HX-corr\n") != NULL && strstr(log, "/acme/shop/deep.git") != NULL, "the header");
	GOOD(strcmp(in_project("grep -r " FAKE_TOKEN " . 2>/dev/null"), "") == 0, "the token is nowhere in the checkout");
	watch_git();
	GOOD(run_sources(&work) == 0, "again");
	unwatch_git();
	GOOD(str_find(slurp(&arena, "calls"), FAKE_TOKEN) < 0 && slurp(&arena, "calls").n > 0, "nor in a command line");
	home = "elsewhere";
	GOOD(run_step(&work) == 0, "git in the job's own lines has it");
	home = "home";
	GOOD(run_cleanup(&work) == 0 && strcmp(in_project("git fetch -q origin main 2>&1 | grep -c 'could not read Username'"), "1") == 0, "until the job is over");
	GOOD(strcmp(in_project("grep -rl " FAKE_TOKEN " ../.. 2>/dev/null"), "") == 0, "then it is nowhere");

	/* Another host, whose name begins alike. */
	fresh();
	GOOD(sources(&s) == 0, "fetch");
	GOOD(strstr(in_project(fill("git ls-remote --get-url http://127.0.0.1:@PORT.evil.example/x.git")), FAKE_TOKEN) == NULL, "a host with a longer name does not get it");
	GOOD(strstr(in_project(fill("git ls-remote --get-url http://127.0.0.1:@PORT/other/x.git")), "gitlab-ci-token:" FAKE_TOKEN "@") != NULL, "another project does");
	GOOD(sources(&(struct fake_spec){ .git = "\"repo_url\":\"http://gitlab-ci-token:wrong@127.0.0.1:@PORT/acme/shop/web.git\",\"sha\":\"@S:main@\"" }) == 128 && saw("Authentication failed"), "a wrong token");
	requests();
	GOOD(sources(&(struct fake_spec){ .git = HTTP_SUBS, .flags = "\"FF_USE_GITALY_CORRELATION_ID\":false", .runner = "\"correlation_id\":\"x\"" }) == 0 && strstr(requests(), "\tx\n") == NULL, "no header without the flag");
	GOOD(sources(&(struct fake_spec){ .git = "\"repo_url\":\"http://gitlab-ci-token:" FAKE_TOKEN "@127.0.0.1:@PORT/v0/acme/shop/web.git\",\"refspecs\":[\"+refs/heads/main:refs/remotes/origin/main\"],\"sha\":\"@S:main~25@\",\"depth\":3" }) == 0 &&
	    saw("fetching the whole history") && is_checked_out("main~25"), "an old server over HTTP");
}

static void
test_tokenless(void)
{
	static const struct fake_spec s = { .git = HTTP_SUBS, .vars = V("GIT_SUBMODULE_STRATEGY", "recursive") "," V("CI_JOB_TOKEN", FAKE_TOKEN),
	    .flags = "\"FF_GIT_URLS_WITHOUT_TOKENS\":true", .script = "\"git fetch -q origin main\",\"git clone -q $HTTP/acme/shop/lib.git @B/cloned\",\"git config user.name\"" };
	struct fake_spec with = s;

	fresh();
	must("rm -rf @B/cloned; printf '[user]\\n\\tname = me\\n' > @B/home/.gitconfig");
	with.vars = arena_fmt(&arena, "%s," V("HTTP", "http://127.0.0.1:@PORT"), s.vars);
	GOOD(sources(&with) == 0 && strcmp(in_project("cat n.txt lib/lib.txt lib/deep/deep.txt"), "30\nlib\ndeep") == 0, "without tokens in URLs");
	GOOD(strcmp(in_project("grep -rl " FAKE_TOKEN " ../.. 2>/dev/null"), "") == 0, "the token is in no file");
	GOOD(run_step(&work) == 0 && saw("\nme\n") && exists(&arena, "cloned/lib.txt"), "other projects can be cloned, the home's configuration counts");
	GOOD(run_cleanup(&work) == 0 && access(arena_fmt(&arena, "%s/.glr.gconf", work.tmp_dir), F_OK) < 0, "cleaned up");
	/* For jobs without sources too. */
	fresh();
	must("rm -rf @B/cloned");
	with.vars = arena_fmt(&arena, "%s," V("GIT_STRATEGY", "none"), with.vars);
	with.script = "\"git clone -q $HTTP/acme/shop/lib.git @B/cloned\"";
	GOOD(sources(&with) == 0 && run_step(&work) == 0 && exists(&arena, "cloned/lib.txt"), "strategy none");
	/* git dies of a home that it may not read: it is not sent there. */
	with.vars = arena_fmt(&arena, "%s," V("HOME", "/nonexistent"), with.vars);
	with.script = "\"echo [$GIT_CONFIG_GLOBAL]\",\"git clone -q $HTTP/acme/shop/lib.git @B/cloned2\"";
	make(&with);
	GOOD(run_step(&work) == 0 && saw(arena_fmt(&arena, "[%s/.gitlab-runner.ext.conf]", work.tmp_dir)) && exists(&arena, "cloned2/lib.txt"), "no home");
	must("rm -rf @B/cloned2");
}

static void
test_clone_url(void)
{
	fresh();
	GOOD(sources(&(struct fake_spec){ .git = "\"repo_url\":\"https://gitlab-ci-token:" FAKE_TOKEN "@git.invalid/acme/shop/web.git\",\"sha\":\"@S:main@\",\"depth\":1",
	    .vars = V("CI_PROJECT_PATH", "acme/shop/web"), .runner = "\"clone_url\":\"http://127.0.0.1:@PORT/\"" }) == 0 && is_checked_out("main"), "clone_url");
	GOOD(strcmp(in_project("git config remote.origin.url"), fill("http://127.0.0.1:@PORT/acme/shop/web.git")) == 0, "is the origin");
	GOOD(strcmp(in_project("git ls-remote --get-url https://git.invalid/x.git"), "https://gitlab-ci-token:" FAKE_TOKEN "@git.invalid/x.git") == 0, "the usual address has the token too");
	GOOD(sources(&(struct fake_spec){ .git = HTTP ",\"sha\":\"@S:main@\",\"depth\":1", .runner = "\"clone_url\":\"nonsense\"" }) == 0 && saw("WARNING: clone_url of the runner is no URL"), "a bad one is not used");
	GOOD(sources(&(struct fake_spec){ .git = HTTP ",\"sha\":\"@S:main@\",\"depth\":1", .vars = V("GIT_SUBMODULE_FORCE_HTTPS", "true") "," V("CI_SERVER_SHELL_SSH_HOST", "git.ssh") }) == 0, "GIT_SUBMODULE_FORCE_HTTPS");
	GOOD(strcmp(in_project("git ls-remote --get-url git@git.ssh:a/b.git; git ls-remote --get-url ssh://git@git.ssh/a/b.git; git ls-remote --get-url git@git.ssh.evil:a/b.git"),
	    fill("http://gitlab-ci-token:" FAKE_TOKEN "@127.0.0.1:@PORT/a/b.git\nhttp://gitlab-ci-token:" FAKE_TOKEN "@127.0.0.1:@PORT/a/b.git\ngit@git.ssh.evil:a/b.git")) == 0, "turns ssh addresses into ours");
	GOOD(sources(&(struct fake_spec){ .git = HTTP ",\"sha\":\"@S:main@\",\"depth\":1", .vars = V("GIT_SUBMODULE_FORCE_HTTPS", "true") "," V("CI_SERVER_SHELL_SSH_HOST", "git.ssh") "," V("CI_SERVER_SHELL_SSH_PORT", "2222") }) == 0 &&
	    strcmp(in_project("git ls-remote --get-url ssh://git@git.ssh:2222/a/b.git; git ls-remote --get-url git@git.ssh:a/b.git"),
	    fill("http://gitlab-ci-token:" FAKE_TOKEN "@127.0.0.1:@PORT/a/b.git\ngit@git.ssh:a/b.git")) == 0, "with their port");
}

/* Credential stores of the helper image must not keep the token. */
static void
test_forget(void)
{
	fresh();
	must("printf '[credential]\\n\\thelper = store\\n' > @B/home/.gitconfig; echo http://gitlab-ci-token:" FAKE_TOKEN "@127.0.0.1:$(cat @B/port) > @B/home/.git-credentials");
	GOOD(sources(&(struct fake_spec){ .git = HTTP ",\"sha\":\"@S:main@\",\"depth\":1" }) == 0, "with a credential store");
	GOOD(slurp(&arena, "home/.git-credentials").n == 0, "it forgets the token");
}

static void
test_tls(void)
{
	struct fake_spec s = { .git = "\"repo_url\":\"https://gitlab-ci-token:" FAKE_TOKEN "@127.0.0.1:@TLSPORT/acme/shop/web.git\",\"refspecs\":[\"+refs/heads/subs:refs/remotes/origin/subs\"],\"sha\":\"@S:subs@\",\"depth\":1",
	    .vars = V("GIT_SUBMODULE_STRATEGY", "normal"), .script = "\"git fetch -q origin\"" };
	struct str pem = slurp(&arena, "cert.pem");
	struct buf b = { .max = 65536 };

	fresh();
	GOOD(sources(&s) == 128 && saw("certificate"), "an unknown certificate is refused");
	buf_puts(&b, "\"tls_ca\":\"");
	for (size_t i = 0; i < pem.n; i++)
		buf_puts(&b, pem.p[i] == '\n' ? "\\n" : (char[]){ pem.p[i], '\0' });
	buf_puts(&b, "\"");
	s.runner = b.p;
	fresh();
	GOOD(sources(&s) == 0 && strcmp(in_project("cat lib/lib.txt"), "lib") == 0, "a private CA, submodules too");
	home = "elsewhere";
	GOOD(run_step(&work) == 0, "and in the job's own lines");
	home = "home";
	buf_free(&b);
}

/* An argument is the name of the one shell to test with. */
int
main(int argc, char **argv)
{
	int in = -1, tls_in = -1;
	pid_t server, tls_server;

	shells_init();
	/* bash alone does for both of its modes; the scripts' frame is tested with all. */
	shells[1].here = false;
	for (size_t i = 0; argc > 1 && i < NELEM(shells); i++)
		shells[i].here = strcmp(shells[i].name, argv[1]) == 0;
	signal(SIGPIPE, SIG_IGN);
	make_repositories();
	must("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout @B/key.pem -out @B/cert.pem -days 2 -subj /CN=git -addext subjectAltName=IP:127.0.0.1 2>/dev/null");
	server = serve(NULL, NULL, &in, port);
	tls_server = serve(path_of(&arena, "cert.pem"), path_of(&arena, "key.pem"), &tls_in, tls_port);
	ok(server > 0 && tls_server > 0, "git servers on ports %s and %s", port, tls_port);
	must(arena_fmt(&arena, "echo %s > @B/port", port));
	EACH_SHELL {
		mono_t start = mono_now();

		test_fetch();
		test_speed();
		test_clone();
		test_none();
		test_outside();
		/* It waits; the plainest shell stands for all. */
		if (strcmp(sh->name, "dash") == 0)
			test_refs_that_are_gone();
		test_sha256();
		test_leftovers();
		test_broken();
		test_kept_config();
		test_flags();
		test_submodules();
		test_hooks();
		test_lfs();
		test_cleanup();
		test_http();
		test_tokenless();
		test_clone_url();
		test_forget();
		test_tls();
		printf("# %s: %.1f s\n", sh->name, (double)(mono_since(start)) / NSEC_SEC);
	}
	close(in);
	close(tls_in);
	wait_for(server);
	wait_for(tls_server);
	shells_clean();
	buf_free(&said);
	buf_free(&work.warnings);
	arena_reset(&arena);
	return done_testing();
}
