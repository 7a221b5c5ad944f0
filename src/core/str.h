/*
 * A view of bytes that someone else owns. Views are passed by value and are
 * never NUL-terminated for sure; parsers return views into their input.
 */
#ifndef CORE_STR_H
#define CORE_STR_H

#include "core/core.h"

struct str {
	const char	*p;
	size_t		 n;
};

#define STR(lit)	((struct str){ (lit), sizeof(lit) - 1 })
#define STR_NULL	((struct str){ NULL, 0 })
/* For "%.*s". */
#define STR_ARG(s)	(int)(s).n, (s).p

struct str	str_from(const char *cstr);		/* NULL gives the empty view */
struct str	str_of(const void *p, size_t n);
bool		str_eq(struct str a, struct str b);
bool		str_eqc(struct str a, const char *b);
bool		str_caseeq(struct str a, const char *b);	/* ASCII case only */
int		str_cmp(struct str a, struct str b);	/* bytewise, shorter first */
bool		str_starts(struct str s, const char *prefix);
bool		str_casestarts(struct str s, const char *prefix);
bool		str_ends(struct str s, const char *suffix);
struct str	str_trim(struct str s);			/* spaces, tabs, CR, LF, VT, FF at both ends */
struct str	str_sub(struct str s, size_t from, size_t n);	/* clamps */
/* Index of the first occurrence, or -1. */
ssize_t		str_chr(struct str s, int c);
ssize_t		str_rchr(struct str s, int c);
ssize_t		str_find(struct str s, const char *needle);
ssize_t		str_casefind(struct str s, const char *needle);

/* UTF-8 as wire/utf8.h has it: the character at the front and its length, 0 when there is none that is well-formed. */
size_t		str_utf8(struct str s, uint32_t *cp);
#define STR_NO_CHAR	0xffffffffu
/*
 * Takes the next character off *s, which must not be empty, or one byte that is no UTF-8 (*cp is STR_NO_CHAR then); *one is
 * its bytes. Whether it may be written to a terminal as it is: control characters of any kind, those of
 * reading direction too, and bytes that are no text may not.
 */
bool		str_shown(struct str *s, struct str *one, uint32_t *cp);

/* Edits from one name to the other (a swap of neighbours counts as one), ASCII case aside; 99 when either is long. */
unsigned	str_distance(struct str a, struct str b);

/*
 * Cuts the first field off *s at separator c: the field is returned, *s
 * becomes the rest behind the separator. When there is no separator the
 * field is all of *s and *s becomes the null view (p == NULL), which ends a
 * loop `while (s.p != NULL) { f = str_cut(&s, ','); ... }`.
 */
struct str	str_cut(struct str *s, int c);

/*
 * Whole decimal numbers with an optional sign; nothing before or behind, no
 * overflow. Return 0 and set *v, or -1 and leave it alone.
 */
int		str_to_i64(struct str s, int64_t *v);
int		str_to_u64(struct str s, uint64_t *v);
int		str_to_int(struct str s, int *v);
/* GitLab's and Go's booleans: 1 t T TRUE true True 0 f F FALSE false False. 0 or -1. */
int		str_to_bool(struct str s, bool *v);
/*
 * Go durations ("1h30m", "90s", "500ms", "1.5h", "-2s") in nanoseconds; a
 * bare "0" is allowed. 0 or -1.
 */
int		str_to_duration(struct str s, int64_t *ns);

/* A malloc'd, NUL-terminated copy; aborts when out of memory. */
char		*str_dup(struct str s);
/* Copies into out[size], always NUL-terminated. Returns 0, or -1 when it was cut or holds a NUL. */
int		str_copy(struct str s, char *out, size_t size);
/* A stranger's text for people, NUL-terminated in out[size] and cut there: what is not printable ASCII becomes a question mark. */
void		str_printable(struct str s, char *out, size_t size);

#endif
