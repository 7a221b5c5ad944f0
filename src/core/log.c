/* The process log: see log.h. */
#include <unistd.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/mono.h"

#define CONTEXT_MAX	4
#define FIELDS_MAX	24
#define LINE_MAX_BYTES	(64u << 10)

static struct {
	enum log_level		level;
	enum log_format		format;
	struct log_field	context[CONTEXT_MAX];
	size_t			ncontext;
	int			tty;		/* -1 not asked yet */
	log_filter_fn		*filter;
	const void		*filter_ctx;
	uint64_t		counts[LOG_FATAL + 1];
} conf = { .level = LOG_INFO, .format = LOG_RUNNER, .tty = -1 };

static const char *const level_names[] = { "debug", "info", "warning", "error", "fatal" };
static const char *const format_names[] = { "runner", "text", "json" };

void
log_setup(enum log_level level, enum log_format format)
{
	conf.level = level;
	conf.format = format;
}

void
log_context(const char *key, const char *value)
{
	assert(conf.ncontext < CONTEXT_MAX);
	conf.context[conf.ncontext++] = F_STR(key, value);
}

void
log_filter(log_filter_fn *filter, const void *ctx)
{
	conf.filter = filter;
	conf.filter_ctx = ctx;
}

enum log_level
log_level(void)
{
	return conf.level;
}

enum log_format
log_format(void)
{
	return conf.format;
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

const char *
log_format_name(enum log_format format)
{
	return format_names[format];
}

int
log_level_parse(struct str s, enum log_level *level)
{
	for (size_t i = 0; i < NELEM(level_names); i++)
		if (str_caseeq(s, level_names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	if (str_caseeq(s, "warn"))
		*level = LOG_WARN;
	else if (str_caseeq(s, "panic"))
		*level = LOG_FATAL;
	else
		return -1;
	return 0;
}

int
log_format_parse(struct str s, enum log_format *format)
{
	for (size_t i = 0; i < NELEM(format_names); i++)
		if (str_caseeq(s, format_names[i])) {
			*format = (enum log_format)i;
			return 0;
		}
	return -1;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct log_field *)a)->key, ((const struct log_field *)b)->key);
}

static struct str
field_text(const struct log_field *f, char *scratch, size_t size)
{
	switch (f->type) {
	case LF_STR:
		return str_from(f->s != NULL ? f->s : "");
	case LF_VIEW:
		return str_of(f->s, f->n);
	case LF_INT:
		snprintf(scratch, size, "%" PRId64, f->i);
		return str_from(scratch);
	case LF_DUR:
		time_go_duration(f->i, scratch);
		return str_from(scratch);
	}
	return STR_NULL;
}

/* Control characters would let a foreign text forge lines or drive the terminal. */
static void
put_plain(struct buf *b, struct str s)
{
	while (s.n > 0) {
		struct str one;
		uint32_t c;

		if (str_shown(&s, &one, &c))
			buf_putstr(b, one);
		else if (c == STR_NO_CHAR || c < 0x80)
			buf_fmt(b, "\\x%02x", (unsigned char)one.p[0]);
		else
			buf_fmt(b, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
	}
}

static void
put_json(struct buf *b, struct str s)
{
	buf_putc(b, '"');
	while (s.n > 0) {
		struct str one;
		uint32_t c;
		bool shown = str_shown(&s, &one, &c);

		if (c == '"' || c == '\\')
			buf_fmt(b, "\\%c", (int)c);
		else if (shown)
			buf_putstr(b, one);
		else if (c == STR_NO_CHAR)
			buf_puts(b, "\\ufffd");		/* JSON has no bytes */
		else if (c > 0xffff)
			buf_fmt(b, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
		else
			buf_fmt(b, "\\u%04x", c);
	}
	buf_putc(b, '"');
}

static void
put_text_value(struct buf *b, struct str s)
{
	bool plain = s.n > 0;

	for (size_t i = 0; i < s.n && plain; i++) {
		unsigned char c = (unsigned char)s.p[i];

		plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("-._/@^+", c) != NULL);
	}
	if (plain)
		buf_putstr(b, s);
	else
		put_json(b, s);
}

static void
line_runner(struct buf *b, enum log_level lv, const char *msg, const struct log_field *f, size_t n)
{
	static const char *const color[] = { "\033[37;1m", "", "\033[0;33m", "\033[31;1m", "\033[31;1m" };
	static const char *const prefix[] = { "", "", "WARNING: ", "ERROR: ", "FATAL: " };
	char scratch[64];
	size_t width, at;

	if (conf.tty < 0)
		conf.tty = isatty(STDERR_FILENO);
	if (conf.tty)
		buf_puts(b, color[lv]);
	at = b->n;
	buf_puts(b, prefix[lv]);
	put_plain(b, str_from(msg));
	width = b->n - at;
	for (; n > 0 && width < 50; width++)
		buf_putc(b, ' ');
	if (conf.tty)
		buf_puts(b, "\033[0;m");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i == 0 ? " " : "  ");
		if (conf.tty)
			buf_fmt(b, "%s%s\033[0;m=", color[lv], f[i].key);
		else
			buf_fmt(b, "%s=", f[i].key);
		put_plain(b, field_text(&f[i], scratch, sizeof(scratch)));
	}
}

static void
line_text(struct buf *b, enum log_level lv, const char *msg, const struct log_field *f, size_t n)
{
	char scratch[64], now[TIME_RFC3339_MAX];

	time_rfc3339(wall_now(), 9, now);
	buf_fmt(b, "time=\"%s\" level=%s msg=", now, level_names[lv]);
	put_json(b, str_from(msg));
	for (size_t i = 0; i < n; i++) {
		buf_fmt(b, " %s=", f[i].key);
		put_text_value(b, field_text(&f[i], scratch, sizeof(scratch)));
	}
}

static void
line_json(struct buf *b, enum log_level lv, const char *msg, const struct log_field *f, size_t n)
{
	char scratch[64], now[TIME_RFC3339_MAX];

	buf_putc(b, '{');
	for (size_t i = 0; i < n; i++) {
		put_json(b, str_from(f[i].key));
		buf_putc(b, ':');
		if (f[i].type == LF_INT)
			buf_fmt(b, "%" PRId64, f[i].i);
		else
			put_json(b, field_text(&f[i], scratch, sizeof(scratch)));
		buf_putc(b, ',');
	}
	time_rfc3339(wall_now(), 9, now);
	buf_fmt(b, "\"level\":\"%s\",\"msg\":", level_names[lv]);
	put_json(b, str_from(msg));
	buf_fmt(b, ",\"time\":\"%s\"}", now);
}

/* Texts of others as the filter lets them through; *texts owns them. */
static void
filter_fields(struct log_field *f, size_t n, struct buf *texts)
{
	for (size_t i = 0; i < n; i++) {
		char scratch[64];

		if (f[i].type != LF_STR && f[i].type != LF_VIEW)
			continue;
		conf.filter(conf.filter_ctx, field_text(&f[i], scratch, sizeof(scratch)), &texts[i]);
		f[i].type = LF_VIEW;
		f[i].s = texts[i].n > 0 ? texts[i].p : "";
		f[i].n = texts[i].n;
	}
}

uint64_t
log_count(enum log_level lv)
{
	return conf.counts[lv];
}

void
log_line(enum log_level lv, const char *msg, const struct log_field *f, size_t n)
{
	struct log_field all[CONTEXT_MAX + FIELDS_MAX];
	struct buf b = { .max = LINE_MAX_BYTES }, texts[FIELDS_MAX] = { 0 };

	conf.counts[lv]++;
	if (lv < conf.level)
		return;
	if (n > FIELDS_MAX)
		n = FIELDS_MAX;
	memcpy(all, conf.context, conf.ncontext * sizeof(all[0]));
	memcpy(all + conf.ncontext, f, n * sizeof(all[0]));
	if (conf.filter != NULL)
		filter_fields(all + conf.ncontext, n, texts);
	n += conf.ncontext;
	qsort(all, n, sizeof(all[0]), by_key);
	if (conf.format == LOG_JSON)
		line_json(&b, lv, msg, all, n);
	else if (conf.format == LOG_TEXT)
		line_text(&b, lv, msg, all, n);
	else
		line_runner(&b, lv, msg, all, n);
	/* A line past the limit is cut, not lost. */
	b.failed = false;
	if (b.n > LINE_MAX_BYTES - 1)
		buf_cut(&b, LINE_MAX_BYTES - 1);
	buf_putc(&b, '\n');
	/* One write a line; when stderr is gone there is nobody to tell. */
	(void)!write(STDERR_FILENO, b.p, b.n);
	buf_free(&b);
	for (size_t i = 0; i < FIELDS_MAX; i++)
		buf_free(&texts[i]);
}
