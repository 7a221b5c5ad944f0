/* SSH's bytes; see sshwire.h. */
#include "wire/sshwire.h"

#define LINE_MAX_BYTES	1024	/* RFC 4253 4.2 allows 255 for a version; other lines have no limit, ours is this */
#define LINES_MAX	64
#define PACKET_MAX	35000	/* RFC 4253 6.1 */
#define MSG_KEXINIT	20
#define COOKIE		16

bool
sshwire_u32(struct str *s, uint32_t *v)
{
	const uint8_t *p = (const uint8_t *)s->p;

	if (s->n < 4)
		return false;
	*v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*s = str_of(p + 4, s->n - 4);
	return true;
}

bool
sshwire_string(struct str *s, struct str *out)
{
	uint32_t n;

	if (!sshwire_u32(s, &n) || n > s->n)
		return false;
	*out = str_of(s->p, n);
	*s = str_of(s->p + n, s->n - n);
	return true;
}

void
sshwire_put_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, p, sizeof(p));
}

void
sshwire_put_string(struct buf *b, struct str s)
{
	sshwire_put_u32(b, (uint32_t)s.n);
	buf_putstr(b, s);
}

void
sshwire_put_mpint(struct buf *b, struct str number)
{
	while (number.n > 0 && number.p[0] == 0)
		number = str_sub(number, 1, number.n);
	bool zero = number.n > 0 && ((uint8_t)number.p[0] & 0x80) != 0;
	sshwire_put_u32(b, (uint32_t)(number.n + zero));
	if (zero)
		buf_putc(b, 0);
	buf_putstr(b, number);
}

/* Finds the version line. *s stands behind it. As sshwire_hello(). */
static int
version_line(struct str *s, struct str *version)
{
	for (int i = 0; i < LINES_MAX; i++) {
		ssize_t end = str_chr(*s, '\n');
		struct str line;

		if (end < 0)
			return s->n > LINE_MAX_BYTES ? -1 : 0;
		line = str_trim(str_sub(*s, 0, (size_t)end));
		*s = str_sub(*s, (size_t)end + 1, s->n);
		if (str_starts(line, "SSH-")) {
			*version = line;
			return 1;
		}
		if (line.n > LINE_MAX_BYTES)
			return -1;
	}
	return -1;
}

int
sshwire_hello(struct str s, struct sshwire_hello *h)
{
	uint32_t length, padding;
	int rc;

	*h = (struct sshwire_hello){ 0 };
	if ((rc = version_line(&s, &h->version)) != 1)
		return rc;
	if (!sshwire_u32(&s, &length))
		return 0;
	if (length < COOKIE + 2 || length > PACKET_MAX)
		return -1;
	if (s.n < length)
		return 0;
	padding = (uint8_t)s.p[0];
	if (s.p[1] != MSG_KEXINIT || padding + 2 + COOKIE > length)
		return -1;
	s = str_sub(s, 2 + COOKIE, length - padding - 2 - COOKIE);
	for (int i = 0; i < SSHWIRE_LISTS; i++)
		if (!sshwire_string(&s, &h->lists[i]))
			return -1;
	return 1;
}

struct str
sshwire_common(struct str ours, struct str theirs)
{
	while (ours.p != NULL) {
		struct str name = str_cut(&ours, ','), left = theirs;

		while (left.p != NULL)
			if (str_eq(str_cut(&left, ','), name) && name.n > 0)
				return name;
	}
	return STR_NULL;
}

void
sshwire_put_words(struct buf *b, struct str s, size_t limit)
{
	for (size_t i = 0; i < s.n && i < limit; i++)
		buf_putc(b, s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?');
	if (s.n > limit)
		buf_puts(b, "...");
}

static bool
message(struct str *s, int type)
{
	if (s->n < 1 || (uint8_t)s->p[0] != type)
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

bool
sshwire_agent_keys(struct str *s, uint32_t *n)
{
	return message(s, SSHWIRE_AGENT_KEYS) && sshwire_u32(s, n);
}

bool
sshwire_agent_key(struct str *s, struct str *blob, struct str *comment)
{
	return sshwire_string(s, blob) && sshwire_string(s, comment);
}

bool
sshwire_agent_signature(struct str s, struct str *alg, struct str *rest)
{
	struct str sig;

	if (!message(&s, SSHWIRE_AGENT_SIGNATURE) || !sshwire_string(&s, &sig) || !sshwire_string(&sig, alg))
		return false;
	*rest = sig;
	return true;
}
