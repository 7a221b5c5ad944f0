/* PEM (RFC 7468): finds the blocks of a text and decodes their base64. */
#ifndef WIRE_PEM_H
#define WIRE_PEM_H

#include "core/buf.h"
#include "core/err.h"

/*
 * Cuts the next block off *text: its label ("CERTIFICATE") as a view, its DER bytes appended to der, and whole = the block's
 * text including its BEGIN and END lines. 1 found, 0 no more, -1 malformed.
 */
int	pem_next(struct str *text, struct str *label, struct buf *der, struct str *whole, struct err *e);
/* Appends one block, 64 columns a line. */
void	pem_put(struct buf *b, const char *label, struct str der);

#endif
