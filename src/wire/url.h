/*
 * URLs as this program meets them: http, https and ssh git remotes,
 * RFC 3986 without the exotic parts. Everything is a view into the input.
 */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include "core/buf.h"
#include "core/err.h"

struct url {
	struct str	scheme;		/* as written; compare with str_caseeq */
	struct str	userinfo;	/* without '@'; p == NULL if none */
	struct str	host;		/* without brackets for IPv6 */
	uint16_t	port;		/* 0 if none was written */
	struct str	path;		/* begins with '/' or is empty */
	struct str	query;		/* without '?'; p == NULL if none */
	struct str	fragment;
};

/* 0, or -1 (ERR_PARSE) when there is no scheme://host or a byte that no URL may hold (controls, blanks). */
int	url_parse(struct str s, struct url *u, struct err *e);
/* The port to dial: the written one, else 80, 443 or 22 by scheme, 0 if unknown. */
uint16_t url_port(const struct url *u);
/* Without user info, query and fragment: safe for logs. */
void	url_put_clean(struct buf *b, const struct url *u);
/* "scheme://host[:port]" */
void	url_put_origin(struct buf *b, const struct url *u);
void	url_put_encoded(struct buf *b, struct str s);		/* unreserved bytes stay, the rest %HH */
int	url_decode(struct buf *b, struct str s);		/* %HH only; -1 on a bad escape */

/*
 * Whether host:port is to be reached without a proxy under a NO_PROXY list: host suffixes
 * (with or without leading dot), IP addresses, CIDR blocks, "*", optional ":port"; localhost
 * and loopback addresses always match (spec gitlab-runner 1.1).
 */
bool	url_no_proxy(struct str list, struct str host, uint16_t port);

#endif
