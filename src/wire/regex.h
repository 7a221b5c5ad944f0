/*
 * Regular expressions as Go writes them, for `ls --filter name=...` (docker-machine took Go's): literals, ".", classes with
 * \d \w \s and [:alpha:] and the like, "^" "$" \A \z \b \B, groups, "|", "*" "+" "?" "{n,m}" and their lazy forms, flags (?i) and (?s).
 * Unicode classes (\pL) are not known; text is bytes.
 *
 * Matching takes time in proportion to text times pattern whatever the two are, and the memory is fixed: a pattern that
 * would need more is refused. The C library's own regcomp is not used: musl's has overflows (CVE-2026-107891).
 */
#ifndef WIRE_REGEX_H
#define WIRE_REGEX_H

#include "core/err.h"
#include "core/str.h"

#define REGEX_REPEAT_MAX	1000	/* in braces, as in Go */
#define REGEX_SIZE_MAX		4000	/* instructions that a pattern may become */

/* Whether a part of text matches: 1 or 0; -1 (ERR_PARSE, with the place) when the pattern is no such expression or too large. */
int	regex_find(struct str pattern, struct str text, struct err *e);

#endif
