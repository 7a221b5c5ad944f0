/*
 * The patterns of allowed_images and its like, and of artifact and cache
 * paths (spec job-execution 2.2, 8.3). They match a whole name:
 *
 *	*	any run of characters but slashes
 *	**	where it is a whole component: any number of components, also none
 *		(behind the last slash: what lies below, and the thing itself);
 *		elsewhere it is *
 *	?	one character but a slash
 *	[a-z_]	one character of the class; [^a] and [!a] one that is not of it
 *		(a slash too, if the class has it)
 *	{x,y}	either; may nest, be empty, and hold all the others
 *	\x	x itself
 *
 * Characters are those of UTF-8; a byte that belongs to none counts as one.
 * A leading dot is nothing special, nor are '}' and ',' outside of braces.
 * The outcome is that of upstream's matcher (doublestar 4), but for the end
 * of a name (there upstream's "a*{,b}" matches ax and not a, and it does
 * without a slash that stands behind stars), and that a malformed pattern
 * never matches, not even where upstream would not have looked at the
 * malformed part: an empty class, a class or brace without end, a backslash
 * at the end, braces nested more than GLOB_DEPTH_MAX deep, more than
 * GLOB_PATTERN_MAX bytes.
 *
 * Nothing is allocated, and the time is bounded by the pattern's length
 * times the name's, whatever is in them.
 */
#ifndef WIRE_GLOB_H
#define WIRE_GLOB_H

#include "core/str.h"

#define GLOB_PATTERN_MAX	4096
#define GLOB_DEPTH_MAX		64

bool	glob_match(struct str pattern, struct str name);
/* Whether a pattern (a leading '!' aside) is well-formed: for who checks a configuration. */
bool	glob_ok(struct str pattern);
/*
 * An empty list allows everything. A matching "!pattern" denies whatever
 * else matches; a malformed one denies everything, since nobody knows what it
 * was meant to keep out. Of the others one must match, if there are others: a
 * list of nothing but denials allows the rest. "\!x" is the pattern for a name
 * that begins with '!'.
 */
bool	glob_allowed(const struct str *patterns, size_t n, struct str name);

#endif
