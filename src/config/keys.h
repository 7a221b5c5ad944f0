/*
 * The one table of configuration keys: every key of config.toml that
 * gitlab-runner 19.4 knows (spec gitlab-runner 2.5-2.13) and ours. The TOML
 * reader, the flags of `register`, `windlass check`, the reference page and the
 * completions are made from it. A key that we do not honour is here too, with
 * its reason, so that nobody's file is misread in silence.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include "core/arena.h"
#include "core/str.h"
#include "wire/toml.h"

enum key_type {
	KEY_STRING, KEY_INT, KEY_FLOAT, KEY_BOOL,
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

enum key_section {
	KS_GLOBAL, KS_SESSION, KS_DRAIN, KS_MACHINE_GLOBAL, KS_RUNNER, KS_BUILD_DIR, KS_ARTIFACT,
	KS_DOCKER, KS_SERVICES, KS_MACHINE, KS_AUTOSCALING, KS_CACHE, KS_S3, KS_GCS, KS_AZURE,
	KS_OTHER,		/* sections of other executors: anything goes */
	KS_MAX
};

struct key {
	enum key_section section;
	const char	*name;
	enum key_type	 type;
	enum key_use	 use;
	const char	*dflt;		/* as text; NULL: none */
	const char	*flag;		/* of `register`, without dashes; NULL: none */
	const char	*env;		/* its variable; NULL: none */
	const char	*help;
	int		 sub;		/* KEY_SECTION, KEY_TABLES: the section below; KS_OTHER: a KEY_TABLE of another executor */
	size_t		 offset;	/* into struct config or struct runner; KEY_NOFIELD if read elsewhere */
};

#define KEY_NOFIELD	((size_t)-1)

extern const struct key keys[];
extern const size_t nkeys;

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
