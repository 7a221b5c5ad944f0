/* A word to the service manager that started us: see notify.h. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/mono.h"
#include "core/notify.h"
#include "core/str.h"

#define WORD_MAX	1024

/* Its length counts: a name without a path may hold NULs, and ends where it says. */
static int
address(const char *name, struct sockaddr_un *a, socklen_t *len)
{
	size_t n = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(a->sun_path)) {
		errno = EINVAL;
		return -1;
	}
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, name, n);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (name[0] == '@')
		a->sun_path[0] = '\0';
	else
		++*len;
	return 0;
}

bool
notify_wanted(void)
{
	const char *name = getenv("NOTIFY_SOCKET");

	return name != NULL && name[0] != '\0';
}

int
notify_send(const char *fmt, ...)
{
	char text[WORD_MAX];
	struct sockaddr_un a;
	socklen_t len;
	va_list ap;
	ssize_t sent;
	int fd, n, why;

	if (!notify_wanted())
		return 0;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || address(getenv("NOTIFY_SOCKET"), &a, &len) < 0)
		return -1;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	sent = sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&a, len);
	why = errno;
	close(fd);
	errno = why;
	return sent == n ? 0 : -1;
}

int
notify_reloading(void)
{
	return notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRId64, mono_now().ns / 1000);
}

dur_t
notify_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	int64_t n, whose;

	if (!notify_wanted() || usec == NULL || str_to_i64(str_from(usec), &n) < 0 || n <= 0 || n > INT64_MAX / 1000)
		return 0;
	if (pid != NULL && (str_to_i64(str_from(pid), &whose) < 0 || whose != getpid()))
		return 0;
	return n * 1000 / 2;
}
