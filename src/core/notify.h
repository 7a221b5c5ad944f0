/*
 * A word to the service manager that started us: systemd's sd_notify(3)
 * protocol, without its library. Datagrams of KEY=VALUE lines go to the
 * socket that $NOTIFY_SOCKET names: a path, or "@name" for one without.
 *
 * Without that variable nobody listens, and everything here does nothing.
 * A word that does not get through is no error of ours: it is dropped, and
 * nothing here ever waits. Only what this process itself says counts
 * (NotifyAccess=main), so the variable may stay in the children's environment.
 */
#ifndef CORE_NOTIFY_H
#define CORE_NOTIFY_H

#include "core/mono.h"

/* Whether somebody listens. */
bool	notify_wanted(void);

/* Sends lines such as "READY=1\nSTATUS=..." (cut at 1023 bytes). 0 or -1 with errno; 0 when nobody listens. */
int	notify_send(const char *fmt, ...) PRINTFLIKE(1, 2);

/* "RELOADING=1", with the time that newer versions of systemd want beside it. READY=1 ends it. */
int	notify_reloading(void);

/*
 * How often we have to say WATCHDOG=1, in nanoseconds: half of what the
 * service manager grants ($WATCHDOG_USEC). 0: it does not watch this process.
 */
dur_t	notify_watchdog(void);

#endif
