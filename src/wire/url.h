/*
 * URLs as this program meets them: http, https and ssh git remotes, tcp
 * addresses of engines, proxies; RFC 3986 without the exotic parts.
 * Everything is a view into the input, nothing is decoded.
 *
 * Errors never quote the URL: it may hold a password or a token.
 */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include "core/buf.h"
#include "core/err.h"

struct url {
	struct str	scheme;		/* as written; compare with str_caseeq */
	struct str	userinfo;	/* without '@', still encoded; p == NULL if none */
	struct str	host;		/* without brackets for IPv6 (url_put_origin() puts them back); never empty */
	uint16_t	port;		/* 0 if none was written, or an empty one */
	struct str	path;		/* begins with '/' or is empty */
	struct str	query;		/* without '?'; p == NULL if none */
	struct str	fragment;	/* without '#'; p == NULL if none */
};

/*
 * 0, or -1 (ERR_PARSE) when there is no scheme://host, a byte that no URL may
 * hold (controls, blanks), a backslash before the path (readers differ on
 * which host that means), a host that is neither a name of letters, digits,
 * '.', '-' and '_' nor an IPv6 address in brackets, or a port that is not 1 to
 * 65535. User info ends at the last '@' before the path. The short form of
 * git, "git@host:path", is no URL.
 */
int	url_parse(struct str s, struct url *u, struct err *e);
/* The port to dial: the written one, else that of the scheme (80: http, ws; 443: https, wss; 22: ssh), 0 if unknown. */
uint16_t url_port(const struct url *u);
/* Without user info, query and fragment: safe for logs. */
void	url_put_clean(struct buf *b, const struct url *u);
/* "scheme://host[:port]", the port only if it was written */
void	url_put_origin(struct buf *b, const struct url *u);
void	url_put_encoded(struct buf *b, struct str s);		/* unreserved bytes stay, the rest %HH */
int	url_decode(struct buf *b, struct str s);		/* %HH only ('+' stays); -1 on a bad escape, b is as before then */

/*
 * Whether host:port is to be reached without a proxy under a NO_PROXY list:
 * names (with or without a leading "." or "*."), IP addresses, CIDR blocks,
 * "*", optional ":port"; localhost and loopback addresses always match (spec
 * gitlab-runner 1.1). The rules are Go's: "example.com" matches the host and
 * everything below it, ".example.com" only what is below; names match no
 * addresses, nor addresses names, as nothing is resolved. Members are
 * separated by commas or blanks; malformed ones match nothing. Port 0 matches
 * only members without a port.
 */
bool	url_no_proxy(struct str list, struct str host, uint16_t port);

#endif
