/* cmd/service: which init system, and what it is given to read. */
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/service.h"
#include "core/core.h"
#include "core/fs.h"
#include "core/proc.h"
#include "tap.h"

static char top[] = "/tmp/cmd_service_test.XXXXXX";

/* A host that has these, and whose process 1 is called so. */
static enum init_system
host(const char *first, const char *const *has)
{
	char *root = fs_join(top, "root"), *path;
	struct err e = { 0 };
	enum init_system i;

	fs_remove_tree(AT_FDCWD, root, &e);
	fs_mkdirs(root, 0700, &e);
	for (; *has != NULL; has++) {
		path = fs_join(root, *has);
		fs_mkdirs(path, 0700, &e);
		free(path);
	}
	i = init_detect_in(root, first);
	free(root);
	return i;
}

#define HOST(first, ...)	init_name(host((first), (const char *const[]){ __VA_ARGS__, NULL }))

static void
detection(void)
{
	static const char *const nothing[] = { NULL };
	enum init_system i;

	is_str(init_name(host("init", nothing)), "none", "an empty host");
	is_str(HOST("systemd", "run/systemd/system"), "systemd", "systemd");
	is_str(HOST("systemd", "run/systemd/system", "etc/init.d", "run/openrc"), "systemd", "systemd beside scripts");
	is_str(HOST("init", "run/openrc", "etc/init.d"), "openrc", "OpenRC beside scripts");
	is_str(HOST("init", "sbin/upstart-udev-bridge", "etc/init", "etc/init.d"), "upstart", "upstart beside scripts");
	is_str(HOST("init", "etc/init", "etc/init.d"), "sysv", "a folder of upstart's is not upstart");
	is_str(HOST("init", "etc/init.d"), "sysv", "System V");
	is_str(HOST("sh", "etc/init.d"), "none", "a container that has the scripts and no init");
	is_str(HOST("tini", "etc/init.d", "etc/systemd/system"), "none", "a container with systemd's files and no systemd");
	is_int(init_parse(STR("openrc"), &i), 0, "a word");
	is_int(i, INIT_OPENRC, "  is that");
	is_int(init_parse(STR("none"), &i), -1, "none is no choice");
	is_int(init_parse(STR("launchd"), &i), -1, "nor is what we do not know");
}

static struct service
sample(enum init_system init)
{
	return (struct service){ .init = init, .name = "windlass", .exe = "/usr/local/bin/windlass", .config = "/etc/gitlab-runner/config.toml",
	    .directory = "/srv", .state_dir = "/var/lib/windlass", .store = "/root/.docker/machine" };
}

static bool
has(const struct service *s, const char *line)
{
	struct buf b = { 0 };
	bool yes;

	service_text(s, &b);
	yes = b.n > 0 && strstr(b.p, line) != NULL;
	if (!yes)
		printf("# %s\n", b.n > 0 ? b.p : "(nothing)");
	buf_free(&b);
	return yes;
}

static void
lacks(const struct service *s, const char *text)
{
	struct buf b = { 0 };

	service_text(s, &b);
	ok(strstr(b.p, text) == NULL, "  without %s", text);
	buf_free(&b);
}

static void
state_dir_is(const struct service *s, const char *want)
{
	struct buf b = { 0 };
	char *got;

	service_text(s, &b);
	got = service_text_state_dir(buf_str(&b));
	is_str(got, want, "  its state directory is found in it");
	ok(service_text_ours(buf_str(&b)), "  and it is known as ours");
	free(got);
	buf_free(&b);
}

static void
units(void)
{
	struct service s = sample(INIT_SYSTEMD);

	ok(has(&s, "\nExecStart=/usr/local/bin/windlass run --config /etc/gitlab-runner/config.toml --working-directory /srv --service windlass "
	    "--state-dir /var/lib/windlass\n"), "systemd: the arguments in the original's order");
	ok(has(&s, "\nKillMode=process\n") && has(&s, "\nKillSignal=SIGQUIT\n") && has(&s, "\nType=notify\n") && has(&s, "\nRestart=always\n"), "  how it lives and ends");
	ok(has(&s, "\nStateDirectory=windlass\n") && has(&s, "\nReadWritePaths=-/etc/gitlab-runner -/root/.docker/machine\n"), "  what it may write");
	ok(has(&s, "\nWantedBy=multi-user.target\n"), "  when it starts");
	ok(has(&s, "\nExecStartPre=-+/usr/local/bin/windlass service-prepare --config /etc/gitlab-runner/config.toml --working-directory /srv "
	    "--storage-path /root/.docker/machine --state-dir /var/lib/windlass\n"), "  what makes its directories (configuration.md F3)");
	state_dir_is(&s, "/var/lib/windlass");
	lacks(&s, "User=");
	s.syslog = true;
	s.user = "runner";
	ok(has(&s, " --service windlass --syslog --user runner --state-dir "), "  with --syslog and --user");
	lacks(&s, "User=");
	s.init_user = "runner";
	ok(has(&s, "\nUser=runner\n") && has(&s, "\nCapabilityBoundingSet=\n"), "  as somebody, who may no more than that");
	s.state_dir = "/srv/100% state";
	s.exe = "/opt/\"it\\";
	s.directory = "/srv/$HOME";
	ok(has(&s, "ExecStart=\"/opt/\\\"it\\\\\" run "), "  a path with quotes");
	ok(has(&s, " --working-directory \"/srv/$$HOME\" "), "  with what would be a variable");
	ok(has(&s, " --state-dir \"/srv/100%% state\"\n"), "  with what would be a specifier");
	ok(has(&s, "ReadWritePaths=-/etc/gitlab-runner -/root/.docker/machine \"-/srv/100%% state\"\n"), "  a state directory elsewhere may be written");
	lacks(&s, "StateDirectory=");
	state_dir_is(&s, "/srv/100% state");
	s = sample(INIT_SYSTEMD);
	s.per_user = true;
	ok(has(&s, "\nWantedBy=default.target\n") && has(&s, " --user-service "), "  of a user");
	lacks(&s, "ProtectSystem");
}

/* configuration.md F3 and F4: what is missing is made, and a user's link leads root nowhere else. */
static void
directories(void)
{
	char *path = fs_join(top, "a/b/c"), *link = fs_join(top, "link"), *below = fs_join(top, "link/new");
	struct passwd me = { .pw_name = (char *)(uintptr_t)"me", .pw_uid = geteuid() + 1, .pw_gid = getegid() };
	struct err e = { 0 };
	struct stat st;

	is_int(service_make_dir(path, NULL, &e), 0, "directories that are not there: %s", e.msg);
	ok(stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700, "  are made, for one alone");
	is_int(service_make_dir(path, NULL, &e), 0, "  and again");
	if (geteuid() == 0) {
		char *own = fs_join(top, "mine/x/y");

		is_int(service_make_dir(own, &me, &e), 0, "for a user: %s", e.msg);
		ok(stat(own, &st) == 0 && st.st_uid == me.pw_uid, "  the last is the user's");
		*strrchr(own, '/') = '\0';
		ok(stat(own, &st) == 0 && st.st_uid == me.pw_uid, "  and those on the way");
		ok(stat(top, &st) == 0 && st.st_uid == geteuid(), "  what was there is left alone");
		ok(symlink(path, link) == 0 && lchown(link, me.pw_uid, me.pw_gid) == 0, "a link of the user to a directory of root");
		is_int(service_make_dir(below, &me, &e), -1, "  nothing is made behind it");
		ok(strstr(e.msg, "symbolic link") != NULL, "  and that is said: %s", e.msg);
		ok(chown(path, me.pw_uid, me.pw_gid) == 0 && service_make_dir(below, &me, &e) == 0, "  but in the user's own");
		free(own);
	}
	free(path);
	free(link);
	free(below);
}

/* The shell must read what we meant: the words, one a line. */
static void
shell_reads(enum init_system init, const char *name)
{
	struct service s = sample(init);
	struct buf b = { 0 }, out = { 0 };
	const char *argv[] = { "sh", "-n", NULL };
	struct err e = { 0 };

	s.state_dir = "/srv/it's $HOME";
	s.init_user = "runner";
	service_text(&s, &b);
	if (init != INIT_UPSTART)
		is_int(proc_run(argv, buf_str(&b), NULL, mono_after(20 * NSEC_SEC), &e), 0, "%s: the shell takes it", name);
	state_dir_is(&s, "/srv/it's $HOME");
	buf_free(&b);
	buf_free(&out);
}

int
main(void)
{
	static const struct { const char *name; bool good; } service_names[] = {
		{ "windlass", true }, { "gitlab-runner", true }, { "runner@2.x", true }, { "", false }, { "-n", false }, { ".x", false },
		{ "a/b", false }, { "a b", false }, { "a\nb", false }, { "a%i", false },
	};
	struct err e = { 0 };
	char *file, *got;

	if (mkdtemp(top) == NULL)
		return 1;
	detection();
	for (size_t i = 0; i < NELEM(service_names); i++)
		is_int(service_name_ok(service_names[i].name), service_names[i].good, "a service called \"%.*s\"",
		    (int)strcspn(service_names[i].name, "\n"), service_names[i].name);
	units();
	directories();
	shell_reads(INIT_OPENRC, "OpenRC");
	shell_reads(INIT_SYSV, "System V");
	shell_reads(INIT_UPSTART, "upstart");
	ok(service_text_ours(STR("[Service]\nExecStart=/usr/bin/gitlab-runner \"run\" \"--config\" \"/etc/gitlab-runner/config.toml\"\n")), "the original's unit may go, too");
	ok(!service_text_ours(STR("[Service]\nExecStart=/usr/sbin/sshd -D\n")), "somebody else's may not");
	ok(!service_text_ours(STR("# see gitlab-runner\nExecStart=/usr/sbin/sshd -D\n")), "  not even if it knows the name");
	got = service_text_state_dir(STR("ExecStart=/usr/bin/gitlab-runner \"run\" \"--config\" \"/x\"\n"));
	ok(got == NULL, "the original's has no state directory");
	got = service_text_state_dir(STR("ExecStop=/x service-stop --state-dir /no\nExecStart=/x run --state-dir '/a b'\n"));
	is_str(got, "/a b", "it is the one of `run`");
	free(got);
	file = service_file(INIT_SYSTEMD, false, "x");
	is_str(file, "/etc/systemd/system/x.service", "where a unit is");
	free(file);
	setenv("XDG_CONFIG_HOME", "/home/me/.config", 1);
	file = service_file(INIT_SYSTEMD, true, "x");
	is_str(file, "/home/me/.config/systemd/user/x.service", "  a user's");
	free(file);
	file = service_file(INIT_UPSTART, false, "x");
	is_str(file, "/etc/init/x.conf", "  upstart's");
	free(file);
	ok(service_file(INIT_NONE, false, "x") == NULL, "  none");
	fs_remove_tree(AT_FDCWD, top, &e);
	return done_testing();
}
