/*
 * TOML 1.0, whole. The reader checks everything the specification forbids and
 * keeps for each key and value where it stands in the text, so that errors can
 * name line and column and an editor can change one value and leave every other
 * byte alone. All memory is in the arena; strings without escapes are views into the text.
 *
 * CRLF in a string of several lines becomes LF. Columns count characters.
 * Messages name keys, never values: those may be secrets.
 *
 * Places, as byte offsets: text[at..end) of a value in a line is its own text,
 * which means the same when it is read again. For a table with a header, and
 * each element of an array of tables, `at` is the start of the header's line
 * and `end` the end of the line of the last key in its own body (of the header, if there is
 * none): where a further key would be inserted. Comments and blank lines
 * behind that count to what follows. The root's is the same from the start
 * of the text. An array of tables reaches from its first header to the end of its last element's own body.
 * A table that was only implied stands where it was first named.
 */
#ifndef WIRE_TOML_H
#define WIRE_TOML_H

#include "core/arena.h"
#include "core/err.h"

enum toml_type {
	TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOL,
	TOML_DATETIME, TOML_LOCAL_DATETIME, TOML_LOCAL_DATE, TOML_LOCAL_TIME,
	TOML_ARRAY, TOML_TABLE,
};

struct toml_date {
	int	year, month, day, hour, minute, second, nsec;
	int	offset_min;		/* only TOML_DATETIME */
};

struct toml {
	enum toml_type	 type;
	struct str	 key;		/* of a table's member: unescaped; p == NULL in arrays and the root */
	struct str	 s;		/* TOML_STRING, unescaped */
	int64_t		 i;
	double		 f;
	bool		 b;
	struct toml_date date;
	struct toml	*first, *last;	/* children of arrays and tables, in order */
	struct toml	*next;		/* sibling */
	size_t		 n;		/* number of children */
	/* where it stands in the text, byte offsets */
	size_t		 key_at, key_end;	/* of the key's last part */
	size_t		 at, end;		/* of the value, of a table as said above */
	int		 line, column;		/* of the value, of a [table] its '[', from 1 */
	uint8_t		 how;			/* private: dotted, header, inline, static array, array of tables */
	bool		 array_of_tables;	/* this array was made by [[x]] */
	bool		 is_inline;		/* an inline table, or one of its dotted keys' tables */
};

/* Parses; 0 and the root table, or -1 (ERR_PARSE, message "line L, column C: reason"; e->sys is the line). A BOM at the start is skipped. */
int	toml_parse(struct arena *a, struct str text, struct toml **root, struct err *e);
/* Member by exact name, else by ASCII case-insensitive name (as upstream's library does); NULL if none. */
struct toml *toml_get(const struct toml *table, const char *key);
struct toml *toml_get_exact(const struct toml *table, struct str key);
const char *toml_type_name(enum toml_type t);	/* "a string", "an integer", ... */

#define TOML_EACH(v, container) for (struct toml *v = (container) != NULL ? (container)->first : NULL; v != NULL; v = v->next)

#endif
