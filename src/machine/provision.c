/* Provisioning over SSH: see provision.h. */
#include "core/log.h"
#include "docker/engine.h"
#include "machine/provision.h"

#define OUTPUT_MAX	(16u << 10)
#define SCRIPT_MAX	(256u << 10)
#define STEPS_MAX	16
#define UPTIME_MAX	INT64_C(4000000000)	/* s: more than any machine has been up */

/* How the first script ends when there is no engine to set up. */
#define STATUS_NO_ENGINE	60
/* The machine will never do: its own settings stand against ours. */
#define STATUS_HOPELESS		61

/*
 * The scripts. Their first lines, made below, set variables; the whole is a
 * function that is called last with an empty standard input, so that the shell has read all of it before
 * anything runs, and nothing that runs can eat it. Lines that begin with "wl:" are for us.
 */
static const char script_common[] =
"PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
"export LC_ALL=C\n"
"kept= err=\n"
"step() { read -r up rest </proc/uptime; echo \"wl:step $up $1\"; }\n"
"back() { :; }\n"
"die() { [ -z \"$kept\" ] || back; rm -rf /etc/docker/wl-old.new; echo \"wl:fail $*$again\"; exit 1; }\n"
"hopeless() { [ -z \"$kept\" ] || back; rm -rf /etc/docker/wl-old.new; echo \"wl:fail $*$again\"; exit 61; }\n"
/* A command whose own last words (an errno, most often) end the error. */
"must() { what=$1; shift; err=$(\"$@\" 2>&1) || die \"$what: ${err##*: }\"; }\n"
"[ \"$(id -u)\" = 0 ] || hopeless 'root rights are needed: log in as root or give the user sudo without a password'\n";

static const char script_main[] =
/* Writes whole files, and secrets with mode 0600 from their first byte. cat, since a shell's own printf loses the errno. */
"write() { (umask 077; printf '%s\\n' \"$3\" | cat >\"$1.wl-new\") && chmod \"$2\" \"$1.wl-new\" && mv -f \"$1.wl-new\" \"$1\"; }\n"
"put() { must \"cannot write $1\" write \"$@\"; }\n"
/* Names at the top of daemon.json, one a line: log-opts, for one, has a "labels" of its own. */
"top_names() {\n"
"	awk '{ s = s $0 \" \" } END { for (i = 1; i <= length(s); i++) { c = substr(s, i, 1)\n"
"		if (q) { if (c == \"\\\\\") i++; else if (c == \"\\\"\") q = 0; else k = k c }\n"
"		else if (c == \"\\\"\") { q = 1; k = \"\" } else if (c == \"{\" || c == \"[\") d++\n"
"		else if (c == \"}\" || c == \"]\") d--; else if (c == \":\" && d == 1) print k } }' /etc/docker/daemon.json\n"
"}\n"
/* A setting that stands in daemon.json and on the command line keeps dockerd from starting. */
"in_daemon_json() { [ -f /etc/docker/daemon.json ] && top_names | grep -qx -- \"$1\"; }\n"
"set_hostname() {\n"
"	if [ \"$now\" != \"$name\" ]; then\n"
"		echo \"$name\" >/etc/hostname\n"
"		hostname \"$name\" || echo \"$name\" >/proc/sys/kernel/hostname\n"
"	fi\n"
"	grep -q \"[[:space:]]$name\\$\" /etc/hosts && return\n"
"	if grep -q '^127\\.0\\.1\\.1[[:space:]]' /etc/hosts; then\n"
"		sed \"s/^127\\.0\\.1\\.1[[:space:]].*/127.0.1.1 $name/\" /etc/hosts >/etc/hosts.wl-new && cat /etc/hosts.wl-new >/etc/hosts\n"
"		rm -f /etc/hosts.wl-new\n"
"	else\n"
"		echo \"127.0.1.1 $name\" >>/etc/hosts\n"
"	fi\n"
"}\n"
/*
 * What was there before us, until the engine has started with what is new. A copy that is there already is of a try that
 * was cut off: that one is the old state.
 */
"old=/etc/docker/wl-old\n"
"keep() {\n"
"	running=\n"
"	engine_runs && running=1\n"
"	if [ ! -d $old ]; then\n"
"		must 'cannot write in /etc/docker' rm -rf $old.new\n"
"		must 'cannot write in /etc/docker' mkdir -m 700 $old.new\n"
"		for f in $files; do\n"
"			[ ! -e \"$f\" ] || must 'cannot write in /etc/docker' cp -p \"$f\" \"$old.new/${f##*/}\"\n"
"		done\n"
"		[ -z \"$running\" ] || must 'cannot write in /etc/docker' touch $old.new/running\n"
"		mv $old.new $old\n"
"	fi\n"
"	kept=1\n"
"	echo wl:touched\n"
"}\n"
"back() {\n"
"	kept= again=\n"
"	for f in $files; do\n"
"		if [ -e \"$old/${f##*/}\" ]; then cp \"$old/${f##*/}\" \"$f\"; else rm -f \"$f\"; fi\n"
"	done\n"
"	hostname \"$now\" || echo \"$now\" >/proc/sys/kernel/hostname\n"
"	engine_reload\n"
"	if [ -n \"$restarted\" ]; then\n"
"		if [ ! -e $old/running ]; then\n"
"			engine_stop\n"
"		elif engine_start; then\n"
"			again='; its old settings are back, and it runs with them'\n"
"		else\n"
"			again='; with its old settings, which are back, it does not start either'\n"
"		fi\n"
"	fi\n"
"	rm -rf $old\n"
"	echo wl:restored\n"
"} 2>/dev/null\n"
/* The words of dockerd that say why: a line of its own, not of its log; else the message of the worst in its log. */
"reason() {\n"
"	printf '%s\\n' \"$said\" | sed -n -e 's/^Status: //' -e 's/, Code: [0-9]*$//' \\\n"
"		-e '/^[A-Za-z].*\\(failed\\|unable\\|nvalid\\|unknown\\|cannot\\|conflict\\|rror\\|denied\\|not \\)/p' -e '/^\\(failed\\|unable\\|unknown\\)/p' |\n"
"		grep -v '^time=' | tail -n 1 | grep . && return\n"
"	printf '%s\\n' \"$said\" | sed -n 's/.*level=\\(fatal\\|error\\) msg=\"\\(.*\\)\"[^\"]*$/\\2/p' | tail -n 1 | grep . && return\n"
"	printf '%s\\n' \"$said\" | grep -v '^See \\|^Usage\\|^, Code\\|^$\\|^A self-sufficient' | tail -n 1\n"
"}\n"
/*
 * Asks dockerd whether it takes these options together with its daemon.json, beside the engine that runs: by --validate, or
 * where that is not known by a pid file which says that an engine runs. It looks there after its settings and before it acts.
 */
"try_settings() {\n"
"	eval \"set -- $args_try\"\n"
"	if timeout 10 $dockerd --help 2>/dev/null | grep -q -- --validate; then\n"
"		set -- \"$@\" --validate\n"
"	elif in_daemon_json pidfile; then\n"
"		return 0\n"
"	else\n"
"		echo 1 >/tmp/wl-pid.$$\n"
"		set -- \"$@\" --pidfile /tmp/wl-pid.$$\n"
"	fi\n"
"	said=$(timeout 10 $dockerd \"$@\" 2>&1)\n"
"	status=$?\n"
"	rm -f /tmp/wl-pid.$$\n"
"	[ $status != 0 ] && [ $status != 124 ] || return 0\n"
"	case $said in *'pid file'*|*'ensure docker is not running'*|*'unknown flag: --validate'*) return 0;; esac\n"
"	why=$(reason)\n"
"	printf '%s\\n' \"$said\"\n"
"	case $why in\n"
"	*daemon.json*|*flag*|*nvalid*|*directive*) hopeless \"the engine does not take these settings: $why\";;\n"
"	esac\n"
"	return 0\n"
"}\n"
"main() {\n"
"	(. /etc/os-release; echo \"wl:os ${ID-} ${VERSION_ID-}\") 2>/dev/null\n"
"	read -r now </proc/sys/kernel/hostname\n"
"	dockerd=$(command -v dockerd)\n"
"	case $dockerd,$([ ! -d /snap/docker ] || echo snap) in\n"
"	/snap/*|,snap) hopeless 'Docker is installed here as a snap, which cannot be set up from outside: snap remove docker';;\n"
"	esac\n"
"	[ -n \"$dockerd\" ] || exit 60\n"
"	if [ -n \"$await\" ] && command -v cloud-init >/dev/null; then\n"
"		step cloud-init\n"
"		timeout 300 cloud-init status --wait >/dev/null 2>&1\n"
"	fi\n"
"	step settings\n"
"	for k in $ours; do\n"
"		! in_daemon_json \"$k\" || hopeless \"/etc/docker/daemon.json sets \\\"$k\\\", which windlass has to set itself: take it out there\"\n"
"	done\n"
"	args=$args_label\n"
"	! in_daemon_json labels || args=$args_plain\n"
"	[ -z \"$careful\" ] || try_settings\n"
"	files='/etc/docker/server-key.pem /etc/docker/server.pem /etc/docker/ca.pem /etc/hostname /etc/hosts'\n"
"	if [ -d /run/systemd/system ]; then\n"
"		with=with_systemd\n"
"		look_at_unit\n"
"	elif command -v rc-service >/dev/null && [ -e /etc/init.d/docker ]; then\n"
"		with=with_openrc\n"
"		files=\"$files /etc/conf.d/docker\"\n"
"	else\n"
"		hopeless 'neither systemd nor OpenRC runs here: there is no way to start the engine'\n"
"	fi\n"
"	must 'cannot make /etc/docker' mkdir -p /etc/docker\n"
"	keep\n"
"	set_hostname 2>/dev/null\n"
"	step files\n"
"	put /etc/docker/server-key.pem 600 \"$key\"\n"
"	put /etc/docker/server.pem 644 \"$cert\"\n"
"	put /etc/docker/ca.pem 644 \"$ca\"\n"
/* Container-Optimized OS drops what is not allowed. */
"	if command -v iptables >/dev/null && iptables -S INPUT 2>/dev/null | grep -q '^-P INPUT DROP'; then\n"
"		iptables -C INPUT -p tcp --dport \"$port\" -j ACCEPT 2>/dev/null ||\n"
"			iptables -A INPUT -p tcp --dport \"$port\" -j ACCEPT\n"
"	fi\n"
"	$with\n"
"	rm -rf $old\n"
"	step done\n"
"}\n"
"engine_runs() { if [ $with = with_systemd ]; then systemctl -q is-active docker.service; else rc-service -q docker status; fi; } 2>/dev/null\n"
"engine_reload() { [ $with != with_systemd ] || { systemctl daemon-reload; systemctl reset-failed docker.service; }; }\n"
/* Our engine has taken the socket's path from its unit: with the old settings it is wanted again. */
"engine_start() { if [ $with = with_systemd ]; then systemctl stop docker.service; systemctl try-restart docker.socket;\n"
"	systemctl start docker.service; else rc-service docker restart; fi; }\n"
"engine_stop() { if [ $with = with_systemd ]; then systemctl stop docker.service; else rc-service docker stop; fi; }\n"
"of_unit() { systemctl show -p \"$1\" docker.service | sed -n \"s/^$1=//p\"; }\n"
/* What keeps a unit from being started at all is seen before anything is touched. */
"look_at_unit() {\n"
"	drop=/etc/systemd/system/docker.service.d/10-machine.conf\n"
"	files=\"$files $drop\"\n"
"	case $(of_unit LoadState) in\n"
"	masked) hopeless 'docker.service is masked here: systemctl unmask docker';;\n"
"	not-found) hopeless \"$dockerd is here, but systemd has no docker.service to start it: install Docker's package\";;\n"
"	esac\n"
"}\n"
/* Which file has the last word on ExecStart=. */
"who_wins() {\n"
"	winner=\n"
"	for f in $(of_unit DropInPaths); do\n"
"		[ \"$f\" = $drop ] || ! grep -q '^[[:space:]]*ExecStart[[:space:]]*=' \"$f\" || winner=$f\n"
"	done\n"
"	case \"$(of_unit LoadState) $(of_unit ExecStart)\" in\n"
"	loaded*\"tcp://0.0.0.0:$port \"*\"--tlskey /etc/docker/server-key.pem\"*) return;;\n"
"	loaded*) ;;\n"
"	*) why=\"systemd refuses docker.service as it is now ($(of_unit LoadState): $(of_unit LoadError | sed 's/^[^ ]* *//; s/\"//g'))\";;\n"
"	esac\n"
"	[ -z \"$winner\" ] || hopeless \"$winner sets ExecStart= too and wins over ours, $drop: take it out there${why:+; $why}\"\n"
"	hopeless \"${why:-docker.service does not get the ExecStart= of $drop: see systemctl cat docker}\"\n"
"}\n"
"with_systemd() {\n"
"	must \"cannot make ${drop%/*}\" mkdir -p ${drop%/*}\n"
"	put $drop 644 \"[Service]\n"
"ExecStart=\n"
"ExecStart=$dockerd $args\n"
"$environment\"\n"
"	step restart\n"
"	must 'systemctl daemon-reload failed' systemctl daemon-reload\n"
"	who_wins\n"
"	systemctl reset-failed docker.service 2>/dev/null\n"
"	restarted=1 began=$(date +%s)\n"
"	if ! err=$(systemctl restart docker.service 2>&1); then\n"
"		said=$(journalctl _SYSTEMD_UNIT=docker.service --since \"@$began\" --no-pager -o cat -n 40 2>/dev/null)\n"
"		printf '%s\\n' \"$said\" | grep -v 'level=\\(info\\|debug\\)'\n"
"		why=$(reason)\n"
"		die \"the engine does not start: ${why:-$(printf '%s\\n' \"$err\" | head -n 1)}\"\n"
"	fi\n"
"	systemctl -q is-enabled docker.service 2>/dev/null || systemctl -q enable docker.service 2>/dev/null\n"
"	true\n"
"}\n"
"with_openrc() {\n"
"	put /etc/conf.d/docker 644 \"$conf_d\"\n"
"	step restart\n"
"	restarted=1\n"
"	if ! err=$(rc-service docker restart 2>&1); then\n"
"		said=$(tail -n 40 /var/log/docker.log 2>/dev/null)\n"
"		printf '%s\\n' \"$said\" | grep -v 'level=\\(info\\|debug\\)'\n"
"		why=$(reason)\n"
"		die \"the engine does not start: ${why:-$(printf '%s\\n' \"$err\" | tail -n 1)}\"\n"
"	fi\n"
"	rc-update add docker default 2>/dev/null\n"
"	true\n"
"}\n"
"main </dev/null\n";

static const char script_install[] =
/* What needs a lock that first-boot updates hold is tried again: its log says so. */
"log=/tmp/windlass-install.$$\n"
"locked() { grep -Eq 'Could not get lock|is locked by another process|Unable to acquire the dpkg|Unable to lock' $log; }\n"
/* What a system that was cut off in the middle of an update asks for itself: each once. */
"mend() {\n"
"	if grep -q 'dpkg --configure -a' $log && [ -z \"$configured\" ]; then\n"
"		configured=1\n"
"		echo 'dpkg was interrupted: dpkg --configure -a'\n"
"		dpkg --configure -a --force-confdef --force-confold 2>&1 | tail -n 10\n"
"	elif grep -Eq -- '--fix-broken install|-f install' $log && [ -z \"$fixed\" ]; then\n"
"		fixed=1\n"
"		echo 'packages are half installed: apt-get --fix-broken install'\n"
"		apt-get -q -y --fix-broken install 2>&1 | tail -n 10\n"
"	else\n"
"		return 1\n"
"	fi\n"
"}\n"
"because() {\n"
"	w=$(grep -E '^(E|Err|Error|ERROR|dpkg|curl|wget|error)[ :]' $log 2>/dev/null | tail -n 1)\n"
"	[ -n \"$w\" ] || w=$(grep . $log 2>/dev/null | tail -n 1)\n"
"	echo \"${w:+: $w}\"\n"
"}\n"
"patient() {\n"
"	n=0\n"
"	until \"$@\" >$log 2>&1; do\n"
"		status=$?\n"
"		n=$((n + 1))\n"
"		if mend; then\n"
"			continue\n"
"		elif ! locked || [ $n -gt 100 ]; then\n"
"			tail -n 20 $log\n"
"			return $status\n"
"		fi\n"
"		sleep 3\n"
"	done\n"
"}\n"
"install_curl() {\n"
"	if command -v apt-get >/dev/null; then\n"
"		patient apt-get -q update && patient apt-get -q -y install curl ca-certificates\n"
"	elif command -v dnf >/dev/null; then patient dnf -q -y install curl\n"
"	elif command -v yum >/dev/null; then patient yum -q -y install curl\n"
"	elif command -v zypper >/dev/null; then patient zypper -n -q install curl\n"
"	else hopeless 'there is neither curl nor wget here, and no package manager that windlass knows: use an image with Docker'\n"
"	fi\n"
"}\n"
"main() {\n"
"	umask 022\n"
"	[ \"$url\" != none ] || hopeless 'Docker is not installed, and engine-install-url is none: use an image with Docker'\n"
"	export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/windlass-apt.$$\n"
"	echo wl:touched\n"
"	echo 'DPkg::Lock::Timeout \"300\";' >$APT_CONFIG\n"
"	if command -v cloud-init >/dev/null; then\n"
"		step cloud-init\n"
"		timeout 300 cloud-init status --wait >/dev/null 2>&1\n"
"	fi\n"
"	if [ -d /run/systemd/system ]; then\n"
"		systemctl stop --no-block apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service 2>/dev/null\n"
"	fi\n"
"	script=/tmp/windlass-docker.$$\n"
"	if ! command -v curl >/dev/null && ! command -v wget >/dev/null; then\n"
"		step curl\n"
"		install_curl || die \"curl could not be installed$(because)\"\n"
"	fi\n"
"	step fetch\n"
"	if command -v curl >/dev/null; then\n"
"		curl -fsSL --retry 3 --connect-timeout 20 -o $script \"$url\"\n"
"	else\n"
"		wget -nv -T 20 -O $script \"$url\"\n"
"	fi >$log 2>&1 || die \"cannot fetch the install script $url$(because)\"\n"
"	step install\n"
"	patient sh $script || die \"the install script $url failed$(because)\"\n"
"	rm -f $script $log $APT_CONFIG\n"
"	command -v dockerd >/dev/null || die \"the install script $url ended well, but there is no dockerd\"\n"
"	step done\n"
"}\n"
"main </dev/null\n";

static void
put_var(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "%s=", name);
	buf_put_shell(b, value);
	buf_putc(b, '\n');
}

/* Of the two only ExecStart= replaces $VARIABLES. */
enum setting { EXEC_START, ENVIRONMENT };

/* A word of such a line. */
static void
put_systemd_word(struct buf *b, struct str word, enum setting setting)
{
	bool quote = setting == ENVIRONMENT;

	for (size_t i = 0; i < word.n && !quote; i++)
		quote = strchr(" \t\"'\\;", word.p[i]) != NULL;
	if (quote)
		buf_putc(b, '"');
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];

		if (c == '%' || (c == '$' && setting == EXEC_START))
			buf_putc(b, c);
		if (c == '"' || c == '\\')
			buf_putc(b, '\\');
		/* A line break would end the setting. */
		buf_putc(b, c == '\n' || c == '\r' ? ' ' : c);
	}
	if (quote)
		buf_putc(b, '"');
}

static void
put_arg(struct buf *b, bool systemd, const char *flag, const char *value)
{
	struct buf word = { 0 };

	buf_putc(b, ' ');
	if (value != NULL && flag[strlen(flag) - 1] != '=' && strcmp(flag, "--") != 0) {
		buf_puts(b, flag);
		buf_putc(b, ' ');
		buf_puts(&word, value);
	} else {
		buf_puts(&word, flag);
		if (value != NULL)
			buf_puts(&word, value);
	}
	if (systemd)
		put_systemd_word(b, buf_str(&word), EXEC_START);
	else
		buf_put_shell(b, buf_str(&word));
	buf_free(&word);
}

/* Options of dockerd in docker-machine's order (spec machines 5.3). */
static void
put_args(struct buf *b, const struct provision *p, bool systemd, bool with_label)
{
	const struct machine_engine *g = p->engine;
	char listen[48], label[80];

	snprintf(listen, sizeof(listen), "tcp://0.0.0.0:%d", p->port != 0 ? p->port : ENGINE_PORT);
	snprintf(label, sizeof(label), "provider=%.60s", p->driver);
	put_arg(b, systemd, "-H", listen);
	put_arg(b, systemd, "-H", "unix:///var/run/docker.sock");
	/* Forcing one can fail on an image with the containerd store, so only if asked for. */
	if (g->storage_driver != NULL && g->storage_driver[0] != '\0')
		put_arg(b, systemd, "--storage-driver", g->storage_driver);
	put_arg(b, systemd, "--tlsverify", NULL);
	put_arg(b, systemd, "--tlscacert", "/etc/docker/ca.pem");
	put_arg(b, systemd, "--tlscert", "/etc/docker/server.pem");
	put_arg(b, systemd, "--tlskey", "/etc/docker/server-key.pem");
	for (size_t i = 0; i < g->labels.n; i++)
		put_arg(b, systemd, "--label", g->labels.v[i]);
	if (with_label)
		put_arg(b, systemd, "--label", label);
	for (size_t i = 0; i < g->insecure_registry.n; i++)
		put_arg(b, systemd, "--insecure-registry", g->insecure_registry.v[i]);
	for (size_t i = 0; i < g->registry_mirror.n; i++)
		put_arg(b, systemd, "--registry-mirror", g->registry_mirror.v[i]);
	for (size_t i = 0; i < g->arbitrary_flags.n; i++)
		put_arg(b, systemd, "--", g->arbitrary_flags.v[i]);
	buf_drop(b, 1);
}

void
provision_systemd_args(struct buf *b, const struct provision *p, bool with_label)
{
	put_args(b, p, true, with_label);
}

/* Settings that we give, so that daemon.json must not. */
static void
put_ours(struct buf *b, const struct provision *p)
{
	const struct machine_engine *g = p->engine;

	buf_puts(b, "ours='hosts tls tlsverify tlscacert tlscert tlskey");
	if (g->storage_driver != NULL && g->storage_driver[0] != '\0')
		buf_puts(b, " storage-driver");
	if (g->labels.n > 0)
		buf_puts(b, " labels");
	if (g->insecure_registry.n > 0)
		buf_puts(b, " insecure-registries");
	if (g->registry_mirror.n > 0)
		buf_puts(b, " registry-mirrors");
	buf_puts(b, "'\n");
}

static void
put_environment(struct buf *b, const struct provision *p)
{
	struct buf line = { 0 };
	const struct field_list *env = &p->engine->env;

	/* An empty Environment= would also wipe what the unit itself sets. */
	for (size_t i = 0; i < env->n; i++) {
		buf_puts(&line, i == 0 ? "Environment=" : " ");
		put_systemd_word(&line, str_from(env->v[i]), ENVIRONMENT);
	}
	put_var(b, "environment", buf_str(&line));
	buf_free(&line);
}

static void
put_conf_d(struct buf *b, const struct provision *p)
{
	struct buf args = { 0 }, text = { 0 };
	const struct field_list *env = &p->engine->env;

	put_args(&args, p, false, true);
	buf_puts(&text, "DOCKER_OPTS=");
	buf_put_shell(&text, buf_str(&args));
	for (size_t i = 0; i < env->n; i++) {
		struct str value = str_from(env->v[i]), name = str_cut(&value, '=');

		buf_fmt(&text, "\nexport %.*s=", STR_ARG(name));
		buf_put_shell(&text, value);
	}
	put_var(b, "conf_d", buf_str(&text));
	buf_free(&args);
	buf_free(&text);
}

void
provision_script(struct buf *b, const struct provision *p)
{
	struct buf args = { 0 };

	put_var(b, "name", str_from(p->name));
	put_var(b, "await", p->await_cloud_init ? STR("1") : STR(""));
	put_var(b, "careful", p->careful ? STR("1") : STR(""));
	buf_fmt(b, "port=%d\n", p->port != 0 ? p->port : ENGINE_PORT);
	put_var(b, "ca", str_trim(p->ca));
	put_var(b, "cert", str_trim(p->cert));
	put_var(b, "key", str_trim(p->key));
	put_args(&args, p, true, true);
	put_var(b, "args_label", buf_str(&args));
	buf_clear(&args);
	put_args(&args, p, true, false);
	put_var(b, "args_plain", buf_str(&args));
	buf_clear(&args);
	put_args(&args, p, false, false);
	put_var(b, "args_try", buf_str(&args));
	buf_free(&args);
	put_ours(b, p);
	put_environment(b, p);
	put_conf_d(b, p);
	buf_puts(b, script_common);
	buf_puts(b, script_main);
}

void
provision_install_script(struct buf *b, const struct provision *p)
{
	const char *url = p->engine->install_url;

	put_var(b, "url", str_from(url != NULL && url[0] != '\0' ? url : ENGINE_INSTALL_URL));
	buf_puts(b, script_common);
	buf_puts(b, script_install);
}

/* docker-machine's word for a system, from its os-release. */
static void
name_system(struct str id, struct str version, char out[48])
{
	if (str_eqc(id, "ubuntu"))
		snprintf(out, 48, "ubuntu(systemd)");
	else if (id.n > 0)
		str_printable(str_sub(id, 0, 40), out, 48);
	else
		snprintf(out, 48, "an unknown system");
	(void)version;
}

/* An uptime as /proc has it, "12.34", in ns; 0 for what no machine's is. */
static dur_t
uptime_ns(struct str at)
{
	struct str whole = str_cut(&at, '.');
	int64_t sec = 0, cent = 0;

	if (str_to_i64(whole, &sec) < 0 || sec < 0 || sec > UPTIME_MAX ||
	    (at.p != NULL && (str_to_i64(at, &cent) < 0 || cent < 0 || cent > 99)))
		return 0;
	return sec * NSEC_SEC + cent * 10 * NSEC_MSEC;
}

/* Reads our lines out of a script's output: the system, how long each step took, why it failed. */
static void
digest(const struct provision *p, struct str output, struct provision_result *r, struct str *why)
{
	struct str step = STR_NULL;
	dur_t began = 0;

	while (output.p != NULL) {
		struct str line = str_trim(str_cut(&output, '\n')), word;

		if (!str_starts(line, "wl:"))
			continue;
		word = str_cut(&line, ' ');
		if (str_eqc(word, "wl:fail"))
			*why = line;
		else if (str_eqc(word, "wl:touched") || str_eqc(word, "wl:restored"))
			r->touched = str_eqc(word, "wl:touched");
		else if (str_eqc(word, "wl:os")) {
			word = str_cut(&line, ' ');
			name_system(word, line, r->system);
		} else if (str_eqc(word, "wl:step")) {
			dur_t now = uptime_ns(str_cut(&line, ' '));

			if (step.n > 0)
				log_debug("Provisioning step done", F_STR("name", p->name), F_VIEW("step", step),
				    F_DUR("duration", now - began));
			step = line;
			began = now;
		}
	}
}

static struct str
last_line(struct str s)
{
	ssize_t nl;

	s = str_trim(s);
	nl = str_rchr(s, '\n');
	return nl >= 0 ? str_trim(str_sub(s, (size_t)nl + 1, s.n)) : s;
}

/* One script: its exit status, or -1. */
static int
run(struct ssh *s, const struct provision *p, const struct buf *script, struct provision_result *r, mono_t deadline,
    struct err *e)
{
	bool root = strcmp(p->user, "root") == 0;
	struct str why = STR_NULL;
	char text[400];
	int status;

	buf_clear(&r->output);
	if (script->failed)
		return err_set(e, ERR_CONFIG, 0, "the engine's options are longer than %u bytes together", SCRIPT_MAX);
	status = ssh_run(s, root ? "exec sh -s" : "exec sudo -n sh -s", buf_str(script), &r->output,
	    deadline, e);
	if (status < 0) {
		r->touched = true;	/* how far it came is not known */
		return -1;
	}
	digest(p, buf_str(&r->output), r, &why);
	if (status == 0 || status == STATUS_NO_ENGINE)
		return status;
	if (why.n == 0)
		why = last_line(buf_str(&r->output));
	str_printable(why, text, sizeof(text));
	/* A shell that cannot even begin ends with 1 and says nothing. */
	if (text[0] != '\0' && (status == 1 || status == STATUS_HOPELESS))
		return err_set(e, status == 1 ? ERR_SYS : ERR_CONFIG, status, "%s", text);
	return err_set(e, status == STATUS_HOPELESS ? ERR_CONFIG : ERR_SYS, status, "the provisioning script ended with status %d: %s", status,
	    text[0] != '\0' ? text : "no output");
}

int
provision_run(struct ssh *s, const struct provision *p, struct provision_result *r, mono_t deadline, struct err *e)
{
	struct buf script = { .max = SCRIPT_MAX }, install = { .max = SCRIPT_MAX };
	int status;

	r->output.max = OUTPUT_MAX;
	provision_script(&script, p);
	status = run(s, p, &script, r, deadline, e);
	if (status == STATUS_NO_ENGINE) {
		r->installed = true;
		if (p->cloud != NULL)
			cloud_tell(p->cloud, "Installing Docker...");
		provision_install_script(&install, p);
		status = run(s, p, &install, r, deadline, e);
		if (status == 0)
			status = run(s, p, &script, r, deadline, e);
		if (status == STATUS_NO_ENGINE)
			status = err_set(e, ERR_SYS, 0, "Docker was installed, but there is no dockerd");
	}
	buf_wipe(&script);
	buf_free(&install);
	return status == 0 ? 0 : -1;
}
