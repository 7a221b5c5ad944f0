/*
 * config.toml as the operator's file, changed by a command: one at a time
 * (a lock beside the file), read fresh under the lock, edited in place
 * (wire/tomledit), and put back whole and durably under the same owner. Whatever goes
 * wrong before the end, the file is as it was.
 *
 * A command that cannot be taken back, such as one that makes GitLab forget
 * the old token, first makes sure that its result will find room: confedit_reserve().
 */
#ifndef CONFIG_CONFEDIT_H
#define CONFIG_CONFEDIT_H

#include <sys/types.h>

#include "wire/tomledit.h"

struct confedit {
	struct tomledit	 t;		/* what the caller edits */
	char		*path;		/* of the file itself, where symbolic links lead */
	bool		 missing;	/* there was no file: t is empty */
	/* private */
	char		*name;		/* in dir */
	int		 dir, lock, tmp;
	char		 tmp_name[300];
	mode_t		 mode;
	uid_t		 uid;
	gid_t		 gid;
};

enum confedit_missing { CONFEDIT_MUST_EXIST, CONFEDIT_MAY_CREATE };

/*
 * Locks (waits for another command, and says so once), reads and parses. ERR_CONFIG, ERR_PARSE with
 * "PATH: line L, column C: ..."; ERR_NOTFOUND; ERR_SYS when the file or its directory is not ours to
 * write, with what to do. With CONFEDIT_MAY_CREATE the directory is made too (0700).
 */
int	confedit_open(struct confedit *c, const char *path, enum confedit_missing missing, struct err *e);
/* Takes the space that the new file will need, and some more. ERR_FULL when there is none. */
int	confedit_reserve(struct confedit *c, struct err *e);
/*
 * Replaces the file by the text as it is now. Mode 0600, or the old one if that was as strict for others. On -1 the old file
 * is as it was.
 */
int	confedit_save(struct confedit *c, struct err *e);
/*
 * Whether a command of windlass has written the file that path leads to, with bytes of this hash (core/hash.h, hash_fnv), as the
 * last thing that was done to it by one: then it is whole, and what it says is meant. Noted in the lock's file by confedit_save().
 */
bool	confedit_wrote(const char *path, uint64_t hash);
/* Unlocks; what was not saved is forgotten. Allowed after a failed open. */
void	confedit_close(struct confedit *c);

#endif
