/* A line of the history (books/history.h) for each job that ended and each turn of a machine's life. None of them fails. */
#ifndef MANAGER_HISTORY_H
#define MANAGER_HISTORY_H

#include "books/history.h"

struct manager;
struct job;
struct machine;

void	history_job(struct manager *m, const struct job *j);
void	history_machine(struct manager *m, const struct machine *mc, enum history_what what);

#endif
