/* What hosts say first, and what agents answer. */
#include "tap.h"
#include "wire/sshwire.h"

static void
put_hello(struct buf *b, const char *before, const char *kex)
{
	struct buf p = { 0 };

	buf_puts(b, before);
	buf_puts(&p, "\x04\x14" "0123456789abcdef");
	for (int i = 0; i < 10; i++)
		sshwire_put_string(&p, i == 0 ? str_from(kex) : STR("a,b"));
	buf_put(&p, "\0\0\0\0\0pad.", 9);
	sshwire_put_string(b, buf_str(&p));
	buf_free(&p);
}

static void
test_hello(void)
{
	static const struct { const char *name, *before; const char *version; } good[] = {
		{ "a version", "SSH-2.0-x\r\n", "SSH-2.0-x" }, { "one that ends in LF", "SSH-2.0-x y\n", "SSH-2.0-x y" },
		{ "lines before it", "welcome\r\nto us\r\nSSH-2.0-x\r\n", "SSH-2.0-x" },
	};
	struct sshwire_hello h;

	for (size_t i = 0; i < NELEM(good); i++) {
		struct buf b = { 0 };
		size_t early = 0;

		put_hello(&b, good[i].before, "sntrup,curve");
		ok(sshwire_hello(buf_str(&b), &h) == 1 && str_eqc(h.version, good[i].version) &&
		    str_eqc(h.lists[SSHWIRE_KEX], "sntrup,curve") && str_eqc(h.lists[SSHWIRE_MAC_SC], "a,b"), "%s", good[i].name);
		for (size_t n = 0; n < b.n; n++)
			early += sshwire_hello(str_sub(buf_str(&b), 0, n), &h) != 0;
		is_int((long long)early, 0, "... and every beginning of it asks for more");
		b.p[strlen(good[i].before) + 5] = 21;
		is_int(sshwire_hello(buf_str(&b), &h), -1, "... another packet is none");
		buf_free(&b);
	}
	is_int(sshwire_hello(STR("SSH-2.0-x\n\xff\xff\xff\xff...."), &h), -1, "a length that cannot be");
	is_int(sshwire_hello(STR("SSH-2.0-x\n\0\0\0\2...."), &h), -1, "a packet too short");
	is_int(sshwire_hello(STR("SSH-2.0-x\n\0\0\0\x14\xff\x14" "0123456789abcdef.."), &h), -1, "more padding than packet");
	is_int(sshwire_hello(STR("SSH-2.0-x\n\0\0\0\x18\2\x14" "0123456789abcdef\0\0\0\xff.."), &h), -1, "a list that is cut");
	is_int(sshwire_hello(STR("HTTP/1.1 400 Bad Request\r\n"), &h), 0, "another protocol may still become one");
	ok(h.version.n == 0, "... without a version");
}

static void
test_common(void)
{
	static const struct { const char *ours, *theirs, *want; } cases[] = {
		{ "a,b", "b,a", "a" }, { "a,b", "c,b", "b" }, { "a,b", "c,d", NULL }, { "a", "ab,aa", NULL }, { "a", "", NULL },
		{ "", "", NULL }, { ",a", ",a", "a" }, { "a@b.c", "x,a@b.c", "a@b.c" },
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct str got = sshwire_common(str_from(cases[i].ours), str_from(cases[i].theirs));

		ok(cases[i].want == NULL ? got.p == NULL : str_eqc(got, cases[i].want), "\"%s\" and \"%s\"", cases[i].ours, cases[i].theirs);
	}
}

static void
test_agent(void)
{
	struct str s = STR("\x0c\0\0\0\2\0\0\0\1A\0\0\0\2me\0\0\0\1B\0\0\0\0"), blob, comment, alg, rest;
	uint32_t n = 0;

	ok(sshwire_agent_keys(&s, &n) && n == 2, "two keys");
	ok(sshwire_agent_key(&s, &blob, &comment) && str_eqc(blob, "A") && str_eqc(comment, "me"), "... the first");
	ok(sshwire_agent_key(&s, &blob, &comment) && str_eqc(blob, "B") && comment.n == 0, "... the second");
	ok(!sshwire_agent_key(&s, &blob, &comment), "... and no third");
	s = STR("\x05");
	ok(!sshwire_agent_keys(&s, &n), "a failure is no list");
	ok(sshwire_agent_signature(STR("\x0e\0\0\0\x0f\0\0\0\3alg\0\0\0\4sig!"), &alg, &rest) && str_eqc(alg, "alg") && rest.n == 8,
	    "a signature");
	ok(!sshwire_agent_signature(STR("\x0e\0\0\0\x0f\0\0\0\3al"), &alg, &rest), "... whole");
	ok(!sshwire_agent_signature(STR("\x05"), &alg, &rest), "a refusal");
}

static void
test_words(void)
{
	struct buf b = { 0 };

	sshwire_put_words(&b, STR("a\x1b[1m\n\xc3\xbc" "b"), 100);
	is_str(b.p, "a?[1m???b", "nothing that a terminal obeys");
	buf_clear(&b);
	sshwire_put_words(&b, STR("0123456789"), 4);
	is_str(b.p, "0123...", "what is cut says so");
	buf_clear(&b);
	sshwire_put_mpint(&b, STR("\0\0\x80\1"));
	ok(b.n == 7 && memcmp(b.p, "\0\0\0\3\0\x80\1", 7) == 0, "a number without superfluous zeros, and without a sign");
	buf_free(&b);
}

int
main(void)
{
	test_hello();
	test_common();
	test_agent();
	test_words();
	return done_testing();
}
