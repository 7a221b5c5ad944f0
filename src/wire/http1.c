/* HTTP/1.1 messages: see http1.h. */
#include "core/core.h"
#include "wire/http1.h"

static int
bad(struct err *e, const char *why)
{
	return err_set(e, ERR_PROTO, 0, "HTTP: %s", why);
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_control(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_control((unsigned char)s.p[i]))
			return true;
	return false;
}

/* RFC 9110 5.6.2 */
static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
			return false;
	}
	return s.n > 0;
}

static struct str
trim_blanks(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* The head */

/* Cuts a line off, without its LF or CRLF. False when it has no end yet. */
static bool
cut_line(struct str *in, struct str *line)
{
	ssize_t lf = str_chr(*in, '\n');

	if (lf < 0)
		return false;
	*line = str_sub(*in, 0, (size_t)lf);
	*in = str_sub(*in, (size_t)lf + 1, in->n);
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* The length of the head with its blank line, 0 when that has not come yet. */
static size_t
head_end(struct str in)
{
	size_t at = 0;
	ssize_t lf;

	while ((lf = str_chr(str_sub(in, at, in.n), '\n')) >= 0) {
		at += (size_t)lf + 1;
		if (in.n > at && in.p[at] == '\n')
			return at + 1;
		if (in.n > at + 1 && in.p[at] == '\r' && in.p[at + 1] == '\n')
			return at + 2;
	}
	return 0;
}

static int
parse_fields(struct str in, struct http_head *h, struct err *e)
{
	struct str line, value;
	ssize_t colon;

	for (h->nfield = 0; cut_line(&in, &line) && line.n > 0; h->nfield++) {
		if (h->nfield == HTTP_FIELDS_MAX)
			return err_set(e, ERR_PROTO, 0, "HTTP: more than %d header fields", HTTP_FIELDS_MAX);
		if (line.p[0] == ' ' || line.p[0] == '\t')
			return bad(e, "a header line begins with a blank (folded lines are not allowed)");
		colon = str_chr(line, ':');
		if (colon < 0)
			return bad(e, "a header line has no colon");
		h->field[h->nfield].name = str_sub(line, 0, (size_t)colon);
		if (!is_token(h->field[h->nfield].name))
			return bad(e, "a header field's name is empty or holds a character that no name may hold");
		value = trim_blanks(str_sub(line, (size_t)colon + 1, line.n));
		if (has_control(value))
			return bad(e, "a header field's value holds a control character");
		h->field[h->nfield].value = value;
	}
	return 0;
}

/*
 * What heads of both kinds have in common: is it complete, and not larger
 * than max? 1 with its first line and the rest, 0 when more is needed, -1.
 */
static int
complete_head(struct str in, size_t max, struct str *line, struct str *fields, size_t *used, struct err *e)
{
	size_t n = head_end(str_sub(in, 0, max));

	if (n == 0 && in.n >= max)
		return err_set(e, ERR_PROTO, 0, "HTTP: the head is larger than %u bytes", HTTP_HEAD_MAX);
	if (n == 0)
		return 0;
	*used = n;
	*fields = str_sub(in, 0, n);
	cut_line(fields, line);
	return 1;
}

/* "HTTP/1.x" at the start of s, or so much of it as there is. */
static bool
version_may_follow(struct str s)
{
	static const char name[] = "HTTP/1.";
	size_t n = s.n < strlen(name) ? s.n : strlen(name);

	return memcmp(s.p, name, n) == 0 && (s.n <= n || is_digit((unsigned char)s.p[n]));
}

int
http1_head(struct str in, struct http_head *h, size_t *used, struct err *e)
{
	struct str line, fields;
	int rc;

	if (in.n == 0)
		return 0;
	if (!version_may_follow(in))
		return bad(e, str_starts(in, "HTTP/") ? "the answer is not HTTP/1.x" : "the answer does not begin with HTTP/1.");
	rc = complete_head(in, HTTP_HEAD_MAX, &line, &fields, used, e);
	if (rc != 1)
		return rc;
	/* HTTP/1.1 200 OK; the text is optional, and so is the blank before it in practice. */
	if (line.n < 12 || line.p[8] != ' ' || !is_digit((unsigned char)line.p[9]) || !is_digit((unsigned char)line.p[10]) ||
	    !is_digit((unsigned char)line.p[11]) || line.p[9] == '0' || (line.n > 12 && line.p[12] != ' ') || has_control(line))
		return bad(e, "the status line is malformed");
	h->minor = line.p[7] - '0';
	h->status = (line.p[9] - '0') * 100 + (line.p[10] - '0') * 10 + (line.p[11] - '0');
	if (parse_fields(fields, h, e) < 0)
		return -1;
	return 1;
}

int
http1_request(struct str in, struct http_head *h, struct str *method, struct str *target, size_t *used, struct err *e)
{
	struct str line, fields;
	size_t skipped = 0;
	int rc;

	/* RFC 9112 2.2: a client may send a blank line too many behind the request before. */
	while (str_starts(in, "\r\n") || str_starts(in, "\n")) {
		size_t n = in.p[0] == '\r' ? 2 : 1;

		in = str_sub(in, n, in.n);
		skipped += n;
		if (skipped >= HTTP_HEAD_MAX)
			return bad(e, "nothing but blank lines");
	}
	/* Something else than text, a TLS handshake above all, need not be waited for to end. */
	if (in.n > 0 && in.p[0] != '\r' && !is_token(str_sub(in, 0, 1)))
		return bad(e, "this is no HTTP request");
	rc = complete_head(in, HTTP_HEAD_MAX - skipped, &line, &fields, used, e);
	if (rc != 1)
		return rc;
	*used += skipped;
	*method = str_cut(&line, ' ');
	*target = line.p != NULL ? str_cut(&line, ' ') : STR_NULL;
	if (!is_token(*method) || target->n == 0 || has_control(*target) || str_chr(*target, '\t') >= 0 || line.p == NULL)
		return bad(e, "the request line is malformed");
	if (line.n != 8 || !version_may_follow(line))
		return bad(e, "the request is not HTTP/1.x");
	h->minor = line.p[7] - '0';
	h->status = 0;
	if (parse_fields(fields, h, e) < 0)
		return -1;
	return 1;
}

struct str
http1_field(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->nfield; i++)
		if (str_caseeq(h->field[i].name, name))
			return h->field[i].value;
	return STR_NULL;
}

bool
http1_has_token(const struct http_head *h, const char *name, const char *token)
{
	for (size_t i = 0; i < h->nfield; i++) {
		struct str list = h->field[i].value;

		if (!str_caseeq(h->field[i].name, name))
			continue;
		while (list.p != NULL)
			if (str_caseeq(trim_blanks(str_cut(&list, ',')), token))
				return true;
	}
	return false;
}

bool
http1_keeps_alive(const struct http_head *h)
{
	if (http1_has_token(h, "Connection", "close"))
		return false;
	return h->minor >= 1 || http1_has_token(h, "Connection", "keep-alive");
}

/* The body's framing */

/*
 * All Content-Length fields and their members must say the same (RFC 9110
 * 8.6). 1 and the length, 0 if there is none, -1.
 */
static int
content_length(const struct http_head *h, uint64_t *length, struct err *e)
{
	bool found = false;

	for (size_t i = 0; i < h->nfield; i++) {
		struct str list = h->field[i].value;

		if (!str_caseeq(h->field[i].name, "Content-Length"))
			continue;
		while (list.p != NULL) {
			struct str member = trim_blanks(str_cut(&list, ','));
			uint64_t n;

			if (member.n == 0 || !is_digit((unsigned char)member.p[0]) || str_to_u64(member, &n) < 0)
				return bad(e, "the Content-Length is malformed");
			if (found && n != *length)
				return bad(e, "there are two Content-Lengths, and they differ");
			*length = n;
			found = true;
		}
	}
	return found;
}

/* 1 for chunked, 0 for no Transfer-Encoding, -1 for any other. */
static int
chunked(const struct http_head *h, struct err *e)
{
	int n = 0;

	for (size_t i = 0; i < h->nfield; i++) {
		if (!str_caseeq(h->field[i].name, "Transfer-Encoding"))
			continue;
		if (!str_caseeq(h->field[i].value, "chunked") || ++n > 1)
			return bad(e, "a Transfer-Encoding other than chunked");
	}
	if (n > 0 && h->minor == 0)
		return bad(e, "a Transfer-Encoding in an HTTP/1.0 message");
	return n;
}

/* The chunk reader's states; what is expected next. */
enum {
	CHUNK_SIZE_FIRST,	/* the first digit of a size */
	CHUNK_SIZE,		/* another digit, or what ends the size */
	CHUNK_SIZE_BLANK,	/* blanks behind the size */
	CHUNK_EXT,		/* anything up to CR */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_FIRST,		/* the first byte of a line */
	TRAILER_LINE,
	TRAILER_LAST_LF,	/* of the blank line */
};

/* Both kinds of messages; otherwise is the framing when the head says nothing. */
static int
frame_body(struct http1_body *b, const struct http_head *h, enum http1_framing otherwise, struct err *e)
{
	uint64_t length = 0;
	int has_length = content_length(h, &length, e);
	int is_chunked = has_length < 0 ? -1 : chunked(h, e);

	if (is_chunked < 0)
		return -1;
	if (is_chunked && has_length)
		return bad(e, "both a Content-Length and a Transfer-Encoding");
	if (is_chunked)
		*b = (struct http1_body){ .framing = HTTP1_CHUNKED, .state = CHUNK_SIZE_FIRST };
	else if (has_length)
		*b = (struct http1_body){ .framing = HTTP1_LENGTH, .left = length, .done = length == 0 };
	else
		*b = (struct http1_body){ .framing = otherwise, .done = otherwise == HTTP1_NONE };
	return 0;
}

int
http1_body_init(struct http1_body *b, bool head_request, const struct http_head *h, struct err *e)
{
	if (head_request || h->status / 100 == 1 || h->status == 204 || h->status == 304) {
		*b = (struct http1_body){ .framing = HTTP1_NONE, .done = true };
		return 0;
	}
	return frame_body(b, h, HTTP1_UNTIL_CLOSE, e);
}

int
http1_request_body_init(struct http1_body *b, const struct http_head *h, struct err *e)
{
	return frame_body(b, h, HTTP1_NONE, e);
}

/* The body's bytes */

static int
size_digit(struct http1_body *b, unsigned char c)
{
	unsigned v;

	if (is_digit(c))
		v = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		v = (c | 0x20u) - 'a' + 10;
	else
		return -1;
	if (b->left > UINT64_MAX >> 4)
		return -2;
	b->left = b->left << 4 | v;
	return 0;
}

/* The fields behind the last chunk are passed over; a blank line ends them. */
static int
trailer_byte(struct http1_body *b, unsigned char c, struct err *e)
{
	bool blank = b->state != TRAILER_LINE;

	if (++b->line > HTTP_TRAILER_MAX)
		return bad(e, "the trailer is too long");
	if (b->state == TRAILER_LAST_LF && c != '\n')
		return bad(e, "the trailer holds a CR without LF");
	if (c == '\n') {
		b->done = blank;
		b->state = TRAILER_FIRST;
	} else
		b->state = c == '\r' && b->state == TRAILER_FIRST ? TRAILER_LAST_LF : TRAILER_LINE;
	return 0;
}

/* One byte of what stands around the chunks' data. 0, or -1. */
static int
chunk_byte(struct http1_body *b, unsigned char c, struct err *e)
{
	switch (b->state) {
	case CHUNK_SIZE_FIRST:
		b->left = 0;
		b->line = 0;
		if (size_digit(b, c) < 0)
			return bad(e, "a chunk's size is not a hexadecimal number");
		b->state = CHUNK_SIZE;
		return 0;
	case CHUNK_SIZE:
	case CHUNK_SIZE_BLANK:
	case CHUNK_EXT:
		if (++b->line > HTTP_CHUNK_LINE_MAX)
			return bad(e, "a chunk's size line is too long");
		if (c == '\r') {
			b->state = CHUNK_SIZE_LF;
			return 0;
		}
		if (b->state == CHUNK_EXT)
			return is_control(c) ? bad(e, "a chunk's extension holds a control character") : 0;
		if (c == ';') {
			b->state = CHUNK_EXT;
			return 0;
		}
		if (c == ' ' || c == '\t') {	/* some servers pad the size to a fixed width */
			b->state = CHUNK_SIZE_BLANK;
			return 0;
		}
		switch (b->state == CHUNK_SIZE ? size_digit(b, c) : -1) {
		case 0: return 0;
		case -2: return bad(e, "a chunk's size is beyond 64 bits");
		default: return bad(e, "a chunk's size is not a hexadecimal number");
		}
	case CHUNK_SIZE_LF:
		if (c != '\n')
			return bad(e, "a chunk's size line does not end in CR LF");
		b->state = b->left > 0 ? CHUNK_DATA : TRAILER_FIRST;
		b->line = 0;
		return 0;
	case CHUNK_DATA_CR:
		if (c != '\r')
			return bad(e, "a chunk is longer than its size");
		b->state = CHUNK_DATA_LF;
		return 0;
	case CHUNK_DATA_LF:
		if (c != '\n')
			return bad(e, "a chunk does not end in CR LF");
		b->state = CHUNK_SIZE_FIRST;
		return 0;
	default:
		assert(b->state >= TRAILER_FIRST && b->state <= TRAILER_LAST_LF);
		return trailer_byte(b, c, e);
	}
}

/* Gives out at most left bytes of *in. */
static int
take_left(struct http1_body *b, struct str *in, struct str *out)
{
	*out = str_sub(*in, 0, b->left < in->n ? (size_t)b->left : in->n);
	*in = str_sub(*in, out->n, in->n);
	b->left -= out->n;
	return 1;
}

int
http1_body_next(struct http1_body *b, struct str *in, struct str *out, struct err *e)
{
	if (b->done || in->n == 0)
		return 0;
	switch (b->framing) {
	case HTTP1_UNTIL_CLOSE:
		*out = *in;
		*in = str_sub(*in, in->n, 0);
		return 1;
	case HTTP1_LENGTH:
		take_left(b, in, out);
		b->done = b->left == 0;
		return 1;
	case HTTP1_CHUNKED:
		while (in->n > 0 && !b->done) {
			if (b->state == CHUNK_DATA) {
				take_left(b, in, out);
				if (b->left == 0)
					b->state = CHUNK_DATA_CR;
				return 1;
			}
			if (chunk_byte(b, (unsigned char)in->p[0], e) < 0)
				return -1;
			*in = str_sub(*in, 1, in->n);
		}
		return 0;
	default:
		assert(b->framing == HTTP1_NONE);
		return 0;
	}
}

int
http1_body_eof(struct http1_body *b, struct err *e)
{
	if (b->framing == HTTP1_UNTIL_CLOSE)
		b->done = true;
	if (b->done)
		return 0;
	if (b->framing == HTTP1_LENGTH)
		return err_set(e, ERR_NET, 0, "HTTP: the peer closed the connection %" PRIu64 " bytes before the end of the body", b->left);
	return err_set(e, ERR_NET, 0, "HTTP: the peer closed the connection before the last chunk of the body");
}
