/*
 * HTTP/1.1 client over TCP or TLS with one kept connection per client
 * object. Answers are bounded; bodies may be streamed out of memory.
 * Redirects and retries are the caller's protocol, not ours. Never logs or puts into errors any header value or query.
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
	int64_t				 max_age_ns;	/* a kept connection older than this is not reused; 0 no limit */
	int64_t				 dial_ns;	/* limits of one step inside the deadline: dial (default 30 s) */
	int64_t				 handshake_ns;	/* TLS handshake (default 10 s) */
};

struct http_req {
	const char	*method;
	struct str	 target;	/* origin form: "/api/v4/jobs/request?x=1" */
	struct str	 head;		/* further header lines, each with CRLF; Host, Content-Length and Connection are ours */
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

/* base is "scheme://host[:port]" with any path ignored; strings are copied. NULL on error. */
struct http	*http_new(struct str base_url, const struct http_opts *o, struct err *e);
void		 http_free(struct http *h);		/* closes */
void		 http_drop(struct http *h);		/* closes the kept connection */

/*
 * One exchange with the whole answer in memory. 0 whatever the status is; -1 when no complete answer came. A request
 * on a kept connection that failed before any byte of the answer is repeated once on a fresh one,
 * if its method is GET, HEAD, PUT, DELETE or r->read == NULL and the connection was closed by the peer before we wrote.
 * r->body.max defaults to 16 MiB.
 */
int	http_do(struct http *h, const struct http_req *q, struct http_resp *r, mono_t deadline, struct err *e);
void	http_resp_free(struct http_resp *r);

/*
 * The same with the body streamed: after http_begin() the head is in *r; http_more() gives the next
 * piece (a view valid until the next call), 1; 0 at the end; -1 on error. http_end() drains or drops.
 * In between the connection is busy.
 */
int	http_begin(struct http *h, const struct http_req *q, struct http_resp *r, mono_t deadline, struct err *e);
int	http_more(struct http *h, struct str *piece, mono_t deadline, struct err *e);
void	http_end(struct http *h);
/* The socket, for a caller that polls; and whether bytes wait already decoded. -1 when not connected. */
int	http_fd(const struct http *h);
bool	http_pending(const struct http *h);
struct tls *http_tls(struct http *h);	/* NULL for plain http or when not connected */

#endif
