/* From masked output to the trace: see traceline.h. */
#include <sys/types.h>

#include "core/hash.h"
#include "wire/traceline.h"

#define PIECE		4096	/* so much is masked at once */
#define REPLACEMENT	"\xef\xbf\xbd"

/* ---- the sink ---- */

void
tl_sink_init(struct tl_sink *k, struct buf *out, uint64_t limit_bytes, bool timestamps)
{
	*k = (struct tl_sink){ .out = out, .timestamps = timestamps, .second = INT64_MIN,
	    .masked = { .max = SIZE_MAX / 2 }, .limit = limit_bytes > 0 ? limit_bytes : TL_LIMIT_DEFAULT };
}

void
tl_sink_free(struct tl_sink *k)
{
	buf_wipe(&k->masked);
}

static void
put(struct tl_sink *k, const void *p, size_t n)
{
	buf_put(k->out, p, n);
	k->written += n;
}

static void
put_notice(struct tl_sink *k)
{
	struct buf b = { .max = 0 };

	buf_fmt(&b, "\n\033[33;1mJob's log exceeded limit of %" PRIu64 " bytes.\n"
	    "The job goes on, but what else it prints is not kept.\033[0;m\n", k->limit);
	put(k, b.p, b.n);
	buf_free(&b);
	k->over = true;
}

/* How many of n bytes of whole characters may stand without cutting one. */
static size_t
whole_chars(const char *p, size_t n, size_t room)
{
	if (n <= room)
		return n;
	while (room > 0 && ((unsigned char)p[room] & 0xc0) == 0x80)
		room--;
	return room;
}

/* The parts of one line, of whole characters each. */
static void
put_limited(struct tl_sink *k, enum tl_class class, const struct str part[3])
{
	size_t n = part[0].n + part[1].n + part[2].n;

	if (!k->over && n >= k->limit - k->written) {
		for (int i = 0; i < 3 && class == TL_JOB; i++) {
			size_t fits = whole_chars(part[i].p, part[i].n, (size_t)(k->limit - k->written));

			put(k, part[i].p, fits);
			if (fits < part[i].n)
				break;
		}
		put_notice(k);
		if (class == TL_JOB)
			return;
	}
	if (k->over) {
		uint64_t room = class == TL_FINAL ? TL_RESERVE : class == TL_RUNNER ? TL_RESERVE / 2 : 0;

		if (k->extra > room || n > room - k->extra)
			return;
		k->extra += n;
	}
	for (int i = 0; i < 3; i++)
		put(k, part[i].p, part[i].n);
}

/* ---- lines ---- */

static void
two_digits(char *p, int v)
{
	p[0] = (char)('0' + v / 10);
	p[1] = (char)('0' + v % 10);
}

/* Civil date of a day since 1970-01-01, counted in years that begin in March so that leap days come last. */
static void
put_date(char *p, int64_t day)
{
	int64_t era, year;
	int of_era, year_of_era, of_year, month;

	day += 719468;
	era = (day >= 0 ? day : day - 146096) / 146097;
	of_era = (int)(day - era * 146097);
	year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * of_year + 2) / 153;
	two_digits(p + 8, of_year - (153 * month + 2) / 5 + 1);
	month = month < 10 ? month + 3 : month - 9;
	two_digits(p + 5, month);
	year = year_of_era + era * 400 + (month <= 2);
	two_digits(p, (int)(year / 100));
	two_digits(p + 2, (int)(year % 100));
}

static void
put_header(struct tl_sink *k, const struct tl_stream *s, wall_t at, char header[TL_HEADER])
{
	static const char hex[] = "0123456789abcdef";
	int64_t second = wall_seconds(at), rest = at.ns % NSEC_SEC;
	int of_day, micro;

	if (second != k->second) {
		int64_t day = (second >= 0 ? second : second - 86399) / 86400;

		of_day = (int)(second - day * 86400);
		memcpy(k->stamp, "0000-00-00T00:00:00.", sizeof(k->stamp));
		put_date(k->stamp, day);
		two_digits(k->stamp + 11, of_day / 3600);
		two_digits(k->stamp + 14, of_day / 60 % 60);
		two_digits(k->stamp + 17, of_day % 60);
		k->second = second;
	}
	micro = (int)((rest < 0 ? rest + NSEC_SEC : rest) / 1000);
	memcpy(header, k->stamp, sizeof(k->stamp));
	two_digits(header + 20, micro / 10000);
	two_digits(header + 22, micro / 100 % 100);
	two_digits(header + 24, micro % 100);
	header[26] = 'Z';
	header[27] = ' ';
	header[28] = hex[s->id >> 4];
	header[29] = hex[s->id & 15];
	header[30] = s->kind;
	header[31] = s->plus ? '+' : ' ';
}

/* Writes the unfinished line, then `more`, then a newline. */
static void
put_line(struct tl_stream *s, struct tl_sink *k, struct str more, wall_t at, bool goes_on)
{
	size_t n = TL_HEADER + s->line.n + more.n + 1;
	char header[TL_HEADER], *to;

	put_header(k, s, s->timed ? s->begun : at, header);
	if (!k->over && n < k->limit - k->written && (to = buf_room(k->out, n)) != NULL) {
		memcpy(to, header, TL_HEADER);
		to += TL_HEADER;
		if (s->line.n > 0)
			memcpy(to, s->line.p, s->line.n);
		to += s->line.n;
		if (more.n > 0)
			memcpy(to, more.p, more.n);
		to[more.n] = '\n';
		buf_grown(k->out, n);
		k->written += n;
	} else {
		buf_putstr(&s->line, more);
		buf_putc(&s->line, '\n');
		put_limited(k, s->class, (struct str[3]){ { header, TL_HEADER }, buf_str(&s->line), STR_NULL });
	}
	buf_clear(&s->line);
	s->timed = false;
	s->plus = goes_on;
}

static void
hold(struct tl_stream *s, struct str text, wall_t at)
{
	if (!s->timed) {
		s->begun = at;
		s->timed = true;
	}
	s->cr |= str_chr(text, '\r') >= 0;
	buf_putstr(&s->line, text);
}

/* Text of whole characters. */
static void
split(struct tl_stream *s, struct tl_sink *k, struct str text, wall_t at)
{
	if (!k->timestamps) {
		put_limited(k, s->class, (struct str[3]){ text, STR_NULL, STR_NULL });
		return;
	}
	while (text.n > 0) {
		size_t room = TL_HOLD - TL_HEADER - s->line.n, n, fits;
		ssize_t newline = str_chr(text, '\n');

		n = newline >= 0 ? (size_t)newline : text.n;
		fits = whole_chars(text.p, n, room);
		if (fits < n) {
			hold(s, str_sub(text, 0, fits), at);
			put_line(s, k, STR_NULL, at, true);
			text = str_sub(text, fits, text.n);
		} else if (newline >= 0) {
			put_line(s, k, str_sub(text, 0, n), at, false);
			s->cr = false;
			text = str_sub(text, n + 1, text.n);
		} else {
			hold(s, text, at);
			break;
		}
	}
}

/* ---- UTF-8 ---- */

/*
 * The length that a character beginning with these bytes has, as far as it
 * is there; 0 if none begins so. Table 3-7 of the Unicode standard.
 */
static size_t
char_length(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < len && i < n; i++) {
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

/* How many bytes from the start are whole characters. */
static size_t
valid_run(const unsigned char *p, size_t n)
{
	size_t i = 0, len;

	while (i < n) {
		uint64_t eight;

		while (i + 8 <= n) {
			memcpy(&eight, p + i, 8);
			if ((eight & UINT64_C(0x8080808080808080)) != 0)
				break;
			i += 8;
		}
		while (i < n && p[i] < 0x80)
			i++;
		if (i == n)
			break;
		len = char_length(p + i, n - i);
		if (len == 0 || len > n - i)
			break;
		i += len;
	}
	return i;
}

/* None of the bytes of a broken character's start can begin another. */
static void
replace_part(struct tl_stream *s, struct tl_sink *k)
{
	for (; s->npart > 0; s->npart--)
		split(s, k, STR(REPLACEMENT), s->part_at);
}

static void
repair(struct tl_stream *s, struct tl_sink *k, struct str in, wall_t at)
{
	const unsigned char *p = (const unsigned char *)in.p;
	size_t n = in.n, run, len;

	while (s->npart > 0 && n > 0) {
		s->part[s->npart] = *p;
		len = char_length(s->part, s->npart + 1u);
		if (len == 0) {
			replace_part(s, k);
			break;
		}
		p++;
		n--;
		if (++s->npart == len) {
			s->npart = 0;
			split(s, k, str_of(s->part, len), s->part_at);
		}
	}
	while (n > 0) {
		run = valid_run(p, n);
		if (run > 0)
			split(s, k, str_of(p, run), at);
		p += run;
		n -= run;
		if (n == 0)
			break;
		if (char_length(p, n) > n) {
			memcpy(s->part, p, n);
			s->npart = (uint8_t)n;
			s->part_at = at;
			break;
		}
		split(s, k, STR(REPLACEMENT), at);
		p++;
		n--;
	}
}

/* ---- the stream ---- */

void
tl_init(struct tl_stream *s, const struct mask_set *set, uint8_t id, char kind, enum tl_class class)
{
	*s = (struct tl_stream){ .id = id, .kind = kind, .class = class, .line = { .max = 2 * TL_HOLD } };
	mask_init(&s->mask, set);
}

void
tl_free(struct tl_stream *s)
{
	mask_free(&s->mask);
	buf_wipe(&s->line);
	tl_init(s, s->mask.set, s->id, s->kind, s->class);
}

static void
feed_piece(struct tl_stream *s, struct tl_sink *k, struct str in, wall_t at)
{
	/* The first bytes to come out are the oldest. */
	wall_t from = mask_held(&s->mask) > 0 ? s->held_at : at;

	mask_feed(&s->mask, in, &k->masked);
	s->fed += in.n;
	if (mask_held(&s->mask) <= s->fed)
		s->held_at = at;
	repair(s, k, buf_str(&k->masked), from);
	buf_clear(&k->masked);
}

void
tl_feed(struct tl_stream *s, struct tl_sink *k, struct str in, wall_t at)
{
	if (in.n > 0 && !wall_equal(at, s->fed_at)) {
		s->fed_at = at;
		s->fed = 0;
	}
	while (in.n > 0) {
		/*
		 * While the mask holds bytes of an earlier entry their time matters, and what comes out
		 * with what: byte by byte, so that it is the same however the entry is cut.
		 */
		size_t n = mask_held(&s->mask) > s->fed ? 1 : PIECE;

		feed_piece(s, k, str_sub(in, 0, n), at);
		in = str_sub(in, n, in.n);
	}
}

void
tl_entry_end(struct tl_stream *s, struct tl_sink *k)
{
	if (s->cr && s->line.n > 0)
		put_line(s, k, STR_NULL, s->begun, true);
	s->cr = false;
}

void
tl_pause(struct tl_stream *s, struct tl_sink *k)
{
	if (s->line.n > 0)
		put_line(s, k, STR_NULL, s->begun, true);
}

void
tl_entry(struct tl_stream *s, struct tl_sink *k, struct str in, wall_t at)
{
	tl_feed(s, k, in, at);
	tl_entry_end(s, k);
}

void
tl_close(struct tl_stream *s, struct tl_sink *k)
{
	mask_close(&s->mask, &k->masked);
	repair(s, k, buf_str(&k->masked), s->held_at);
	buf_clear(&k->masked);
	replace_part(s, k);
	if (s->line.n > 0)
		put_line(s, k, STR_NULL, s->begun, false);
	tl_free(s);
}

/* ---- checkpoints ---- */

/* l1:FED:FED_AT:HELD_AT:PART_AT:BEGUN:TIMED:PLUS:CR:PART:LINE;MASK with PART and LINE in base64. */
void
tl_save(const struct tl_stream *s, struct buf *b)
{
	buf_fmt(b, "l1:%" PRIu64 ":%" PRId64 ":%" PRId64 ":%" PRId64 ":%" PRId64 ":%d:%d:%d:",
	    s->fed, s->fed_at.ns, s->held_at.ns, s->part_at.ns, s->begun.ns,
	    s->timed, s->plus, s->cr);
	hash_base64(b, str_of(s->part, s->npart));
	buf_putc(b, ':');
	hash_base64(b, buf_str(&s->line));
	buf_putc(b, ';');
	mask_save(&s->mask, b);
}

static int
saved_i64(struct str *s, int64_t *v)
{
	return s->p != NULL ? str_to_i64(str_cut(s, ':'), v) : -1;
}

static int
saved_u64(struct str *s, uint64_t *v)
{
	return s->p != NULL ? str_to_u64(str_cut(s, ':'), v) : -1;
}

static int
saved_bool(struct str *s, bool *v)
{
	uint64_t n;

	if (saved_u64(s, &n) < 0 || n > 1)
		return -1;
	*v = n == 1;
	return 0;
}

static int
restore(struct tl_stream *s, struct str saved)
{
	struct str mine = str_cut(&saved, ';');
	struct buf part = { .max = 64 };
	int rc = -1;

	if (saved.p == NULL || !str_eqc(str_cut(&mine, ':'), "l1") ||
	    saved_u64(&mine, &s->fed) < 0 || saved_i64(&mine, &s->fed_at.ns) < 0 ||
	    saved_i64(&mine, &s->held_at.ns) < 0 || saved_i64(&mine, &s->part_at.ns) < 0 ||
	    saved_i64(&mine, &s->begun.ns) < 0 ||
	    saved_bool(&mine, &s->timed) < 0 || saved_bool(&mine, &s->plus) < 0 || saved_bool(&mine, &s->cr) < 0 ||
	    mine.p == NULL || hash_base64_decode(&part, str_cut(&mine, ':')) < 0 || part.failed || part.n > 3 ||
	    mine.p == NULL || hash_base64_decode(&s->line, str_cut(&mine, ':')) < 0 || mine.p != NULL)
		goto out;
	if (part.n > 0 && char_length((unsigned char *)part.p, part.n) <= part.n)
		goto out;
	if (s->line.failed || s->line.n > TL_HOLD - TL_HEADER || str_chr(buf_str(&s->line), '\n') >= 0 ||
	    valid_run((const unsigned char *)buf_str(&s->line).p, s->line.n) != s->line.n)
		goto out;
	if (part.n > 0)
		memcpy(s->part, part.p, part.n);
	s->npart = (uint8_t)part.n;
	rc = mask_restore(&s->mask, s->mask.set, saved);
out:
	buf_free(&part);
	return rc;
}

int
tl_restore(struct tl_stream *s, const struct mask_set *set, uint8_t id, char kind, enum tl_class class,
    struct str saved)
{
	tl_init(s, set, id, kind, class);
	if (restore(s, saved) < 0) {
		tl_free(s);
		return -1;
	}
	return 0;
}

/* k1:WRITTEN:OVER:EXTRA */
void
tl_sink_save(const struct tl_sink *k, struct buf *b)
{
	buf_fmt(b, "k1:%" PRIu64 ":%d:%" PRIu64, k->written, k->over, k->extra);
}

int
tl_sink_restore(struct tl_sink *k, struct buf *out, uint64_t limit_bytes, bool timestamps, struct str saved)
{
	tl_sink_init(k, out, limit_bytes, timestamps);
	if (!str_eqc(str_cut(&saved, ':'), "k1") || saved_u64(&saved, &k->written) < 0 ||
	    saved_bool(&saved, &k->over) < 0 || saved_u64(&saved, &k->extra) < 0 || saved.p != NULL ||
	    (!k->over && k->written >= k->limit)) {
		tl_sink_init(k, out, limit_bytes, timestamps);
		return -1;
	}
	return 0;
}

/* ---- the runner's own lines ---- */

void
tl_section_start(struct buf *b, int64_t unix_seconds, const char *name)
{
	buf_fmt(b, "section_start:%" PRId64 ":%s\r\033[0K", unix_seconds, name);
}

void
tl_section_end(struct buf *b, int64_t unix_seconds, const char *name)
{
	buf_fmt(b, "section_end:%" PRId64 ":%s\r\033[0K", unix_seconds, name);
}

static void
styled(struct buf *b, const char *before, const char *after, const char *fmt, va_list ap)
{
	buf_puts(b, before);
	buf_vfmt(b, fmt, ap);
	buf_puts(b, after);
	buf_putc(b, '\n');
}

#define STYLE(name, before, after) \
void \
name(struct buf *b, const char *fmt, ...) \
{ \
	va_list ap; \
\
	va_start(ap, fmt); \
	styled(b, (before), (after), fmt, ap); \
	va_end(ap); \
}

STYLE(tl_heading,	"\033[0K\033[36;1m",	"\033[0;m\033[0;m")
STYLE(tl_plain,		"\033[0K",		"\033[0;m")
STYLE(tl_info,		"\033[32;1m",		"\033[0;m")
STYLE(tl_warning,	"\033[0;33mWARNING: ",	"\033[0;m")
STYLE(tl_error,		"\033[31;1mERROR: ",	"\033[0;m")
