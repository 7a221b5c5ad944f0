/*
 * Credentials for an image from docker configurations and the job's own: lines with the image, what a credential helper answers, two
 * configurations and the job's list. No program runs. What comes out is one header of JSON, for a registry that the image is of.
 */
#include "core/hash.h"
#include "job/broker.h"

#define broker_ask(broker, helper, server, out) ((void)(broker), helper_said(helper, out))
int	helper_said(struct str helper, struct buf *out);

#include "job/image.c"	/* NOLINT(bugprone-suspicious-include): for its static functions, with a helper that is none */

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str answer;

int
helper_said(struct str helper, struct buf *out)
{
	assert(helper.n > 0);
	buf_putstr(out, answer);
	return 0;
}

/* The registry of an address or an image: what stands in front of the first slash, without a scheme. */
static struct str
host_of(struct str s)
{
	ssize_t scheme = str_find(s, "://");

	if (scheme > 0)
		s = str_sub(s, (size_t)scheme + 3, s.n);
	return str_cut(&s, '/');
}

static bool
is_docker(struct str host)
{
	return str_caseeq(host, "docker.io") || str_caseeq(host, "index.docker.io") || str_caseeq(host, "registry-1.docker.io");
}

/* Whether a credential for `server` may be shown to the registry of `image`. */
static bool
may_see(struct str server, struct str image)
{
	struct str name, tag, host, own = host_of(server);

	image_split(image, &name, &tag);
	host = host_of(name);
	if (str_chr(name, '/') < 0 || !(str_chr(host, '.') >= 0 || str_chr(host, ':') >= 0 || str_eqc(host, "localhost")))
		host = STR("docker.io");
	if (is_docker(host))
		return is_docker(own);
	/* Of either case, as names of hosts are. */
	return own.n == host.n && strncasecmp(own.p, host.p, own.n) == 0;
}

static void
check(struct arena *a, struct str image, struct str header)
{
	struct buf plain = { .max = 1u << 20 };
	struct json_val root;

	for (size_t i = 0; i < header.n; i++)
		assert(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=", header.p[i]) != NULL && header.p[i] != '\0');
	assert(hash_base64_decode(&plain, header) == 0 && json_parse(a, buf_str(&plain), &root, NULL) == 0);
	JSON_EACH(v, root)
		assert(json_type(v) == JSON_STRING);
	assert(may_see(json_str(a, json_get(root, "serveraddress")), image));
	buf_free(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size), image = str_cut(&in, '\n'), text;
	struct image_sources from = { { "first", "second" }, { STR_NULL, STR_NULL }, JSON_NONE };
	struct buf header = { .max = 65536 };
	struct broker nobody = { 0 };
	const struct image_key *key;
	struct image_keys keys;
	struct arena a = { 0 };

	answer = str_cut(&in, '\n');
	from.configs[0] = str_cut(&in, '\n');
	from.configs[1] = str_cut(&in, '\n');
	text = arena_str(&a, in);
	if (image_name_check(image, NULL) == 0) {
		if (json_parse(&a, text, &from.job, NULL) < 0)
			from.job = JSON_NONE;
		image_keys(&a, image, &from, &keys);
		assert(keys.n <= IMAGE_KEYS);
		key = image_credential(&a, &nobody, &keys, &header);
		assert((header.n > 0 || header.failed) == (key != NULL));
		if (header.n > 0 && !header.failed)
			check(&a, image, buf_str(&header));
	}
	buf_free(&header);
	arena_reset(&a);
	return 0;
}
