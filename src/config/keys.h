/*
 * The table of configuration keys (config/keylist.h) as an array, and what can be asked of it.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include "config/keylist.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/str.h"
#include "wire/toml.h"

enum key_type {
	KEY_STRING,
	KEY_SECRET = KEY_STRING,	/* read into a struct secret */
	KEY_INT, KEY_FLOAT, KEY_BOOL,
	KEY_DURATION,		/* "1h30m", or integer nanoseconds */
	KEY_DATE,
	KEY_STRINGS,		/* array of strings; pull_policy also takes one string */
	KEY_TABLE,		/* free table: names and values are data */
	KEY_BOOLS,		/* table of booleans */
	KEY_TABLES,		/* array of tables: a section of its own */
	KEY_SECTION,		/* table: a section of its own */
};

enum key_use {
	KEY_YES,		/* honoured */
	KEY_LATER,		/* accepted; not honoured by this version */
	KEY_NEVER,		/* accepted; can have no effect here, and why */
	KEY_GONE,		/* was removed upstream; `help` says what to write instead */
};

#define KEY_SECTION_ID(S, title)	KS_##S,
enum key_section {
	KEY_SECTIONS(KEY_SECTION_ID)
	KS_OTHER,		/* sections of other executors: anything goes */
	KS_MAX
};

/* The place of a row in the table: keys[K_DOCKER_image]. */
#define KEY_ID(S, id, ...)	K_##S##_##id,
#define KEY_IDS(S, title)	S##_KEYS(KEY_ID, KEY_ID, KEY_ID, KEY_ID, KEY_ID, KEY_ID)
enum key_id { KEY_SECTIONS(KEY_IDS) KEYS_N };

#define KEY_HUGE	1000000000	/* of machines, jobs, seconds: sums fit an int, 30 years fit a time */

struct key {
	const char	*name;
	const char	*dflt;		/* as text; NULL: none */
	const char	*flag;		/* of `register`, without dashes; NULL: none */
	const char	*env;		/* its variable; NULL: none */
	const char	*help;
	uint16_t	 offset;	/* into its section's struct; KEY_NOFIELD if there is no member */
	enum key_section section : 8;
	enum key_type	 type : 8;
	enum key_use	 use : 8;
	enum key_section sub : 8;	/* KEY_SECTION, KEY_TABLES: the section below; KS_OTHER: a KEY_TABLE of another executor */
	char		 letter;	/* of the option; 0: none */
	bool		 always : 1, not_below_0 : 1, not_huge : 1;
	bool		 differs : 1;	/* a second text behind the NUL of help */
};

#define KEY_NOFIELD	UINT16_MAX

extern const struct key keys[];
extern const size_t nkeys;

/* Sets the members of a section to their defaults; a text without one is "". Points to static memory alone. */
void	key_defaults(enum key_section section, void *base);
/* Sets the key's member, if it has one, to a value that fits (key_type_fits()); texts go into the arena. 0 or -1 (ERR_CONFIG). */
int	key_set(struct arena *a, const struct key *k, const struct toml *v, void *base, struct err *e);
/* What the table of its section says of a key, in any case; NULL: nothing. */
struct toml *key_value(enum key_id id, const struct toml *t);
/* The value of a KEY_INT or KEY_FLOAT that has a member. */
double	key_number(const struct key *k, const void *base);
/* Exact name first, then without regard to case (as upstream's library); NULL if there is none. */
const struct key *key_find(enum key_section section, struct str name);
/* The known name of that section nearest to a misspelt one; NULL when nothing is near. */
const char *key_nearest(enum key_section section, struct str name);
/*
 * What to do about a key that its section does not know, without a full stop: the nearest name, the section where it belongs, what
 * has become of it. NULL when nothing is known. Allocated in a, or static.
 */
const char *key_advice(struct arena *a, enum key_section section, const struct toml *v);
/* "[[runners]]", "[runners.docker]", ... for messages. */
const char *key_section_title(enum key_section section);
const char *key_type_name(enum key_type type);
/* Where windlass does not do what gitlab-runner does with a key that it honours; NULL: nowhere. */
const char *key_differs(const struct key *k);
/* Whether a value asks for nothing: false, 0, "", empty, "never", or the default; of a section, whether all in it does. */
bool	key_says_nothing(const struct key *k, const struct toml *v);
/* Whether a value of the file has the key's type (also where gitlab-runner takes two). */
bool	key_type_fits(const struct key *k, const struct toml *v);
/*
 * For a value that does not fit: "needs a string, not a table", in the words of whoever mends it. *at: the value, or
 * the member of it that is wrong. Allocated in a.
 */
const char *key_misfit(struct arena *a, const struct key *k, const struct toml *v, const struct toml **at);

#endif
