/*
 * The environment of the installed service, for root who asks about its file: variables of the unit, of its drop-ins and of the
 * files that it names, so that what `token = "$CI_TOKEN"` means there is known here. See check.h.
 */
#include <limits.h>
#include <unistd.h>

#include "cmd/check.h"
#include "cmd/cmd.h"
#include "cmd/service.h"
#include "core/fs.h"

#define TEXT_MAX	(256u << 10)

/* NAME=value; quotes around the value, or around the whole, are undone. */
static void
take(struct str line)
{
	struct str name, value;
	char *n, *v;

	line = str_trim(line);
	if (line.n > 1 && (line.p[0] == '"' || line.p[0] == '\'') && line.p[line.n - 1] == line.p[0])
		line = str_sub(line, 1, line.n - 2);
	if (str_starts(line, "export "))
		line = str_trim(str_sub(line, strlen("export "), line.n));
	value = line;
	name = str_cut(&value, '=');
	if (value.p == NULL || name.n == 0 || name.p[0] == '#' || name.p[0] == ';')
		return;
	value = str_trim(value);
	if (value.n > 1 && (value.p[0] == '"' || value.p[0] == '\'') && value.p[value.n - 1] == value.p[0])
		value = str_sub(value, 1, value.n - 2);
	n = str_dup(str_trim(name));
	v = str_dup(value);
	setenv(n, v, 1);
	free(n);
	free(v);
}

static bool
read_text(const char *path, struct buf *b)
{
	buf_clear(b);
	return fs_read(AT_FDCWD, path, TEXT_MAX, b, NULL) == 0;
}

static void
take_file(struct str path)
{
	struct buf b = { .max = TEXT_MAX };
	char *name;
	struct str rest;

	if (str_starts(path, "-"))
		path = str_sub(path, 1, path.n);
	name = str_dup(path);
	if (path.n > 0 && path.p[0] == '/' && read_text(name, &b))
		for (rest = buf_str(&b); rest.n > 0;)
			take(str_cut(&rest, '\n'));
	buf_wipe(&b);
	free(name);
}

/* Environment= and EnvironmentFile= of a unit; a System V or OpenRC script reads two files by their names. */
static void
take_unit(struct str text)
{
	while (text.n > 0) {
		struct str line = str_trim(str_cut(&text, '\n'));

		if (str_starts(line, "Environment=")) {
			struct str rest = str_trim(str_sub(line, strlen("Environment="), line.n));

			/* Several stand with blanks between them, unless they are quoted. */
			if (rest.n > 0 && rest.p[0] != '"' && rest.p[0] != '\'')
				while (rest.n > 0)
					take(str_cut(&rest, ' '));
			else
				take(rest);
		} else if (str_starts(line, "EnvironmentFile=")) {
			take_file(str_trim(str_sub(line, strlen("EnvironmentFile="), line.n)));
		}
	}
}

static void
take_drop_ins(const char *name)
{
	char folder[300], path[600], **names;
	struct buf b = { .max = TEXT_MAX };
	ssize_t n;

	snprintf(folder, sizeof(folder), "/etc/systemd/system/%.150s.service.d", name);
	n = fs_list(AT_FDCWD, folder, &names, NULL);
	for (ssize_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%.200s", folder, names[i]);
		if (str_ends(str_from(names[i]), ".conf") && read_text(path, &b))
			take_unit(buf_str(&b));
	}
	if (n >= 0)
		fs_free_names(names, n);
	buf_wipe(&b);
}

/* Whether the words of a unit or script start `run` with this file. */
static bool
runs_with(struct str text, const char *config)
{
	char *named = service_text_option(text, "--config");
	char *a = named != NULL ? realpath(named, NULL) : NULL, *b = realpath(config, NULL);
	bool same = a != NULL && b != NULL && strcmp(a, b) == 0;

	free(named);
	free(a);
	free(b);
	return same;
}

bool
check_service_environment(const char *config)
{
	static const char *const names[] = { "windlass", "gitlab-runner" };
	struct buf b = { .max = TEXT_MAX };
	bool found = false;

	for (size_t i = 0; i < NELEM(names) && !found && geteuid() == 0; i++) {
		struct service s;

		if (!service_find(&s, names[i], false) || !read_text(s.file, &b) || !runs_with(buf_str(&b), config))
			continue;
		found = true;
		take_unit(buf_str(&b));
		if (s.init == INIT_SYSTEMD) {
			take_drop_ins(names[i]);
		} else {
			char path[200];

			for (size_t k = 0; k < 2; k++) {
				snprintf(path, sizeof(path), "/etc/%s/%s", k == 0 ? "sysconfig" : "default", names[i]);
				take_file(str_from(path));
			}
		}
	}
	buf_wipe(&b);
	return found;
}
