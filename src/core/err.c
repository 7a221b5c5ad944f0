/* Errors as values: see err.h. */
#include "core/err.h"

static const char *const kind_names[] = {
	[ERR_NONE] = "none",
	[ERR_SYS] = "system",
	[ERR_NET] = "network",
	[ERR_TLS] = "tls",
	[ERR_TIMEOUT] = "timeout",
	[ERR_PROTO] = "protocol",
	[ERR_PARSE] = "parse",
	[ERR_AUTH] = "auth",
	[ERR_NOTFOUND] = "not-found",
	[ERR_CONFLICT] = "conflict",
	[ERR_QUOTA] = "quota",
	[ERR_CAPACITY] = "capacity",
	[ERR_REFUSED] = "refused",
	[ERR_SERVER] = "server",
	[ERR_CANCELLED] = "cancelled",
	[ERR_CONFIG] = "config",
	[ERR_FULL] = "full",
	[ERR_TOKEN] = "token",
};

int
err_set(struct err *e, enum err_kind kind, int sys, const char *fmt, ...)
{
	if (e == NULL)
		return -1;
	e->kind = kind;
	e->sys = sys;
	TEXT_OF(e->msg, fmt);
	return -1;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	size_t n;

	if (e == NULL)
		return -1;
	e->kind = saved == ENOENT ? ERR_NOTFOUND :
	    saved == ENOSPC || saved == EDQUOT ? ERR_FULL : ERR_SYS;
	e->sys = saved;
	TEXT_OF(e->msg, fmt);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(saved));
	return -1;
}

int
err_ctx(struct err *e, const char *fmt, ...)
{
	char head[256], tail[sizeof(e->msg)];

	if (e == NULL)
		return -1;
	TEXT_OF(head, fmt);
	memcpy(tail, e->msg, sizeof(tail));
	tail[sizeof(tail) - 1] = '\0';
	/* The tail is cut, not the nouns in front: they say where to look. */
	snprintf(e->msg, sizeof(e->msg), "%s: %.*s", head,
	    (int)(sizeof(e->msg) - strlen(head) - 3), tail);
	return -1;
}

const char *
err_kind_name(enum err_kind kind)
{
	assert((size_t)kind < NELEM(kind_names));
	return kind_names[kind];
}

bool
err_retryable(const struct err *e)
{
	return e->kind == ERR_NET || e->kind == ERR_TIMEOUT ||
	    e->kind == ERR_SERVER || e->kind == ERR_QUOTA;
}
