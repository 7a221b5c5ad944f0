/*
 * A machine's Docker Engine over TLS with client certificates: the calls of
 * spec job-execution 1.4, one blocking call each. The API version is
 * negotiated (1.40 to 1.52). Errors are typed by what a caller decides on:
 *
 *	ERR_REFUSED	400: the request is wrong (the job's or the configuration's fault)
 *	ERR_NOTFOUND	404
 *	ERR_CONFLICT	409
 *	ERR_SERVER	5xx
 *	ERR_NET, ERR_TIMEOUT	the engine cannot be reached or did not answer
 *	ERR_TLS		it is not the engine of that machine
 *
 * e->msg holds the engine's own sentence, cut and without control characters.
 */
#ifndef DOCKER_ENGINE_H
#define DOCKER_ENGINE_H

#include "core/arena.h"
#include "net/http.h"
#include "wire/dockermux.h"
#include "wire/json.h"

#define ENGINE_API_MIN	40		/* 1.40: Docker 19.03 */
#define ENGINE_API_MAX	52		/* 1.52: Docker 29 */

struct engine;

/* Where an engine listens with TLS (Docker's convention; dockerd(8)). */
#define ENGINE_PORT	2376

struct engine_opts {
	struct str	 host;		/* address */
	uint16_t	 port;		/* ENGINE_PORT */
	const char	*name;		/* machine's name: the DNS name in its certificate */
	struct str	 ca_pem, cert_pem, key_pem;
	struct str	 server_pem;	/* the machine's own certificate: its key is accepted when the name is not in it (made by the original); p == NULL: never */
};

/* Whether the way to the engine broke, or something on it answered in its place: a little later the same call may succeed. */
bool		 engine_lost(const struct err *e);

/* Reads the credentials; does not connect. NULL on error. */
struct engine	*engine_new(const struct engine_opts *o, struct err *e);
/* A second connection to the same engine with the credentials of the first, which must outlive it. NULL on error. */
struct engine	*engine_twin(const struct engine *first, struct err *e);
void		 engine_free(struct engine *g);

/* GET /_ping and the version negotiation. Must succeed once before other calls. */
int	engine_hello(struct engine *g, mono_t deadline, struct err *e);
/* The first contact: engine_hello() up to three times, a second apart, while it may yet answer. */
int	engine_greet(struct engine *g, struct err *e);
/* Closes the idle connection and gives its memory back; the next call opens a new one. */
void	engine_rest(struct engine *g);
int	engine_api(const struct engine *g);	/* minor version in use: 41 */

struct engine_req {
	const char	*method;
	const char	*path;		/* from "/" on, no version: "/containers/create?name=x" */
	struct str	 body;		/* JSON text, a tar; p == NULL: none */
};
/*
 * One call. 0 for a status below 400 (304 counts as success); *answer, in the arena, is the JSON of
 * the body; a body that is none is ERR_PROTO. answer and a may be NULL when it does not matter.
 */
int	engine_call(struct engine *g, const struct engine_req *q, struct arena *a,
	    struct json_val *answer, mono_t deadline, struct err *e);
int	engine_get(struct engine *g, const char *path, struct arena *a, struct json_val *answer,
	    mono_t deadline, struct err *e);
int	engine_delete(struct engine *g, const char *path, mono_t deadline, struct err *e);

struct engine_image {
	struct str	 name, tag, platform;	/* the last two may be empty */
	struct str	 auth;			/* the X-Registry-Auth value, or empty */
	/* Sees each message on the way; NULL allowed. */
	void		(*tick)(void *ctx, struct json_val message);
	void		*ctx;
};
/*
 * POST /images/create: pulls to the end of the stream. An error inside it is ERR_SERVER with the
 * registry's sentence.
 */
int	engine_pull(struct engine *g, const struct engine_image *image, mono_t deadline,
	    struct err *e);

/* PUT /containers/ID/archive?path=/ with a tar. */
int	engine_put_archive(struct engine *g, const char *container, const char *path, struct str tar, mono_t deadline, struct err *e);

/*
 * What a container says: live, by attach, or from its log. One stream at a time per engine object,
 * and no other call in between: use a second object for those.
 */
struct stream_piece {
	int		 stream;	/* DOCKERMUX_STDOUT or _STDERR */
	wall_t		 at;		/* the engine's time of this entry; of an attach when it came */
	struct str	 bytes;		/* valid until the next call */
	bool		 last;		/* the entry ends with this piece */
};
/*
 * Attaches to a container that has no terminal: its stdin, and what it prints from now on. Attach
 * before the start. An attached reader must read: one that does not stops the container.
 */
int	engine_attach(struct engine *g, const char *container, mono_t deadline, struct err *e);
/*
 * Sends to the container's stdin; stops early when something waits to be read. The bytes taken, or
 * -1: the stream is of no further use.
 */
ssize_t	engine_stream_send(struct engine *g, struct str data, mono_t deadline, struct err *e);
/* The end of the container's stdin; reading goes on. 0 or -1. */
int	engine_stream_end_stdin(struct engine *g, mono_t deadline, struct err *e);
/*
 * The container's log from its beginning, with timestamps; follow: until the container stops, or,
 * where a reader is behind, somewhat earlier. Bytes are those that the container wrote, when its log
 * driver is `local`.
 */
int	engine_logs_begin(struct engine *g, const char *container, bool follow, mono_t deadline, struct err *e);
/*
 * 1 a piece, 0 the end, -1 error (ERR_CANCELLED by net_control()); after ERR_TIMEOUT and
 * ERR_CANCELLED it may be called again.
 */
int	engine_stream_next(struct engine *g, struct stream_piece *p, mono_t deadline, struct err *e);
/* Closes it; nothing when none is open. */
void	engine_stream_end(struct engine *g);
/* Whether it is open and one by attach. NULL allowed. */
bool	engine_stream_live(const struct engine *g);

/* Appends one file or directory to a tar in memory (ustar; names up to 255 bytes). End with engine_tar_end(). */
void	engine_tar_file(struct buf *tar, const char *name, struct str content, unsigned mode);
void	engine_tar_dir(struct buf *tar, const char *name, unsigned mode);
/* Extended header records (pax) for the entry that follows. */
void	engine_tar_pax(struct buf *tar, struct str records);
void	engine_tar_end(struct buf *tar);

#endif
