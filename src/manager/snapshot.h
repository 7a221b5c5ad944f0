/*
 * What the manager knows, as one file for whoever wants to look:
 * view/snapshot.json in the state directory (books/view.h). `ls`, `top`, `why`
 * and the windlass-metrics process read it; nothing is decided by it.
 *
 * It is looked at after each round and written when something in it has
 * changed, at most once a second and never for more than a fiftieth of the
 * time, whole (a rename) and without fsync. All times in it are absolute, so
 * that nothing in it ages while nothing happens. No secret is in it: of tokens only the short form.
 */
#ifndef MANAGER_SNAPSHOT_H
#define MANAGER_SNAPSHOT_H

#include "books/view.h"
#include "manager/model.h"

/* Once, when the state directory is open. */
void	snapshot_open(struct manager *m);
/* After each round; `event` says that something happened and not only time passed. */
void	snapshot_tend(struct manager *m, bool event);
/* The last one, at the end. */
void	snapshot_end(struct manager *m);
mono_t	snapshot_wake(const struct manager *m);
/* The file's text. With the counters only when somebody serves them. */
void	snapshot_put(struct manager *m, struct buf *b);

#endif
