/*
 * A TOML value as JSON: [runners.docker] and its like travel to the
 * executor this way. Dates become null, they mean nothing to an engine.
 */
#ifndef WIRE_TOMLJSON_H
#define WIRE_TOMLJSON_H

#include "wire/json.h"
#include "wire/toml.h"

/* Writes v as the member `key`, keys of tables as they are written; key.p == NULL: as an element, or the root. */
void	jw_toml(struct json_w *w, struct str key, const struct toml *v);

#endif
