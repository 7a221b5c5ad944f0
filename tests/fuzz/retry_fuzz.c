/*
 * Headers that say when to come back: the first byte chooses the status, each line is "Name: value". No wait is negative or longer than
 * a day, and none of them stops the retries.
 */
#include "core/core.h"
#include "policy/retry.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW	((wall_t){ 1700000000000000000 })
#define DAY	(INT64_C(86400) * NSEC_SEC)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 429, 503, 403 };
	struct retry_hint h = RETRY_HINT_INIT;
	struct str s = str_of(data, size);
	dur_t wait;
	int status;

	if (size == 0)
		return 0;
	status = statuses[data[0] & 3];
	s = str_sub(s, 1, s.n);
	while (s.p != NULL) {
		struct str value = str_cut(&s, '\n'), name = str_cut(&value, ':');

		if (value.p != NULL)
			retry_hint_header(&h, status, name, str_trim(value), NOW);
		assert(h.not_before.ns >= 0 && wall_between(NOW, h.not_before) <= DAY);
		assert(h.remaining >= -1 && h.limit >= -1 && h.reset.ns >= 0);
	}
	wait = retry_next(&retry_cloud, 0, &h, NOW, data[0] * UINT64_C(0x9e3779b97f4a7c15));
	assert(wait >= 0 && wait <= DAY + DAY / 2);
	return 0;
}
