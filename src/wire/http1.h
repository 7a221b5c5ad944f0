/*
 * HTTP/1.1 messages as bytes (RFC 9112): the head of an answer, and its body by length,
 * chunks or end of connection. No sockets here. Bytes may arrive split anywhere; what
 * comes out does not depend on where.
 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include "core/buf.h"
#include "core/err.h"

#define HTTP_HEAD_MAX	(64u << 10)	/* status line and fields together */
#define HTTP_FIELDS_MAX	128

struct http_field { struct str name, value; };

struct http_head {
	int			status;
	int			minor;		/* HTTP/1.minor */
	struct http_field	field[HTTP_FIELDS_MAX];
	size_t			nfield;
};

/*
 * Looks for a complete answer head at the start of in. 1: *h filled with views into in,
 * *used = its length with the blank line; 0: more input needed (in.n < HTTP_HEAD_MAX);
 * -1: not HTTP, or too large. Bare LF line ends are accepted; folded lines, NULs and blanks before the colon are refused.
 */
int	http1_head(struct str in, struct http_head *h, size_t *used, struct err *e);
/* The same for a request head: method and target are views. For our own small server. */
int	http1_request(struct str in, struct http_head *h, struct str *method, struct str *target, size_t *used, struct err *e);
/* The first field of that name (ASCII case ignored); p == NULL if none. */
struct str http1_field(const struct http_head *h, const char *name);

enum http1_framing { HTTP1_NONE, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

struct http1_body {
	enum http1_framing	framing;
	uint64_t		left;		/* of the length, or of the current chunk */
	uint8_t			state;		/* of the chunk reader */
	bool			done;
	size_t			line;		/* bytes seen of the current chunk or trailer line */
};

/*
 * Decides the framing from the request's method and the answer's head (RFC 9112 6.3). Conflicting
 * or malformed lengths, and Transfer-Encoding other than chunked, are ERR_PROTO.
 */
int	http1_body_init(struct http1_body *b, bool head_request, const struct http_head *h, struct err *e);
/*
 * Takes bytes from *in and gives the next piece of payload (a view into in). 1 with a piece,
 * 0 more input needed (or the body is done: b->done), -1 malformed.
 */
int	http1_body_next(struct http1_body *b, struct str *in, struct str *out, struct err *e);
/* The peer closed: success only for a body that is done or framed by the close. */
int	http1_body_eof(struct http1_body *b, struct err *e);

#endif
