/*
 * The manager seen from outside: what `ls`, `top`, `why` and the metrics
 * server know. With a living manager that is its snapshot; with a dead one,
 * or one that has not written yet, the last snapshot put right by what the two
 * directories say now, since those are the truth. Only reading; every file may vanish at any moment.
 */
#ifndef MANAGER_VIEW_H
#define MANAGER_VIEW_H

#include "books/view.h"

/*
 * Reads the snapshot and, where needed, the directories. store NULL: the snapshot's, else the
 * default. 0, or -1: there is no such state directory, or it may not be read.
 */
int	view_load(struct view *v, const char *state_dir, const char *store, struct err *e);

#endif
