/*
 * The options of `create`: those that every driver has (spec machines 4.9)
 * and the driver's own, from the command line or from MachineOptions, made
 * into a machine's description. No network.
 */
#ifndef MACHINE_OPTIONS_H
#define MACHINE_OPTIONS_H

#include "machine/config_json.h"

#define MACHINE_OPTS_MAX	96

struct machine_options {
	const struct cloud_driver *driver;
	struct opt		 opt[MACHINE_OPTS_MAX];
	size_t			 n;
	const char		**words;	/* what was no option, views of argv */
	size_t			 nwords;
};

/* The rows, without values: for parsing and for --help. d may be NULL: only the common ones. */
void	machine_options_init(struct machine_options *o, const struct cloud_driver *d);
/* Parses argv[1..], and looks at the forms of those for the engine. ERR_CONFIG with a sentence that names the option. */
int	machine_options_parse(struct machine_options *o, int argc, char **argv, struct err *e);
/* The same from MachineOptions: "key=value" or "key" each. */
int	machine_options_take(struct machine_options *o, struct arena *a, const char *const *list, size_t n,
	    struct err *e);
/* What is to be said of an option's value that will do and was hardly meant; NULL: nothing. */
const char *machine_option_note(const char *name, const char *value);
void	machine_options_free(struct machine_options *o);

/*
 * The machine's description by these options; files of this host that they name must exist. Everything is copied
 * into the arena.
 */
int	machine_options_host(struct machine_options *o, struct machine_host *h, struct arena *a,
	    const char *store, const char *name, struct err *e);

#endif
