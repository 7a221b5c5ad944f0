/*
 * An image's name as a job or a configuration writes it, taken apart by the
 * grammar of container registries (distribution, reference.go; the same that
 * the Docker client applies): [domain[:port]/]path[:tag][@digest].
 *
 * Pure. A name that passes holds no byte that could end or leave a path of
 * an HTTP request: no blank, percent sign, query, "." or ".." component.
 */
#ifndef WIRE_IMAGEREF_H
#define WIRE_IMAGEREF_H

#include "core/err.h"
#include "core/str.h"

/* Views into the text that was parsed; .p is NULL for a part that is not there. */
struct imageref {
	struct str	domain;		/* "registry.example.com:5000"; absent for images of docker.io that do not name it */
	struct str	path;		/* "group/image" */
	struct str	tag;		/* without its colon */
	struct str	digest;		/* "sha256:...", without its @ */
};

/*
 * 0, or -1 with ERR_CONFIG: "invalid reference format", the rule that is
 * broken and, where a common slip is seen (a URL's scheme, a variable that
 * was empty, capital letters), how to write it. *e does not hold the name.
 */
int	imageref_parse(struct str text, struct imageref *r, struct err *e);

#endif
