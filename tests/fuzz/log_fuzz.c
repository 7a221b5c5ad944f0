/*
 * A foreign text in a line of the log, in each format: it is one line, nothing in it drives a terminal, and as JSON it
 * reads back as what was said wherever that was text.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/core.h"
#include "core/log.h"
#include "wire/json.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What log_line() writes, in the arena. */
static struct str
logged(struct arena *a, enum log_format format, struct str text)
{
	int fd = memfd_create("log", MFD_CLOEXEC), old = dup(STDERR_FILENO);
	off_t n;
	char *p;

	log_setup(LOG_INFO, format);
	dup2(fd, STDERR_FILENO);
	log_info("Said", F_VIEW("text", text));
	dup2(old, STDERR_FILENO);
	close(old);
	n = lseek(fd, 0, SEEK_END);
	p = arena_alloc(a, (size_t)n + 1);
	assert(pread(fd, p, (size_t)n, 0) == n);
	close(fd);
	return str_of(p, (size_t)n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum log_format formats[] = { LOG_RUNNER, LOG_TEXT, LOG_JSON };
	struct str text = str_of(data, size < 2048 ? size : 2048), rest, one;
	struct arena a = { 0 };
	struct json_val v;
	uint32_t cp;
	bool is_text = true;

	for (rest = text; rest.n > 0;) {
		(void)str_shown(&rest, &one, &cp);
		is_text &= cp != STR_NO_CHAR;
	}
	for (size_t i = 0; i < NELEM(formats); i++) {
		struct str line = logged(&a, formats[i], text);

		assert(line.n > 0 && line.p[line.n - 1] == '\n');
		line.n--;
		for (rest = line; rest.n > 0;)
			assert(str_shown(&rest, &one, &cp));
		if (formats[i] == LOG_JSON) {
			assert(json_parse(&a, line, &v, NULL) == 0);
			assert(!is_text || str_eq(json_str(&a, json_get(v, "text")), text));
		}
	}
	arena_reset(&a);
	return 0;
}
