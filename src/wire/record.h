/*
 * Records: what two roles of ours say to each other where neither may believe what the other has
 * read.
 *
 * A record is a kind (one byte) and fields in the order of a table that both sides share; a field
 * is a tag (one byte), a length (four bytes, little-endian) and that many bytes. By the table a
 * record is made from a struct, and read into one. Nothing else is a record: what has an unknown
 * kind or tag, a field out of its order or twice, one missing, too long or of another form is
 * refused whole. Both sides are the same binary (proc_self()), so no version has to understand
 * another one's.
 *
 * Pure: no file, clock or socket. What was read is views of the record's own bytes.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "core/buf.h"
#include "core/err.h"

#define RECORD_LIST_MAX	64

enum record_form {
	RECORD_NUMBER,		/* int64_t, from 0 to max, or without a limit when that is 0 */
	RECORD_LINE,		/* struct str of at most max bytes, without control characters */
	RECORD_BYTES,		/* struct str of at most max bytes */
	RECORD_LIST,		/* struct record_list, of at most max bytes each: records, mostly */
};

struct record_list {
	struct str	v[RECORD_LIST_MAX];
	size_t		n;
};

struct record_field {
	uint8_t		 tag;
	uint8_t		 form;
	bool		 must;		/* else it may be missing: 0, STR_NULL, an empty list */
	uint16_t	 at;		/* of the member in the struct */
	uint32_t	 max;
};

struct record_type {
	const char	*name;		/* for errors: "a pull order" */
	const struct record_field *fields;
	size_t		 nfields;
	uint8_t		 kind;
};

/*
 * Appends the record of *from to out. What the table does not allow makes out->failed: a number or
 * a text that is too large, a line with a control character, a missing field.
 */
void	record_put(const struct record_type *t, const void *from, struct buf *out);
/* Reads a whole record into the members of the table; on -1 (ERR_PROTO) they are anything. */
int	record_get(const struct record_type *t, struct str in, void *into, struct err *e);

/* Whether the text may stand in a line of at most max bytes. */
bool	record_is_line(struct str text, size_t max);
/*
 * A text of others as one line of at most max bytes, appended to out: control characters become
 * blanks, the end is cut.
 */
void	record_line(struct buf *out, struct str text, size_t max);

#endif
