/*
 * A job's variables: an ordered list in which later entries win, and the
 * expansion of $NAME and ${NAME} in one pass (spec job-execution 5.6). The
 * rules are those of Go's os.Expand:
 *
 *	$NAME		letters, digits and underscores, as many as there are
 *	${ANY THING}	everything up to the brace is the name; so ${X:-y} is a
 *			name that nobody has
 *	$$ ${$}		a dollar
 *	$1 $* $# $@ $! $? $-	nothing; just the one character is taken
 *	${}  ${		nothing; the rest of the text goes on behind
 *	$		before anything else, or at the end, is itself
 *
 * Unknown names are empty, a file variable is the path of its file, and what
 * was put in is not looked into again.
 */
#ifndef WIRE_VARS_H
#define WIRE_VARS_H

#include "core/arena.h"
#include "core/buf.h"

/* What one expansion, or one vars_expand_all(), may come to: a few lines can ask for terabytes. */
#define VARS_EXPANDED_MAX	(16u << 20)

enum var_flags { VAR_PUBLIC = 1, VAR_MASKED = 2, VAR_FILE = 4, VAR_RAW = 8, VAR_INTERNAL = 16 };

struct var {
	struct str	key;
	struct str	value;
	unsigned	flags;
};

struct vars {
	struct arena	*arena;		/* keys and values live here */
	struct var	*v;		/* in order; moves when one is added */
	size_t		 n, cap;
	uint32_t	*index;		/* hash table over keys, last entry; private */
	size_t		 nindex;
	struct str	 file_dir;	/* a view: a file variable expands to file_dir/KEY */
	bool		 too_large;	/* vars_expand_all() met VARS_EXPANDED_MAX */
};

void	vars_init(struct vars *vs, struct arena *a);
void	vars_add(struct vars *vs, struct str key, struct str value, unsigned flags);	/* copies */
/* The last entry of that name, NULL if none; valid until one is added. A hash look-up: 10,000 variables are usual enough. */
const struct var *vars_find(const struct vars *vs, struct str key);
/* Its value, dflt if there is none. For a file variable the content, not the path. */
struct str vars_get(const struct vars *vs, const char *key, struct str dflt);
/*
 * Whether set to a true boolean (those of str_to_bool(), white space around
 * them aside); dflt when it is not set or empty, or set to something that is
 * no boolean: *bad (may be NULL) says whether that was so.
 */
bool	vars_bool(const struct vars *vs, const char *key, bool dflt, bool *bad);
/* Expands s against vs and appends to b, whose own limit holds. */
void	vars_expand(const struct vars *vs, struct str s, struct buf *b);
/* The same into vs->arena (s itself when there is nothing to expand); p == NULL when it is above VARS_EXPANDED_MAX. */
struct str vars_expand_str(const struct vars *vs, struct str s);
/*
 * One pass over all entries that are not raw: each value expanded against
 * the unexpanded list. When all of it comes to more than VARS_EXPANDED_MAX,
 * vs->too_large is set, the values from there on are left as they were, and
 * the job must be refused.
 */
void	vars_expand_all(struct vars *vs);
/* [A-Za-z_][A-Za-z0-9_]* */
bool	vars_name_ok(struct str key);

#endif
