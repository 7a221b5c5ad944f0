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

/* What a unit and its drop-ins say: variables and names of files, a line each. An empty assignment takes back those before it. */
struct said { struct buf variables, files; };

/* NAME=value; quotes around the value are undone. */
static void
take(struct str line)
{
	struct str name, value;
	char *n, *v;

	line = str_trim(line);
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

/* The file's text, lines that end in a backslash joined with the next by `joint` (NUL: by nothing). */
static bool
read_text(const char *path, char joint, struct buf *b)
{
	struct buf raw = { .max = TEXT_MAX };
	bool good = fs_read(AT_FDCWD, path, TEXT_MAX, &raw, NULL) == 0;

	buf_clear(b);
	for (size_t i = 0; good && i < raw.n; i++) {
		bool joined = raw.p[i] == '\\' && i + 1 < raw.n && raw.p[i + 1] == '\n';

		i += joined;
		if (!joined || joint != '\0')
			buf_putc(b, joined ? joint : raw.p[i]);
	}
	buf_wipe(&raw);
	return good;
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
	if (path.n > 0 && path.p[0] == '/' && read_text(name, '\0', &b))
		for (rest = buf_str(&b); rest.n > 0;)
			take(str_cut(&rest, '\n'));
	buf_wipe(&b);
	free(name);
}

/* A="b c" "D=e f" g='h': words with blanks between them, quotes undone wherever they stand (systemd.exec(5)). */
static void
note_words(struct buf *b, struct str rest)
{
	char quote = '\0';

	for (size_t i = 0; i < rest.n; i++) {
		char c = rest.p[i];

		if (c == '\\' && i + 1 < rest.n)
			buf_putc(b, rest.p[++i]);
		else if (c == quote)
			quote = '\0';
		else if (quote == '\0' && (c == '"' || c == '\''))
			quote = c;
		else
			buf_putc(b, quote == '\0' && (c == ' ' || c == '\t') ? '\n' : c);
	}
	buf_putc(b, '\n');
}

/* Environment= and EnvironmentFile= of a unit or a drop-in. */
static void
note_unit(struct said *s, struct str text)
{
	while (text.n > 0) {
		struct str value = str_trim(str_cut(&text, '\n')), key = str_trim(str_cut(&value, '='));
		bool words = str_eqc(key, "Environment");

		if (!words && !str_eqc(key, "EnvironmentFile"))
			continue;
		value = str_trim(value);
		if (value.n == 0)
			buf_clear(words ? &s->variables : &s->files);
		else if (words)
			note_words(&s->variables, value);
		else
			buf_fmt(&s->files, "%.*s\n", STR_ARG(value));
	}
}

/* Of one folder, where no file of that name in a later one takes its place. */
static void
note_drop_ins(struct said *s, const char *name)
{
	static const char *const folders[] = { "/usr/lib", "/usr/local/lib", "/run", "/etc" };
	char folder[300], path[600], **names;
	struct buf b = { .max = TEXT_MAX };

	for (size_t f = 0; f < NELEM(folders); f++) {
		ssize_t n;

		snprintf(folder, sizeof(folder), "%s/systemd/system/%.150s.service.d", folders[f], name);
		n = fs_list(AT_FDCWD, folder, &names, NULL);
		for (ssize_t i = 0; i < n; i++) {
			bool hidden = false;

			for (size_t k = f + 1; k < NELEM(folders) && !hidden; k++) {
				snprintf(path, sizeof(path), "%s/systemd/system/%.150s.service.d/%.200s", folders[k], name, names[i]);
				hidden = access(path, F_OK) == 0;
			}
			snprintf(path, sizeof(path), "%s/%.200s", folder, names[i]);
			if (!hidden && str_ends(str_from(names[i]), ".conf") && read_text(path, ' ', &b))
				note_unit(s, buf_str(&b));
		}
		if (n >= 0)
			fs_free_names(names, n);
	}
	buf_wipe(&b);
}

/* The unit's own variables come first: those of its files count over them, wherever they stand. */
static void
take_said(struct said *s)
{
	for (struct str rest = buf_str(&s->variables); rest.n > 0;) {
		struct str value = str_cut(&rest, '\n'), name = str_cut(&value, '=');

		if (value.p != NULL && name.n > 0) {
			char *n = str_dup(name), *v = str_dup(value);

			setenv(n, v, 1);
			free(n);
			free(v);
		}
	}
	for (struct str rest = buf_str(&s->files); rest.n > 0;)
		take_file(str_cut(&rest, '\n'));
}

/* Whether the words of a unit or script start `run` with this file. */
static bool
runs_with(struct str text, const char *config)
{
	char *named = service_text_option(text, "--config");
	char *a = realpath(named != NULL ? named : "/etc/gitlab-runner/config.toml", NULL), *b = realpath(config, NULL);
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
	static const char *const by_name[] = { "conf.d", "sysconfig", "default" };
	struct said said = { { .max = TEXT_MAX }, { .max = TEXT_MAX } };
	struct buf b = { .max = TEXT_MAX };
	bool found = false;

	for (size_t i = 0; i < NELEM(names) && !found && geteuid() == 0; i++) {
		struct service s;

		if (!service_find(&s, names[i], false) || !read_text(s.file, ' ', &b) || !runs_with(buf_str(&b), config))
			continue;
		found = true;
		note_unit(&said, buf_str(&b));
		if (s.init == INIT_SYSTEMD)
			note_drop_ins(&said, names[i]);
		/* The two that our scripts read by their names, and the one that OpenRC reads before any. */
		for (size_t k = s.init == INIT_OPENRC ? 0 : 1; s.init != INIT_SYSTEMD && k < NELEM(by_name); k++)
			buf_fmt(&said.files, "/etc/%s/%s\n", by_name[k], names[i]);
	}
	take_said(&said);
	buf_wipe(&said.variables);
	buf_wipe(&said.files);
	buf_wipe(&b);
	return found;
}
