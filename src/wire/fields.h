/*
 * Structs and JSON objects, joined by a table: one row names the key, the
 * type and the member, and both the reader and the writer are made of it.
 * config.json (spec machines 4.3) is written by others too, so the reader is
 * tolerant (what is missing is empty, what has another type is taken as missing) and
 * keys that no table names are kept as text and written back behind ours.
 */
#ifndef WIRE_FIELDS_H
#define WIRE_FIELDS_H

#include "core/arena.h"
#include "core/mono.h"
#include "core/secret.h"
#include "wire/json.h"

enum field_type {
	FIELD_STR,		/* const char *; NULL is written as "" */
	FIELD_CHARS,		/* char[]; a longer text is cut */
	FIELD_TEXT,		/* struct str, a view into the arena or the object */
	FIELD_NUMBER,		/* const char * of digits, a number on disk; "" and NULL are 0 */
	FIELD_BOOL,		/* bool */
	FIELD_INT,		/* int64_t */
	FIELD_TIME,		/* wall_t: RFC 3339 with milliseconds, "" when not known */
	FIELD_LIST,		/* struct field_list; a lone string is read as a list of one */
	FIELD_FLOAT,		/* double */
	FIELD_SECONDS,		/* dur_t: a number of seconds, whole ones without a point */
	FIELD_SECRET,		/* struct secret; as FIELD_STR */
	FIELD_MAP,		/* struct field_map: an object of strings */
	FIELD_BOOLS,		/* the same, of true and false */
	FIELD_RAW,		/* struct str: JSON text of any shape; the null view is left out */
};

/* With this its writer leaves a member out that says nothing: an empty text, 0, false, a time that is not known. */
#define FIELD_IF	0x40
#define FIELD_STR_IF	(FIELD_STR | FIELD_IF)
#define FIELD_BOOL_IF	(FIELD_BOOL | FIELD_IF)
#define FIELD_INT_IF	(FIELD_INT | FIELD_IF)
#define FIELD_TIME_IF	(FIELD_TIME | FIELD_IF)

/* A list of strings. Go writes a list that was never set as null, and an empty one as []. */
struct field_list {
	const char	**v;
	size_t		  n;
	bool		  null;
};

/* Names and texts in the order of the file; those of FIELD_BOOLS are "true" and "false". */
struct field_pair { const char *name, *text; };
struct field_map {
	struct field_pair *v;
	size_t		   n;
};

struct field {
	const char	*key;
	unsigned	 type : 8;	/* enum field_type, and FIELD_IF */
	unsigned	 offset : 24;
	unsigned	 size;	/* of the member */
};

/* A row: FIELD(struct x, STR, "Key", member). */
#define FIELD(s, type, key, member)	{ key, FIELD_##type, offsetof(s, member), sizeof(((s *)NULL)->member) }
/* A name that has code of its own, for fields_unknown(). */
#define FIELD_NAME(key)			{ key, FIELD_RAW, 0, 0 }

/* Fills what obj has; the rest of *to is left alone. Strings and lists live in the arena. */
void	fields_read(struct arena *a, struct json_val obj, const struct field *f, size_t n, void *to);
/* Writes the members in the table's order; the caller has opened the object. */
void	fields_write(struct json_w *w, const struct field *f, size_t n, const void *from);
/* Those alone that say something: no empty text, list or map, no 0, no false. */
void	fields_write_set(struct json_w *w, const struct field *f, size_t n, const void *from);
/* Whether one of them does. */
bool	fields_say(const struct field *f, size_t n, const void *from);
/* Makes the texts of a zeroed struct empty ones, for a reader of what may be missing. */
void	fields_empty(const struct field *f, size_t n, void *to);

/*
 * The members of obj that are neither in f[n] nor in g[m] (either may be NULL): an object's text in the
 * arena, or the null view when there are none.
 */
struct str fields_unknown(struct arena *a, struct json_val obj, const struct field *f, size_t n,
	    const struct field *g, size_t m);
/* Writes them back as members of the object that the caller has opened. */
void	fields_write_unknown(struct json_w *w, struct str unknown);

/* A copy of the list with one more string. */
void	fields_append(struct arena *a, struct field_list *l, const char *v);
/* The text of the first pair of that name; NULL: there is none. */
const char *fields_pair(const struct field_map *m, const char *name);

#endif
