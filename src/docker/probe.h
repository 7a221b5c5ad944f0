/*
 * Whether an engine that answers can also do something: a container is
 * created, never started, bytes are written into it, and it is removed. A
 * machine with a full or read-only disk answers pings for ever.
 *
 * It costs the machine some tens of milliseconds and no network: the bytes are a hole in a tar archive,
 * which is 2 KB on its way and PROBE_BYTES on the machine's disk.
 */
#ifndef DOCKER_PROBE_H
#define DOCKER_PROBE_H

#include "docker/engine.h"

/* So much free space a machine must have: less than the smallest helper image needs. */
#define PROBE_BYTES	(32u << 20)

/*
 * After engine_hello(). An image that is there is used; an empty one is imported where there is none. 0, or -1: the engine
 * failed (ERR_SERVER and its like, in its own words) or cannot be reached. What only says that somebody else
 * interfered, or that the engine does not allow such calls, is no failure.
 */
int	engine_probe(struct engine *g, mono_t deadline, struct err *e);

/* The archive: one file of `bytes` zero bytes, as a hole (GNU sparse format 1.0 in a pax header). */
void	probe_put_tar(struct buf *tar, uint64_t bytes);

#endif
