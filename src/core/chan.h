/*
 * What the manager and its pollers and operators say to each other: short
 * text messages over a SOCK_SEQPACKET pair. All of it is in one table
 * (chan.c, docs/processes.md); a message that is not in the table, comes from the wrong side or
 * is too long ends the conversation.
 *
 *	"ask"					manager -> poller	ask GitLab for one job
 *	"stop"					manager -> poller	no more: end when no answer is under way
 *	"job ID"				poller -> manager	jobs/ID is on disk
 *	"answer KIND STATUS UNIX_MS TEXT"	poller -> manager	an ask ended without a job: see enum pace_answer;
 *						UNIX_MS = not before, 0 = nothing said
 *	"phase NAME PHASE"			operator -> manager	the machine's record has reached PHASE
 *	"wait UNIX_MS"				operator -> manager	the cloud wants no calls from this account before that
 *	"error KIND TEXT"			operator -> manager	why it is about to end
 *	"health NAME VERDICT TEXT"		operator -> manager	a machine's engine: ok, failed, or blind (it could not be told);
 *						tried out: fit, or unfit to run anything
 *	"missing NAME"				operator -> manager	the store has it ready, the cloud's list does not
 *	"stray VERDICT ID TEXT"			operator -> manager	ours, in the cloud, unknown to the store: removed, failed, foreign
 *						(our runner's name, another owner's mark), or
 *						young: may be too new to tell, look again in TEXT seconds
 */
#ifndef CORE_CHAN_H
#define CORE_CHAN_H

#include "core/err.h"
#include "core/str.h"

#define CHAN_MAX	512

enum chan_from { CHAN_MANAGER, CHAN_POLLER, CHAN_OPERATOR };
enum chan_verb { CHAN_ASK, CHAN_STOP, CHAN_JOB, CHAN_ANSWER, CHAN_PHASE, CHAN_WAIT, CHAN_ERROR, CHAN_HEALTH, CHAN_MISSING,
	CHAN_STRAY, CHAN_NVERBS };

struct chan_msg {
	enum chan_verb	verb;
	char		text[CHAN_MAX];
	struct str	arg[4];		/* views into text; the last one takes the rest */
	size_t		narg;
};

/* A connected pair, close-on-exec and non-blocking on side [0]. 0 or -1. */
int	chan_pair(int fd[2], struct err *e);
/* Sends a message; arguments are joined with blanks, control characters become '?', the end is cut. 0 or -1. */
int	chan_send(int fd, enum chan_from me, enum chan_verb verb, struct err *e, const char *fmt, ...) PRINTFLIKE(5, 6);
/* 1 a message, 0 none now (non-blocking), -1 the peer is gone or broke the table (ERR_PROTO). */
int	chan_recv(int fd, enum chan_from peer, struct chan_msg *m, struct err *e);

#endif
