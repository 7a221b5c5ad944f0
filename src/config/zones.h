/*
 * The time zones that Timezone in [[runners.machine.autoscaling]] may name, and the one this
 * host lives in. In order: the folder that $ZONEINFO names, for data newer than this binary;
 * the table in the binary (wire/tzname.h); /usr/share/zoneinfo, for names newer than it. A bare
 * host needs no tzdata.
 *
 * "" and "Local" are the host's: $TZ as in the C library (a name, ":" and a path, or
 * a POSIX string), else /etc/localtime, else UTC.
 */
#ifndef CONFIG_ZONES_H
#define CONFIG_ZONES_H

#include "core/arena.h"
#include "wire/tzif.h"

/* As struct periods_config wants it; ctx is the arena that the answer lives in. */
const struct tz *zones_find(void *arena, struct str name, bool *utc_ok);

#endif
