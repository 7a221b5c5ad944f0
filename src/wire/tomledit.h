/*
 * Editing a TOML text in place. One value is replaced, one key or one
 * [[entry]] is put in or taken out at the places that wire/toml gives, and
 * every other byte stays: comments, order, blanks, the kind of line ends, a byte order mark,
 * a last line without an end, keys that nobody knows.
 *
 * Each edit is proved before it counts: the new text is read again, and must
 * differ from the old one in the edited value and in nothing else. If it does not, or if the
 * thing is written in a form that cannot be edited in one place, the call
 * fails (ERR_CONFIG, naming line and key) and the text is as it was.
 *
 * Taking out what was put in gives the old text back, byte for byte. Comments
 * above a key or a header stay when it goes; comments behind it on its line, and those between
 * the lines of a removed entry or directly below its last key, go with it.
 */
#ifndef WIRE_TOMLEDIT_H
#define WIRE_TOMLEDIT_H

#include "core/buf.h"
#include "wire/toml.h"

struct tomledit {
	struct buf	 text;		/* as it is now */
	struct toml	*root;		/* of that text; nodes are good until the next edit that succeeds */
	struct arena	 arena;
};

/* Takes a copy of the text. ERR_PARSE as toml_parse(). Closed by tomledit_close(), also after -1. */
int	tomledit_open(struct tomledit *t, struct str text, struct err *e);
/* Frees and wipes: the text may hold tokens. */
void	tomledit_close(struct tomledit *t);

/*
 * table.key = value, where value is TOML text of one value. A key that is there (in whatever case,
 * as toml_get() finds it) gets the new value in place of the old one; a new one is written behind the
 * table's other keys. Fails for a key that is a table with a header of its own.
 */
int	tomledit_set(struct tomledit *t, const struct toml *table, const char *key, struct str value, struct err *e);
/*
 * Takes a thing out: a key with its value; a [table] with all tables below it; an element of
 * an [[array of tables]] with its tables, wherever they stand. Not the root, not an element of an array in
 * brackets, not a table that consists of dotted keys.
 */
int	tomledit_remove(struct tomledit *t, const struct toml *node, struct err *e);
/*
 * Puts a block of lines, "[[name]]" first, at the end of the text behind a blank line. Line ends of the
 * block are made those of the text.
 */
int	tomledit_append(struct tomledit *t, struct str block, struct err *e);

/* A string in "quotes" with escapes, on one line; bytes that are no UTF-8 become U+FFFD. */
void	toml_put_str(struct buf *b, struct str s);
/* A key, in quotes if it must be. */
void	toml_put_key(struct buf *b, struct str key);
/* A float that reads back as the same, and never as an integer. */
void	toml_put_f64(struct buf *b, double v);

#endif
