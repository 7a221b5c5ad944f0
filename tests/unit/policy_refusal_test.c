/* policy/refusal: GitLab's own word on a token, and all that looks a little like it. */
#include "policy/refusal.h"
#include "tap.h"

#define JSON "application/json"
static const struct { int status; const char *type, *message; enum refusal want; } cases[] = {
	{ 403, JSON, "403 Forbidden", REFUSAL_TOKEN },
	{ 403, JSON "; charset=utf-8", "403 Forbidden", REFUSAL_TOKEN },
	{ 403, JSON, "403 Forbidden - invalid token supplied", REFUSAL_TOKEN },
	{ 403, JSON, "403 Forbidden - Runner is orphaned", REFUSAL_OTHER },
	{ 403, JSON, "403 Forbidden - Job is not processing on runner", REFUSAL_OTHER },
	{ 403, JSON, "403 Forbidden - Your IP address is not allowed", REFUSAL_OTHER },
	{ 403, JSON, "403 Forbidden by administrative rules", REFUSAL_FOREIGN },
	{ 403, JSON, "403 Forbiddenness", REFUSAL_FOREIGN },
	{ 403, JSON, "Forbidden", REFUSAL_FOREIGN },
	{ 403, JSON, "You cannot perform write operations on a read-only instance", REFUSAL_FOREIGN },
	{ 403, JSON, "GitLab is undergoing maintenance", REFUSAL_FOREIGN },
	{ 403, JSON, "", REFUSAL_FOREIGN },
	{ 403, "text/html", "403 Forbidden", REFUSAL_FOREIGN },
	{ 403, "text/plain", "403 Forbidden", REFUSAL_FOREIGN },
	{ 403, "", "403 Forbidden", REFUSAL_FOREIGN },
	{ 401, JSON, "403 Forbidden", REFUSAL_FOREIGN },
	{ 401, JSON, "401 Unauthorized", REFUSAL_LOGIN },
	{ 401, "text/html", "401 Unauthorized", REFUSAL_FOREIGN },
	{ 407, JSON, "403 Forbidden", REFUSAL_FOREIGN },
	{ 404, JSON, "404 Not Found", REFUSAL_GONE },
	{ 404, JSON, "404 Not found", REFUSAL_GONE },
	{ 404, JSON, "404 Runner Manager Not Found", REFUSAL_GONE },
	{ 404, JSON, "404", REFUSAL_FOREIGN },
	{ 404, JSON, "404 page", REFUSAL_FOREIGN },
	{ 404, JSON, "", REFUSAL_FOREIGN },
	{ 404, "text/plain", "404 Not Found", REFUSAL_FOREIGN },
	{ 500, JSON, "403 Forbidden", REFUSAL_FOREIGN },
};

int
main(void)
{
	for (size_t i = 0; i < NELEM(cases); i++)
		is_int(refusal_of(cases[i].status, str_from(cases[i].type), str_from(cases[i].message)), cases[i].want,
		    "%d %s \"%s\"", cases[i].status, cases[i].type, cases[i].message);
	return done_testing();
}
