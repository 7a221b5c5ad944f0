/*
 * PEM (RFC 7468): finds the blocks of a text and decodes their base64.
 *
 * What stands between blocks is passed over, as certificate files carry
 * comments. Inside a block only base64 of the standard alphabet with its
 * padding is accepted, in lines of any length that end in LF or CRLF, with or
 * without blanks at their ends. Encrypted keys of the old form (with header
 * lines such as "Proc-Type: 4,ENCRYPTED") are refused as what they are.
 *
 * Errors never quote the text: it may be a key.
 */
#ifndef WIRE_PEM_H
#define WIRE_PEM_H

#include "core/buf.h"
#include "core/err.h"

/*
 * Cuts the next block off *text: its label ("CERTIFICATE") as a view, its
 * DER bytes appended to der, and *whole = the block's text from its BEGIN line
 * to the end of its END line. Returns 1 with a block, 0 when there is none any
 * more (*text is empty), -1 when it is malformed (ERR_PARSE) or does not fit
 * into der (ERR_FULL): der is as it was then, and *text goes on behind the
 * BEGIN line. A text without blocks is no error; who wants one must count.
 *
 * der is made large enough at once and does not move while a block is
 * decoded: an empty one leaves no parts of a key in freed memory.
 */
int	pem_next(struct str *text, struct str *label, struct buf *der, struct str *whole, struct err *e);
/* Appends one block, 64 columns a line. */
void	pem_put(struct buf *b, const char *label, struct str der);

#endif
