/*
 * Words and lines of a shell script: quoting, coloured lines, a job's own
 * commands. See script_parts.h.
 */
#include "core/core.h"
#include "job/script_parts.h"

#define ESC		"\033"
#define GREEN		ESC "[32;1m"
#define YELLOW		ESC "[0;33m"
#define RED		ESC "[31;1m"
#define RESET		ESC "[0;m"
#define CLEAR		ESC "[0K"

void
sh_text(struct buf *b, struct str s)
{
	while (s.p != NULL)
		buf_putstr(b, str_cut(&s, '\0'));
}

void
sh_word(struct buf *b, struct str s)
{
	buf_putc(b, '\'');
	while (s.p != NULL) {
		sh_text(b, str_cut(&s, '\''));
		if (s.p != NULL)
			buf_puts(b, "'\\''");
	}
	buf_putc(b, '\'');
}

void
sh_cword(struct buf *b, const char *s)
{
	sh_word(b, str_from(s));
}

void
sh_set(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "%s=", name);
	sh_word(b, value);
	buf_putc(b, '\n');
}

static const char *
style_begin(enum sh_style style)
{
	switch (style) {
	case SH_NOTICE:		return GREEN;
	case SH_WARNING:	return YELLOW "WARNING: ";
	case SH_ERROR:		return RED "ERROR: ";
	case SH_PLAIN:		break;
	}
	return "";
}

static void
put_line(struct buf *b, enum sh_style style, struct str text)
{
	struct buf line = { .max = text.n + 256 };

	buf_puts(&line, style_begin(style));
	buf_putstr(&line, text);
	if (style != SH_PLAIN)
		buf_puts(&line, RESET);
	buf_puts(b, "printf '%s\\n' ");
	sh_word(b, buf_str(&line));
	buf_putc(b, '\n');
	buf_wipe(&line);
}

void
sh_say(struct buf *b, enum sh_style style, const char *fmt, ...)
{
	struct buf text = { .max = 64u << 10 };
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&text, fmt, ap);
	va_end(ap);
	put_line(b, style, buf_str(&text));
	buf_wipe(&text);
}

void
sh_define_say(struct buf *b)
{
	buf_puts(b, "wl_say() { printf '%s\\n' '" GREEN "'\"$1\"'" RESET "'; }\n"
	    "wl_warn() { printf '%s\\n' '" YELLOW "WARNING: '\"$1\"'" RESET "'; }\n");
}

/* A section that holds nothing but the command's text, folded away. */
static void
put_section(struct buf *b, const char *prefix, size_t index, struct str command)
{
	struct buf text = { .max = command.n + 256 };

	buf_puts(&text, GREEN "$ ");
	buf_putstr(&text, command);
	buf_puts(&text, RESET);
	/* Fresh shells tell the time themselves. */
	buf_puts(b, "wl_now=${EPOCHSECONDS:-$(date +%s 2>/dev/null || echo 0)}\n");
	buf_fmt(b, "printf 'section_start:%%s:section_%s_%zu[hide_duration=true,collapsed=true]\\r" CLEAR "%%s\\n' \"$wl_now\" ", prefix, index);
	sh_word(b, buf_str(&text));
	buf_fmt(b, "\nprintf 'section_end:%%s:section_%s_%zu\\r" CLEAR "' \"$wl_now\"\n", prefix, index);
	buf_wipe(&text);
}

static void
put_command(const struct work *w, struct str command, const char *prefix, size_t index, struct buf *b)
{
	struct buf shown = { .max = command.n + 64 };
	struct str rest, first;

	command = str_trim(command);
	if (command.n == 0) {
		buf_puts(b, "echo\n");
		return;
	}
	rest = command;
	first = str_cut(&rest, '\n');
	if (rest.p != NULL && w->p->trace_sections && work_flag(w, "FF_SCRIPT_SECTIONS"))
		put_section(b, prefix, index, command);
	else {
		buf_puts(&shown, "$ ");
		buf_putstr(&shown, rest.p != NULL ? str_trim(first) : command);
		if (rest.p != NULL)
			buf_puts(&shown, " # collapsed multi-line command");
		put_line(b, SH_NOTICE, buf_str(&shown));
	}
	sh_text(b, command);
	buf_putc(b, '\n');
	if (work_flag(w, "FF_ENABLE_BASH_EXIT_CODE_CHECK"))
		buf_puts(b, "wl_status=$?; if [ \"$wl_status\" -ne 0 ]; then exit \"$wl_status\"; fi\n");
	buf_wipe(&shown);
}

void
sh_commands(const struct work *w, struct json_val lines, const char *prefix, bool expand, struct buf *b)
{
	size_t index = 0;

	JSON_EACH(v, lines) {
		struct str command = json_str(w->a, v);

		if (expand)
			command = vars_expand_str(&w->vars, command);
		if (command.p == NULL)
			b->failed = true;
		put_command(w, command, prefix, index++, b);
	}
}

void
sh_runner_command(const struct work *w, const char *text, const char *prefix, struct buf *b)
{
	struct str command = str_from(text);

	if (str_trim(command).n > 0)
		put_command(w, command, prefix, 0, b);
}
