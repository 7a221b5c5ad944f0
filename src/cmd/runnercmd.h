/*
 * What the commands about runners share: how they begin, how they speak, how
 * they are interrupted, which entries of config.toml they mean.
 *
 * They write to standard error, in the process log's format, as gitlab-runner
 * does (spec gitlab-runner 3.1); standard output is for --help and for what `check` has to say.
 */
#ifndef CMD_RUNNERCMD_H
#define CMD_RUNNERCMD_H

#include "config/confedit.h"
#include "config/config.h"
#include "core/opt.h"
#include "core/secret.h"
#include "gitlab/runners.h"

/* One call of a command to GitLab, all its tries. */
#define RUNNERCMD_CALL_NS	(120 * NSEC_SEC)

/* The lines that every such command begins with. mode: also whose configuration it is about. */
void	runnercmd_hello(bool mode);
/* "FATAL: what: reason", 1. */
int	runnercmd_fatal(const char *what, const struct err *e);

/*
 * From here on SIGINT, SIGTERM and SIGHUP end waits (ERR_CANCELLED) instead of the process, which has something to
 * clean up. Returns the descriptor that net_control() and struct gitlab_tries want.
 */
int	runnercmd_catch_signals(void);
/* Takes the signal that ended the last wait, so that a clean-up may wait again (and a second signal end it). */
void	runnercmd_forget_signal(int fd);

/* GitLab by an entry or by options; files that are not named are found by the server's name. NULL: *e. */
struct gitlab	*runnercmd_gitlab(const char *url, const char *ca, const char *cert, const char *key, struct err *e);
/* By an entry; ca (NULL: none) is the authority's file of one that names none. */
struct gitlab	*runnercmd_gitlab_of(const struct runner *r, const char *ca, struct err *e);
/* An entry's [runners.docker] gpus, for `info`. */
struct str	 runnercmd_gpus(const struct runner *r);

/*
 * config.toml for changing its entries: opened under its lock, and read. NULL: *e. In both cases
 * the caller frees with config_free() and confedit_close().
 */
struct config	*runnercmd_edit(struct confedit *c, const char *path, struct err *e);
/* The i-th [[runners]] of a file; NULL when there are fewer. */
struct toml	*runnercmd_entry(struct toml *root, size_t i);

/* Which entries are meant; NULL or "": any. An url "*" is any, too. */
struct selection { const char *name, *url; struct secret token; };
bool	runnercmd_selects(const struct selection *s, const struct runner *r);

/*
 * One line from standard input, which may be a terminal, without its end; malloc'd. NULL: at the end of input (ERR_NOTFOUND) or
 * when a signal came (ERR_CANCELLED).
 */
char	*runnercmd_read_line(int signals, struct err *e);

/* The date as config.toml has it; the year 1 for 0, which gitlab-runner reads as "never". */
#define RUNNERCMD_DATE_MAX	40
void	runnercmd_date(wall_t t, char out[RUNNERCMD_DATE_MAX]);

#endif
