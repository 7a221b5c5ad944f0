/*
 * Read-only relocations, sealed by ourselves.
 *
 * A static-pie relocates itself at start and is then meant to make the
 * relocated pages read-only, so that a stray write cannot redirect a function
 * pointer. glibc's start code does that; musl's does it only for dynamic
 * programs, where its loader would.
 */
#ifndef CORE_RELRO_H
#define CORE_RELRO_H

/*
 * Makes the PT_GNU_RELRO range of this program read-only. To be called first
 * in main, before anything from outside is read. Harmless where the range is
 * sealed already or where there is none. Aborts with a line on standard error
 * when the kernel refuses, since a process that goes on without would be one
 * we claim not to ship.
 */
void	relro_seal(void) __attribute__((noinline));	/* its name stays, for the check of the release */

#endif
