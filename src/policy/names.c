/* Names of machines. See names.h. */
#include "policy/names.h"

static bool
is_alnum(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool
is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static struct str
behind(struct str s, size_t n)
{
	return str_sub(s, n, s.n);
}

/* "t1_", "t2_", "t3_": instance, group and project runners. */
static bool
has_kind(struct str s)
{
	return s.n >= 3 && s.p[0] == 't' && s.p[1] >= '1' && s.p[1] <= '3' && s.p[2] == '_';
}

/* "GR" and 7 hex digits: the date that old registration tokens carry. */
static bool
has_date(struct str s)
{
	if (s.n < 9 || s.p[0] != 'G' || s.p[1] != 'R')
		return false;
	for (size_t i = 2; i < 9; i++) {
		if (!is_hex((unsigned char)s.p[i]))
			return false;
	}
	return true;
}

/*
 * What an instance may put in front of the type: a word of letters, digits, '_'
 * and '-' that ends with '-' and does not begin with one. Only cut when the
 * type comes right behind it; the first place where that is so counts.
 */
static struct str
without_instance_prefix(struct str s)
{
	static const char *const types[] = { "glrt-", "glrtr-", "glcbt-" };

	for (size_t i = 0; i < s.n; i++) {
		struct str rest = behind(s, i);

		/* at 0 too: a token that begins with its type is left as it is, whatever follows */
		if (i == 0 || s.p[i - 1] == '-') {
			for (size_t t = 0; t < NELEM(types); t++) {
				if (str_starts(rest, types[t]))
					return rest;
			}
		}
		if (!is_alnum((unsigned char)s.p[i]) && s.p[i] != '_' &&
		    (s.p[i] != '-' || i == 0))
			break;
	}
	return s;
}

/* Each prefix once, in this order (spec gitlab-runner 1.4). */
void
names_short_token(struct str token, char out[NAMES_SHORT_SIZE])
{
	struct str s = without_instance_prefix(token);
	size_t n;

	if (str_starts(s, "glrt-")) {
		s = behind(s, 5);
		if (has_kind(s))
			s = behind(s, 3);
	} else if (has_kind(s)) {
		s = behind(s, 3);
	} else if (str_starts(s, "glrtr-")) {
		s = behind(s, 6);
	}
	if (str_starts(s, "glcbt-"))
		s = behind(s, 6);
	if (has_date(s))
		s = behind(s, 9);
	n = s.n < NAMES_SHORT_SIZE - 1 ? s.n : NAMES_SHORT_SIZE - 1;
	if (n > 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

bool
names_token_is_created(struct str token)
{
	return str_starts(without_instance_prefix(token), "glrt-");
}

void
names_rfc1123(struct str s, char out[NAMES_LABEL_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < NAMES_LABEL_SIZE - 1; i++) {
		char c = s.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (!is_alnum((unsigned char)c) && (c != '-' || n == 0))
			continue;
		out[n++] = c;
	}
	out[n] = '\0';
}

/* docker-machine's rule for names: letters, digits, '-' and '.'; not '-' or '.' first. */
static bool
name_bytes(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum((unsigned char)s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
			return false;
	}
	return true;
}

/* Appends to a name of which it is known that it fits. */
static void
put(char name[NAMES_LABEL_SIZE], size_t *n, struct str s)
{
	assert(s.n < NAMES_LABEL_SIZE - *n);
	if (s.n > 0)
		memcpy(name + *n, s.p, s.n);
	*n += s.n;
	name[*n] = '\0';
}

/* Up to the next %: what follows it would be refused again. */
static struct str
without_percent(struct str s)
{
	ssize_t at = str_chr(s, '%');

	return at < 0 ? s : str_sub(s, 0, (size_t)at);
}

int
names_pool_init(struct names_pool *p, struct str token, struct str machine_name, struct err *e)
{
	char shortened[NAMES_SHORT_SIZE], clean[NAMES_LABEL_SIZE], prefix[32] = "";
	ssize_t at = str_find(machine_name, "%s");
	struct str head, tail;
	size_t len;

	if (machine_name.n == 0)
		return err_set(e, ERR_CONFIG, 0,
		    "MachineName is empty: set it to a template with %%s in it, such as \"auto-%%s\"");
	if (at < 0 && str_chr(machine_name, '%') >= 0) {
		/* %d and the like: what stands for the machine's own part is %s. */
		ssize_t wrong = str_chr(machine_name, '%');
		size_t skip = (size_t)wrong + 1 < machine_name.n ? 2 : 1;

		/* What is advised is not refused the next time. */
		head = str_sub(machine_name, 0, (size_t)wrong);
		tail = without_percent(behind(machine_name, (size_t)wrong + skip));
		if (!name_bytes(head) || !name_bytes(tail)) {
			head = STR("ci-");
			tail = STR("");
		}
		return err_set(e, ERR_CONFIG, 0, "MachineName \"%.*s\" has no %%s, and no other %% is possible: write \"%.*s%%s%.*s\"",
		    STR_ARG(machine_name), STR_ARG(head), STR_ARG(tail));
	}
	if (at < 0)
		return err_set(e, ERR_CONFIG, 0, "MachineName \"%.*s\" has no %%s: "
		    "every machine would get the same name; write \"%.*s-%%s\"",
		    STR_ARG(machine_name), STR_ARG(name_bytes(machine_name) ? machine_name : STR("ci")));
	head = str_sub(machine_name, 0, (size_t)at);
	tail = behind(machine_name, (size_t)at + 2);
	if (str_chr(head, '%') >= 0 || str_chr(tail, '%') >= 0)
		return err_set(e, ERR_CONFIG, 0, "MachineName \"%.*s\" may hold %%s once and no other %%",
		    STR_ARG(machine_name));
	if (!name_bytes(head) || !name_bytes(tail))
		return err_set(e, ERR_CONFIG, 0, "MachineName \"%.*s\": names of machines are made of "
		    "letters, digits, - and . only", STR_ARG(machine_name));

	names_short_token(token, shortened);
	names_rfc1123(str_from(shortened), clean);
	if (clean[0] != '\0')
		snprintf(prefix, sizeof(prefix), "runner-%.9s-", clean);
	else if (head.n > 0 && !is_alnum((unsigned char)head.p[0]))
		return err_set(e, ERR_CONFIG, 0, "MachineName \"%.*s\" must begin with a letter or a digit",
		    STR_ARG(machine_name));
	len = strlen(prefix) + head.n + NAMES_UNIQUE_LEN + tail.n;
	if (len > NAMES_LABEL_SIZE - 1)
		return err_set(e, ERR_CONFIG, 0, "MachineName \"%.*s\" makes names of %zu bytes "
		    "(%s + MachineName + %d); host names end at %d: make it %zu shorter",
		    STR_ARG(machine_name), len, clean[0] != '\0' ? prefix : "no prefix",
		    NAMES_UNIQUE_LEN, NAMES_LABEL_SIZE - 1, len - (NAMES_LABEL_SIZE - 1));
	*p = (struct names_pool){ 0 };
	put(p->prefix, &p->nprefix, str_from(prefix));
	put(p->prefix, &p->nprefix, head);
	put(p->suffix, &p->nsuffix, tail);
	return 0;
}

void
names_make(const struct names_pool *p, int64_t unix_s, uint32_t rnd, char out[NAMES_LABEL_SIZE])
{
	/* ten digits until the year 2286; more or fewer would break names_match and the 63 bytes */
	unsigned long long s = unix_s < 0 ? 0 : (unsigned long long)unix_s % 10000000000ULL;
	char unique[32];
	size_t n = 0;

	snprintf(unique, sizeof(unique), "%010llu-%08" PRIx32, s, rnd);
	put(out, &n, str_of(p->prefix, p->nprefix));
	put(out, &n, str_from(unique));
	put(out, &n, str_of(p->suffix, p->nsuffix));
}

/* <unix seconds>-<8 hex digits>, as both programs write it. */
static bool
unique_part(struct str s, int64_t *unix_s)
{
	int64_t t = 0;

	if (s.n != NAMES_UNIQUE_LEN || s.p[10] != '-')
		return false;
	for (size_t i = 0; i < 10; i++) {
		if (!is_digit((unsigned char)s.p[i]))
			return false;
		t = t * 10 + (s.p[i] - '0');
	}
	for (size_t i = 11; i < NAMES_UNIQUE_LEN; i++) {
		if (!is_hex((unsigned char)s.p[i]) || (s.p[i] >= 'A' && s.p[i] <= 'F'))
			return false;
	}
	if (unix_s != NULL)
		*unix_s = t;
	return true;
}

bool
names_match(const struct names_pool *p, struct str name, enum names_match how, int64_t *unix_s)
{
	if (name.n <= p->nprefix || memcmp(name.p, p->prefix, p->nprefix) != 0)
		return false;
	if (how == NAMES_UPSTREAM)
		return strchr(" \t\n\v\f\r", name.p[p->nprefix]) == NULL;
	if (name.n > NAMES_LABEL_SIZE - 1 || name.n < p->nprefix + p->nsuffix || !str_ends(name, p->suffix))
		return false;
	return unique_part(str_sub(name, p->nprefix, name.n - p->nprefix - p->nsuffix), unix_s);
}

unsigned
names_claim(const struct names_pool *p, struct str name)
{
	/* A pool that was never made (its entry is broken) would match everything. */
	if (p->nprefix == 0 || !names_match(p, name, NAMES_UPSTREAM, NULL))
		return 0;
	return 1 + (unsigned)p->nprefix + (names_match(p, name, NAMES_STRICT, NULL) ? NAMES_LABEL_SIZE : 0);
}
