/*
 * The beginning of a torn job answer: what is read does not depend on what
 * stands behind the token, nothing shorter is enough, and the token can stand in a header line.
 */
#include "core/core.h"
#include "wire/jobhead.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = str_of((const char *)data, size);
	struct jobhead h, again;
	size_t need;

	if (!jobhead_read(body, &h))
		return 0;
	assert(h.id > 0 && h.token.n > 0 && h.token.n <= JOBHEAD_TOKEN_MAX);
	for (size_t i = 0; i < h.token.n; i++)
		assert(h.token.p[i] > ' ' && h.token.p[i] <= '~' && h.token.p[i] != '"' && h.token.p[i] != '\\');
	need = (size_t)(h.token.p - body.p) + h.token.n + 1;
	assert(need <= size);
	assert(jobhead_read(str_sub(body, 0, need), &again) && again.id == h.id && str_eq(again.token, h.token));
	assert(!jobhead_read(str_sub(body, 0, need - 1), &again));
	return 0;
}
