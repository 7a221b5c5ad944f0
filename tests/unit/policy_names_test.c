/* policy/names: short tokens, labels, and whose machine is whose. */
#include "policy/names.h"
#include "tap.h"

static const struct { const char *token, *want; bool created; } tokens[] = {
	{ "glrt-t1_AbCdEfGhIjKl",		"AbCdEfGhI",	true },
	{ "glrt-t2_AbCdEfGhIjKl",		"AbCdEfGhI",	true },
	{ "glrt-t4_AbCdEfGhIjKl",		"t4_AbCdEf",	true },
	{ "glrt-AbCdEfGhIjKl",			"AbCdEfGhI",	true },
	{ "t3_AbCdEfGhIjKl",			"AbCdEfGhI",	false },
	{ "glrtr-AbCdEfGhIjKl",			"AbCdEfGhI",	false },
	{ "glcbt-64_AbCdEfGh",			"64_AbCdEf",	false },
	{ "GR1348941AbCdEfGhIjKl",		"AbCdEfGhI",	false },
	{ "GR134894zAbCdEfGhIjKl",		"GR134894z",	false },
	{ "glrt-GR1348941AbCdEfGhI",		"AbCdEfGhI",	true },
	{ "glrt-glcbt-AbCdEfGhIjK",		"AbCdEfGhI",	true },
	{ "glrt-glrt-AbCdEfGhIjK",		"glrt-AbCd",	true },
	{ "t1_glrt-AbCdEfGhIjK",		"glrt-AbCd",	false },
	{ "8WdZRBe4sAbCdEfGhIjKl",		"8WdZRBe4s",	false },
	{ "short",				"short",	false },
	{ "",					"",		false },
	/* an instance's own prefix */
	{ "acme-glrt-t1_AbCdEfGhIjKl",		"AbCdEfGhI",	true },
	{ "acme_inc-2-glrt-AbCdEfGhIjKl",	"AbCdEfGhI",	true },
	{ "_x-glrtr-AbCdEfGhIjKl",		"AbCdEfGhI",	false },
	{ "acme-glcbt-64_AbCdEfGh",		"64_AbCdEf",	false },
	{ "-glrt-AbCdEfGhIjKl",			"-glrt-AbC",	false },
	{ "ac me-glrt-AbCdEfGhI",		"ac me-glr",	false },
	{ "acme-AbCdEfGhIjKl",			"acme-AbCd",	false },
	{ "acmeglrt-AbCdEfGhIjKl",		"acmeglrt-",	false },
};

static const struct { const char *in, *want; } labels[] = {
	{ "AbCdEfGhI",	"abcdefghi" },
	{ "8WdZRBe4s",	"8wdzrbe4s" },
	{ "_-x_Y-",	"xy-" },
	{ "---",	"" },
	{ "a\xc3\xa4z",	"az" },
	{ "0123456789012345678901234567890123456789012345678901234567890123456789",
	    "012345678901234567890123456789012345678901234567890123456789012" },
};

static const struct { const char *token, *name, *want; } pools[] = {
	{ "glrt-t1_8WdZRBe4sXYZ", "auto-%s",	"runner-8wdzrbe4s-auto-1772445600-9f3a01bc" },
	{ "8WdZRBe4sXYZ",	"%s-x",		"runner-8wdzrbe4s-1772445600-9f3a01bc-x" },
	{ "",			"auto-%s",	"auto-1772445600-9f3a01bc" },
	{ "____",		"big.%s.ci",	"big.1772445600-9f3a01bc.ci" },
	{ "a-b_cdefghij",	"%s",		"runner-a-bcdefg-1772445600-9f3a01bc" },
	/* 17 + 27 + 19 bytes: exactly 63 */
	{ "8WdZRBe4s", "abcdefghijklmnopqrstuvwxyza%s",
	    "runner-8wdzrbe4s-abcdefghijklmnopqrstuvwxyza1772445600-9f3a01bc" },
};

static const struct { const char *token, *name, *says; } refused[] = {
	{ "8WdZRBe4s", "",		"MachineName is empty" },
	{ "8WdZRBe4s", "ci-{}",		"no %s: every machine would get the same name; write \"ci-%s\"" },
	{ "8WdZRBe4s", "my_ci-%d",	"no other % is possible: write \"ci-%s\"" },
	{ "8WdZRBe4s", "auto",		"no %s: every machine would get the same name; write \"auto-%s\"" },
	{ "8WdZRBe4s", "%s-%s",		"%s once and no other %" },
	{ "8WdZRBe4s", "%d-%s",		"%s once and no other %" },
	{ "8WdZRBe4s", "a_b-%s",	"letters, digits, - and . only" },
	{ "8WdZRBe4s", "a b-%s",	"letters, digits, - and . only" },
	{ "",		"-auto-%s",	"must begin with a letter or a digit" },
	{ "8WdZRBe4s", "abcdefghijklmnopqrstuvwxyzab%s", "makes names of 64 bytes" },
	{ "8WdZRBe4s", "abcdefghijklmnopqrstuvwxyzab%s", "make it 1 shorter" },
};

static const struct { const char *name; bool strict, upstream; } members[] = {
	{ "runner-8wdzrbe4s-auto-1772445600-9f3a01bc-x",	true,	true },
	{ "runner-8wdzrbe4s-auto-1772445600-9f3a01bc-y",	false,	true },
	{ "runner-8wdzrbe4s-auto-1772445600-9f3a01bc",		false,	true },
	{ "runner-8wdzrbe4s-auto-1772445600-9f3a01bc-x-x",	false,	true },
	{ "runner-8wdzrbe4s-auto-big-1772445600-9f3a01bc-x",	false,	true },
	{ "runner-8wdzrbe4s-auto-1772445600-9F3A01BC-x",	false,	true },
	{ "runner-8wdzrbe4s-auto-177244560a-9f3a01bc-x",	false,	true },
	{ "runner-8wdzrbe4s-auto-1772445600-9f3a01b-x",		false,	true },
	{ "runner-8wdzrbe4s-auto--x",				false,	true },
	{ "runner-8wdzrbe4s-auto-",				false,	false },
	{ "runner-8wdzrbe4s-auto- 1",				false,	false },
	{ "runner-8wdzrbe4S-auto-1772445600-9f3a01bc-x",	false,	false },
	{ "runner-8wdz",					false,	false },
	{ "",							false,	false },
};

int
main(void)
{
	struct names_pool p, q;
	struct err e;
	char out[NAMES_LABEL_SIZE], s[NAMES_SHORT_SIZE];

	for (size_t i = 0; i < NELEM(tokens); i++) {
		names_short_token(str_from(tokens[i].token), s);
		is_str(s, tokens[i].want, "short form of \"%s\"", tokens[i].token);
		is_int(names_token_is_created(str_from(tokens[i].token)), tokens[i].created,
		    "\"%s\" created in the UI", tokens[i].token);
	}
	for (size_t i = 0; i < NELEM(labels); i++) {
		names_rfc1123(str_from(labels[i].in), out);
		is_str(out, labels[i].want, "label of \"%s\"", labels[i].in);
	}
	for (size_t i = 0; i < NELEM(pools); i++) {
		int64_t when = 0;

		if (!ok(names_pool_init(&p, str_from(pools[i].token), str_from(pools[i].name), &e) == 0,
		    "pool %s of \"%s\"", pools[i].name, pools[i].token))
			continue;
		names_make(&p, 1772445600, 0x9f3a01bc, out);
		is_str(out, pools[i].want, "name of pool \"%s\"", pools[i].name);
		ok(strlen(out) <= 63, "... has at most 63 bytes");
		ok(names_match(&p, str_from(out), NAMES_STRICT, &when), "... is a member");
		is_int(when, 1772445600, "... and tells when it was made");
		ok(names_match(&p, str_from(out), NAMES_UPSTREAM, NULL), "... for gitlab-runner as well");
	}
	for (size_t i = 0; i < NELEM(refused); i++) {
		e = (struct err){ 0 };
		ok(names_pool_init(&p, str_from(refused[i].token), str_from(refused[i].name), &e) == -1 &&
		    e.kind == ERR_CONFIG && strstr(e.msg, refused[i].says) != NULL &&
		    (refused[i].name[0] == '\0' || strstr(e.msg, refused[i].name) != NULL),
		    "MachineName \"%s\" is refused: %s", refused[i].name, e.msg);
	}
	ok(names_pool_init(&p, STR("8WdZRBe4s"), STR("auto-%s-x"), &e) == 0, "a pool with a suffix");
	for (size_t i = 0; i < NELEM(members); i++) {
		is_int(names_match(&p, str_from(members[i].name), NAMES_STRICT, NULL), members[i].strict,
		    "\"%s\" is ours", members[i].name);
		is_int(names_match(&p, str_from(members[i].name), NAMES_UPSTREAM, NULL),
		    members[i].upstream, "\"%s\" was gitlab-runner's", members[i].name);
	}
	/* two entries with one token: no name belongs to both */
	ok(names_pool_init(&p, STR("8WdZRBe4s"), STR("auto-%s"), &e) == 0 &&
	    names_pool_init(&q, STR("8WdZRBe4s"), STR("auto-big-%s"), &e) == 0, "two pools, one token");
	names_make(&q, 1772445600, 1, out);
	ok(!names_match(&p, str_from(out), NAMES_STRICT, NULL) &&
	    names_match(&q, str_from(out), NAMES_STRICT, NULL), "auto-%%s does not take auto-big-%%s's machine");
	names_make(&p, INT64_MAX, UINT32_MAX, out);
	ok(names_match(&p, str_from(out), NAMES_STRICT, NULL), "an absurd clock still makes valid names");
	ok(names_pool_init(&p, STR("AbCdEfGhI"), STR("auto-%s"), &e) == 0 && names_pool_init(&q, STR("AbCdEfGhI"), STR("auto-big-%s"), &e) == 0, "two pools that begin alike");
	ok(names_claim(&q, STR("runner-abcdefghi-auto-big-1772445600-9f3a01bc")) > names_claim(&p, STR("runner-abcdefghi-auto-big-1772445600-9f3a01bc")), "the longer one has the better claim");
	ok(names_claim(&p, STR("runner-abcdefghi-auto-1772445600-9f3a01bc")) > 0 && names_claim(&q, STR("runner-abcdefghi-auto-1772445600-9f3a01bc")) == 0, "the other has none on the shorter one's");
	ok(names_claim(&p, STR("runner-abcdefghi-auto-x")) < names_claim(&p, STR("runner-abcdefghi-auto-1772445600-9f3a01bc")), "a whole name counts more than its beginning");
	p = (struct names_pool){ .nprefix = 0 };
	is_int(names_claim(&p, STR("anything")), 0, "a pool that was never made claims nothing");
	return done_testing();
}
