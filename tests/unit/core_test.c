/* core: strings, buffers, time, digests, options, files, locks. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/list.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/mono.h"
#include "core/opt.h"
#include "core/proc.h"
#include "core/rand.h"
#include "tap.h"

static void
test_str(void)
{
	static const struct { const char *text; int64_t want; int rc; } ints[] = {
		{ "0", 0, 0 }, { "-1", -1, 0 }, { "+7", 7, 0 }, { "9223372036854775807", INT64_MAX, 0 },
		{ "-9223372036854775808", INT64_MIN, 0 }, { "9223372036854775808", 0, -1 },
		{ "", 0, -1 }, { "-", 0, -1 }, { "1 ", 0, -1 }, { "0x1", 0, -1 }, { "-+1", 0, -1 },
	};
	static const struct { const char *text; int64_t want; int rc; } durs[] = {
		{ "1h30m", 5400 * NSEC_SEC, 0 }, { "90s", 90 * NSEC_SEC, 0 }, { "500ms", 500 * NSEC_MSEC, 0 },
		{ "1.5h", 5400 * NSEC_SEC, 0 }, { "-2s", -2 * NSEC_SEC, 0 }, { "0", 0, 0 }, { "15m0s", 900 * NSEC_SEC, 0 },
		{ "5", 0, -1 }, { "", 0, -1 }, { "s", 0, -1 }, { "1x", 0, -1 }, { ".s", 0, -1 }, { "9999999999h", 0, -1 },
	};
	struct str s = STR("a,b,,c"), f;
	const char *fields[] = { "a", "b", "", "c" };
	char plain[16];
	int64_t v;
	size_t n = 0;

	for (size_t i = 0; i < NELEM(ints); i++) {
		v = 0;
		is_int(str_to_i64(str_from(ints[i].text), &v), ints[i].rc, "str_to_i64(\"%s\")", ints[i].text);
		is_int(v, ints[i].want, "  value");
	}
	for (size_t i = 0; i < NELEM(durs); i++) {
		v = 0;
		is_int(str_to_duration(str_from(durs[i].text), &v), durs[i].rc, "duration \"%s\"", durs[i].text);
		is_int(v, durs[i].want, "  value");
	}
	while (s.p != NULL) {
		f = str_cut(&s, ',');
		ok(n < 4 && str_eqc(f, fields[n]), "field %zu", n);
		n++;
	}
	is_int((long long)n, 4, "four fields");
	ok(str_eqc(str_trim(STR(" \t x y\r\n")), "x y"), "trim");
	str_printable(STR("a\x1b[1m\n\xc3\xa9~"), plain, sizeof(plain));
	is_str(plain, "a?[1m???~", "nothing that a terminal obeys");
	str_printable(STR("cut here"), plain, 4);
	is_str(plain, "cut", "  cut where the room ends");
	ok(str_caseeq(STR("Content-Length"), "content-length"), "caseeq");
	is_int(str_casefind(STR("abcDEF"), "cde"), 2, "casefind");
}

static void
test_buf(void)
{
	struct buf b = { .max = 10 };

	buf_puts(&b, "12345");
	buf_fmt(&b, "%d", 67890);
	ok(!b.failed && b.n == 10, "ten bytes fit");
	buf_putc(&b, 'x');
	ok(b.failed && b.n == 10, "the eleventh fails");
	buf_drop(&b, 4);
	buf_putc(&b, 'x');
	ok(b.failed, "failure is sticky");
	buf_clear(&b);
	buf_put_shell(&b, STR("a'b"));
	is_str(b.p, "'a'\\''b'", "shell quoting");
	buf_free(&b);
	b.max = 100;
	buf_put_quoted(&b, STR("a\"\n\xff"), 3);
	is_str(b.p, "\"a\\\"\\x0a\"...", "quoted and cut");
	buf_free(&b);
}

/* What the zero of a point means where points are compared and moved. */
static void
test_points(void)
{
	mono_t early = { 5 }, late = { 7 };

	ok(mono_before(early, late) && !mono_before(late, early) && !mono_before(early, early),
	    "points in order");
	ok(mono_before(late, MONO_NEVER) && !mono_before(MONO_NEVER, late) &&
	    !mono_before(MONO_NEVER, MONO_NEVER), "never is after everything");
	ok(mono_equal(mono_min(MONO_NEVER, late), late) && mono_equal(mono_min(late, early), early),
	    "the earlier one");
	ok(mono_is_never(mono_add(MONO_NEVER, 3)) && mono_equal(mono_add(early, 2), late),
	    "never stays never, a point moves");
	ok(!mono_passed(MONO_NEVER) && mono_passed(MONO_AT_ONCE), "at once is over, never is not");
	ok(mono_ms_until(MONO_NEVER) == -1 && mono_ms_until(MONO_AT_ONCE) == 0, "for poll(2)");
	ok(wall_before(WALL_UNKNOWN, (wall_t){ 1 }) && !wall_known(WALL_UNKNOWN),
	    "a time that is not known comes first");
	is_int(wall_seconds((wall_t){ -1 }), -1, "seconds are rounded down");
	is_int(wall_of_seconds(-3).ns, -3 * NSEC_SEC, "and back");
}

static void
test_time(void)
{
	static const struct { const char *text; int64_t sec; int64_t ns; int rc; } t[] = {
		{ "1970-01-01T00:00:00Z", 0, 0, 0 },
		{ "2026-03-01T08:15:30.123456Z", 1772352930, 123456000, 0 },
		{ "2026-03-01T08:15:30.123456789+01:30", 1772347530, 123456789, 0 },
		{ "2000-02-29T23:59:59Z", 951868799, 0, 0 },
		{ "0001-01-01T00:00:00Z", 0, 0, 0 },
		{ "2001-02-29T00:00:00Z", 0, 0, -1 }, { "2026-13-01T00:00:00Z", 0, 0, -1 },
		{ "2026-03-01T08:15:30", 0, 0, -1 }, { "2026-03-01T08:15:30.Z", 0, 0, -1 },
	};
	static const struct { dur_t ns; const char *want; } d[] = {
		{ 3600 * NSEC_SEC, "1h0m0s" }, { 1500 * NSEC_MSEC, "1.5s" }, { 300 * NSEC_MSEC, "300ms" },
		{ 0, "0s" }, { 61 * NSEC_SEC, "1m1s" }, { 1500, "1.5\xc2\xb5s" }, { -2 * NSEC_SEC, "-2s" },
		{ NSEC_SEC + 10 * NSEC_MSEC, "1.01s" },
	};
	char out[TIME_RFC3339_MAX], dur[40];
	wall_t w;

	for (size_t i = 0; i < NELEM(t); i++) {
		w = WALL_UNKNOWN;
		is_int(time_parse_rfc3339(str_from(t[i].text), &w), t[i].rc, "parse %s", t[i].text);
		is_int(w.ns, t[i].sec * NSEC_SEC + t[i].ns, "  value");
	}
	time_rfc3339((wall_t){ 1772352930123456789 }, 6, out);
	is_str(out, "2026-03-01T08:15:30.123456Z", "print");
	time_rfc3339((wall_t){ -1 }, 9, out);
	is_str(out, "1969-12-31T23:59:59.999999999Z", "before the epoch");
	is_int(time_parse_http(STR("Sun, 06 Nov 1994 08:49:37 GMT"), &w), 0, "http date");
	is_int(wall_seconds(w), 784111777, "  value");
	for (size_t i = 0; i < NELEM(d); i++) {
		time_go_duration(d[i].ns, dur);
		is_str(dur, d[i].want, "Go duration");
	}
}

static void
test_hash(void)
{
	uint8_t out[32];
	char hex[65];
	struct buf b = { 0 };

	is_int(hash_crc32(0, "123456789", 9), 0xcbf43926, "crc32 check value");
	is_int(hash_crc32(hash_crc32(0, "12345", 5), "6789", 4), 0xcbf43926, "crc32 in two parts");
	hash_md5("abc", 3, out);
	hash_hex(out, 16, hex);
	is_str(hex, "900150983cd24fb0d6963f7d28e17f72", "md5(abc)");
	hash_md5("12345678901234567890123456789012345678901234567890123456789012345678901234567890", 80, out);
	hash_hex(out, 16, hex);
	is_str(hex, "57edf4a22be3c955ac49da2e2107b67a", "md5 of 80 digits");
	hash_sha256("abc", 3, out);
	hash_hex(out, 32, hex);
	is_str(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "sha256(abc)");
	hash_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
	hash_hex(out, 32, hex);
	is_str(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "sha256 of 56 bytes");
	hash_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
	hash_hex(out, 32, hex);
	is_str(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "hmac, RFC 4231 case 2");
	for (int n = 0; n <= 4; n++) {
		static const char *const want[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==" };
		struct buf back = { 0 };

		buf_clear(&b);
		hash_base64(&b, str_of("foob", (size_t)n));
		is_str(buf_str(&b).p, want[n], "base64 of %d bytes", n);
		is_int(hash_base64_decode(&back, buf_str(&b)), 0, "  decodes");
		ok(str_eq(buf_str(&back), str_of("foob", (size_t)n)), "  back");
		buf_free(&back);
	}
	is_int(hash_base64_decode(&b, STR("Zg=x")), -1, "junk behind padding is refused");
	is_int(hash_base64_decode(&b, STR("Z")), -1, "one digit is refused");
	buf_free(&b);
}

static void
test_opt(void)
{
	struct opt o[] = {
		{ .name = "driver", .letter = 'd', .type = OPT_STRING, .env = "CORE_TEST_DRIVER" },
		{ .name = "force", .letter = 'f', .type = OPT_BOOL },
		{ .name = "count", .type = OPT_INT },
		{ .name = "label", .type = OPT_LIST, .env = "CORE_TEST_LABEL" },
	};
	const char *argv[] = { "x", "a", "--driver=do", "-f", "--count", "12", "--label", "k=v", "-label=w", "b", "--", "-z", NULL };
	const char *bad[] = { "x", "--count", "many", NULL };
	const char *unknown[] = { "x", "--tokn=secret", NULL };
	const char *after[] = { "x", "-f", "ssh", "-f", "--", "--count=3", NULL };
	const char *text[16];
	struct opt_words words = { .v = text };
	struct err e = { 0 };

	is_int(opt_parse(o, NELEM(o), 12, (char **)argv, &words, &e), 0, "parse");
	ok(words.n == 3 && strcmp(words.v[0], "a") == 0 && strcmp(words.v[2], "-z") == 0, "words");
	is_str(o[0].value, "do", "string");
	is_int(o[1].number, 1, "bool");
	is_int(o[2].number, 12, "int");
	ok(o[3].nlist == 2 && strcmp(o[3].list[0], "k=v") == 0 && strcmp(o[3].list[1], "w") == 0, "list");
	opt_free(o, NELEM(o));
	is_int(opt_parse(o, NELEM(o), 3, (char **)bad, &words, &e), -1, "not a number");
	is_str(e.msg, "option --count needs a whole number, not \"many\"", "  says which");
	opt_free(o, NELEM(o));
	setenv("CORE_TEST_DRIVER", "env", 1);
	is_int(opt_parse(o, NELEM(o), 1, (char **)argv, &words, &e), 0, "environment");
	is_str(o[0].value, "env", "  value");
	opt_free(o, NELEM(o));
	setenv("CORE_TEST_LABEL", "x,y,z", 1);
	is_int(opt_parse(o, NELEM(o), 1, (char **)argv, &words, &e), 0, "a list in the environment");
	ok(o[3].nlist == 3 && strcmp(o[3].list[2], "z") == 0, "  has a value between two commas");
	opt_free(o, NELEM(o));
	words.n = 0;
	is_int(opt_parse(o, NELEM(o), 12, (char **)argv, &words, &e), 0, "a list in both");
	ok(o[3].nlist == 2 && strcmp(o[3].list[0], "k=v") == 0, "  is that of the command line alone");
	opt_free(o, NELEM(o));
	unsetenv("CORE_TEST_LABEL");
	is_int(opt_parse(o, NELEM(o), 2, (char **)unknown, &words, &e), -1, "an unknown option");
	is_str(e.msg, "unknown option --tokn", "  is named without its value");
	opt_free(o, NELEM(o));
	words = (struct opt_words){ .v = text, .end_options = true };
	is_int(opt_parse(o, NELEM(o), 6, (char **)after, &words, &e), 0, "a word that ends the options");
	ok(words.n == 4 && strcmp(words.v[1], "-f") == 0 && strcmp(words.v[2], "--") == 0 && o[1].given && !o[2].given,
	    "  what follows is words");
	opt_free(o, NELEM(o));
	is_int(opt_parse(o, NELEM(o), 3, (char **)after, NULL, &e), -1, "a word where there is none");
	is_str(e.msg, "\"ssh\" is no option (a switch is turned off with --switch=false)", "  is named");
	is_int(opt_parse(o, NELEM(o), 2, (char **)bad, NULL, &e), -1, "an option at the end of the line");
	is_str(e.msg, "option --count needs a value", "  needs its value");
	opt_free(o, NELEM(o));
}

static void
test_opt_help(void)
{
	struct opt o[] = {
		{ .name = "driver", .letter = 'd', .type = OPT_STRING, .help = "x" },
		{ .name = "force", .letter = 'f', .type = OPT_BOOL, .env = "CORE_TEST_FORCE", .help = "do not ask" },
		{ .name = "a-name-that-is-longer-than-its-column", .type = OPT_LIST, .arg = "FILE", .help =
		  "words that go on and on until the eightieth column and then into a line of their own",
		  .env = "CORE_TEST_A_VARIABLE_THAT_IS_WIDER_THAN_ITS_COLUMN_IS_HERE" },
		{ .name = "hidden", .type = OPT_BOOL },
		{ .name = "help", .letter = 'h', .type = OPT_BOOL, .help = "this text" },
	};
	static const struct { const char *typed, *near; } spelt[] = {
		{ "drivr", "driver" }, { "Force", "force" }, { "foce", "force" }, { "hiddn", NULL }, { "elsewhere", NULL }, { "", NULL },
		{ "hlep", "help" }, { "focre", "force" }, { "fine", NULL },
	};
	static const struct { const char *argv[5]; bool asked; } lines[] = {
		{ { "x", "--help" }, true }, { { "x", "-h" }, true }, { { "x", "--driver", "--help" }, false },
		{ { "x", "--driver", "-h", "--help" }, true }, { { "x", "-f", "-help" }, true }, { { "x", "--", "--help" }, false },
		{ { "x", "--driver=a", "--help" }, true }, { { "x", "--nonsense", "-h" }, true }, { { "x", "help" }, false },
	};
	static const char want[] =
	    "  -d, --driver VALUE          x\n"
	    "  -f, --force                 do not ask [$CORE_TEST_FORCE]\n"
	    "      --a-name-that-is-longer-than-its-column FILE\n"
	    "                              words that go on and on until the eightieth column\n"
	    "                              and then into a line of their own (may be\n"
	    "                              repeated)\n"
	    "                   [$CORE_TEST_A_VARIABLE_THAT_IS_WIDER_THAN_ITS_COLUMN_IS_HERE]\n"
	    "  -h, --help                  this text\n";
	const char *argv[] = { "x", "--drive=x", NULL };
	char text[1024] = "";
	struct err e = { 0 };
	FILE *f = fmemopen(text, sizeof(text), "w");

	for (size_t i = 0; i < NELEM(spelt); i++) {
		const char *near = opt_nearest(o, NELEM(o), str_from(spelt[i].typed));

		ok(near == spelt[i].near || (near != NULL && spelt[i].near != NULL && strcmp(near, spelt[i].near) == 0),
		    "nearest to \"%s\": %s", spelt[i].typed, near != NULL ? near : "none");
	}
	for (size_t i = 0; i < NELEM(lines); i++) {
		int argc = 0;

		while (lines[i].argv[argc] != NULL)
			argc++;
		is_int(opt_asked(o, NELEM(o), argc, (char **)(uintptr_t)lines[i].argv, "help"), lines[i].asked, "help asked in line");
	}
	is_int(opt_parse(o, NELEM(o), 2, (char **)argv, NULL, &e), -1, "a misspelt option");
	is_str(e.msg, "unknown option --drive: did you mean --driver?", "  is told the near one");
	opt_free(o, NELEM(o));
	opt_help(o, NELEM(o), f);
	fclose(f);
	is_str(text, want, "the table as --help prints it");
	is_int(str_distance(STR("kitten"), STR("SITTING")), 3, "edits between two words");
	is_int(str_distance(STR("ulr"), STR("url")), 1, "  a swap is one");
	is_int(str_distance(STR(""), STR("ab")), 2, "  from nothing");
	is_int(str_distance(STR("ca"), STR("abc")), 3, "  and not a step on the way to another");
}

static void
test_fs(const char *dir)
{
	struct err e = { 0 };
	struct buf b = { 0 };
	struct stat st;
	char **names, *path = fs_join(dir, "a/b/c"), *file = fs_join(dir, "a/b/f");
	int fd = fs_opendir(AT_FDCWD, dir, &e);

	is_int(fs_mkdirs(path, 0700, &e), 0, "mkdirs");
	is_int(fs_write(AT_FDCWD, file, STR("one"), 0600, &e), 0, "write");
	is_int(fs_write(fd, "a/b/f", STR("two"), 0640, &e), 0, "write again, by descriptor");
	is_int(fs_read(fd, "a/b/f", 100, &b, &e), 0, "read");
	is_str(b.p, "two", "  content");
	ok(stat(file, &st) == 0 && (st.st_mode & 0777) == 0640, "  mode is as given");
	is_int(fs_read(fd, "a/b/f", 2, &b, &e), -1, "a file above the limit");
	is_int(e.kind, ERR_FULL, "  is an error of its kind");
	is_int(fs_read(fd, "a/b/none", 2, &b, &e), -1, "a missing file");
	is_int(e.kind, ERR_NOTFOUND, "  is an error of its kind");
	is_int(fs_list(fd, "a/b", &names, &e), 2, "list: no temporary file is left");
	fs_free_names(names, 2);
	is_int(fs_remove_tree(fd, "a", &e), 0, "remove tree");
	ok(!fs_exists(fd, "a"), "  gone");
	is_int(fs_remove_tree(fd, "a", &e), 0, "  again is success");
	buf_free(&b);
	free(path);
	free(file);
	close(fd);
}

static void
test_lock(const char *dir)
{
	struct err e = { 0 };
	int d = fs_opendir(AT_FDCWD, dir, &e), to[2], from[2], fd, status;
	pid_t child, pid;
	char c;

	if (pipe(to) < 0 || pipe(from) < 0)
		return;
	is_int(lock_held(d, "l", &pid, &e), 0, "no file: nobody");
	child = fork();
	if (child == 0) {
		fd = lock_take(d, "l", LOCK_TRY, &e);
		(void)!write(from[1], fd >= 0 ? "y" : "n", 1);
		(void)!read(to[0], &c, 1);
		pause();
		_exit(0);
	}
	(void)!read(from[0], &c, 1);
	is_int(c, 'y', "child has it");
	is_int(lock_held(d, "l", &pid, &e), 1, "held");
	is_int(pid, child, "  by the child");
	is_int(lock_take(d, "l", LOCK_TRY, &e), -1, "not ours");
	is_int(e.kind, ERR_CONFLICT, "  conflict");
	is_int(lock_signal(d, "l", SIGTERM, &e), 1, "signal sent");
	waitpid(child, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "  and received");
	is_int(lock_held(d, "l", &pid, &e), 0, "free after death");
	is_int(lock_signal(d, "l", SIGTERM, &e), 0, "nobody to signal");
	fd = lock_take(d, "l", LOCK_TRY, &e);
	ok(fd >= 0, "ours now");
	close(fd);
	close(d);
	close(to[0]); close(to[1]); close(from[0]); close(from[1]);
}

static void
test_proc(void)
{
	const char *const cat[] = { "cat", NULL }, *const slow[] = { "sleep", "10", NULL },
	    *const fail[] = { "false", NULL };
	struct buf b = { 0 };
	struct err e = { 0 };

	is_int(proc_run(cat, STR("hello"), &b, mono_after(5 * NSEC_SEC), &e), 0, "run cat");
	is_str(buf_str(&b).p, "hello", "  output");
	is_int(proc_run(fail, STR_NULL, NULL, mono_after(5 * NSEC_SEC), &e), 1, "status of false");
	is_int(proc_run(slow, STR_NULL, NULL, mono_after(100 * NSEC_MSEC), &e), -1, "past the deadline");
	is_int(e.kind, ERR_TIMEOUT, "  timeout");
	buf_free(&b);
}

static void
test_misc(void)
{
	struct item { struct list link; int v; } items[3] = { { .v = 1 }, { .v = 2 }, { .v = 3 } };
	struct list head;
	struct arena a = { 0 };
	struct err e = { 0 };
	int sum = 0;
	char *p;

	list_init(&head);
	for (int i = 0; i < 3; i++)
		list_add(&head, &items[i].link);
	LIST_EACH(struct item, it, link, &head) {
		sum = sum * 10 + it->v;
		if (it->v == 2)
			list_remove(&it->link);
	}
	is_int(sum, 123, "list in order, removal while walking");
	p = arena_fmt(&a, "%s-%d", "x", 7);
	is_str(p, "x-7", "arena_fmt");
	for (int i = 0; i < 1000; i++)
		memset(arena_alloc(&a, (size_t)i), 1, (size_t)i);
	is_str(p, "x-7", "  still there");
	arena_reset(&a);
	err_set(&e, ERR_NET, 0, "refused");
	err_ctx(&e, "connect %s", "h:1");
	is_str(e.msg, "connect h:1: refused", "err_ctx");
}

/* What log_line() writes to stderr, without its end of line. */
static const char *
logged(enum log_format format, const char *value)
{
	static char text[8192];
	int fd[2], old = dup(STDERR_FILENO);
	ssize_t n;

	log_setup(LOG_INFO, format);
	if (pipe(fd) < 0 || dup2(fd[1], STDERR_FILENO) < 0)
		return "";
	close(fd[1]);
	log_info("Said", F_STR("text", value), F_INT("n", 7));
	dup2(old, STDERR_FILENO);
	close(old);
	n = read(fd[0], text, sizeof(text) - 1);
	close(fd[0]);
	text[n > 0 ? n - 1 : 0] = '\0';
	return strstr(text, "text") != NULL ? strstr(text, "text") : text;
}

static void
hide(const void *ctx, struct str text, struct buf *out)
{
	ssize_t at = str_find(text, ctx);

	if (at < 0) {
		buf_putstr(out, text);
		return;
	}
	buf_putstr(out, str_sub(text, 0, (size_t)at));
	buf_puts(out, "[MASKED]");
	buf_putstr(out, str_sub(text, (size_t)at + strlen(ctx), text.n));
}

static void
test_log(void)
{
	static const struct { const char *in, *plain, *json; } cases[] = {
		{ "caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac" },
		{ "a\nb\x1b[2J\x7f", "a\\x0ab\\x1b[2J\\x7f", "a\\u000ab\\u001b[2J\\u007f" },
		{ "\xc2\x9b" "2J\xc2\x85", "\\u009b2J\\u0085", "\\u009b2J\\u0085" },
		{ "\x9b" "2J", "\\x9b2J", "\\ufffd2J" },
		{ "\xe2\x80\xae" "gpj.exe\xe2\x81\xa6", "\\u202egpj.exe\\u2066", "\\u202egpj.exe\\u2066" },
		{ "\xd8\x9c\xe2\x80\x8f\xe2\x80\xa8", "\\u061c\\u200f\\u2028", "\\u061c\\u200f\\u2028" },
		{ "\xf3\xa0\x81\x81", "\\U000e0041", "\\udb40\\udc41" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd" },
	};
	char want[200];

	for (size_t i = 0; i < NELEM(cases); i++) {
		snprintf(want, sizeof(want), "text=%s", cases[i].plain);
		is_str(logged(LOG_RUNNER, cases[i].in), want, "log, case %zu", i);
		snprintf(want, sizeof(want), "text=\"%s\"", cases[i].json);
		is_str(logged(LOG_TEXT, cases[i].in), want, "  as text");
		snprintf(want, sizeof(want), "text\":\"%s\",", cases[i].json);
		ok(strncmp(logged(LOG_JSON, cases[i].in), want, strlen(want)) == 0, "  as JSON: %s", want);
	}
	log_filter(hide, "hunter2");
	is_str(logged(LOG_RUNNER, "the password is hunter2, is it"), "text=the password is [MASKED], is it", "a filter");
	is_str(logged(LOG_TEXT, "hunter2"), "text=\"[MASKED]\"", "  in each format");
	ok(strncmp(logged(LOG_JSON, "xhunter2"), "text\":\"x[MASKED]\"", 17) == 0, "  JSON too");
	is_str(logged(LOG_RUNNER, NULL), "text=", "  of nothing is nothing");
	log_filter(NULL, NULL);
	is_str(logged(LOG_RUNNER, "hunter2"), "text=hunter2", "  until it is taken away");
}

static bool
make(const char *path, const char *name)
{
	char whole[600];
	int fd;

	snprintf(whole, sizeof(whole), "%s/%s", path, name);
	fd = open(whole, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void
test_sweep(const char *base)
{
	static const char *const left[] = { ".manager.json.0123abcd.tmp", ".a.b.ffffffff.tmp" };
	static const char *const kept[] = { "manager.json", "manager.json.0123abcd.tmp", ".x.0123abc.tmp", ".x.0123abcg.tmp", ".0123abcd.tmp",
	    ".lock", ".gone.m.12345678", ".x.0123abcd.tmpx" };
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	char *path = fs_join(base, "sweep");
	struct err e = { 0 };
	int dir;

	fs_mkdirs(path, 0700, &e);
	dir = fs_opendir(AT_FDCWD, path, &e);
	mkdirat(dir, ".dir.01234567.tmp", 0700);
	is_int((long long)fs_sweep(dir, 0), 0, "nothing to sweep");
	ok(!fs_has_temporaries(dir) || fs_exists(dir, ".dir.01234567.tmp"), "a directory of that name is nobody's");
	for (size_t i = 0; i < NELEM(left); i++)
		make(path, left[i]);
	for (size_t i = 0; i < NELEM(kept); i++)
		make(path, kept[i]);
	ok(fs_has_temporaries(dir), "temporaries are seen");
	is_int((long long)fs_sweep(dir, 60), 0, "young ones may have a writer");
	utimensat(dir, left[0], old, 0);
	is_int((long long)fs_sweep(dir, 60), 1, "an old one goes");
	ok(!fs_exists(dir, left[0]) && fs_exists(dir, left[1]), "  and no other");
	is_int((long long)fs_sweep(dir, 0), 1, "under the lock all go");
	for (size_t i = 0; i < NELEM(kept); i++)
		ok(fs_exists(dir, kept[i]), "%s stays", kept[i]);
	close(dir);
	free(path);
}

/* A writer that is killed in the midst leaves what a sweep takes. */
static void
test_killed_writer(const char *base)
{
	char *path = fs_join(base, "killed");
	struct err e = { 0 };
	int dir, status;
	size_t left = 0;

	fs_mkdirs(path, 0700, &e);
	dir = fs_opendir(AT_FDCWD, path, &e);
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				fs_write(dir, "manager.json", STR("{\"whole\":true}"), 0600, NULL);
		mono_sleep(NSEC_MSEC * (1 + i % 5));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		left += fs_has_temporaries(dir);
	}
	ok(left > 0, "kills left temporaries (%zu)", left);
	fs_sweep(dir, 0);
	ok(!fs_has_temporaries(dir), "the next start finds none");
	close(dir);
	free(path);
}

static void
test_strict_modes(const char *base)
{
	static const struct { const char *dir; mode_t mode; const char *says; } cases[] = {
		{ "s/a", 0700, NULL }, { "s/a", 0755, NULL }, { "s/a", 0777, "chmod go-w" }, { "s/a", 01777, "everybody" },
		{ "s/a", 0770, "its group" }, { "s/a", 0702, "everybody" },
		{ "s", 0777, "chmod go-w" }, { "s", 01777, NULL }, { "s", 0775, "its group" }, { "s", 0711, NULL },
	};
	char *state = fs_join(base, "s/a/state"), *asked = fs_join(base, "s/a"), *missing = fs_join(base, "s/a/none"), *link = fs_join(base, "ln");
	struct err e = { 0 };

	fs_mkdirs(state, 0700, &e);
	ok(symlink("s/a/state", link) == 0, "a link");
	for (size_t i = 0; i < NELEM(cases); i++) {
		char *dir = fs_join(base, cases[i].dir);
		const char *want = cases[i].says;
		struct stat st;

		stat(dir, &st);
		chmod(dir, cases[i].mode);
		is_int(fs_strict_modes(asked, geteuid(), &e), want == NULL ? 0 : -1, "%s with mode %04o: %s", cases[i].dir, cases[i].mode, e.msg);
		if (want != NULL)
			ok(e.kind == ERR_CONFIG && strstr(e.msg, want) != NULL && strstr(e.msg, dir) != NULL, "  says %s", want);
		/* Above the one that is asked for the sticky bit is enough, through links too. */
		if ((cases[i].mode & S_ISVTX) != 0)
			want = NULL;
		is_int(fs_strict_modes(state, geteuid(), &e), want == NULL ? 0 : -1, "  below it");
		is_int(fs_strict_modes(link, geteuid(), &e), want == NULL ? 0 : -1, "  by a link");
		is_int(fs_strict_modes(missing, geteuid(), &e), -1, "  what does not exist");
		is_int(e.kind, want == NULL ? ERR_NOTFOUND : ERR_CONFIG, "    is told so only when the way is fine");
		chmod(dir, st.st_mode & 07777);
		free(dir);
	}
	if (geteuid() == 0) {
		ok(chown(asked, 12345, 0) == 0, "somebody else's");
		is_int(fs_strict_modes(state, geteuid(), &e), -1, "  is refused");
		ok(strstr(e.msg, "belongs to user 12345") != NULL && strstr(e.msg, "chown 0 ") != NULL, "  with what to type: %s", e.msg);
		ok(chown(asked, 0, 0) == 0, "  and taken back");
	}
	free(state);
	free(asked);
	free(missing);
	free(link);
}

int
main(void)
{
	char dir[] = "/tmp/core_test.XXXXXX";
	struct err e = { 0 };

	if (mkdtemp(dir) == NULL)
		return 1;
	test_str();
	test_buf();
	test_points();
	test_time();
	test_hash();
	test_opt();
	test_opt_help();
	test_fs(dir);
	test_lock(dir);
	test_proc();
	test_misc();
	test_log();
	test_sweep(dir);
	test_killed_writer(dir);
	test_strict_modes(dir);
	fs_remove_tree(AT_FDCWD, dir, &e);
	return done_testing();
}
