/* The manager's own files: see state.h. */
#include <unistd.h>

#include "books/state.h"
#include "core/fs.h"
#include "wire/fields.h"

#define SAYS_MAX	(64u << 10)
#define OWNER_MAX	100

static const struct field says_fields[] = {
	FIELD(struct manager_says, INT, "pid", pid),
	FIELD(struct manager_says, STR, "state", state),
	FIELD(struct manager_says, TIME, "since", since),
	FIELD(struct manager_says, STR, "config", config),
	FIELD(struct manager_says, STR, "store", store),
	FIELD(struct manager_says, STR, "version", version),
	FIELD(struct manager_says, STR, "revision", revision),
	FIELD(struct manager_says, STR, "exe", exe),
	FIELD(struct manager_says, STR, "life", life),
	FIELD(struct manager_says, TIME, "started", started),
	FIELD(struct manager_says, INT, "adopted", adopted),
	FIELD(struct manager_says, INT, "blind_ms", blind_ms),
};

int
manager_says_write(int state_fd, const struct manager_says *s, struct err *e)
{
	struct buf b = { .max = SAYS_MAX };
	struct json_w w = { .b = &b };
	int rc;

	jw_object(&w, NULL);
	fields_write(&w, says_fields, NELEM(says_fields), s);
	jw_end_object(&w);
	rc = b.failed ? err_set(e, ERR_FULL, 0, STATEFILE_MANAGER " would be larger than %u bytes", SAYS_MAX) :
	    fs_write(state_fd, STATEFILE_MANAGER, buf_str(&b), 0600, e);
	buf_free(&b);
	return rc;
}

int
manager_says(const char *state_dir, struct arena *a, struct manager_says *s, struct err *e)
{
	struct buf b = { .max = SAYS_MAX };
	char *path = fs_join(state_dir, STATEFILE_MANAGER);
	struct json_val v;
	int rc = -1;

	*s = (struct manager_says){ .blind_ms = -1 };
	fields_empty(says_fields, NELEM(says_fields), s);
	if (fs_read(AT_FDCWD, path, SAYS_MAX, &b, e) < 0 || json_parse(a, arena_str(a, buf_str(&b)), &v, e) < 0) {
		err_ctx(e, "%s", path);
		goto out;
	}
	fields_read(a, v, says_fields, NELEM(says_fields), s);
	if (strcmp(s->state, "leaving") == 0)
		s->left = s->since;
	rc = 0;
out:
	buf_free(&b);
	free(path);
	return rc;
}

bool
state_owner_read(int state_fd, char owner[17])
{
	struct buf b = { .max = OWNER_MAX };
	bool yes;

	owner[0] = '\0';
	yes = fs_read(state_fd, STATEFILE_OWNER, OWNER_MAX, &b, NULL) == 0 && str_trim(buf_str(&b)).n == 16 &&
	    str_copy(str_trim(buf_str(&b)), owner, 17) == 0;
	buf_free(&b);
	return yes;
}

int
state_owner_write(int state_fd, const char *owner, struct err *e)
{
	return fs_write(state_fd, STATEFILE_OWNER, str_from(owner), 0600, e);
}
