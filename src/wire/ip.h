/*
 * IP addresses as text (RFC 4291 2.2, dotted quads without leading zeros)
 * to bytes. Both families lie in 16 bytes, IPv4 as ::ffff:a.b.c.d, which
 * is the same address in another dress: so two that are equal compare equal.
 */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include "core/str.h"

struct ip {
	uint8_t	b[16];
};

/* 0, or -1 when s is anything but one whole address; no brackets, zones or ports. */
int	ip_parse(struct str s, struct ip *ip);
bool	ip_is_v4(const struct ip *ip);
bool	ip_is_loopback(const struct ip *ip);	/* 127.0.0.0/8 and ::1 */
/* Whether ip is in a block written as "10.0.0.0/8" or "fd00::/8"; false when it is no block, or of the other family. */
bool	ip_in_block(const struct ip *ip, struct str block);

#endif
