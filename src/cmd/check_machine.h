/*
 * The machine that an entry's MachineOptions describe, as the operator (the process) would
 * make it; for `check`, offline and online.
 */
#ifndef CMD_CHECK_MACHINE_H
#define CMD_CHECK_MACHINE_H

#include "cmd/check.h"
#include "machine/options.h"

/*
 * Takes the options, with a machine name in place of %s. 0 and *h in the check's arena; -1 with the
 * driver's own words. NULL driver: ERR_CONFIG.
 */
int	check_machine_host(struct check *c, const struct runner *r, struct machine_options *o, struct machine_host *h, struct err *e);
/* Of the store's certificate authority, if it ends soon. */
void	check_certs(struct check *c);
/* Findings about [runners.machine]. t is that table. */
void	check_machine(struct check *c, const struct runner *r, const struct toml *t);

#endif
