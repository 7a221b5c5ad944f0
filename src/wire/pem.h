/*
 * PEM (RFC 7468): finds the blocks of a text and decodes their base64.
 *
 * What stands between blocks is passed over, as certificate files carry
 * comments. Inside a block only base64 of the standard alphabet with its
 * padding is accepted, in lines of any length ending in LF or CRLF, with blanks at
 * their ends. Encrypted keys in the old form (header lines such as "Proc-Type: 4,ENCRYPTED") are refused
 * by that name. Errors never quote the text: it may be a key.
 */
#ifndef WIRE_PEM_H
#define WIRE_PEM_H

#include "core/buf.h"
#include "core/err.h"

/*
 * Cuts the next block off *text: its label ("CERTIFICATE") as a view, its DER bytes appended to der, and whole = the block's
 * text including its BEGIN and END lines and the END line's own end. 1 found, 0 no more (*text is empty),
 * -1 malformed, or der is full (ERR_FULL); der is as it was then and *text behind the offending BEGIN line. An empty text has no blocks and is no error:
 * a caller that wants one must count. der grows once, so that no freed memory is left with a key in it, if it was empty before.
 */
int	pem_next(struct str *text, struct str *label, struct buf *der, struct str *whole, struct err *e);
/* Appends one block, 64 columns a line. label: upper-case words. */
void	pem_put(struct buf *b, const char *label, struct str der);

#endif
