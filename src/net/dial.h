/*
 * Connections: names resolved, every address tried, HTTP proxies honoured.
 * Blocking code, but never deaf: each wait watches the socket and the
 * process's control descriptor until an absolute point in time.
 *
 * The one exception is the resolver. getaddrinfo(3) cannot be interrupted:
 * with musl it takes at most `timeout` seconds of resolv.conf (5 unless set)
 * for each name it tries, that is the name itself and, for a name with fewer
 * dots than `ndots`, once for each search domain. The deadline is looked at
 * before and after it.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"
#include "core/str.h"

/*
 * The descriptor that ends every wait of this process when it becomes
 * readable (or hangs up): a poller's or operator's pipe to the manager, an
 * executor's signalfd. -1: none (the default). A wait ended by it is
 * ERR_CANCELLED. The descriptor is not read, so every later wait ends too.
 */
void	net_control(int fd);
/*
 * The same, but a wait goes on for `ns` after the descriptor was first seen to be readable: an answer that is on its
 * way gets the time to arrive. net_control(), with whatever descriptor, ends that too.
 */
void	net_control_late(int fd, dur_t ns);

/*
 * Waits for events (POLLIN, POLLOUT or both) on fd. 0 when one of them has
 * come, or an error or hang-up that the next read or write will name; -1
 * ERR_TIMEOUT, ERR_CANCELLED or ERR_SYS.
 */
int	net_wait(int fd, short events, mono_t deadline, struct err *e);
/* Waits with no socket: 0 when the time has come, -1 ERR_CANCELLED. */
int	net_pause(dur_t ns, struct err *e);

/*
 * "fe80::1%eth0" with the interface's number for its name, as the kernel says it (/sys/class/net): the C library would ask by a
 * Unix socket, which no role may have. Everything else as it is. Into the arena.
 */
char	*dial_numeric_scope(struct arena *a, const char *host);

struct dial_opts {
	const char	*bind_name;	/* for messages; NULL: host:port */
	int		 keepalive_s;	/* SO_KEEPALIVE idle and interval; 0: off */
};

/*
 * Connects by TCP: resolves host (an address, with or without brackets, is
 * taken as it is), tries its addresses in order, each with a fair part of
 * the time left. o may be NULL. Returns a non-blocking, close-on-exec socket
 * with TCP_NODELAY, or -1: ERR_NET with "connect HOST:PORT: reason", naming
 * every address when there were several; ERR_TIMEOUT; ERR_CANCELLED.
 */
int	dial_tcp(struct str host, uint16_t port, const struct dial_opts *o, mono_t deadline, struct err *e);

/*
 * The proxy to use for a URL by the environment (HTTPS_PROXY, HTTP_PROXY,
 * NO_PROXY and lower case, spec gitlab-runner 1.1): NULL for none, else the
 * variable's value.
 */
const char *dial_proxy_for(bool https, struct str host, uint16_t port);

/*
 * Connects through an HTTP proxy by CONNECT (credentials of the proxy's URL
 * as Basic). As dial_tcp() otherwise. ERR_CONFIG: proxy_url is not
 * http://[user:password@]host[:port] (the scheme may be missing); ERR_AUTH:
 * the proxy asks for other credentials; ERR_REFUSED: it does not let us.
 */
int	dial_connect(const char *proxy_url, struct str host, uint16_t port, const struct dial_opts *o,
	    mono_t deadline, struct err *e);
/*
 * Connects to the proxy itself, for requests in absolute form. head, which
 * may be NULL, gets the "Proxy-Authorization: ..." line with CRLF that each
 * of them must carry, or nothing. It is a secret.
 */
int	dial_proxy(const char *proxy_url, struct buf *head, const struct dial_opts *o,
	    mono_t deadline, struct err *e);

#endif
