/*
 * What a host says before the keys are exchanged, and what an agent answers.
 * A hello that is whole is one wherever its bytes are cut: shorter ones ask
 * for more or are refused; views lie in the input; words for people are plain.
 */
#include "wire/sshwire.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
within(struct str part, struct str all)
{
	assert(part.p == NULL || (part.p >= all.p && part.p + part.n <= all.p + all.n));
}

static void
hello(struct str all)
{
	struct sshwire_hello h, shorter;
	struct buf words = { 0 };
	int rc = sshwire_hello(all, &h);

	assert(rc >= -1 && rc <= 1);
	within(h.version, all);
	for (int i = 0; rc == 1 && i < SSHWIRE_LISTS; i++) {
		struct str name = sshwire_common(h.lists[i], h.lists[i]);

		within(h.lists[i], all);
		within(name, h.lists[i]);
		sshwire_put_words(&words, h.lists[i], 40);
	}
	for (size_t n = 0; n < words.n; n++)
		assert(words.p[n] >= ' ' && words.p[n] <= '~');
	buf_free(&words);
	/* Bytes behind the packet do not matter, and a beginning never says what the whole does not. */
	for (size_t n = 0; n < all.n && n < 300; n++) {
		int part = sshwire_hello(str_sub(all, 0, n), &shorter);

		assert(part == 0 || part == rc || (part == -1 && rc == -1));
		if (part == 1)
			assert(str_eq(shorter.lists[0], h.lists[0]));
	}
}

static void
agent(struct str all)
{
	struct str s = all, blob, comment, alg, rest;
	uint32_t n;

	if (sshwire_agent_keys(&s, &n))
		for (; n > 0 && sshwire_agent_key(&s, &blob, &comment); n--) {
			within(blob, all);
			within(comment, all);
		}
	if (sshwire_agent_signature(all, &alg, &rest)) {
		within(alg, all);
		within(rest, all);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = str_of(data, size);
	struct buf b = { 0 };
	struct str s, back;

	hello(all);
	agent(all);
	sshwire_put_string(&b, all);
	s = buf_str(&b);
	assert(sshwire_string(&s, &back) && str_eq(back, all) && s.n == 0);
	buf_clear(&b);
	sshwire_put_mpint(&b, all);
	s = buf_str(&b);
	/* Never a sign, never a superfluous zero. */
	assert(sshwire_string(&s, &back) && (back.n == 0 || ((uint8_t)back.p[0] & 0x80) == 0) &&
	    (back.n < 2 || back.p[0] != 0 || ((uint8_t)back.p[1] & 0x80) != 0));
	buf_free(&b);
	return 0;
}
