/*
 * One error of one operation: what kind it is (for code that decides) and a
 * sentence (for people). Who makes the error writes the fact; who passes it
 * on puts its own noun in front with err_ctx(), so the finished line reads
 * outside-in: "machine runner-7: docker: connect 10.0.0.1:2376: refused".
 *
 * Success leaves *e untouched. Never put a secret into a message.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include "core/core.h"

enum err_kind {
	ERR_NONE = 0,
	ERR_SYS,		/* a system call said no; e.sys is its errno */
	ERR_NET,		/* could not reach or lost the peer: worth a retry */
	ERR_TLS,		/* the peer's identity or record layer is wrong */
	ERR_TIMEOUT,		/* the deadline passed */
	ERR_PROTO,		/* the peer broke its protocol or a limit of ours */
	ERR_PARSE,		/* foreign bytes are not what they claim to be */
	ERR_AUTH,		/* credentials refused, by whomever: retrying does not help */
	ERR_NOTFOUND,		/* the thing does not exist (any more) */
	ERR_CONFLICT,		/* it exists already, or is busy */
	ERR_QUOTA,		/* a limit of the account or server: later, not now */
	ERR_CAPACITY,		/* a cloud has none of this size, here, at present: another may be had */
	ERR_REFUSED,		/* the request itself is wrong: never retry as is */
	ERR_SERVER,		/* the server failed (5xx): worth a retry */
	ERR_CANCELLED,		/* someone told us to stop */
	ERR_CONFIG,		/* the operator's or the job's setting is wrong */
	ERR_FULL,		/* no space left: disk, buffer limit */
	ERR_TOKEN,		/* GitLab's own word that a runner's or job's token is dead: set by gitlab/api.c alone */
};

struct err {
	enum err_kind	kind;
	int		sys;		/* errno, HTTP status or TLS code; 0 if none */
	char		msg[512];
};

/* Sets *e (which may be NULL) and returns -1, so that callers can `return err_set(...)`. */
int	err_set(struct err *e, enum err_kind kind, int sys, const char *fmt, ...)
	    PRINTFLIKE(4, 5);

/* err_set() for a failed system call: appends ": " and the text of errno. Always returns -1. */
int	err_sys(struct err *e, const char *fmt, ...) PRINTFLIKE(2, 3);

/* Puts "context: " in front of the message; cuts the tail when it gets too long. Returns -1. */
int	err_ctx(struct err *e, const char *fmt, ...) PRINTFLIKE(2, 3);

/* The kind as a lower-case word for logs and tests ("timeout", "not-found", ...). */
const char *err_kind_name(enum err_kind kind);

/* True for kinds where the same call may succeed a little later. */
bool	err_retryable(const struct err *e);

#endif
