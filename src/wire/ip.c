/* IP addresses: see ip.h. */
#include "core/core.h"
#include "wire/ip.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static int
parse_v4(struct str s, uint8_t out[4])
{
	for (int i = 0; i < 4; i++) {
		struct str part = str_cut(&s, '.');
		unsigned v = 0;

		if (part.n == 0 || part.n > 3 || (part.n > 1 && part.p[0] == '0'))
			return -1;
		for (size_t k = 0; k < part.n; k++) {
			if (part.p[k] < '0' || part.p[k] > '9')
				return -1;
			v = v * 10 + (unsigned)(part.p[k] - '0');
		}
		if (v > 255)
			return -1;
		out[i] = (uint8_t)v;
	}
	return s.p == NULL ? 0 : -1;
}

static int
parse_group(struct str s, uint8_t out[2])
{
	unsigned v = 0;

	if (s.n == 0 || s.n > 4)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (unsigned)((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	return 0;
}

/* Groups between colons, the last of which may be a dotted quad, into at most max bytes. Their length, or -1. */
static int
parse_groups(struct str s, uint8_t *out, int max)
{
	int n = 0;

	if (s.n == 0)
		return 0;
	while (s.p != NULL) {
		struct str group = str_cut(&s, ':');
		bool quad = s.p == NULL && str_chr(group, '.') >= 0;

		if (n + (quad ? 4 : 2) > max || (quad ? parse_v4(group, out + n) : parse_group(group, out + n)) < 0)
			return -1;
		n += quad ? 4 : 2;
	}
	return n;
}

static int
parse_v6(struct str s, uint8_t out[16])
{
	ssize_t gap = str_find(s, "::");
	uint8_t tail[16];
	int head_n, tail_n;

	if (gap < 0)
		return parse_groups(s, out, 16) == 16 ? 0 : -1;
	/* "::" stands for one group at least; a second one leaves an empty group behind, which is refused. */
	head_n = parse_groups(str_sub(s, 0, (size_t)gap), out, 14);
	if (head_n < 0 || str_chr(str_sub(s, 0, (size_t)gap), '.') >= 0)
		return -1;
	tail_n = parse_groups(str_sub(s, (size_t)gap + 2, s.n), tail, 14 - head_n);
	if (tail_n < 0)
		return -1;
	memset(out + head_n, 0, (size_t)(16 - head_n - tail_n));
	memcpy(out + 16 - tail_n, tail, (size_t)tail_n);
	return 0;
}

int
ip_parse(struct str s, struct ip *ip)
{
	struct ip r = { { 0 } };

	if (str_chr(s, ':') >= 0) {
		if (parse_v6(s, r.b) < 0)
			return -1;
	} else {
		if (parse_v4(s, r.b + 12) < 0)
			return -1;
		memcpy(r.b, mapped, sizeof(mapped));
	}
	*ip = r;
	return 0;
}

bool
ip_is_v4(const struct ip *ip)
{
	return memcmp(ip->b, mapped, sizeof(mapped)) == 0;
}

bool
ip_is_loopback(const struct ip *ip)
{
	static const struct ip one = { { [15] = 1 } };

	return ip_is_v4(ip) ? ip->b[12] == 127 : memcmp(ip, &one, sizeof(one)) == 0;
}

bool
ip_in_block(const struct ip *ip, struct str block)
{
	struct str bits = block, address = str_cut(&bits, '/');
	uint8_t net4[4];
	struct ip net;
	int n;

	if (bits.n == 0 || bits.n > 3 || bits.p[0] < '0' || bits.p[0] > '9' || str_to_int(bits, &n) < 0 ||
	    ip_parse(address, &net) < 0)
		return false;
	if (parse_v4(address, net4) == 0)
		n = n <= 32 ? n + 96 : 129;
	if (n > 128 || ip_is_v4(&net) != ip_is_v4(ip))
		return false;
	for (int i = 0; n > 0; i++, n -= 8) {
		uint8_t mask = (uint8_t)(n >= 8 ? 0xff : 0xff << (8 - n));

		if (((net.b[i] ^ ip->b[i]) & mask) != 0)
			return false;
	}
	return true;
}
