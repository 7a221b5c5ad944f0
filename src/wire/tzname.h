/*
 * Time zones by name, from the table that is built into the binary: what the
 * local time is from 2020 on. Before that a zone shows the time it would have had by its
 * later rules. The table is made from tzdata at build time (vendor/tz_blob.c).
 */
#ifndef WIRE_TZNAME_H
#define WIRE_TZNAME_H

#include "wire/tzif.h"

/* Whether there is a zone of this name ("Europe/Berlin", "UTC", "US/Eastern"); *tz lives for ever. */
bool	tz_named(struct tz *tz, struct str name);
/* The i-th name of the table, from 0; an empty one behind the last. */
struct str	tz_name(size_t i);

#endif
