/*
 * HTTP/1.1 messages as bytes (RFC 9112): the head of an answer or request,
 * and a body by length, chunks or end of connection. No sockets here. Bytes
 * may arrive split anywhere; what comes out does not depend on where. Nothing
 * is allocated or copied; all strings are views.
 *
 * Errors are ERR_PROTO and quote nothing the peer sent: there may be secrets in it.
 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include "core/buf.h"
#include "core/err.h"

#define HTTP_HEAD_MAX	(64u << 10)	/* status line and fields together, with the blank line */
#define HTTP_FIELDS_MAX	128
#define HTTP_CHUNK_LINE_MAX	4096	/* a chunk's size with its extensions */
#define HTTP_TRAILER_MAX	(64u << 10)	/* all fields behind the last chunk */

struct http_field { struct str name, value; };	/* value without blanks at its ends */

struct http_head {
	int			status;		/* 0 in a request */
	int			minor;		/* HTTP/1.minor */
	struct http_field	field[HTTP_FIELDS_MAX];
	size_t			nfield;
};

/*
 * Looks for a complete answer head at the start of in. 1: *h filled with
 * views into in, *used = its length with the blank line; 0: more input needed
 * (in.n < HTTP_HEAD_MAX); -1: not HTTP/1.x, or too large. Bare LF line ends
 * are accepted; folded lines, control characters (a tab in a value is none)
 * and blanks before the colon are refused.
 *
 * When more has come, call it again with all bytes so far. A peer that does
 * not speak HTTP is found out at its first wrong byte, not when its head is
 * complete. Interim answers (1xx) are heads like others: drop *used bytes and
 * look for the next. What follows the head of a 101, or of a 2xx to a CONNECT,
 * is no HTTP any more.
 */
int	http1_head(struct str in, struct http_head *h, size_t *used, struct err *e);
/*
 * The same for a request's head, for our own small server: method and
 * target are views. Blank lines in front are passed over.
 */
int	http1_request(struct str in, struct http_head *h, struct str *method,
	    struct str *target, size_t *used, struct err *e);
/* The first field of that name (ASCII case ignored); p == NULL if none. */
struct str http1_field(const struct http_head *h, const char *name);
/* Whether a field of that name has token among its comma-separated members, in any case ("Connection", "close"). */
bool	http1_has_token(const struct http_head *h, const char *name, const char *token);
/* Whether the peer lets the connection be used again once the body is done (RFC 9112 9.3). */
bool	http1_keeps_alive(const struct http_head *h);

enum http1_framing { HTTP1_NONE, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

struct http1_body {
	enum http1_framing	framing;
	uint64_t		left;		/* of the length, or of the current chunk */
	uint8_t			state;		/* of the chunk reader */
	bool			done;
	size_t			line;		/* bytes seen of the current chunk line or of the trailer */
};

/*
 * Decides the framing from the request's method and the answer's head (RFC
 * 9112 6.3). Conflicting or malformed lengths, lengths besides chunks, and
 * Transfer-Encoding other than chunked (or in HTTP/1.0) are ERR_PROTO: where
 * such a body ends is a guess. A body that cannot have a byte is done at once.
 */
int	http1_body_init(struct http1_body *b, bool head_request,
	    const struct http_head *h, struct err *e);
/* The same for a request's body, which is empty when nothing is said about it. */
int	http1_request_body_init(struct http1_body *b, const struct http_head *h, struct err *e);
/*
 * Takes bytes from *in and gives the next piece of payload (a view into in,
 * never empty). 1 with a piece; 0 when more input is needed (*in is empty) or
 * the body is done (b->done; the rest of *in belongs to the next message); -1
 * malformed. Chunk lines must end in CRLF; extensions and trailer fields are
 * passed over.
 */
int	http1_body_next(struct http1_body *b, struct str *in, struct str *out, struct err *e);
/* The peer closed: success only for a body that is done or framed by the close, else ERR_NET. */
int	http1_body_eof(struct http1_body *b, struct err *e);

#endif
