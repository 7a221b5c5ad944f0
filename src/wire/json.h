/*
 * JSON (RFC 8259): reading on jsmn's tokens, and writing.
 *
 * Reading: json_parse() checks the whole text strictly (jsmn alone is
 * lenient) and indexes it; values are small handles passed by value. A handle
 * to something that is not there is "absent": every accessor takes it and
 * answers with the default, so code reads as the protocol does:
 *
 *	struct json_val steps = json_get(root, "steps");
 *	JSON_EACH(step, steps) name = json_str(a, json_get(step, "name"));
 *
 * null and absent are alike to all accessors but json_type(). When a key
 * stands twice in an object the last one counts (iteration shows both).
 * Names are compared exactly. Numbers keep 64 bits; one that does not fit is
 * no number to the accessors, which answer with the default then.
 *
 * What it costs: 20 bytes a value and a key, and the text itself, which is
 * not copied. json_next() is one step whatever lies in between. Objects of
 * more than JSON_INDEX_MIN members get an index when they are parsed, so a
 * look-up in them is a binary search.
 *
 * Messages name the line, the column and the reason and never quote the
 * text: a job's payload is full of secrets.
 */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/mono.h"

enum json_type { JSON_ABSENT, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_doc;		/* lives in the arena given to json_parse() */

struct json_val {
	const struct json_doc	*doc;	/* NULL: absent */
	int			 tok;
};

#define JSON_NONE	((struct json_val){ NULL, 0 })
#define JSON_DEPTH_MAX	64		/* containers in each other */
#define JSON_TEXT_MAX	(1u << 30)	/* bytes; the offsets are ints */
#define JSON_INDEX_MIN	32

/*
 * Parses text, which must outlive the values: strings without escapes are
 * views into it. Returns 0 and the root, or -1 (ERR_PARSE) with the line,
 * column and reason. White space around the value is allowed, anything else
 * is not: no second value, no byte order mark, no comments. Invalid UTF-8 is
 * refused. Escaped surrogates that are no pair are accepted, as other readers
 * do, and read as U+FFFD.
 */
int	json_parse(struct arena *a, struct str text, struct json_val *root, struct err *e);

enum json_type	json_type(struct json_val v);
bool		json_present(struct json_val v);	/* neither absent nor null */
struct json_val	json_get(struct json_val object, const char *key);
struct json_val	json_get_str(struct json_val object, struct str key);
struct json_val	json_path(struct json_val v, const char *dotted);	/* "git_info.sha" */
size_t		json_len(struct json_val v);		/* members or elements; 0 for others */
struct json_val	json_at(struct json_val array, size_t i);	/* i steps: use JSON_EACH to see all */

/* First child, next sibling. Of objects these are the members' values; json_key() names each. */
struct json_val	json_first(struct json_val container);
struct json_val	json_next(struct json_val v);
struct str	json_key(struct arena *a, struct json_val member);	/* p == NULL if it is no member */
#define JSON_EACH(v, container) \
	for (struct json_val v = json_first(container); v.doc != NULL; v = json_next(v))

/*
 * Strings unescaped, into the arena only when there is an escape in them. A
 * string may hold NUL. Not a string: dflt.
 */
struct str	json_str_or(struct arena *a, struct json_val v, struct str dflt);
struct str	json_str(struct arena *a, struct json_val v);		/* dflt "" */
char		*json_cstr(struct arena *a, struct json_val v);	/* NUL-terminated copy, "" if none; cut at a NUL */
/* For fields that come as a string or a number: a string as json_str(), a number's or boolean's own text, else "". */
struct str	json_text(struct arena *a, struct json_val v);
/*
 * Exact for all of int64_t, 1e3 and 1.5e3 included; a fraction is cut off
 * (-1.9 is -1). A string of decimal digits with or without a sign counts.
 */
int64_t		json_i64(struct json_val v, int64_t dflt);
double		json_f64(struct json_val v, double dflt);	/* numbers only; 1e400 is dflt, 1e-400 is 0 */
bool		json_bool(struct json_val v, bool dflt);	/* true and false only */
struct str	json_raw(struct json_val v);			/* the value's own text; "" if absent */

/*
 * Writing. The writer puts commas and colons, and escapes. Member functions
 * take a key, or NULL inside an array (and for the value at the top); the
 * wrong one is a bug and aborts, and so is more than 64 levels. Strings are bytes:
 * each byte that is not part of valid UTF-8 becomes U+FFFD. html = true
 * escapes <, >, & and U+2028/9 as \u003c etc. (docker-machine's config.json
 * does, spec machines 4.3). indent > 0: that many blanks a level, one member
 * a line; 0: no white space at all. No newline at the end.
 *
 *	struct json_w w = { .b = &b };
 *	jw_object(&w, NULL);
 *	jw_cstr(&w, "token", token);
 *	jw_end_object(&w);
 */
struct json_w {
	struct buf	*b;
	int		 indent;
	bool		 html;
	/* private */
	int		 depth;
	uint64_t	 has_item;	/* a bit a level */
	uint64_t	 is_object;
};

void	jw_object(struct json_w *w, const char *key);
void	jw_array(struct json_w *w, const char *key);
void	jw_end_object(struct json_w *w);
void	jw_end_array(struct json_w *w);
void	jw_str(struct json_w *w, const char *key, struct str v);
void	jw_cstr(struct json_w *w, const char *key, const char *v);	/* NULL writes null */
void	jw_text(struct json_w *w, const char *key, const char *v);	/* NULL, "": nothing */
/* RFC 3339 with 0, 3, 6 or 9 digits of the second; a time that is not known writes nothing. */
void	jw_time(struct json_w *w, const char *key, wall_t t, int frac);
void	jw_i64(struct json_w *w, const char *key, int64_t v);
void	jw_f64(struct json_w *w, const char *key, double v);	/* shortest that reads back the same; null for NaN and infinities */
void	jw_bool(struct json_w *w, const char *key, bool v);
void	jw_null(struct json_w *w, const char *key);
/*
 * A value's text, as json_raw() gave it; "" writes null. It must be valid
 * JSON. White space is made anew by the writer's own rules, all else stays as
 * it is: order, duplicate keys, the spelling of numbers and escapes (html
 * adds escapes).
 */
void	jw_raw(struct json_w *w, const char *key, struct str json);
/* Members whose key is data. */
void	jw_keystr(struct json_w *w, struct str key, struct str v);
void	jw_rawkey(struct json_w *w, struct str key, struct str json);

#endif
