/*
 * A job's variables: an ordered list in which later entries win, and the
 * expansion of $NAME and ${NAME} in one pass (spec job-execution 5.6, Go's os.Expand rules).
 */
#ifndef WIRE_VARS_H
#define WIRE_VARS_H

#include "core/arena.h"
#include "core/buf.h"

enum var_flags { VAR_PUBLIC = 1, VAR_MASKED = 2, VAR_FILE = 4, VAR_RAW = 8, VAR_INTERNAL = 16 };

struct var {
	struct str	key;
	struct str	value;
	unsigned	flags;
};

struct vars {
	struct arena	*arena;		/* keys and values live here */
	struct var	*v;
	size_t		 n, cap;
	uint32_t	*index;		/* hash table over keys, last entry; private */
	size_t		 nindex;
	struct str	 file_dir;	/* where file variables are written: a file variable expands to file_dir/KEY */
};

void	vars_init(struct vars *vs, struct arena *a);
void	vars_add(struct vars *vs, struct str key, struct str value, unsigned flags);	/* copies */
/* The last entry of that name, NULL if none. 10,000 variables are usual enough: this is a hash look-up. */
const struct var *vars_find(const struct vars *vs, struct str key);
/* Its value, dflt if there is none. For a file variable the content, not the path. */
struct str vars_get(const struct vars *vs, const char *key, struct str dflt);
/* Whether set to a true boolean; *bad (may be NULL) is set when it is set to something that is no boolean. */
bool	vars_bool(const struct vars *vs, const char *key, bool dflt, bool *bad);
/* Expands s against vs and appends to b. */
void	vars_expand(const struct vars *vs, struct str s, struct buf *b);
struct str vars_expand_str(const struct vars *vs, struct str s);	/* into vs->arena */
/* One pass over all entries that are not raw: each value expanded against the unexpanded list. */
void	vars_expand_all(struct vars *vs);
/* [A-Za-z_][A-Za-z0-9_]* */
bool	vars_name_ok(struct str key);

#endif
