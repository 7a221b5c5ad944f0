/* The patterns of allowed_images and its like (spec job-execution 2.2): * ** ? [] {} \, "!" in front denies. */
#ifndef WIRE_GLOB_H
#define WIRE_GLOB_H

#include "core/str.h"

/* A malformed pattern matches nothing. */
bool	glob_match(struct str pattern, struct str name);
/* An empty list allows everything; a matching "!pattern" denies whatever else matches. */
bool	glob_allowed(const struct str *patterns, size_t n, struct str name);

#endif
