/*
 * How our processes end. The manager translates them in one place; people
 * see only 0, 1 and 3 from commands (spec machines 4.7).
 */
#ifndef CORE_EXIT_H
#define CORE_EXIT_H

enum {
	EXIT_OK = 0,
	EXIT_FAIL = 1,		/* it failed and said why */
	EXIT_PRECREATE = 3,	/* docker-machine: the pre-create check failed */
	EXIT_CONFIG = 78,	/* a role was started with a broken description */
	EXIT_BUSY = 79,		/* its lock is held: another one is already at it */
	EXIT_MACHINE = 80,	/* executor: the machine is not usable, the job may go to another */
	EXIT_RETRY = 81,	/* a passing fault: start me again a little later */
	EXIT_GONE = 82,		/* reporter: the job does not exist here any more (403, 404, aborted); operator: the machine is dead */
	EXIT_QUOTA = 83,	/* operator: a limit of the cloud account; do not try at once */
	EXIT_REFUSED = 84,	/* operator: the cloud will never accept this request */
	EXIT_DAMAGED = 85,	/* executor, reporter: the job's files are not what they were, starting again does not help */
	EXIT_CRASHPOINT = 99,	/* WINDLASS_CRASH_AT said so */
};

#endif
