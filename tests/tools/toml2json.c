/*
 * Reads TOML on standard input and prints what it means in the JSON of the
 * public test suite: tables are objects, arrays arrays, and each scalar is
 * {"type": ..., "value": "..."}. Exit status 1 and the complaint on standard
 * error if the text is none.
 */
#include <math.h>
#include <unistd.h>

#include "core/buf.h"
#include "wire/toml.h"

#define IN_MAX	(64u << 20)

static void
print_string(struct str s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == '"' || c == '\\' || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void
print_scalar(const struct toml *v)
{
	static const char *const types[] = { "string", "integer", "float", "bool", "datetime", "datetime-local", "date-local", "time-local" };
	const struct toml_date *d = &v->date;
	char day[40] = "", hour[48] = "", off[32] = "";

	printf("{\"type\": \"%s\", \"value\": ", types[v->type]);
	snprintf(day, sizeof(day), "%04d-%02d-%02d", d->year, d->month, d->day);
	snprintf(hour, sizeof(hour), "%02d:%02d:%02d.%09d", d->hour, d->minute, d->second, d->nsec);
	snprintf(off, sizeof(off), "%c%02d:%02d", d->offset_min < 0 ? '-' : '+', abs(d->offset_min) / 60, abs(d->offset_min) % 60);
	switch (v->type) {
	case TOML_STRING:
		print_string(v->s);
		break;
	case TOML_INTEGER:
		printf("\"%" PRId64 "\"", v->i);
		break;
	case TOML_FLOAT:
		if (isnan(v->f))
			printf("\"nan\"");
		else
			printf("\"%.17g\"", v->f);
		break;
	case TOML_BOOL:
		printf("\"%s\"", v->b ? "true" : "false");
		break;
	case TOML_DATETIME:
		printf("\"%sT%s%s\"", day, hour, off);
		break;
	case TOML_LOCAL_DATETIME:
		printf("\"%sT%s\"", day, hour);
		break;
	case TOML_LOCAL_DATE:
		printf("\"%s\"", day);
		break;
	case TOML_LOCAL_TIME:
		printf("\"%s\"", hour);
		break;
	default:
		abort();
	}
	putchar('}');
}

static void
print_value(const struct toml *v)
{
	bool table = v->type == TOML_TABLE;

	if (!table && v->type != TOML_ARRAY) {
		print_scalar(v);
		return;
	}
	putchar(table ? '{' : '[');
	TOML_EACH(child, v) {
		if (table) {
			print_string(child->key);
			putchar(':');
		}
		print_value(child);
		if (child->next != NULL)
			putchar(',');
	}
	putchar(table ? '}' : ']');
}

int
main(void)
{
	struct arena a = { NULL, 0 };
	struct buf in = { .max = IN_MAX };
	struct toml *root;
	struct err e;
	char piece[4096];
	ssize_t n;
	int rc;

	while ((n = read(STDIN_FILENO, piece, sizeof(piece))) > 0)
		buf_put(&in, piece, (size_t)n);
	if (n < 0 || in.failed) {
		perror("standard input");
		return 2;
	}
	rc = toml_parse(&a, buf_str(&in), &root, &e);
	if (rc == 0) {
		print_value(root);
		putchar('\n');
	} else {
		fprintf(stderr, "%s\n", e.msg);
	}
	arena_reset(&a);
	buf_free(&in);
	return rc == 0 ? 0 : 1;
}
