/*
 * The part of Go's templates that docker-machine's users write (spec machines
 * 4.8): literal text, {{.A.B}}, {{json .A}}, {{prettyjson .A}}. The data is a
 * JSON value, printed as Go prints what it decodes JSON to: numbers through float64, lists
 * as [a b], maps as map[k:v], what is not there as <no value>.
 */
#ifndef CMD_TEMPLATE_H
#define CMD_TEMPLATE_H

#include "wire/json.h"

/* Appends the result to b. ERR_CONFIG names the construct that is not supported. */
int	template_render(struct buf *b, struct str text, struct json_val data, struct err *e);
/* A value as {{.X}} prints it. */
void	template_value(struct buf *b, struct json_val v);
/* Go's %v of a float64. */
void	template_float(struct buf *b, double v);
/* Expands \t and \n written out, as `ls --format` does. The result is malloc'd. */
char	*template_unescape(struct str text);

#endif
