/*
 * What the manager and its pollers and operators say to each other: short
 * text messages over a SOCK_SEQPACKET pair. All of it is in one table
 * (chan.c, docs/processes.md), which also knows when a thing may be said. A message that is not in
 * the table, comes from the wrong side, is too long or out of its turn ends the conversation.
 *
 * Both ends are the same binary: a conversation ends with its manager, and no other one takes it
 * over, so no version has to understand another one's messages.
 *
 *	"ask"					manager -> poller	ask GitLab for one job; not before the last ask was answered
 *	"stop"					manager -> poller	no more, once: end when no answer is under way
 *	"kept ID"				poller -> manager	jobs/ID is on disk: of an answer that a dead poller had in its hands,
 *						before the first ask is answered
 *	"job ID"				poller -> manager	the ask's answer: jobs/ID is on disk
 *	"answer KIND STATUS UNIX_MS TEXT"	poller -> manager	the ask's answer, without a job: see enum pace_answer;
 *						UNIX_MS = not before, 0 = nothing said
 *	"phase NAME PHASE"			operator -> manager	the machine's record has reached PHASE
 *	"gone NAME"				operator -> manager	the machine's record is gone, once; no phase after it
 *	"wait UNIX_MS"				any operator -> manager	the cloud wants no calls from this account before that
 *	"error KIND TEXT"			any operator -> manager	why it is about to end: its last words
 *	"health NAME VERDICT TEXT"		checker -> manager	a machine's engine: ok, failed, or blind (it could not be told);
 *						tried out: fit, or unfit to run anything
 *	"missing NAME"				reconciler -> manager	the store has it ready, the cloud's list does not
 *	"stray VERDICT ID TEXT"			reconciler -> manager	ours, in the cloud, unknown to the store: removed, failed, foreign
 *						(our runner's name, another owner's mark), or
 *						young: may be too new to tell, look again in TEXT seconds
 */
#ifndef CORE_CHAN_H
#define CORE_CHAN_H

#include "core/err.h"
#include "core/str.h"

#define CHAN_MAX	512

/* An operator of one machine, and those of the three rounds, each for what it has to say. */
enum chan_from { CHAN_MANAGER, CHAN_POLLER, CHAN_OPERATOR, CHAN_RECONCILER, CHAN_CHECKER, CHAN_WATCHER };
enum chan_verb { CHAN_ASK, CHAN_STOP, CHAN_KEPT, CHAN_JOB, CHAN_ANSWER, CHAN_PHASE, CHAN_GONE, CHAN_WAIT, CHAN_ERROR,
	CHAN_HEALTH, CHAN_MISSING, CHAN_STRAY, CHAN_NVERBS };

/* A conversation as one of its sides keeps it: { me, peer } begins one. One of the two is the manager. */
struct chan_talk {
	enum chan_from	me, peer;
	unsigned	marks;		/* what was said that matters for what may be said: chan.c */
};

struct chan_msg {
	enum chan_verb	verb;
	char		text[CHAN_MAX];
	struct str	arg[4];		/* views into text; the last one takes the rest */
	size_t		narg;
};

/* A connected pair, close-on-exec and non-blocking on side [0]. 0 or -1. */
int	chan_pair(int fd[2], struct err *e);
/*
 * Sends a message; arguments are joined with blanks, control characters become '?', the end is cut.
 * 0 or -1. To say what is not ours to say, or not now, is a bug.
 */
int	chan_send(int fd, struct chan_talk *t, enum chan_verb verb, struct err *e, const char *fmt, ...) PRINTFLIKE(5, 6);
/*
 * 1 a message, 0 none now (non-blocking), -1 the peer is gone, or broke the table (ERR_PROTO):
 * nothing it says after that counts. STATUS and UNIX_MS are numbers that are not negative.
 */
int	chan_recv(int fd, struct chan_talk *t, struct chan_msg *m, struct err *e);

#endif
