/* Marks in a stage's output: see marker.h. */
#include "wire/marker.h"

static const struct { const char *word; enum marker_word mark; bool number; } words[] = {
	{ "begin", MARKER_BEGIN, false },
	{ "end.", MARKER_END, true },
	{ "sync", MARKER_SYNC, false },
};

enum fit { FIT_NOT, FIT_SO_FAR, FIT_WHOLE };

void
marker_init(struct marker *m, const char *token)
{
	*m = (struct marker){ .nheld = 0 };
	if (token[0] != '\0')
		snprintf(m->want, sizeof(m->want), "wl.%.*s.", MARKER_TOKEN, token);
}

/* A line's end: "\n" or "\r\n". */
static enum fit
fit_end(struct str s)
{
	if (s.n > 0 && s.p[0] == '\r')
		s = str_sub(s, 1, s.n);
	if (s.n == 0)
		return FIT_SO_FAR;
	return s.n == 1 && s.p[0] == '\n' ? FIT_WHOLE : FIT_NOT;
}

static enum fit
fit_number(struct str s, int *status)
{
	int value = 0;
	size_t i;

	for (i = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		value = value * 10 + (s.p[i] - '0');
	if (i > 3 || value > 255 || (i == 0 && s.n > 0))
		return FIT_NOT;
	*status = value;
	return i == 0 ? FIT_SO_FAR : fit_end(str_sub(s, i, s.n));
}

/* How far the bytes are a mark. */
static enum fit
fit(const struct marker *m, struct str s, struct mark *mark)
{
	size_t want = strlen(m->want), n = s.n < want ? s.n : want;

	if (memcmp(s.p, m->want, n) != 0)
		return FIT_NOT;
	if (s.n <= want)
		return FIT_SO_FAR;
	s = str_sub(s, want, s.n);
	for (size_t i = 0; i < NELEM(words); i++) {
		size_t len = strlen(words[i].word);

		n = s.n < len ? s.n : len;
		if (memcmp(s.p, words[i].word, n) != 0)
			continue;
		if (s.n <= len)
			return FIT_SO_FAR;
		mark->word = words[i].mark;
		s = str_sub(s, len, s.n);
		return words[i].number ? fit_number(s, &mark->status) : fit_end(s);
	}
	return FIT_NOT;
}

/* Gives out the held bytes in front of the next place where a mark may begin. */
static struct str
let_go(struct marker *m)
{
	struct mark ignored;
	size_t n = 1;

	while (n < m->nheld && fit(m, str_of(m->held + n, m->nheld - n), &ignored) == FIT_NOT)
		n++;
	memcpy(m->out, m->held, n);
	memmove(m->held, m->held + n, m->nheld - n);
	m->nheld -= n;
	return str_of(m->out, n);
}

int
marker_next(struct marker *m, struct str *in, struct str *text, struct mark *mark)
{
	*mark = (struct mark){ MARKER_BEGIN, 0 };
	while (in->n > 0) {
		if (m->nheld == 0) {
			ssize_t at = m->want[0] == '\0' ? -1 : str_chr(*in, m->want[0]);

			if (at != 0) {
				*text = str_sub(*in, 0, at < 0 ? in->n : (size_t)at);
				*in = str_sub(*in, text->n, in->n);
				return 1;
			}
		}
		m->held[m->nheld++] = in->p[0];
		*in = str_sub(*in, 1, in->n);
		switch (fit(m, str_of(m->held, m->nheld), mark)) {
		case FIT_NOT:
			*text = let_go(m);
			return 1;
		case FIT_WHOLE:
			m->nheld = 0;
			return 2;
		case FIT_SO_FAR:
			break;
		}
	}
	return 0;
}

struct str
marker_close(struct marker *m)
{
	size_t n = m->nheld;

	memcpy(m->out, m->held, n);
	m->nheld = 0;
	return str_of(m->out, n);
}
