/*
 * Credentials for an image from docker configurations and the job's own: lines with the image, what a credential helper answers, two
 * configurations and the job's list. No program runs. What comes out is one header of JSON, for a registry that the image is of,
 * and a helper has a plain name.
 */
#include "core/hash.h"
#include "core/proc.h"

#define proc_run(argv, input, out, deadline, e) helper_said(argv, input, out)
int	helper_said(const char *const argv[], struct str input, struct buf *out);

#include "job/image.c"	/* NOLINT(bugprone-suspicious-include): for its static functions, with a helper that is none */

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str answer;

int
helper_said(const char *const argv[], struct str input, struct buf *out)
{
	assert(strncmp(argv[0], "docker-credential-", 18) == 0 && argv[0][18] != '\0' && strchr(argv[0], '/') == NULL);
	assert(strcmp(argv[1], "get") == 0 && argv[2] == NULL);
	(void)input;
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
	static const char *const names[] = { "first", "second" };
	struct str in = str_of(data, size), image = str_cut(&in, '\n'), configs[2], text;
	struct buf header = { .max = 65536 };
	struct json_val job = JSON_NONE;
	struct arena a = { 0 };
	const char *source = NULL;

	answer = str_cut(&in, '\n');
	configs[0] = str_cut(&in, '\n');
	configs[1] = str_cut(&in, '\n');
	text = arena_str(&a, in);
	if (image_name_check(image, NULL) == 0) {
		if (json_parse(&a, text, &job, NULL) < 0)
			job = JSON_NONE;
		image_auth(&a, image, configs, names, NELEM(names), job, &header, &source);
		assert((header.n > 0 || header.failed) == (source != NULL));
		if (header.n > 0 && !header.failed)
			check(&a, image, buf_str(&header));
	}
	buf_free(&header);
	arena_reset(&a);
	return 0;
}
