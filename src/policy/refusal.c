/* Who it was that said no: see refusal.h. */
#include "policy/refusal.h"

/* The message without this beginning, case aside; false if it has another. */
static bool
pass(struct str *s, const char *begin)
{
	if (!str_casestarts(*s, begin))
		return false;
	*s = str_sub(*s, strlen(begin), s->n);
	return true;
}

static enum refusal
forbidden(struct str message)
{
	if (!pass(&message, "403 Forbidden"))
		return REFUSAL_FOREIGN;
	if (message.n == 0)
		return REFUSAL_TOKEN;
	if (!pass(&message, " - "))
		return REFUSAL_FOREIGN;
	return str_caseeq(message, "invalid token supplied") ? REFUSAL_TOKEN : REFUSAL_OTHER;
}

enum refusal
refusal_of(int status, struct str type, struct str message)
{
	if (!str_casestarts(str_trim(type), "application/json"))
		return REFUSAL_FOREIGN;
	switch (status) {
	case 401:
		return str_casestarts(message, "401 Unauthorized") ? REFUSAL_LOGIN : REFUSAL_FOREIGN;
	case 403:
		return forbidden(message);
	case 404:
		/* "404 Not Found", "404 Job Not Found". A path that does not exist, as under a wrong url, is an "error", not a "message". */
		return pass(&message, "404 ") && message.n >= 9 && str_caseeq(str_sub(message, message.n - 9, message.n), "Not Found") ?
		    REFUSAL_GONE : REFUSAL_FOREIGN;
	default:
		return REFUSAL_FOREIGN;
	}
}
