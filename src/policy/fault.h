/*
 * Whose fault it is when a machine's Docker Engine does not make or start a
 * container: the machine's, or that of the job and its configuration. Pure: the engine's sentence in, a kind out.
 *
 * An engine has one status (500) and one sentence for both, so the words decide. They are those of Docker 19.03 to 29,
 * containerd, runc and crun, and of Linux' own error texts. What is not known is nobody's fault here: the caller goes by its other rules.
 *
 * A job can choose names that the sentence repeats. Where it does, the engine's word for what is wrong with that name is
 * looked for first, so that a program called "no space left on device" does not talk a machine out of the fleet.
 */
#ifndef POLICY_FAULT_H
#define POLICY_FAULT_H

#include "core/err.h"
#include "core/str.h"

enum fault {
	FAULT_NONE,		/* not the machine's, or not known */
	FAULT_SPACE,		/* no space, no inodes, a quota */
	FAULT_READ_ONLY,	/* a file system that was remounted read-only */
	FAULT_IO,		/* a disk that fails */
	FAULT_RUNTIME,		/* containerd, its shim or runc is away or does not start */
	FAULT_CGROUP,
	FAULT_FILES,		/* too many open files */
	FAULT_PROCESSES,	/* no further process or thread */
	FAULT_MEMORY,
	FAULT_NETWORK,		/* the engine's own bridge, its addresses or its firewall rules */
	FAULT_DEVICE,		/* the host's driver of a device */
};

/* The kind of fault that the engine's sentence tells of. */
enum fault	fault_of(struct str sentence);
/* The same of an error: only what an engine said counts, never this host's own trouble or a broken connection. */
enum fault	fault_of_err(const struct err *e);
/* In words for people: "no space left on the machine"; "" for FAULT_NONE. */
const char	*fault_text(enum fault f);

#endif
