/*
 * Crash points: places between two recorded steps where a test may stop the
 * process as if by kill -9. `WINDLASS_CRASH_AT=point` (or point:N for the
 * N-th passage, from 1) makes crash_point("point") end the process at once
 * with SIGKILL. When WINDLASS_CRASH_ONCE names a file, the point fires only
 * if that file does not exist yet, and creates it: restarted processes of
 * the same test then go on.
 *
 * The names are listed in docs/processes.md; `windlass debug crash-points` prints them.
 */
#ifndef CORE_CRASH_H
#define CORE_CRASH_H

void	crash_point(const char *name);
/*
 * Before a role gives root up: the folder of WINDLASS_CRASH_ONCE stays in reach (and has to be writable for everybody). Its
 * descriptor, below 0 when there is none; the same each time.
 */
int	crash_keep(void);

#endif
