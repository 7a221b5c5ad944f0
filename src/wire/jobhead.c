/* The beginning of a torn job answer: see jobhead.h. */
#include "wire/jobhead.h"

/* The next byte but blanks is c: passes it. */
static bool
pass(struct str *s, char c)
{
	*s = str_trim(*s);
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

static bool
pass_key(struct str *s, const char *key)
{
	*s = str_trim(*s);
	if (!str_starts(*s, key))
		return false;
	*s = str_sub(*s, strlen(key), s->n);
	return pass(s, ':');
}

static int64_t
pass_number(struct str *s)
{
	int64_t v = 0;
	size_t n = 0;

	*s = str_trim(*s);
	while (n < s->n && n < 18 && s->p[n] >= '0' && s->p[n] <= '9')
		v = v * 10 + (s->p[n++] - '0');
	*s = str_sub(*s, n, s->n);
	return v;
}

bool
jobhead_read(struct str body, struct jobhead *out)
{
	size_t n;

	if (!pass(&body, '{') || !pass_key(&body, "\"id\""))
		return false;
	out->id = pass_number(&body);
	if (out->id <= 0 || !pass(&body, ',') || !pass_key(&body, "\"token\"") || !pass(&body, '"'))
		return false;
	for (n = 0; n < body.n && body.p[n] != '"'; n++)
		if (body.p[n] <= ' ' || body.p[n] == '\\' || body.p[n] > '~')
			return false;
	if (n == 0 || n == body.n || n > JOBHEAD_TOKEN_MAX)
		return false;
	out->token = str_sub(body, 0, n);
	return true;
}
