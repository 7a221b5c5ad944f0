/*
 * A small HTTP server for pages that are made at once: metrics and the like.
 * One process, one thread; requests without a body; a connection serves one request and is closed.
 *
 * It is meant to stand in front of anybody. A client can cost no more than
 * one of SERVE_CONNECTIONS places for a few seconds: who is slow to ask or
 * slow to take is cut off at a deadline, and when all places are taken, the
 * longest there makes room for the newest. Heads are limited to SERVE_HEAD_MAX,
 * and what is sent is shared, not copied, so that many slow readers of a large page hold it once.
 */
#ifndef NET_SERVE_H
#define NET_SERVE_H

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"

#define SERVE_CONNECTIONS	64
#define SERVE_HEAD_MAX		(8u << 10)
#define SERVE_ASK_WITHIN	(5 * NSEC_SEC)
#define SERVE_TAKE_WITHIN	(20 * NSEC_SEC)

/* Text that several answers may share. */
struct serve_text {
	unsigned	 refs;
	struct buf	 b;
};
struct serve_text *serve_text_new(void);			/* one reference, the caller's */
struct serve_text *serve_text_ref(struct serve_text *t);
void		 serve_text_unref(struct serve_text *t);	/* NULL allowed */

struct serve_answer {
	int		 status;
	const char	*type;		/* Content-Type */
	const char	*fields;	/* more header lines, each with CRLF; NULL: none */
	struct serve_text *body;	/* a reference that goes to the server; NULL: empty */
};
/* path without the query; method GET or HEAD for now-known pages, others as they come. */
typedef void serve_fn(void *ctx, struct str method, struct str path, struct serve_answer *a);

/*
 * "host:port", "host", ":port", "[::1]:9252"; without a host all addresses. A listening socket, or -1:
 * ERR_CONFIG for an address that is none, ERR_CONFLICT when it is taken, ERR_SYS.
 */
int	serve_listen(const char *address, int default_port, struct err *e);
/* Serves until something that cannot be mended happens: -1 with *e. `stop` is a descriptor that ends it when it becomes readable (0); -1: none. */
int	serve_run(int fd, int stop, serve_fn *fn, void *ctx, struct err *e);

/* The address in two parts: 0 or -1. host may be empty. */
int	serve_parse_address(struct str address, int default_port, char host[256], char port[8], struct err *e);

/*
 * One request's bytes so far: 1 with method and path, 0 when more must come, -1 when no such
 * request will be answered (*status says how to refuse it).
 */
int	serve_parse(struct str in, struct str *method, struct str *path, int *status);

#endif
