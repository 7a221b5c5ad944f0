/* Time zones by name. See tzname.h; what the records look like stands in tz_table.h. */
#include "tz_table.h"
#include "wire/tzname.h"

static size_t
get16(const unsigned char *p)
{
	return (size_t)p[0] << 8 | p[1];
}

/* The record behind this one. */
static const unsigned char *
next(const unsigned char *p)
{
	return p + 1 + p[0] + 2;
}

/* The table is ours: what does not fit is a bug of the program that made it. */
static void
zone_at(struct tz *tz, size_t offset)
{
	const unsigned char *p = wl_tz_zones + offset;
	struct str rule = str_of((const char *)p + 1, p[0]);
	size_t ntypes, ntimes;

	*tz = (struct tz){ 0 };
	if (rule.n > 0 && tz_parse_posix(tz, rule, NULL) < 0)
		assert(!"a rule of the built-in time zones");
	p += 1 + p[0];
	ntypes = p[0];
	ntimes = get16(p + 1);
	p += 3;
	tz->ntypes = ntypes;
	tz->ntimes = ntimes;
	tz->width = 8;
	tz->types = p;
	tz->kinds = p + ntypes * 6;
	tz->times = tz->kinds + ntimes;
	assert(tz->times + ntimes * 8 <= wl_tz_zones + wl_tz_zones_len);
}

bool
tz_named(struct tz *tz, struct str name)
{
	for (const unsigned char *p = wl_tz_names; p < wl_tz_names + wl_tz_names_len; p = next(p))
		if (str_eq(name, str_of((const char *)p + 1, p[0]))) {
			zone_at(tz, get16(p + 1 + p[0]));
			return true;
		}
	return false;
}

struct str
tz_name(size_t i)
{
	const unsigned char *p = wl_tz_names;

	while (p < wl_tz_names + wl_tz_names_len && i-- > 0)
		p = next(p);
	return p < wl_tz_names + wl_tz_names_len ? str_of((const char *)p + 1, p[0]) : STR("");
}
