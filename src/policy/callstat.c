/* Counting calls to GitLab: see callstat.h. */
#include "policy/callstat.h"

static const struct { const char *name, *method, *path; } endpoints[CALLSTAT_NENDPOINTS] = {
	[CALLSTAT_REQUEST_JOB] = { "request_job", "post", "/api/v4/jobs/request" },
	[CALLSTAT_UPDATE_JOB] = { "update_job", "put", "/api/v4/jobs/{id}" },
	[CALLSTAT_PATCH_TRACE] = { "patch_trace", "patch", "/api/v4/jobs/{id}/trace" },
};

size_t
callstat_bucket(double seconds)
{
	static const double bounds[CALLSTAT_NBOUNDS] = CALLSTAT_BOUNDS;
	size_t i = 0;

	while (i < CALLSTAT_NBOUNDS && seconds > bounds[i])
		i++;
	return i;
}

void
callstat_add(struct callstat *c, enum callstat_endpoint endpoint, int status, double seconds)
{
	size_t i = 0;

	while (i < c->n && (c->row[i].endpoint != endpoint || c->row[i].status != status))
		i++;
	if (i == CALLSTAT_MAX)
		i = CALLSTAT_MAX - 1;
	else if (i == c->n)
		c->row[c->n++] = (struct callstat_row){ .endpoint = endpoint, .status = status };
	c->row[i].n++;
	c->row[i].seconds += seconds;
	c->row[i].bucket[callstat_bucket(seconds)]++;
}

const char *
callstat_endpoint_name(enum callstat_endpoint e)
{
	return endpoints[e].name;
}

const char *
callstat_endpoint_method(enum callstat_endpoint e)
{
	return endpoints[e].method;
}

const char *
callstat_endpoint_path(enum callstat_endpoint e)
{
	return endpoints[e].path;
}

const char *
callstat_class(int status)
{
	static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };

	return status >= 100 && status < 600 ? classes[status / 100 - 1] : "unknown";
}
