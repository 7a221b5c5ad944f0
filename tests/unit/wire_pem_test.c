/* PEM blocks: found, decoded, refused, written. */
#include "core/core.h"
#include "wire/pem.h"

#include "tap.h"

#define BEGIN	"-----BEGIN X-----\n"
#define END	"-----END X-----\n"

/* All blocks of a text as "label:der,", and the last return value. */
static const char *
blocks(struct str text, int *rc, struct err *e)
{
	static struct buf all;
	struct buf der = { 0 };
	struct str label, whole;

	buf_clear(&all);
	while ((*rc = pem_next(&text, &label, &der, &whole, e)) == 1) {
		buf_fmt(&all, "%.*s:%.*s,", STR_ARG(label), STR_ARG(buf_str(&der)));
		buf_clear(&der);
	}
	if (*rc == 0 && text.n != 0)
		buf_puts(&all, "<text left>");
	if (der.n != 0)
		buf_puts(&all, "<bytes left>");
	buf_free(&der);
	return buf_str(&all).p;
}

static const struct { const char *name, *text, *want; } good[] = {
	{ "nothing", "", "" },
	{ "no block", "hello\nworld", "" },
	{ "one block", BEGIN "aGVsbG8=\n" END, "X:hello," },
	{ "no padding needed", BEGIN "YWJj\n" END, "X:abc," },
	{ "two of padding", BEGIN "YQ==\n" END, "X:a," },
	{ "the whole alphabet", BEGIN "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk+Pz8/\n" END,
	    "X:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789>\?\?\?," },
	{ "an empty block", BEGIN END, "X:," },
	{ "CRLF", "-----BEGIN X-----\r\naGVs\r\nbG8=\r\n-----END X-----\r\n", "X:hello," },
	{ "no line end at the end", BEGIN "aGVsbG8=\n-----END X-----", "X:hello," },
	{ "lines of any length", BEGIN "a\nG\nVs\nbG8\n=\n" END, "X:hello," },
	{ "empty lines", BEGIN "\naGVs\n\nbG8=\n\n" END, "X:hello," },
	{ "blanks at both ends", "  -----BEGIN X-----\t \n \taGVsbG8=  \n  -----END X-----  \n", "X:hello," },
	{ "several", BEGIN "YQ==\n" END "-----BEGIN RSA PRIVATE KEY-----\nYg==\n-----END RSA PRIVATE KEY-----\n" BEGIN "Yw==\n" END, "X:a,RSA PRIVATE KEY:b,X:c," },
	{ "text around", "Subject: CN = x\n\n" BEGIN "YQ==\n" END "some text\n" BEGIN "Yg==\n" END "more", "X:a,X:b," },
	{ "an END line alone is text", END BEGIN "YQ==\n" END, "X:a," },
	{ "a BEGIN inside a line is text", "x " BEGIN "YQ==\n", "" },
	{ "a BEGIN with something behind it is text", "-----BEGIN X----- y\nYQ==\n", "" },
	{ "four dashes are text", "----BEGIN X-----\nYQ==\n----END X-----\n", "" },
};

static const struct { const char *name, *text, *want, *why; } bad[] = {
	{ "no END line", BEGIN "YQ==\n", "", "a block has no END line" },
	{ "cut right away", "-----BEGIN X-----", "", "a block has no END line" },
	{ "another END line", BEGIN "YQ==\n-----END Y-----\n", "", "the END line names something else than the BEGIN line" },
	{ "a second BEGIN", BEGIN "YQ==\n" BEGIN "YQ==\n" END, "", "a block holds something that is not base64" },
	{ "a lower-case END line", BEGIN "YQ==\n-----end X-----\n", "", "a block holds something that is not base64" },
	{ "a blank inside a line", BEGIN "aGVs bG8=\n" END, "", "a block holds something that is not base64" },
	{ "the URL alphabet", BEGIN "Pj_-\n" END, "", "a block holds something that is not base64" },
	{ "UTF-8", BEGIN "\xc3\xa4==\n" END, "", "a block holds something that is not base64" },
	{ "no padding", BEGIN "YQ\n" END, "", "the base64 of a block is cut short" },
	{ "half of the padding", BEGIN "YQ=\n" END, "", "the base64 of a block is cut short" },
	{ "a single character", BEGIN "Y\n" END, "", "the base64 of a block is cut short" },
	{ "padding first", BEGIN "====\n" END, "", "a block holds something that is not base64" },
	{ "too much padding", BEGIN "Y===\n" END, "", "a block holds something that is not base64" },
	{ "padding, then more", BEGIN "YQ==YQ==\n" END, "", "a block holds something that is not base64" },
	{ "padding, then more on the next line", BEGIN "YQ==\nYQ==\n" END, "", "a block holds something that is not base64" },
	{ "padding inside a group", BEGIN "YQ=Q\n" END, "", "a block holds something that is not base64" },
	{ "a third of padding", BEGIN "YQ==\n=\n" END, "", "a block holds something that is not base64" },
	{ "bits behind the last byte", BEGIN "YR==\n" END, "", "a block holds something that is not base64" },
	{ "bits behind the last two bytes", BEGIN "YWJ=\n" END, "", "a block holds something that is not base64" },
	{ "an encrypted key", BEGIN "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nYQ==\n" END, "", "header lines in a block (an encrypted key? remove its pass phrase)" },
	{ "the second is bad", BEGIN "YQ==\n" END BEGIN "!\n" END, "X:a,", "a block holds something that is not base64" },
};

int
main(void)
{
	struct buf b = { 0 }, der = { 0 };
	struct str text, label, whole;
	int rc;

	for (size_t i = 0; i < NELEM(good); i++) {
		struct err e = { 0 };

		is_str(blocks(str_from(good[i].text), &rc, &e), good[i].want, "%s", good[i].name);
		ok(rc == 0 && e.kind == ERR_NONE, "  and no error");
	}
	for (size_t i = 0; i < NELEM(bad); i++) {
		struct err e = { 0 };

		is_str(blocks(str_from(bad[i].text), &rc, &e), bad[i].want, "refused: %s", bad[i].name);
		ok(rc == -1 && e.kind == ERR_PARSE, "  as an error");
		is_str(e.msg + strlen("PEM: "), bad[i].why, "  because");
	}

	text = STR("text\n" BEGIN "YQ==\r\n" END "\nafter");
	ok(pem_next(&text, &label, &der, &whole, NULL) == 1 && str_eqc(whole, BEGIN "YQ==\r\n" END), "the block's own text, with both lines");
	ok(str_eqc(text, "\nafter"), "and what follows");
	text = STR(BEGIN "YQ==\n-----END X-----");
	ok(pem_next(&text, &label, &der, &whole, NULL) == 1 && str_eqc(whole, BEGIN "YQ==\n-----END X-----"), "at the end of the text too");
	ok(str_eqc(buf_str(&der), "aa"), "bytes are appended");
	text = STR(BEGIN "YWJj!\n" END);
	ok(pem_next(&text, &label, &der, &whole, NULL) == -1 && str_eqc(buf_str(&der), "aa"), "but not those of a bad block");

	struct buf small = { .max = 3 };
	struct err e = { 0 };
	text = STR(BEGIN "YWJj\n" END);
	ok(pem_next(&text, &label, &small, &whole, &e) == 1 && small.n == 3, "a block that just fits");
	text = STR(BEGIN "YQ==\n" END);
	ok(pem_next(&text, &label, &small, &whole, &e) == -1 && e.kind == ERR_FULL && small.n == 3, "one that does not: %s", e.msg);
	buf_free(&small);

	for (size_t n = 0; n < 200; n++) {
		char bytes[200];
		int wrong;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(i * 37 + n);
		buf_clear(&b);
		buf_clear(&der);
		pem_put(&b, "CERTIFICATE", (struct str){ bytes, n });
		text = buf_str(&b);
		wrong = pem_next(&text, &label, &der, &whole, NULL) != 1 || !str_eqc(label, "CERTIFICATE") ||
		    !str_eq(whole, buf_str(&b)) || text.n != 0 || !str_eq(buf_str(&der), (struct str){ bytes, n });
		if (wrong || n % 16 == 0)
			ok(!wrong, "%zu bytes written and read", n);
	}
	buf_clear(&b);
	pem_put(&b, "X", STR("0123456789abcdef0123456789abcdef0123456789abcdefX"));
	is_str(buf_str(&b).p, BEGIN "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm\nWA==\n" END, "64 columns a line");
	buf_clear(&b);
	pem_put(&b, "X", STR(""));
	is_str(buf_str(&b).p, BEGIN END, "nothing");
	buf_free(&b);
	buf_free(&der);
	return done_testing();
}
