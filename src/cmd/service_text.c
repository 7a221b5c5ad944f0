/*
 * What an init system is given to read, for each of them: the systemd unit,
 * the OpenRC and System V scripts, the upstart job. Only text is made here.
 */
#include "cmd/service.h"
#include "core/str.h"

#define WORDS_MAX	24
#define STATE_TOP	"/var/lib/"
/* Upstream's documentation gives a graceful stop this long. Afterwards only the manager is killed, and its jobs go on. */
#define STOP_SECONDS	7200

struct words { const char *v[WORDS_MAX]; size_t n; };

typedef void put_word(struct buf *b, const char *word);

static void
add(struct words *w, const char *option, const char *value)
{
	if (value == NULL)
		return;
	assert(w->n + 2 <= WORDS_MAX);
	w->v[w->n++] = option;
	w->v[w->n++] = value;
}

/* In the original's order (spec gitlab-runner 3.6), ours behind. */
static struct words
run_words(const struct service *s)
{
	struct words w = { { s->exe, "run" }, 2 };

	add(&w, "--config", s->config);
	add(&w, "--working-directory", s->directory);
	add(&w, "--service", s->name);
	if (s->syslog)
		w.v[w.n++] = "--syslog";
	add(&w, "--user", s->user);
	add(&w, "--state-dir", s->state_dir);
	return w;
}

/* What makes the directories before each start, whatever has been removed. */
static struct words
prepare_words(const struct service *s)
{
	struct words w = { { s->exe, "service-prepare" }, 2 };

	add(&w, "--config", s->config);
	add(&w, "--working-directory", s->directory);
	add(&w, "--storage-path", s->store);
	add(&w, "--init-user", s->init_user);
	add(&w, "--state-dir", s->state_dir);
	return w;
}

static void
put_words(struct buf *b, const struct words *w, put_word *put)
{
	for (size_t i = 0; i < w->n; i++) {
		if (i > 0)
			buf_putc(b, ' ');
		put(b, w->v[i]);
	}
}

static bool
plain(const char *word)
{
	return word[0] != '\0' && word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@,=")] == '\0';
}

/* systemd.syntax(7): % begins a specifier; in quotes only backslash and quote are special. */
static void
put_setting(struct buf *b, const char *word)
{
	bool quote = !plain(word);

	if (quote)
		buf_putc(b, '"');
	for (; *word != '\0'; word++) {
		if (*word == '"' || *word == '\\')
			buf_putc(b, '\\');
		if (*word == '%')
			buf_putc(b, '%');
		buf_putc(b, *word);
	}
	if (quote)
		buf_putc(b, '"');
}

/* A path whose absence is no fault. */
static void
put_optional(struct buf *b, const char *path)
{
	struct buf minus = { 0 };

	buf_fmt(&minus, "-%s", path);
	put_setting(b, minus.p);
	buf_free(&minus);
}

/* On a command line also $ begins something. */
static void
put_command(struct buf *b, const char *word)
{
	struct buf twice = { 0 };

	for (; *word != '\0'; word++) {
		if (*word == '$')
			buf_putc(&twice, '$');
		buf_putc(&twice, *word);
	}
	put_setting(b, twice.n > 0 ? twice.p : "");
	buf_free(&twice);
}

static void
put_shell(struct buf *b, const char *word)
{
	if (plain(word))
		buf_puts(b, word);
	else
		buf_put_shell(b, str_from(word));
}

static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? xstrdup("/") : str_dup(str_of(path, (size_t)(slash - path)));
}

/* The name below /var/lib that systemd makes for us; NULL when it is elsewhere. */
static const char *
state_name(const struct service *s)
{
	return strncmp(s->state_dir, STATE_TOP, strlen(STATE_TOP)) == 0 ? s->state_dir + strlen(STATE_TOP) : NULL;
}

/*
 * What the manager and its roles need: to talk to the network, to write the
 * two directories and beside config.toml. As root also to look into
 * directories of other users, where a config.toml or a store may lie, and to
 * make each role somebody else: to become it, to give it its files, to end it, and to look whether it lives (hence no ProtectProc).
 */
static void
put_sandbox(const struct service *s, struct buf *b)
{
	char *config = folder_of(s->config);

	buf_puts(b, "\n# What it may do. Reads everything, writes the directories named here; add others by a drop-in with ReadWritePaths=.\n"
	    "ProtectSystem=strict\nProtectHome=read-only\n");
	/* One that is not there, and cannot be made, is windlass's own to complain of: systemd's words help nobody. */
	buf_puts(b, "ReadWritePaths=");
	put_optional(b, config);
	buf_putc(b, ' ');
	put_optional(b, s->store);
	if (state_name(s) == NULL) {
		buf_putc(b, ' ');
		put_optional(b, s->state_dir);
	}
	buf_fmt(b, "\nCapabilityBoundingSet=%s\n", s->init_user == NULL ?
	    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETPCAP CAP_SETUID" : "");
	buf_puts(b, "AmbientCapabilities=\n"
	    "NoNewPrivileges=yes\nUMask=0077\nPrivateTmp=yes\nPrivateDevices=yes\nDevicePolicy=closed\nPrivateMounts=yes\n"
	    "ProtectClock=yes\nProtectControlGroups=yes\nProtectHostname=yes\nProtectKernelLogs=yes\nProtectKernelModules=yes\nProtectKernelTunables=yes\n"
	    "RemoveIPC=yes\nKeyringMode=private\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\n"
	    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\nRestrictNamespaces=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n"
	    "SystemCallArchitectures=native\nSystemCallErrorNumber=EPERM\n"
	    "SystemCallFilter=@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp\n"
	    "SystemCallFilter=~@privileged @resources\n");
	buf_puts(b, s->init_user == NULL ? "SystemCallFilter=@chown @setuid capset\n" : "ProtectProc=invisible\n");
	buf_puts(b, "LimitCORE=0\n");
	free(config);
}

static void
put_systemd(const struct service *s, struct buf *b)
{
	struct words run = run_words(s), prepare = prepare_words(s);
	struct buf set = { 0 };

	buf_fmt(b, "# Written by `windlass install`. Settings of your own belong in a drop-in (systemctl edit %s), where they outlive the next install.\n",
	    s->name);
	buf_puts(b, "[Unit]\nDescription=GitLab Runner (windlass)\nDocumentation=man:windlass(1)\nConditionFileIsExecutable=");
	put_setting(b, s->exe);
	if (!s->per_user)
		buf_puts(b, "\nWants=network-online.target\nAfter=network-online.target");
	buf_puts(b, "\n# A config.toml that is mended at noon is picked up, however often it failed before.\nStartLimitIntervalSec=0\n"
	    "\n[Service]\nType=notify\nNotifyAccess=main\n");
	if (!s->per_user) {
		buf_puts(b, "# As root and outside of what is forbidden below: whatever directory is missing is made.\nExecStartPre=-+");
		put_words(b, &prepare, put_command);
		buf_putc(b, '\n');
	}
	buf_puts(b, "ExecStart=");
	put_words(b, &run, put_command);
	buf_puts(b, "\nExecReload=/bin/sh -c 'kill -HUP $$MAINPID'\n"
	    "# Stop: no new jobs, the running ones are finished. Restart and shutdown: at once, running jobs go on beside it and are found again.\nExecStop=-");
	put_command(b, s->exe);
	buf_puts(b, " service-stop --systemd ");
	put_command(b, s->name);
	if (s->per_user)
		buf_puts(b, " --user-service");
	buf_puts(b, " --state-dir ");
	put_command(b, s->state_dir);
	buf_fmt(b, "\nKillSignal=SIGQUIT\nKillMode=process\nTimeoutStopSec=%d\nWatchdogSec=60\n"
	    "# Status 0 is the end that somebody asked for.\nRestart=always\nRestartSec=5\nRestartPreventExitStatus=0\n"
	    "# One job's process that ran out of memory is that job's matter.\nOOMPolicy=continue\nLimitNOFILE=65536\nTasksMax=32768\n", STOP_SECONDS);
	if (s->init_user != NULL) {
		buf_puts(b, "User=");
		put_setting(b, s->init_user);
		buf_putc(b, '\n');
	}
	buf_fmt(&set, "MACHINE_STORAGE_PATH=%s", s->store);
	buf_puts(b, "Environment=");
	put_setting(b, set.p);
	buf_putc(b, '\n');
	buf_free(&set);
	if (s->per_user) {
		buf_puts(b, "NoNewPrivileges=yes\nUMask=0077\n\n[Install]\nWantedBy=default.target\n");
		return;
	}
	buf_fmt(b, "EnvironmentFile=-/etc/sysconfig/%s\nEnvironmentFile=-/etc/default/%s\n", s->name, s->name);
	if (state_name(s) != NULL) {
		buf_puts(b, "StateDirectory=");
		put_setting(b, state_name(s));
		buf_puts(b, "\nStateDirectoryMode=0700\n");
	}
	put_sandbox(s, b);
	buf_puts(b, "\n[Install]\nWantedBy=multi-user.target\n");
}

/* NAME=value lines and the words of `run`, for the shell. */
static void
put_shell_head(const struct service *s, struct buf *b)
{
	buf_puts(b, "exe=");
	put_shell(b, s->exe);
	buf_puts(b, "\nstate=");
	put_shell(b, s->state_dir);
	buf_puts(b, "\nexport MACHINE_STORAGE_PATH=");
	put_shell(b, s->store);
	buf_fmt(b, "\nfor settings in /etc/sysconfig/%s /etc/default/%s; do\n"
	    "\tif [ -r \"$settings\" ]; then\n\t\tset -a\n\t\t. \"$settings\"\n\t\tset +a\n\tfi\ndone\n", s->name, s->name);
}

static void
put_openrc(const struct service *s, struct buf *b)
{
	struct words run = run_words(s), args = run, prepare = prepare_words(s);

	memmove(args.v, run.v + 1, (run.n - 1) * sizeof(run.v[0]));
	args.n = run.n - 1;
	buf_puts(b, "#!/sbin/openrc-run\n# Written by `windlass install`.\n");
	put_shell_head(s, b);
	buf_puts(b, "\nname=\"GitLab Runner (windlass)\"\nsupervisor=supervise-daemon\nrespawn_delay=5\nrespawn_max=0\ncommand=$exe\ncommand_args=");
	{
		/* OpenRC evaluates the words once more. */
		struct buf line = { 0 };

		put_words(&line, &args, put_shell);
		buf_put_shell(b, buf_str(&line));
		buf_free(&line);
	}
	if (s->init_user != NULL) {
		buf_puts(b, "\ncommand_user=");
		put_shell(b, s->init_user);
	}
	buf_fmt(b, "\noutput_log=/var/log/%s.log\nerror_log=/var/log/%s.log\n"
	    "# Stop: no new jobs, the running ones are finished.\nretry=SIGQUIT/%d\nextra_started_commands=reload\n\n", s->name, s->name, STOP_SECONDS);
	buf_puts(b, "depend()\n{\n\tneed net\n\tafter firewall\n}\n\nstart_pre()\n{\n\t");
	put_words(b, &prepare, put_shell);
	buf_puts(b, "\n\treturn 0\n}\n\n"
	    "# Restart and shutdown: at once, running jobs go on and are found again.\n"
	    "stop_pre()\n{\n\tif [ \"$RC_CMD\" = restart ] || [ \"$RC_GOINGDOWN\" = YES ]; then\n"
	    "\t\t\"$exe\" service-stop --leave --state-dir \"$state\"\n\tfi\n\treturn 0\n}\n\n"
	    "reload()\n{\n\tebegin \"Reading config.toml again\"\n\tkill -HUP \"$(cat \"$state/manager.lock\")\"\n\teend $?\n}\n");
}

static void
put_sysv(const struct service *s, struct buf *b)
{
	struct words run = run_words(s), prepare = prepare_words(s);

	buf_fmt(b, "#!/bin/sh\n# Written by `windlass install`.\n### BEGIN INIT INFO\n# Provides: %s\n# Required-Start: $local_fs $remote_fs $network $syslog\n"
	    "# Required-Stop: $local_fs $remote_fs $network $syslog\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n"
	    "# Short-Description: GitLab Runner (windlass)\n### END INIT INFO\n\n", s->name);
	put_shell_head(s, b);
	buf_fmt(b, "log=/var/log/%s.log\n\nrunning()\n{\n\t\"$exe\" status --state-dir \"$state\" >/dev/null 2>&1\n}\n\n"
	    "# Nothing supervises it here: it ends with its last words in the log.\nstart()\n{\n\trunning && return 0\n", s->name);
	buf_puts(b, "\tumask 077\n\t");
	put_words(b, &prepare, put_shell);
	buf_puts(b, "\n\t");
	if (s->init_user != NULL) {
		struct buf line = { 0 };

		put_words(&line, &run, put_shell);
		buf_puts(b, "setsid su -s /bin/sh -m ");
		put_shell(b, s->init_user);
		buf_puts(b, " -c ");
		buf_putc(b, '\'');
		buf_puts(b, "exec ");
		for (size_t i = 0; i < line.n; i++)
			if (line.p[i] == '\'')
				buf_puts(b, "'\\''");
			else
				buf_putc(b, line.p[i]);
		buf_putc(b, '\'');
		buf_free(&line);
	} else {
		buf_puts(b, "setsid ");
		put_words(b, &run, put_shell);
	}
	buf_puts(b, " </dev/null >>\"$log\" 2>&1 &\n\tfor i in 1 2 3 4 5 6 7 8 9 10; do\n\t\trunning && return 0\n\t\tsleep 1\n\tdone\n"
	    "\techo \"it does not come up; the end of $log:\" >&2\n\ttail -n 5 \"$log\" >&2\n\treturn 1\n}\n\n"
	    "case $1 in\nstart)\n\tstart\n\t;;\n"
	    "stop)\n\t# Going down the host does not wait: running jobs are found again. Else they are finished first.\n"
	    "\tcase $RUNLEVEL in\n\t0 | 6) \"$exe\" service-stop --leave --state-dir \"$state\" ;;\n\t*) \"$exe\" service-stop --state-dir \"$state\" ;;\n\tesac\n\t;;\n"
	    "restart | force-reload)\n\t# At once: running jobs go on.\n\t\"$exe\" service-stop --leave --state-dir \"$state\" && start\n\t;;\n"
	    "reload)\n\trunning && kill -HUP \"$(cat \"$state/manager.lock\")\"\n\t;;\n"
	    "status)\n\t\"$exe\" status --state-dir \"$state\" || exit 3\n\t;;\n"
	    "*)\n\techo \"usage: $0 start|stop|restart|reload|status\" >&2\n\texit 2\n\t;;\nesac\n");
}

static void
put_upstart(const struct service *s, struct buf *b)
{
	struct words run = run_words(s);

	buf_fmt(b, "# Written by `windlass install`.\ndescription \"GitLab Runner (windlass)\"\nstart on runlevel [2345]\nstop on runlevel [!2345]\n"
	    "# Stop: no new jobs, the running ones are finished. `windlass restart` does not wait.\nkill signal QUIT\nkill timeout %d\n"
	    "respawn\nrespawn limit unlimited\nnormal exit 0\numask 077\nlimit nofile 65536 65536\nconsole log\n", STOP_SECONDS);
	if (s->init_user != NULL) {
		buf_puts(b, "setuid ");
		put_shell(b, s->init_user);
		buf_putc(b, '\n');
	}
	buf_puts(b, "script\n");
	put_shell_head(s, b);
	buf_puts(b, "exec ");
	put_words(b, &run, put_shell);
	buf_puts(b, "\nend script\n");
}

void
service_text(const struct service *s, struct buf *b)
{
	switch (s->init) {
	case INIT_SYSTEMD:
		put_systemd(s, b);
		break;
	case INIT_OPENRC:
		put_openrc(s, b);
		break;
	case INIT_UPSTART:
		put_upstart(s, b);
		break;
	case INIT_SYSV:
		put_sysv(s, b);
		break;
	default:
		break;
	}
}

bool
service_text_ours(struct str text)
{
	while (text.p != NULL) {
		struct str line = str_cut(&text, '\n');

		if (str_find(line, "Written by `windlass install`") >= 0)
			return true;
		/* The original's unit, script and job all start it so, quoted or not. */
		if (str_find(line, "gitlab-runner") >= 0 && (str_find(line, " run ") >= 0 || str_find(line, "\"run\"") >= 0))
			return true;
	}
	return false;
}

/* The next word of a command line, quotes and backslashes undone; false at its end. */
static bool
next_word(struct str *s, struct buf *word)
{
	char quote = '\0';

	while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
		*s = str_sub(*s, 1, s->n);
	if (s->n == 0)
		return false;
	buf_clear(word);
	for (; s->n > 0; *s = str_sub(*s, 1, s->n)) {
		char c = s->p[0];

		if (quote == '\0' && (c == ' ' || c == '\t'))
			break;
		if (c == '\\' && quote != '\'' && s->n > 1) {
			*s = str_sub(*s, 1, s->n);
			buf_putc(word, s->p[0]);
		} else if (quote == '\0' && (c == '"' || c == '\'')) {
			quote = c;
		} else if (c == quote && c != '\0') {
			quote = '\0';
		} else {
			/* %% and $$ stand for one. */
			if ((c == '%' || c == '$') && s->n > 1 && s->p[1] == c)
				*s = str_sub(*s, 1, s->n);
			buf_putc(word, c);
		}
	}
	return true;
}

/* The option of a line that starts `run`: --config FILE or --config=FILE. */
static bool
run_option(struct str line, const char *option, struct buf *word)
{
	bool run = false, next = false;

	while (next_word(&line, word)) {
		if (next)
			return true;
		run = run || str_eqc(buf_str(word), "run");
		if (run && str_starts(buf_str(word), option) && word->p[strlen(option)] == '=') {
			buf_drop(word, strlen(option) + 1);
			return true;
		}
		next = run && str_eqc(buf_str(word), option);
	}
	return false;
}

char *
service_text_option(struct str text, const char *option)
{
	struct buf word = { 0 };
	char *found = NULL;

	while (text.p != NULL && found == NULL) {
		struct str line = str_cut(&text, '\n');

		if (run_option(line, option, &word))
			found = str_dup(buf_str(&word));
	}
	buf_free(&word);
	return found;
}

char *
service_text_state_dir(struct str text)
{
	struct buf word = { 0 };
	char *found = NULL;

	while (text.p != NULL && found == NULL) {
		struct str line = str_cut(&text, '\n');

		if (str_starts(line, "state=")) {
			line = str_sub(line, strlen("state="), line.n);
			if (next_word(&line, &word))
				found = str_dup(buf_str(&word));
		} else if (run_option(line, "--state-dir", &word))
			found = str_dup(buf_str(&word));
	}
	buf_free(&word);
	return found;
}
