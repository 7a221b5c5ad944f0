/*
 * HTTP/1.1 client over TCP or TLS with one kept connection per client
 * object. Answers are bounded; bodies may be streamed out of memory.
 * Redirects and retries are the caller's protocol, not ours; there is no
 * Accept-Encoding, no cookie, no Expect. Never logs or puts into errors any
 * header value or query: an error's message begins with the method, the
 * origin and the path ("GET https://h/api: connect h:443: refused").
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"
#include "net/tls.h"
#include "wire/http1.h"
#include "wire/url.h"

struct http;

struct http_opts {
	const struct tls_trust		*trust;		/* needed for https */
	const struct tls_identity	*identity;	/* or NULL */
	const char			*name;		/* name to verify instead of the URL's host, or NULL */
	bool				 use_proxy;	/* honour the environment's proxies */
	int				 keepalive_s;	/* TCP keep-alive */
	dur_t				 max_age_ns;	/* a kept connection older than this is not reused; 0 no limit */
	dur_t				 idle_ns;	/* nor one that was idle for longer; 0: 90 s */
	dur_t				 dial_ns;	/* limits of one step inside the deadline: dial (default 30 s) */
	dur_t				 handshake_ns;	/* TLS handshake (default 10 s) */
	dur_t				 head_ns;	/* from the last byte sent to the answer's head; 0 no limit */
	/*
	 * A body, either way, that moves fewer than slow_bytes in slow_ns is given up (ERR_TIMEOUT), long before a
	 * generous deadline. slow_ns 0: off. slow_bytes 0: one byte is enough. Sending counts in pieces of 4 KB.
	 */
	dur_t				 slow_ns;
	uint64_t			 slow_bytes;
	/*
	 * Once the first byte of an answer has come nothing but deadlines ends a wait: net_control() is
	 * switched off, and the caller switches it on again. For questions whose answer must not be lost.
	 */
	bool				 keep_begun;
};

struct http_req {
	const char	*method;
	struct str	 target;	/* origin form: "/api/v4/jobs/request?x=1" */
	/*
	 * Further header lines, each with CRLF; Host and Content-Length are ours. We send no Connection line, so
	 * that the caller may (to upgrade, see http_begin()).
	 */
	struct str	 head;
	struct str	 body;		/* p == NULL: none (no Content-Length is sent for GET/HEAD/DELETE then) */
	/* when set, called again and again instead of body, for exactly body_len bytes: fills p, returns the count or -1 */
	ssize_t		(*read)(void *ctx, void *p, size_t n, struct err *e);
	void		*ctx;
	uint64_t	 body_len;
};

struct http_resp {
	struct http_head head;		/* views into head_buf */
	struct buf	 head_buf;
	struct buf	 body;		/* set .max before; a longer body is ERR_PROTO */
	bool		 sent;		/* at least one byte of the request may have reached the peer */
	bool		 reused;	/* it went over a kept connection */
};

/*
 * base is "scheme://host[:port]" with any path ignored; strings are copied,
 * trust and identity must outlive the client. Does not connect. NULL on error (ERR_CONFIG).
 */
struct http	*http_new(struct str base_url, const struct http_opts *o, struct err *e);
void		 http_free(struct http *h);		/* closes; NULL allowed */
void		 http_drop(struct http *h);		/* closes the kept connection */

/*
 * One exchange with the whole answer in memory. 0 whatever the status is; -1
 * when no complete answer came. *r is zeroed by the caller before its first
 * use and may be used again; http_resp_free() at the end, also after -1.
 *
 * A kept connection that the peer has closed is noticed before we write and
 * replaced. A request that then fails on a kept connection before any byte
 * of the answer is repeated once on a fresh one if its method is GET, HEAD,
 * PUT or DELETE and its body is in memory; others may have been carried
 * out, so the caller decides (r->sent, r->reused).
 *
 * A server may answer before it has taken the whole body (401, 413): that
 * answer is read, and the connection closed afterwards.
 *
 * ERR_REFUSED: the method, target or head of the request is malformed (a
 * CR or LF in data, for example). r->body.max defaults to 16 MiB.
 */
int	http_do(struct http *h, const struct http_req *q, struct http_resp *r, mono_t deadline, struct err *e);
void	http_resp_free(struct http_resp *r);

/*
 * The same with the body streamed: after http_begin() the head is in *r;
 * http_more() gives the next piece (a view valid until the next call), 1; 0
 * at the end; -1 on error, and also when the body was cut short. After ERR_TIMEOUT and
 * ERR_CANCELLED the stream is as it was: http_more() may be called again. http_end(),
 * after any of these, keeps the connection if the body was read to its end.
 * In between the connection is busy.
 *
 * After status 101 (or a 200 without a length, as Docker gives) the pieces
 * are the raw stream until the peer ends it, and http_write() sends into it.
 */
int	http_begin(struct http *h, const struct http_req *q, struct http_resp *r, mono_t deadline, struct err *e);
int	http_more(struct http *h, struct str *piece, mono_t deadline, struct err *e);
int	http_write(struct http *h, struct str data, mono_t deadline, struct err *e);
/*
 * Like http_write(), but leaves the rest as soon as there is something to read, since a peer that
 * is not read may take no more. The bytes taken, or -1.
 */
ssize_t	http_write_until_answer(struct http *h, struct str data, mono_t deadline, struct err *e);
/* Nothing more will be sent into the raw stream; it is read as before. Over TLS only. 0 or -1. */
int	http_end_writing(struct http *h, mono_t deadline, struct err *e);
void	http_end(struct http *h);
/* The socket, for a caller that polls; and whether bytes wait already decoded. -1 when not connected. */
int	http_fd(const struct http *h);
bool	http_pending(const struct http *h);
struct tls *http_tls(struct http *h);	/* NULL for plain http or when not connected */

#endif
