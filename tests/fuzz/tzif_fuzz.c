/*
 * Time zones: offsets stay within 26 hours (and the seven days that a rule may reach do not
 * change that), the search finds what a walk through all changes finds, and a file made into one
 * with a shorter end is never read beyond it. Input that begins with
 * "TZif" is a file, other input a POSIX TZ string.
 */
#include "core/core.h"
#include "wire/tzif.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t
time_of(const struct tz *tz, size_t i)
{
	const uint8_t *p = tz->times + i * tz->width;
	uint64_t v = 0;

	for (size_t k = 0; k < tz->width; k++)
		v = v << 8 | p[k];
	return tz->width == 4 ? (int32_t)v : (int64_t)v;
}

static int32_t
offset_of(const struct tz *tz, size_t type)
{
	const uint8_t *p = tz->types + type * 6;

	return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

/* What RFC 9636 says, one change after the other. */
static void
check_at(const struct tz *tz, int64_t t)
{
	int32_t got = tz_local(tz, t);
	size_t last = SIZE_MAX;

	assert(got >= -26 * 3600 && got <= 26 * 3600);
	for (size_t i = 0; i < tz->ntimes && time_of(tz, i) <= t; i++)
		last = i;
	if (tz->after.present && (tz->ntimes == 0 || last == tz->ntimes - 1)) {
		assert(got == tz->after.std || (tz->after.has_dst && got == tz->after.dst));
		return;
	}
	assert(got == offset_of(tz, last == SIZE_MAX ? 0 : tz->kinds[last]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t times[] = { INT64_MIN, -62135596801, -5000000000, -1, 0, 1772445600, 4102444800,
	    253402300800, INT64_MAX };
	struct err e = { 0 };
	struct tz tz;
	char *copy;
	int rc;

	if (size > 65536)
		return 0;
	copy = xmalloc(size > 0 ? size : 1);
	memcpy(copy, data, size);
	rc = size >= 4 && memcmp(copy, "TZif", 4) == 0 ? tz_parse(&tz, str_of(copy, size), &e) :
	    tz_parse_posix(&tz, str_of(copy, size), &e);
	if (rc < 0)
		assert(e.kind == ERR_PARSE && e.msg[0] != '\0');
	for (size_t i = 0; rc == 0 && i < NELEM(times); i++)
		check_at(&tz, times[i]);
	for (size_t i = 0; rc == 0 && i < tz.ntimes && i < 64; i++) {
		check_at(&tz, time_of(&tz, i));
		if (time_of(&tz, i) > INT64_MIN)
			check_at(&tz, time_of(&tz, i) - 1);
	}
	free(copy);
	return 0;
}
