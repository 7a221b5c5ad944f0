/* manager/model: what a child says is heard, its last words are kept, and one that says what it may not is ended. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

#include "manager/parts.h"
#include "tap.h"

static struct manager m;
static struct child child;

static void
nothing(struct manager *mg, struct watch *w)
{
	(void)mg;
	(void)w;
}

/* A process that says these and waits for the end of the conversation, or for ours. */
static void
begin(enum chan_from peer, const char *const lines[])
{
	struct err e = { 0 };
	int pair[2];
	pid_t pid;

	child = (struct child){ .exit = { .fd = -1 }, .control = { .fd = -1 } };
	if (chan_pair(pair, &e) < 0)
		exit(1);
	for (size_t i = 0; lines[i] != NULL; i++)
		(void)!send(pair[1], lines[i], strlen(lines[i]), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(30);
		close(pair[0]);
		(void)!read(pair[1], pair, 1);
		/* Longer than a kill takes, so that its status is told apart. */
		usleep(500000);
		_exit(7);
	}
	close(pair[1]);
	child_watch(&m, &child, (struct child_process){ pid, (int)syscall(SYS_pidfd_open, pid, 0), false }, nothing, NULL);
	watch_add(&m, &child.control, pair[0], nothing, NULL);
	child.talk = (struct chan_talk){ CHAN_MANAGER, peer, 0 };
}

int
main(void)
{
	struct chan_msg msg;
	struct err e = { 0 };

	log_setup(LOG_FATAL, LOG_TEXT);
	m.epoll = epoll_create1(EPOLL_CLOEXEC);

	begin(CHAN_POLLER, (const char *[]){ "kept 7", "job 8", "job 9", NULL });
	ok(chan_send(child.control.fd, &child.talk, CHAN_ASK, &e, "%s", "") == 0, "a poller is asked");
	ok(child_hear(&m, &child, &msg) == 1 && msg.verb == CHAN_KEPT, "  what was kept is no answer");
	ok(child_hear(&m, &child, &msg) == 1 && msg.verb == CHAN_JOB && str_eqc(msg.arg[0], "8"), "  the answer is heard");
	is_int(child_hear(&m, &child, &msg), 0, "  a second one to the same ask is not");
	is_int(child.control.fd, -1, "  nor is anything after it");
	is_int(child_hear(&m, &child, &msg), 0, "  however often it is tried");
	ok(strstr(child.error, "job 9") != NULL, "  why is kept: %s", child.error);
	is_int(child_bury(&m, &child), 128 + SIGKILL, "  and it is ended");

	begin(CHAN_POLLER, (const char *[]){ "job 8", NULL });
	is_int(child_hear(&m, &child, &msg), 0, "a job that nobody asked for");
	is_int(child_bury(&m, &child), 128 + SIGKILL, "  ends its poller");

	begin(CHAN_CHECKER, (const char *[]){ "phase m-1 ready", NULL });
	is_int(child_hear(&m, &child, &msg), 0, "a round that speaks as an operator");
	is_int(child_bury(&m, &child), 128 + SIGKILL, "  is ended");

	begin(CHAN_OPERATOR, (const char *[]){ "phase m-1 planned", "error net no answer from there", NULL });
	ok(child_hear(&m, &child, &msg) == 1 && msg.verb == CHAN_PHASE, "an operator's phase is heard");
	is_int(child_hear(&m, &child, &msg), 0, "  its last words are not news");
	is_str(child.error, "no answer from there", "  but kept");
	ok(child.control.fd >= 0, "  the conversation goes on");
	watch_drop(&m, &child.control);
	is_int(child_bury(&m, &child), 7, "  and it ends as it wants");
	close(m.epoll);
	return done_testing();
}
