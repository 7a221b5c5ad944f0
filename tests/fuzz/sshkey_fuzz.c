/*
 * SSH private keys as a user may bring them. A key that is taken comes out
 * as PEM that is taken too, with the same public line; a refusal says why.
 */
#include <stdint.h>

#include "net/ssh.h"
#include "net/sshkey.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf pem = { 0 }, line = { 0 }, again = { 0 }, line2 = { 0 };
	struct err e = { 0 };
	char print[48];

	if (sshkey_read(str_of(data, size), &pem, &line, &e) == 0) {
		if (sshkey_read(buf_str(&pem), &again, &line2, &e) < 0 || !str_eq(buf_str(&line), buf_str(&line2)) ||
		    !str_eq(buf_str(&pem), buf_str(&again)) || ssh_fingerprint(buf_str(&line), print, &e) < 0)
			abort();
	} else if (e.kind != ERR_CONFIG || e.msg[0] == '\0') {
		abort();
	}
	buf_free(&pem);
	buf_free(&line);
	buf_free(&again);
	buf_free(&line2);
	return 0;
}
