/* A proxy's answer to CONNECT: a tunnel or an error with words, and the tunnel gives the bytes behind the answer as they are. */
#include <fcntl.h>

#include "core/core.h"
#include "core/err.h"
#include "net/dial.h"
#include "peer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	char rest[PEER_MAX];
	ssize_t n;
	int fd;

	if (size > PEER_MAX)
		return 0;
	peer_says = str_of(data, size);
	fd = dial_connect("http://user:pass@127.0.0.1:3128", STR("gitlab.example"), 443, NULL, mono_after(5 * NSEC_SEC), &e);
	if (fd < 0) {
		assert(e.kind != ERR_NONE && e.kind != ERR_TIMEOUT && e.msg[0] != '\0' && strstr(e.msg, "pass@") == NULL);
		return 0;
	}
	n = recv(fd, rest, sizeof(rest), 0);
	assert(n >= 0 && (size_t)n <= size && memcmp(rest, data + size - (size_t)n, (size_t)n) == 0);
	close(fd);
	return 0;
}
