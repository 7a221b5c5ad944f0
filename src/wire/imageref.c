/* Names of images: see imageref.h. */
#include "wire/imageref.h"

#define NAME_MAX_BYTES	255
#define TAG_MAX_BYTES	128
#define DIGEST_HEX_MIN	32
#define SHA256_HEX	64

static bool
is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_alnum(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
has_upper(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return true;
	return false;
}

static int
bad(struct err *e, const char *rule)
{
	return err_set(e, ERR_CONFIG, 0, "invalid reference format: %s", rule);
}

/* How many bytes at i are a separator of a path component: one of . or _, two _, or any number of -; 0 for none. */
static size_t
separator(struct str s, size_t i)
{
	size_t n = i;

	if (s.p[i] == '.')
		return 1;
	if (s.p[i] == '_')
		return i + 1 < s.n && s.p[i + 1] == '_' ? 2 : 1;
	while (n < s.n && s.p[n] == '-')
		n++;
	return n - i;
}

/* Runs of a-z and 0-9 with one separator between two of them. */
static bool
component_ok(struct str s)
{
	size_t i = 0, gap;

	for (;;) {
		size_t run = i;

		while (i < s.n && is_lower(s.p[i]))
			i++;
		if (i == run)
			return false;
		if (i == s.n)
			return true;
		gap = separator(s, i);
		if (gap == 0)
			return false;
		i += gap;
	}
}

static int
check_path(struct str path, struct err *e)
{
	while (path.p != NULL) {
		struct str part = str_cut(&path, '/');

		if (part.n == 0)
			return bad(e, "a part between two slashes is empty (is a variable in it not set?)");
		if (component_ok(part))
			continue;
		if (has_upper(part))
			return bad(e, "the name of an image is written in lower case");
		return bad(e, "parts of a name are a-z and 0-9, with single . _ - between them");
	}
	return 0;
}

/* A host of names, of four numbers, or of IPv6 in brackets; then, perhaps, a port. */
static bool
domain_ok(struct str s)
{
	struct str host = s, port;
	ssize_t colon = str_rchr(s, ':'), bracket = str_rchr(s, ']');

	if (colon > bracket) {
		host = str_sub(s, 0, (size_t)colon);
		port = str_sub(s, (size_t)colon + 1, s.n);
		if (port.n == 0 || port.n > 5)
			return false;
		for (size_t i = 0; i < port.n; i++)
			if (port.p[i] < '0' || port.p[i] > '9')
				return false;
	}
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		for (size_t i = 1; i + 1 < host.n; i++)
			if (!is_hex(host.p[i]) && host.p[i] != ':')
				return false;
		return true;
	}
	while (host.p != NULL) {
		struct str label = str_cut(&host, '.');

		if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

static int
check_tag(struct str tag, struct err *e)
{
	if (tag.n == 0)
		return bad(e, "the tag behind the colon is empty (is a variable in it not set?)");
	if (tag.n > TAG_MAX_BYTES)
		return bad(e, "the tag is longer than 128 bytes");
	for (size_t i = 0; i < tag.n; i++)
		if (!is_alnum(tag.p[i]) && tag.p[i] != '_' && (i == 0 || (tag.p[i] != '.' && tag.p[i] != '-')))
			return bad(e, "a tag is made of letters, digits, _ . - and begins with none of the last two");
	return 0;
}

static int
check_digest(struct str digest, struct err *e)
{
	struct str hex = digest, algorithm = str_cut(&hex, ':');
	bool joined = true;

	if (hex.p == NULL)
		return bad(e, "what stands behind @ is no digest such as sha256:...");
	for (size_t i = 0; i < algorithm.n; i++) {
		bool joint = algorithm.p[i] != '\0' && strchr("+.-_", algorithm.p[i]) != NULL;

		if ((!is_alnum(algorithm.p[i]) && !joint) || (joint && joined))
			return bad(e, "the digest's algorithm is none");
		joined = joint;
	}
	if (joined)
		return bad(e, "the digest's algorithm is none");
	for (size_t i = 0; i < hex.n; i++)
		if (!is_hex(hex.p[i]))
			return bad(e, "the digest is not hexadecimal");
	if (hex.n < DIGEST_HEX_MIN || (str_eqc(algorithm, "sha256") && hex.n != SHA256_HEX))
		return bad(e, "the digest has not its length (sha256: 64 digits)");
	return 0;
}

/* Whether what stands before the first slash is a registry and no part of the path (distribution, normalize.go). */
static bool
is_domain(struct str first)
{
	return str_chr(first, '.') >= 0 || str_chr(first, ':') >= 0 || str_eqc(first, "localhost") || has_upper(first);
}

static int
check_bytes(struct str text, struct err *e)
{
	if (text.n == 0)
		return bad(e, "it is empty");
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
			return bad(e, "it holds a blank or a control character");
	if (str_find(text, "://") >= 0)
		return bad(e, "it is the address of a page: write it without http:// or https://");
	return 0;
}

int
imageref_parse(struct str text, struct imageref *r, struct err *e)
{
	struct imageref found = { .domain = STR_NULL, .tag = STR_NULL, .digest = STR_NULL };
	struct str name = text, rest, first;
	ssize_t at, colon;

	if (check_bytes(text, e) < 0)
		return -1;
	at = str_chr(name, '@');
	if (at >= 0) {
		found.digest = str_sub(name, (size_t)at + 1, name.n);
		name = str_sub(name, 0, (size_t)at);
	}
	colon = str_rchr(name, ':');
	/* A colon in front of the last slash is a port. */
	if (colon > str_rchr(name, '/')) {
		found.tag = str_sub(name, (size_t)colon + 1, name.n);
		name = str_sub(name, 0, (size_t)colon);
	}
	rest = name;
	first = str_cut(&rest, '/');
	found.path = name;
	if (rest.p != NULL && is_domain(first)) {
		found.domain = first;
		found.path = rest;
		if (!domain_ok(first))
			return bad(e, "what stands before the first slash is no registry's name or address");
	}
	if (name.n > NAME_MAX_BYTES)
		return bad(e, "the name is longer than 255 bytes");
	if (check_path(found.path, e) < 0 || (found.tag.p != NULL && check_tag(found.tag, e) < 0) ||
	    (found.digest.p != NULL && check_digest(found.digest, e) < 0))
		return -1;
	*r = found;
	return 0;
}
