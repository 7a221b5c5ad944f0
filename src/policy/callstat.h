/*
 * What a process counts about its calls to GitLab, for the metrics of
 * upstream (spec gitlab-runner 5): how many by endpoint and answer, and how
 * long they took. Whoever makes the calls keeps one of these; the manager adds them up.
 */
#ifndef POLICY_CALLSTAT_H
#define POLICY_CALLSTAT_H

#include "core/core.h"

/* Upper bounds in seconds; one more bucket has what took longer. */
#define CALLSTAT_BOUNDS	{ 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60 }
#define CALLSTAT_NBOUNDS	9
#define CALLSTAT_MAX	24

enum callstat_endpoint { CALLSTAT_REQUEST_JOB, CALLSTAT_UPDATE_JOB, CALLSTAT_PATCH_TRACE, CALLSTAT_NENDPOINTS };

struct callstat_row {
	enum callstat_endpoint	 endpoint;
	int			 status;	/* HTTP status, -1: no answer */
	uint64_t		 n;
	double			 seconds;
	uint64_t		 bucket[CALLSTAT_NBOUNDS + 1];
};

struct callstat {
	struct callstat_row	 row[CALLSTAT_MAX];
	size_t			 n;
};

/* Counts one call. A server of more than CALLSTAT_MAX kinds of answer has the rest counted with the last. */
void	callstat_add(struct callstat *c, enum callstat_endpoint endpoint, int status, double seconds);
size_t	callstat_bucket(double seconds);
const char *callstat_endpoint_name(enum callstat_endpoint e);	/* "request_job" */
const char *callstat_endpoint_method(enum callstat_endpoint e);	/* "post" */
const char *callstat_endpoint_path(enum callstat_endpoint e);	/* "/api/v4/jobs/{id}" */
/* "2xx", or "unknown" when there was no answer. */
const char *callstat_class(int status);

#endif
