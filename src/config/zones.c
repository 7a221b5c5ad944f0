/* Time zones by name, and the host's own. See zones.h. */
#include "config/zones.h"
#include "core/fs.h"
#include "wire/tzname.h"

#define ZONE_MAX	(256u << 10)
#define SYSTEM		"/usr/share/zoneinfo"

static const struct tz *
from_file(struct arena *a, const char *path)
{
	struct buf b = { .max = ZONE_MAX };
	struct tz *tz = NULL;

	if (fs_read(AT_FDCWD, path, ZONE_MAX, &b, NULL) == 0) {
		tz = arena_alloc(a, sizeof(*tz));
		if (tz_parse(tz, arena_str(a, buf_str(&b)), NULL) < 0)
			tz = NULL;
	}
	buf_free(&b);
	return tz;
}

static const struct tz *
from_folder(struct arena *a, const char *folder, struct str name)
{
	/* Names come from a file of the operator's; they are still not paths. */
	if (folder == NULL || folder[0] != '/' || name.p[0] == '/' || str_find(name, "..") >= 0)
		return NULL;
	return from_file(a, arena_fmt(a, "%s/%.*s", folder, STR_ARG(name)));
}

static const struct tz *
by_name(struct arena *a, struct str name)
{
	const struct tz *tz = from_folder(a, getenv("ZONEINFO"), name);
	struct tz built_in, *copy;

	if (tz != NULL)
		return tz;
	if (!tz_named(&built_in, name))
		return from_folder(a, SYSTEM, name);
	copy = arena_alloc(a, sizeof(*copy));
	*copy = built_in;
	return copy;
}

/* Whatever TZ may hold: what is none of it means UTC, as in the C library. */
static const struct tz *
by_variable(struct arena *a, struct str value)
{
	const struct tz *tz;
	struct tz *posix;

	if (value.n > 0 && value.p[0] == ':')
		value = str_sub(value, 1, value.n);
	if (value.n == 0)
		return NULL;
	if (value.p[0] == '/')
		return from_file(a, arena_dup(a, value));
	tz = by_name(a, value);
	if (tz != NULL)
		return tz;
	posix = arena_alloc(a, sizeof(*posix));
	return tz_parse_posix(posix, arena_str(a, value), NULL) == 0 ? posix : NULL;
}

const struct tz *
zones_find(void *arena, struct str name, bool *utc_ok)
{
	const char *variable = getenv("TZ");

	if (name.n > 0 && !str_eqc(name, "Local")) {
		*utc_ok = str_eqc(name, "UTC");
		return *utc_ok ? NULL : by_name(arena, name);
	}
	*utc_ok = true;
	return variable != NULL ? by_variable(arena, str_from(variable)) : from_file(arena, "/etc/localtime");
}
