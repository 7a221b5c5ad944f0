/*
 * A puller: makes images present on one engine, by its executor's orders (see puller.h).
 *
 * It may: talk to one machine's Docker Engine with that machine's client key, ask the broker for
 * what that one runs. It must never: know more of the job than an order says, open a file, start a
 * program, connect anywhere else. It ends with its executor.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/exit.h"
#include "core/fs.h"
#include "core/identity.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/sandbox.h"
#include "job/puller.h"
#include "net/dial.h"

#define PEM_MAX		(64u << 10)
#define PLAN_MAX	(5 * PEM_MAX)
#define NAME_MAX_BYTES	512		/* an image's, a platform's, a host's */
#define TEXT_MAX	2048		/* of one word */
#define KEY_MAX		(IMAGE_HEADER_MAX + 4096)
#define ORDER_MAX	(160u << 10)	/* what a socket takes at once */
#define AGAIN_AFTER	(2 * NSEC_SEC)
#define FD_PLAN		3		/* the last of these only where there is a broker */
#define FD_ORDERS	4
#define FD_VOICE	5

/* ---- what is said ---- */

struct plan {
	struct str host, name, job, ca, cert, key, server;
	int64_t port, user, dns;
};
struct order {
	int64_t number, patience, deadline;
	struct str name, platform;
	struct record_list policies, keys;
};
struct word { int64_t number, what, failure, own; struct str text; };

static const struct record_field plan_fields[] = {
	{ 'h', RECORD_LINE, true, offsetof(struct plan, host), NAME_MAX_BYTES },
	{ 'p', RECORD_NUMBER, true, offsetof(struct plan, port), 65535 },
	{ 'n', RECORD_LINE, true, offsetof(struct plan, name), NAME_MAX_BYTES },
	{ 'a', RECORD_BYTES, true, offsetof(struct plan, ca), PEM_MAX },
	{ 'c', RECORD_BYTES, true, offsetof(struct plan, cert), PEM_MAX },
	{ 'k', RECORD_BYTES, true, offsetof(struct plan, key), PEM_MAX },
	{ 's', RECORD_BYTES, false, offsetof(struct plan, server), PEM_MAX },
	{ 'j', RECORD_LINE, true, offsetof(struct plan, job), NAME_MAX_BYTES },
	{ 'u', RECORD_NUMBER, false, offsetof(struct plan, user), UINT32_MAX },
	{ 'd', RECORD_NUMBER, false, offsetof(struct plan, dns), 1 },
};
static const struct record_field key_fields[] = {
	{ 'f', RECORD_LINE, true, offsetof(struct image_key, source), TEXT_MAX },
	{ 'h', RECORD_LINE, false, offsetof(struct image_key, helper), TEXT_MAX },
	{ 's', RECORD_BYTES, true, offsetof(struct image_key, server), TEXT_MAX },
	{ 'a', RECORD_LINE, false, offsetof(struct image_key, header), IMAGE_HEADER_MAX },
};
static const struct record_field order_fields[] = {
	{ 'n', RECORD_NUMBER, true, offsetof(struct order, number), 0 },
	{ 'i', RECORD_LINE, true, offsetof(struct order, name), NAME_MAX_BYTES },
	{ 'f', RECORD_LINE, false, offsetof(struct order, platform), NAME_MAX_BYTES },
	{ 'p', RECORD_LIST, true, offsetof(struct order, policies), 32 },
	{ 'k', RECORD_LIST, false, offsetof(struct order, keys), KEY_MAX },
	{ 'w', RECORD_NUMBER, false, offsetof(struct order, patience), 0 },
	{ 'd', RECORD_NUMBER, false, offsetof(struct order, deadline), 0 },
};
static const struct record_field word_fields[] = {
	{ 'n', RECORD_NUMBER, true, offsetof(struct word, number), 0 },
	{ 'w', RECORD_NUMBER, true, offsetof(struct word, what), PULLER_NWORDS - 1 },
	{ 't', RECORD_LINE, true, offsetof(struct word, text), TEXT_MAX },
	{ 'f', RECORD_NUMBER, false, offsetof(struct word, failure), FAILURE_UNKNOWN },
	{ 'o', RECORD_NUMBER, false, offsetof(struct word, own), 1 },
};

#define TYPE(kind, name, fields)	{ name, fields, NELEM(fields), kind }
static const struct record_type plan_type = TYPE('P', "a puller's plan", plan_fields);
static const struct record_type key_type = TYPE('K', "a key of an order", key_fields);
static const struct record_type order_type = TYPE('O', "a puller's order", order_fields);
static const struct record_type word_type = TYPE('W', "a puller's word", word_fields);

/* ---- the executor's side ---- */

int
puller_plan(const struct puller_plan *p, struct err *e)
{
	const struct engine_opts *o = &p->engine;
	const struct plan plan = { o->host, str_from(o->name), str_from(p->job), o->ca_pem,
	    o->cert_pem, o->key_pem, o->server_pem, o->port, p->user, p->dns };
	struct buf b = { .max = PLAN_MAX };
	int fd;

	record_put(&plan_type, &plan, &b);
	fd = !b.failed ? proc_memfd("plan", buf_str(&b), e) :
	    err_set(e, ERR_CONFIG, 0, "machine %s: a certificate or a name is too long", o->name);
	buf_wipe(&b);
	return fd;
}

int
puller_start(struct puller *p, const struct puller_plan *plan, struct broker *voice, struct err *e)
{
	static const char *const argv[] = { "windlass-puller", NULL };
	struct proc_fd fds[] = { { -1, FD_PLAN }, { -1, FD_ORDERS }, { voice->fd, FD_VOICE } };
	int pair[2], pidfd = -1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "socketpair");
	fds[0].fd = puller_plan(plan, e);
	fds[1].fd = pair[1];
	/* It may talk to this job's engine; names and credentials come with its orders. */
	if (fds[0].fd >= 0) {
		pidfd = proc_self(argv, fds, voice->fd > 0 ? 3 : 2, PROC_DIES_WITH_PARENT, &pid, e);
		close(fds[0].fd);
	}
	close(pair[1]);
	if (voice->fd > 0)
		close(voice->fd);
	voice->fd = 0;
	if (pidfd < 0) {
		close(pair[0]);
		return err_ctx(e, "puller");
	}
	close(pidfd);
	p->fd = pair[0];
	return 0;
}

int
puller_order(struct puller *p, const struct image_order *o, dur_t patience, mono_t deadline,
    struct err *e)
{
	struct order order = { ++p->number, patience, deadline.ns, o->name, o->platform,
	    o->policies, { .n = 0 } };
	struct buf b = { .max = ORDER_MAX }, keys[IMAGE_KEYS] = { { .max = KEY_MAX } };
	int rc;

	for (size_t i = 0; i < o->keys.n; i++) {
		keys[i].max = KEY_MAX;
		record_put(&key_type, &o->keys.v[i], &keys[i]);
		b.failed |= keys[i].failed;
		order.keys.v[order.keys.n++] = buf_str(&keys[i]);
	}
	record_put(&order_type, &order, &b);
	if (b.failed)
		rc = err_set(e, ERR_CONFIG, 0, "image \"%.*s\": its credentials are too long",
		    STR_ARG(o->name));
	else if (p->fd > 0 && send(p->fd, b.p, b.n, MSG_NOSIGNAL) >= 0)
		rc = 0;
	else
		rc = err_set(e, ERR_SYS, 0, "the puller is gone");
	for (size_t i = 0; i < o->keys.n; i++)
		buf_wipe(&keys[i]);
	buf_wipe(&b);
	p->state = rc == 0 ? PULLER_ON : PULLER_IDLE;
	return rc;
}

static int
gone(struct puller *p)
{
	if (p->state == PULLER_ON) {
		p->state = PULLER_FAILED;
		p->failure = FAILURE_SYSTEM;
		err_set(&p->error, ERR_SYS, 0, "the process that pulled the image died");
	}
	puller_end(p);
	return -1;
}

/* The order's end, as a word of it says. */
static void
note_end(struct puller *p, const struct word *w)
{
	if (w->what == PULLER_HAS)
		p->state = PULLER_DONE;
	if (w->what != PULLER_FAILS)
		return;
	p->state = PULLER_FAILED;
	p->failure = (enum failure)w->failure;
	/* This host's own trouble is not to be taken for the machine's. */
	err_set(&p->error, w->own != 0 ? ERR_SYS : ERR_SERVER, 0, "%.*s", STR_ARG(w->text));
}

int
puller_hear(struct puller *p, enum puller_word *word, struct str *text)
{
	struct word w;
	ssize_t n;

	do {
		n = p->fd > 0 ? recv(p->fd, p->packet, sizeof(p->packet), MSG_DONTWAIT) : 0;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0 || record_get(&word_type, str_of(p->packet, (size_t)n), &w, NULL) < 0)
			return gone(p);
	} while (w.number != p->number || p->state != PULLER_ON);
	note_end(p, &w);
	*word = (enum puller_word)w.what;
	*text = w.text;
	return 1;
}

void
puller_end(struct puller *p)
{
	if (p->fd > 0)
		close(p->fd);
	p->fd = 0;
}

/* ---- the puller's side ---- */

/* One puller. */
struct self {
	struct engine_opts opts;
	struct engine	*engine;	/* NULL: not connected */
	struct broker	 broker;
	struct arena	 arena;		/* of one order */
	int64_t		 number;	/* of that order */
};

static void
tell(const struct self *s, const struct word *what, struct str text)
{
	struct buf line = { .max = TEXT_MAX }, packet = { .max = TEXT_MAX + 256 };
	struct word w = *what;

	record_line(&line, text, TEXT_MAX);
	w.number = s->number;
	w.text = buf_str(&line);
	record_put(&word_type, &w, &packet);
	assert(!packet.failed);
	/* Whoever is gone meanwhile is missed at the next wait. */
	(void)send(FD_ORDERS, packet.p, packet.n, MSG_NOSIGNAL);
	buf_free(&line);
	buf_free(&packet);
}

static void
tell_line(void *ctx, enum image_line kind, const char *text)
{
	const struct word w = { .what = kind == IMAGE_WARNING ? PULLER_WARNS : PULLER_SAYS };

	tell(ctx, &w, str_from(text));
}

static void
forget_engine(struct self *s)
{
	engine_free(s->engine);
	s->engine = NULL;
}

static int
connect_engine(struct self *s, struct err *e)
{
	if (s->engine != NULL)
		return 0;
	s->engine = engine_new(&s->opts, e);
	if (s->engine != NULL && engine_greet(s->engine, e) == 0)
		return 0;
	forget_engine(s);
	return err_ctx(e, "machine %s", s->opts.name);
}

/*
 * Until the image is there, or cannot be had. An order that comes meanwhile, or the executor's
 * end, ends it: ERR_CANCELLED.
 */
static void
carry_out(struct self *s, const struct image_order *o, mono_t deadline, mono_t give_up)
{
	struct image_hand h = { NULL, &s->arena, &s->broker, tell_line, s, deadline };
	enum failure why = FAILURE_SYSTEM;
	struct image img = { 0 };
	struct err e = { 0 };
	int rc;

	for (;;) {
		rc = connect_engine(s, &e);
		h.engine = s->engine;
		if (rc == 0)
			rc = image_ensure(&h, o, &img, &why, &e);
		if (rc == 0 || !engine_lost(&e) || mono_passed(mono_min(give_up, deadline)))
			break;
		tell(s, &(struct word){ .what = PULLER_LOST }, str_from(e.msg));
		forget_engine(s);
		if (net_pause(AGAIN_AFTER, &e) < 0)
			break;
	}
	if (rc == 0)
		tell(s, &(struct word){ .what = PULLER_HAS }, str_from(img.reference));
	else if (e.kind != ERR_CANCELLED)
		tell(s, &(struct word){ .what = PULLER_FAILS, .failure = why,
		    .own = e.kind == ERR_SYS || e.kind == ERR_FULL }, str_from(e.msg));
}

/* One order's bytes into what is to be done. */
static int
read_order(struct str in, struct order *order, struct image_order *o, struct err *e)
{
	if (record_get(&order_type, in, order, e) < 0)
		return -1;
	o->name = order->name;
	o->platform = order->platform;
	o->policies = order->policies;
	o->keys.n = order->keys.n;
	if (o->keys.n > IMAGE_KEYS)
		return err_set(e, ERR_PROTO, 0, "%s: too many keys", order_type.name);
	for (size_t i = 0; i < o->keys.n; i++)
		if (record_get(&key_type, order->keys.v[i], &o->keys.v[i], e) < 0)
			return -1;
	return 0;
}

static int
obey(struct self *s)
{
	struct buf packet = { .max = ORDER_MAX + 1 };
	char *room = buf_room(&packet, ORDER_MAX);
	struct image_order o;
	struct order order;
	struct err e = { 0 };
	ssize_t n = 0;
	int rc = EXIT_OK;

	while (room != NULL) {
		n = recv(FD_ORDERS, room, ORDER_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (read_order(str_of(room, (size_t)n), &order, &o, &e) < 0) {
			log_error("Puller was ordered wrongly", F_ERR(&e));
			rc = EXIT_CONFIG;
			break;
		}
		s->number = order.number;
		carry_out(s, &o, (mono_t){ order.deadline }, mono_after(order.patience));
		/* Half an answer may be left of an order that was ended. */
		forget_engine(s);
		arena_reset(&s->arena);
		explicit_bzero(room, (size_t)n);
	}
	buf_wipe(&packet);
	return rc;
}

/* The engine and nothing else: the plan says which before anything foreign is read. */
static void
confine(const struct plan *p)
{
	const struct sandbox_place dns[] = {
		{ SANDBOX_READ, "/etc/hosts", -1 }, { SANDBOX_READ, "/etc/resolv.conf", -1 },
	};
	const int ports[] = { (int)p->port, p->dns != 0 ? 53 : 0, 0 };

	sandbox_files(dns, p->dns != 0 ? NELEM(dns) : 0, 0, ports);
	identity_take((uid_t)p->user, 0);
	sandbox_calls(p->dns != 0 ? SANDBOX_PULLER_DNS : SANDBOX_PULLER);
}

int
puller_main(int argc, char **argv)
{
	struct self s = { .broker.fd = fcntl(FD_VOICE, F_GETFD) >= 0 ? FD_VOICE : 0 };
	struct buf text = { .max = PLAN_MAX };
	struct arena names = { 0 };
	struct err e = { 0 };
	struct plan p;

	(void)argc;
	(void)argv;
	proc_harden();
	if (fs_read(AT_FDCWD, "/proc/self/fd/3", PLAN_MAX, &text, &e) < 0 ||
	    record_get(&plan_type, buf_str(&text), &p, &e) < 0) {
		log_error("Puller was started wrongly", F_ERR(&e));
		return EXIT_CONFIG;
	}
	close(FD_PLAN);
	log_context("job", arena_dup(&names, p.job));
	s.opts = (struct engine_opts){ .host = p.host, .port = (uint16_t)p.port,
	    .name = arena_dup(&names, p.name), .ca_pem = p.ca, .cert_pem = p.cert, .key_pem = p.key,
	    .server_pem = p.server };
	confine(&p);
	net_control(FD_ORDERS);
	return obey(&s);
}
