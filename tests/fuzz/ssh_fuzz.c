/*
 * An SSH server's bytes through libssh2's banner and key exchange: whatever comes, the dial ends with words. (Nothing gets behind the
 * exchange's signature here, which a fuzzer cannot make.)
 */
#include <fcntl.h>

#include "core/core.h"
#include "net/ssh.h"
#include "peer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made for this harness and of no other use. */
static const char key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIHuLpQJSAKLT2aadPRbRYj1M6tsc/CA4U44dHIfffyS2oAoGCCqGSM49\n"
    "AwEHoUQDQgAEMxc2IIRdrZ+ppXXcU5rakBEVspYGYkoeMOqCdIrY6y7iIri4U60J\n"
    "npIC2a9/iosc7XZour5Ek6yLOVodi57a2g==\n"
    "-----END EC PRIVATE KEY-----\n";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_opts o = { .host = STR("127.0.0.1"), .port = 22, .user = "root", .key_pem = STR(key) };
	struct buf pin = { .max = 8192 };
	struct err e = { 0 };
	struct ssh *s;

	if (size > PEER_MAX)
		return 0;
	peer_says = str_of(data, size);
	s = ssh_open(&o, &pin, mono_after(5 * NSEC_SEC), &e);
	assert(s == NULL && e.kind != ERR_NONE && e.msg[0] != '\0');
	buf_free(&pin);
	return 0;
}
