/*
 * What a client says to the metrics server, and what an operator writes as
 * its address: a request is understood once, when it is whole, and refused for good once it is wrong;
 * what comes out lies within what went in.
 */
#include "core/core.h"
#include "net/serve.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size), method, path;
	char host[256], port[8];
	struct err e = { 0 };
	int status, last = 0;

	for (size_t n = 0; n <= in.n && n <= SERVE_HEAD_MAX; n += n < 64 || n + 64 > in.n ? 1 : 17) {
		int rc = serve_parse(str_sub(in, 0, n), &method, &path, &status);

		assert(rc == 0 || rc == 1 || (rc == -1 && (status == 400 || status == 431)));
		/* More bytes change neither an answer nor a refusal. */
		assert(last == 0 || rc == last);
		if (rc == 1) {
			assert(method.n > 0 && path.n > 0 && path.p[0] == '/');
			assert(path.p == NULL || path.n <= n);
			assert(memchr(path.p, '?', path.n) == NULL);
		}
		last = rc;
	}
	if (serve_parse_address(in, 9252, host, port, &e) == 0) {
		int p = -1;

		assert(str_to_int(str_from(port), &p) == 0 && p >= 0 && p <= 65535 && strlen(host) < sizeof(host));
	} else
		assert(e.kind == ERR_CONFIG);
	return 0;
}
