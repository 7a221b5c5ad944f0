/*
 * An SSH server's bytes through libssh2's banner and key exchange: whatever comes, the dial ends with words. (Nothing gets behind the
 * exchange's signature here, which a fuzzer cannot make.)
 */
#include <fcntl.h>

#include "core/core.h"
#include "net/ssh.h"
#include "peer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ssh_auth *auth;

static void
set_up(void)
{
	struct buf key = { .max = 8192 }, line = { .max = 8192 };

	assert(ssh_keygen(&key, &line, NULL) == 0);
	auth = ssh_auth_key(buf_str(&key), NULL);
	assert(auth != NULL);
	buf_wipe(&key);
	buf_free(&line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_opts o = { .host = STR("127.0.0.1"), .port = 22, .user = "root" };
	struct buf pin = { .max = 8192 };
	struct err e = { 0 };
	struct ssh *s;

	if (size > PEER_MAX)
		return 0;
	if (auth == NULL)
		set_up();
	o.auth = auth;
	peer_says = str_of(data, size);
	s = ssh_open(&o, &pin, mono_after(5 * NSEC_SEC), &e);
	assert(s == NULL && e.kind != ERR_NONE && e.msg[0] != '\0');
	buf_free(&pin);
	return 0;
}
