/*
 * Packs certificates of authorities into the table that windlass carries,
 * since a bare host has none.
 *
 *	ca_blob FILE...		(PEM) >ca_bundle.c
 *
 * A build-time tool, compiled for the build machine with its BearSSL. The
 * table has no pointers: those would have to be relocated at every start, and
 * so cost each process memory of its own. What a record looks like stands in
 * the header that vendor/gen writes. A certificate that BearSSL cannot use is
 * named on standard error and left out; there is no use in carrying it.
 */

#include <bearssl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX	(64 * 1024)

struct bytes {
	unsigned char	p[BYTES_MAX];
	size_t		n;
};

static size_t column;
static size_t total;

static void
die(const char *file, const char *why)
{
	fprintf(stderr, "ca_blob: %s: %s\n", file, why);
	exit(1);
}

static void
append(void *to, const void *data, size_t n)
{
	struct bytes *b = to;

	if (n > sizeof(b->p) - b->n)
		die("certificate", "larger than 64 KiB");
	memcpy(b->p + b->n, data, n);
	b->n += n;
}

static void
put_u8(unsigned v)
{
	printf("%u,%s", v, ++column % 32 == 0 ? "\n" : "");
	total++;
}

static void
put_field(const unsigned char *p, size_t n)
{
	size_t i;

	put_u8((unsigned)(n >> 8));
	put_u8((unsigned)(n & 255));
	for (i = 0; i < n; i++)
		put_u8(p[i]);
}

static void
put_record(const char *file, const struct bytes *der)
{
	static struct bytes dn;
	br_x509_decoder_context dc;
	br_x509_pkey *key;

	dn.n = 0;
	br_x509_decoder_init(&dc, append, &dn);
	br_x509_decoder_push(&dc, der->p, der->n);
	key = br_x509_decoder_get_pkey(&dc);
	if (key == NULL) {
		fprintf(stderr, "ca_blob: %s left out: BearSSL error %d\n", file,
		    br_x509_decoder_last_error(&dc));
		return;
	}
	put_field(dn.p, dn.n);
	switch (key->key_type) {
	case BR_KEYTYPE_RSA:
		put_u8(1);
		put_field(key->key.rsa.n, key->key.rsa.nlen);
		put_field(key->key.rsa.e, key->key.rsa.elen);
		break;
	case BR_KEYTYPE_EC:
		put_u8(2);
		put_u8((unsigned)key->key.ec.curve);
		put_field(key->key.ec.q, key->key.ec.qlen);
		break;
	default:
		die(file, "neither an RSA nor an EC key");
	}
	put_u8(br_x509_decoder_isCA(&dc) ? 1 : 0);
}

/* Every certificate of one PEM file, in order. */
static void
put_file(const char *file)
{
	static struct bytes der;
	br_pem_decoder_context pc;
	char buf[4096];
	const char *p = buf;
	size_t n = 0;
	int inside = 0;
	FILE *f;

	if ((f = fopen(file, "r")) == NULL)
		die(file, strerror(errno));
	br_pem_decoder_init(&pc);
	for (;;) {
		if (n == 0) {
			p = buf;
			if ((n = fread(buf, 1, sizeof(buf), f)) == 0)
				break;
		}
		size_t took = br_pem_decoder_push(&pc, p, n);
		p += took;
		n -= took;
		switch (br_pem_decoder_event(&pc)) {
		case BR_PEM_BEGIN_OBJ:
			inside = strcmp(br_pem_decoder_name(&pc), "CERTIFICATE") == 0;
			der.n = 0;
			br_pem_decoder_setdest(&pc, inside ? append : NULL, &der);
			break;
		case BR_PEM_END_OBJ:
			if (inside)
				put_record(file, &der);
			inside = 0;
			break;
		case BR_PEM_ERROR:
			die(file, "not PEM");
		}
	}
	if (ferror(f) || fclose(f) != 0)
		die(file, strerror(errno));
}

int
main(int argc, char **argv)
{
	int i;

	puts("/* Made by vendor/gen from the ca-certificates package; see ca_bundle.h. */\n");
	puts("#include \"ca_bundle.h\"\n");
	puts("const unsigned char wl_ca_blob[] = {");
	for (i = 1; i < argc; i++)
		put_file(argv[i]);
	printf("\n};\nconst unsigned wl_ca_blob_len = %zu;\n", total);
	if (total == 0)
		die("no file", "nothing to pack");
	return fflush(stdout) != 0 || ferror(stdout);
}
