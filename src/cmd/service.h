/*
 * windlass as a service of the host: which init system there is, what it is
 * given to read, and how it is asked to do something. `install`, `start` and
 * their like (service.c) and `upgrade` stand on this.
 *
 * Looked for in this order, the first found is it: systemd (/run/systemd/system),
 * OpenRC (/run/openrc), upstart (an initctl that says so), System V init
 * (/etc/init.d, and process 1 is called init). Without any of them nothing is
 * installed or started, and that is no fault: `windlass run` needs none.
 */
#ifndef CMD_SERVICE_H
#define CMD_SERVICE_H

#include <pwd.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"
#include "manager/manager.h"

enum init_system { INIT_NONE, INIT_SYSTEMD, INIT_OPENRC, INIT_UPSTART, INIT_SYSV, INIT_NKINDS };

/* One service. Strings are NULL where nothing is to be said. */
struct service {
	enum init_system init;
	bool		 per_user;	/* systemd's user manager: no root, no sandbox */
	const char	*name;
	const char	*file;		/* what the init system reads of it, where there is such a file (service_find) */
	const char	*exe;		/* absolute */
	const char	*config, *directory, *state_dir, *store;
	const char	*user;		/* --user, handed to `run` */
	const char	*init_user;	/* whom the init system runs it as; NULL: root */
	bool		 syslog;
};

const char	*init_name(enum init_system i);		/* systemd, openrc, upstart, sysv, none */
int		 init_parse(struct str s, enum init_system *i);	/* 0 or -1 */
enum init_system init_detect(void);
/* The same below another root, with what process 1 is called: for tests. */
enum init_system init_detect_in(const char *root, const char *first);

/* A name that is a file name and a unit name, and cannot be taken for an option. */
bool	service_name_ok(const char *name);
/* The name of the service when none is given: by what this program was called. */
const char *service_default_name(void);
/* Where its file is; malloc'd. NULL without an init system. */
char	*service_file(enum init_system init, bool per_user, const char *name);
/* What stands in that file. */
void	service_text(const struct service *s, struct buf *b);
/* Whether a text of such a file is one of ours or of the original's: who may be removed. */
bool	service_text_ours(struct str text);
/* An option ("--config") of the `run` that such a text starts; malloc'd. NULL: it is not given there. */
char	*service_text_option(struct str text, const char *option);
/* The state directory that such a text names; malloc'd. NULL: none, so it is the default. */
char	*service_text_state_dir(struct str text);

/*
 * Makes what is missing of a path (absolute), 0700. What is made belongs to owner (NULL: to root). Symbolic links are followed,
 * but one of a user leads to nothing that is not that user's. Existing directories stay as they are, but for one of root's alone
 * in the owner's own, which is given to the owner. 0 or -1.
 */
int	service_make_dir(const char *path, const struct passwd *owner, struct err *e);
/* The same for all directories of a service: config.toml's, store, state, where it runs. The first failure is told, the others are made. */
int	service_prepare(const struct service *s, struct err *e);
/* Whether the user that it is to run as can enter its directory, execute it and read its config.toml: 0, or -1 with what to do. */
int	service_fits_user(const struct service *s, struct err *e);

/*
 * Runs a program of the init system, its output to ours. Its exit status, or -1. systemctl gets --user for a user's
 * service.
 */
int	service_tool(const struct service *s, const char *const argv[], struct err *e);
/* The same with its output taken; 30 s at most. */
int	service_ask(const struct service *s, const char *const argv[], struct buf *out);
/* systemd's word for a unit: "active", "inactive", "failed", "activating", ...; "" when it cannot be had. */
void	service_active(const struct service *s, char word[32]);
/* A property of the unit (systemctl show); "" when it cannot be had. */
void	service_property(const struct service *s, const char *property, char *out, size_t size);
/*
 * Running jobs go on. Through systemd where there is such a unit, else the manager becomes its own successor. It is up
 * afterwards: 0, or -1.
 */
int	service_restart(const struct service *s, struct err *e);

/*
 * What is here under that name: init system, file, state directory (the default one where the file does not say).
 * Whether there is such a service.
 */
bool	service_find(struct service *s, const char *name, bool per_user);

enum service_end { SERVICE_DRAIN, SERVICE_LEAVE, SERVICE_ABORT };

/* Tells the manager of a state directory to end in this way, by signals. 1 told, 0 none runs there, -1. */
int	service_end(const char *state_dir, enum service_end how, struct err *e);
/*
 * Waits for a manager on that directory whose life is not the one called old_life ("" for any), past its first round.
 * 0 with what it says (strings in a); -1: ERR_TIMEOUT.
 */
int	service_wait_ready(const char *state_dir, const char *old_life, mono_t deadline, struct arena *a, struct manager_says *says, struct err *e);
/* Waits until nobody runs there any more, or the deadline: 0, or -1 (ERR_TIMEOUT). */
int	service_wait_end(const char *state_dir, mono_t deadline, struct err *e);

#endif
