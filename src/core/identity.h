/*
 * Who a role is. Where windlass runs as root, each role gives root up before it reads a byte from the network, and goes on
 * under a number of its own without a capability: what a broken parser may open, signal or trace then is what nobody may.
 *
 * The numbers (user and group alike) need no entry in passwd. They lie above what distributions, directory services and
 * container managers give away (systemd's "Users, Groups, UIDs and GIDs", FreeIPA's and sssd's ranges end at 2000200000)
 * and below 2^31. Where they cannot be had (a user namespace that does not map them, a file system that does not keep
 * owners) the role stays what it was, and gives up its capabilities all the same.
 *
 * Without root nothing here does anything: Landlock and seccomp (core/sandbox.h) are what there is.
 */
#ifndef CORE_IDENTITY_H
#define CORE_IDENTITY_H

#include <sys/types.h>

#include "core/err.h"

#define IDENTITY_FIRST		2100000000u
#define IDENTITY_METRICS	(IDENTITY_FIRST + 0)
#define IDENTITY_OPERATOR	(IDENTITY_FIRST + 1)
/* Group of all pollers; each is a user of its own, by its process number. */
#define IDENTITY_POLLERS	(IDENTITY_FIRST + 2)
#define IDENTITY_POLLER_FIRST	(IDENTITY_FIRST + 1000000u)
#define IDENTITY_JOB_FIRST	(IDENTITY_FIRST + 10000000u)
#define IDENTITY_JOBS		30000000u
#define IDENTITY_LAST		(IDENTITY_JOB_FIRST + IDENTITY_JOBS - 1)

/* Whether roles of this process change who they are: it is root, and the numbers exist here. */
bool	identity_changes(void);
/* Whether a file's owner or group is one of the numbers. */
bool	identity_is_ours(uid_t id);

/* A job's directory by its name in jobs, and what is in it; both lists end with NULL (books/jobdir.h has them). */
struct identity_job {
	const char		*name;
	const char *const	*root_keeps;	/* files that say what its roles may do */
	const char *const	*locks;		/* of its processes */
};

/*
 * The number of the job in that directory: what its directory is owned by, else one that no other directory
 * there has, and the directory is handed over with all files in it: those of a version that knew no numbers, and those the manager wrote. Executor and
 * reporter of a job so come to the same one, whoever is first. 0 when there is nothing to change; -1 with *e set.
 */
int	identity_of_job(int jobs_dir, int job_dir, const struct identity_job *job, uid_t *id, struct err *e);

/*
 * Gives the directory, and the plain files in it that are not the new owner's yet, to id. What has a second name elsewhere is left alone. Files of the names
 * in root_keeps (NULL-terminated, or NULL) become root's, for the new owner to read: see fs_read_vouched().
 */
int	identity_hand_over(int dir, uid_t id, const char *const *root_keeps, struct err *e);
/* The same of the directory and of those below it, `depth` deep; what cannot be opened is passed over. */
int	identity_hand_over_tree(int dir, uid_t id, int depth, struct err *e);
/* Makes the directory readable (or, with write, writable: each one's files only by itself) for a group beside its owner. */
int	identity_share(int dir, gid_t group, bool write, struct err *e);

/*
 * From here on the process is id (its own number as group too, and `group` beside it unless 0): no supplementary groups,
 * no capability, nothing to be gained by an exec. With id 0, or where the numbers cannot be had, only the capabilities go (but CAP_DAC_OVERRIDE). It stays undumpable, and dies with its parent if it did.
 */
void	identity_take(uid_t id, gid_t group);

#endif
