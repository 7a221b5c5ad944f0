/*
 * A cloud's API by script: each exchange says what request it expects and
 * what it answers. It runs in a process of its own and notes in shared memory
 * what came, when, and what was not as expected.
 */
#ifndef CLOUD_FAKE_H
#define CLOUD_FAKE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/mono.h"
#include "wire/http1.h"

#define FAKE_CALLS	32
#define FAKE_BODY	4096

enum fake_wire { ANSWER, LOSE, CUT };	/* LOSE: read it, close without a word; CUT: half of the answer */

struct fake_call {
	const char	*request;	/* "GET /v2/regions" whole; NULL ends the script */
	int		 status;
	const char	*body;
	const char	*headers;	/* further lines with CRLF; %RESET+n% is the time n seconds from now */
	enum fake_wire	 wire;
};

struct fake_log {
	int	n;			/* calls that came */
	mono_t	at[FAKE_CALLS];
	char	body[FAKE_CALLS][FAKE_BODY];
	char	wrong[512];		/* the first thing that was not as expected */
};

struct fake_cloud {
	struct fake_log	*log;
	pid_t		 pid;
	uint16_t	 port;
	char		 url[64];
};

static inline void
fake_wrong(struct fake_log *log, const char *fmt, ...)
{
	va_list ap;

	if (log->wrong[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(log->wrong, sizeof(log->wrong), fmt, ap);
	va_end(ap);
}

/* Reads one request; false at the end of the connection. */
static inline bool
fake_request(int fd, struct buf *in, struct str *method, struct str *target, struct str *body, size_t *whole)
{
	static struct http_head h;
	struct err e;
	size_t used;
	int64_t length = 0;

	for (;;) {
		int got = http1_request(buf_str(in), &h, method, target, &used, &e);
		char *room;
		ssize_t n;

		if (got < 0)
			return false;
		if (got == 1) {
			(void)str_to_i64(http1_field(&h, "content-length"), &length);
			if (in->n >= used + (size_t)length) {
				*body = str_sub(buf_str(in), used, (size_t)length);
				*whole = used + (size_t)length;
				return true;
			}
		}
		room = buf_room(in, 4096);
		n = read(fd, room, 4096);
		if (n <= 0)
			return false;
		buf_grown(in, (size_t)n);
	}
}

static inline void
fake_answer(int fd, const struct fake_call *c)
{
	struct buf out = { 0 };
	const char *body = c->body != NULL ? c->body : "", *headers = c->headers != NULL ? c->headers : "";
	const char *reset = strstr(headers, "%RESET+");
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_fmt(&out, "HTTP/1.1 %d X\r\nDate: %s\r\nContent-Type: application/json\r\n", c->status, date);
	if (c->status != 204)
		buf_fmt(&out, "Content-Length: %zu\r\n", strlen(body));
	if (reset != NULL)
		buf_fmt(&out, "%.*s%ld%s", (int)(reset - headers), headers, (long)now + strtol(reset + 7, NULL, 10),
		    strchr(reset + 7, '%') + 1);
	else
		buf_puts(&out, headers);
	buf_fmt(&out, "\r\n%s", body);
	(void)!write(fd, out.p, c->wire == CUT ? out.n / 2 : out.n);
	buf_free(&out);
}

static inline void
fake_serve(int listener, struct fake_log *log, const struct fake_call *calls)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		struct buf in = { 0 };
		struct str method, target, body;
		size_t whole;

		while (fd >= 0 && fake_request(fd, &in, &method, &target, &body, &whole)) {
			const struct fake_call *c = &calls[log->n];
			char line[512];

			snprintf(line, sizeof(line), "%.*s %.*s", STR_ARG(method), STR_ARG(target));
			if (log->n == FAKE_CALLS || c->request == NULL) {
				fake_wrong(log, "one call too many: %s", line);
				break;
			}
			if (strcmp(line, c->request) != 0)
				fake_wrong(log, "call %d is %s, not %s", log->n, line, c->request);
			log->at[log->n] = mono_now();
			snprintf(log->body[log->n], FAKE_BODY, "%.*s", STR_ARG(body));
			log->n++;
			if (c->wire != LOSE)
				fake_answer(fd, c);
			buf_drop(&in, whole);
			if (c->wire != ANSWER)
				break;
		}
		if (fd >= 0)
			close(fd);
		buf_free(&in);
	}
}

static inline struct fake_cloud
fake_start(const struct fake_call *calls)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct fake_cloud f = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	f.log = mmap(NULL, sizeof(*f.log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || f.log == MAP_FAILED || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		abort();
	f.port = ntohs(sin.sin_port);
	snprintf(f.url, sizeof(f.url), "http://127.0.0.1:%d", f.port);
	f.pid = fork();
	if (f.pid == 0) {
		fake_serve(fd, f.log, calls);
		_exit(0);
	}
	close(fd);
	return f;
}

static inline void
fake_stop(struct fake_cloud *f)
{
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	munmap(f->log, sizeof(*f->log));
}

#endif
