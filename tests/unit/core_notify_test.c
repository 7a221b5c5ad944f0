/* core/notify: what is said, to which kinds of socket, and that silence and deaf ears do no harm. */
#include <sys/socket.h>
#include <sys/un.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/core.h"
#include "core/notify.h"
#include "tap.h"

/* A service manager's end; the name as NOTIFY_SOCKET has it. */
static int
listen_at(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, name, strlen(name));
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	else
		len++;
	return bind(fd, (struct sockaddr *)&a, len) == 0 ? fd : -1;
}

static const char *
heard(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? "(nothing)" : text;
}

static void
speaks(const char *name)
{
	char big[3000];
	const char *text;
	int fd = listen_at(name);

	ok(fd >= 0, "%s: there is such a socket", name);
	setenv("NOTIFY_SOCKET", name, 1);
	ok(notify_wanted(), "  somebody listens");
	is_int(notify_send("READY=1\nSTATUS=%d jobs", 3), 0, "  a word is sent");
	is_str(heard(fd), "READY=1\nSTATUS=3 jobs", "  and arrives whole");
	is_int(notify_reloading(), 0, "  reloading");
	text = heard(fd);
	ok(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0 && text[27] >= '1' && text[27] <= '9', "  with its time: %s", text + 12);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	is_int(notify_send("STATUS=%s", big), 0, "  one that is too long");
	is_int((long long)strlen(heard(fd)), 1023, "  is cut");
	close(fd);
	ok(notify_send("READY=1") == -1, "  nobody there any more: an error, and no more than that");
}

static dur_t
watchdog(const char *usec, const char *pid)
{
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (usec != NULL)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	return notify_watchdog();
}

int
main(void)
{
	static const struct { const char *name, *socket; } bad[] = {
		{ "no path", "notify" }, { "a machine's address", "vsock:2:1234" }, { "only an @", "@" },
		{ "a name longer than any", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	};
	char dir[] = "/tmp/core_notify_test.XXXXXX", path[64], name[64], pid[24], fill[32];
	int fd, n = 0;

	unsetenv("NOTIFY_SOCKET");
	ok(!notify_wanted(), "without NOTIFY_SOCKET nobody listens");
	is_int(notify_send("READY=1"), 0, "  and nothing is wrong");
	is_int(watchdog("30000000", NULL), 0, "  and nobody watches");
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(name, sizeof(name), "@windlass-notify-test-%d", (int)getpid());
	speaks(path);
	speaks(name);
	unlink(path);
	for (size_t i = 0; i < NELEM(bad); i++) {
		setenv("NOTIFY_SOCKET", bad[i].socket, 1);
		is_int(notify_send("READY=1"), -1, "%s is refused", bad[i].name);
	}
	/* A listener that does not read must not hold us up. */
	fd = listen_at(path);
	setenv("NOTIFY_SOCKET", path, 1);
	memset(fill, 'x', sizeof(fill));
	while (n < 100000 && notify_send("STATUS=%.*s", (int)sizeof(fill), fill) == 0)
		n++;
	ok(n < 100000, "a full queue is no wait: the word is dropped after %d", n);
	close(fd);
	unlink(path);
	rmdir(dir);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	is_int(watchdog("30000000", pid), INT64_C(15000000000), "watched: twice in its time");
	is_int(watchdog("30000000", NULL), INT64_C(15000000000), "  also when no process is named");
	is_int(watchdog("30000000", "1"), 0, "  not when another one is meant");
	is_int(watchdog(NULL, pid), 0, "  not without a time");
	is_int(watchdog("soon", pid), 0, "  not for nonsense");
	is_int(watchdog("-5", pid), 0, "  not for the past");
	return done_testing();
}
