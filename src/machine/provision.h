/*
 * Provisioning: over SSH a fresh machine gets its TLS files and an engine
 * that listens with them (spec machines 6). One script, sent on the standard input of one
 * shell, does it all where Docker is installed already; where it is not, a
 * second one installs it. The scripts look at what the system can do (systemd or OpenRC, which package manager)
 * rather than at its name, and may be run again at any point.
 *
 * What the first script replaces it keeps until the engine has started, in /etc/docker/wl-old: an engine that does not start
 * with our settings gets its own back, is started with them, and its own words are the error. What can be seen before
 * anything is touched is seen then: a daemon.json that collides, a unit that is masked, options that
 * dockerd refuses. A drop-in of somebody else that wins over ours is named, and the engine not restarted.
 *
 * No secret stands in a command line, and no remote text is interpreted: what comes back is only logged.
 */
#ifndef MACHINE_PROVISION_H
#define MACHINE_PROVISION_H

#include "machine/config_json.h"
#include "net/ssh.h"

struct provision {
	const char			*name;
	const struct cloud		*cloud;		/* tells people of progress; NULL: nobody */
	const char			*driver;	/* for the label provider= */
	const char			*user;		/* SSH user; not root: sudo */
	int				 port;		/* of the engine; 0: 2376 */
	const struct machine_engine	*engine;
	struct str			 ca, cert, key;	/* PEM, for the engine */
	bool				 await_cloud_init;
	bool				 careful;	/* somebody may use the engine: ask it about its settings before it is stopped */
};

struct provision_result {
	char		system[48];	/* as docker-machine calls it: "ubuntu(systemd)" */
	bool		installed;	/* Docker had to be installed */
	bool		touched;	/* the machine is not as it was, or that is not known */
	struct buf	output;		/* the last lines of what the scripts said, for a failure's log */
};

/*
 * 0 when the engine was restarted with its files; it may need a moment more to answer. ERR_CONFIG: the machine can never
 * be provisioned like this (its own settings collide, another drop-in wins, no way to install). ERR_NET: the connection was lost,
 * try again. Other failures: ERR_SYS. r->output is to be freed.
 */
int	provision_run(struct ssh *s, const struct provision *p, struct provision_result *r, mono_t deadline,
	    struct err *e);

/* The parts of the scripts that are made of options; for the tests. */
void	provision_systemd_args(struct buf *b, const struct provision *p, bool with_label);
void	provision_script(struct buf *b, const struct provision *p);
void	provision_install_script(struct buf *b, const struct provision *p);

#endif
