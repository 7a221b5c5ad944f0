/* Messages between our processes, as a broken one might send them: each datagram up to a NUL. What is taken is in the table and within its text. */
#include <sys/socket.h>
#include <unistd.h>

#include "core/chan.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(data, size < 4096 ? size : 4096);
	struct err e = { 0 };
	int fd[2];

	for (int from = CHAN_MANAGER; from <= CHAN_OPERATOR; from++) {
		struct str rest = in;

		assert(chan_pair(fd, &e) == 0);
		while (rest.p != NULL) {
			struct str one = str_cut(&rest, '\0');
			struct chan_msg m;
			int rc;

			if (one.n == 0 || send(fd[1], one.p, one.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				continue;
			rc = chan_recv(fd[0], (enum chan_from)from, &m, &e);
			assert(rc == 1 || (rc == -1 && e.kind == ERR_PROTO));
			if (rc < 0)
				break;
			assert((unsigned)m.verb < CHAN_NVERBS && m.narg <= NELEM(m.arg) && one.n <= CHAN_MAX);
			for (size_t i = 0; i < m.narg; i++)
				assert(m.arg[i].p >= m.text && m.arg[i].p + m.arg[i].n <= m.text + sizeof(m.text));
		}
		close(fd[0]);
		close(fd[1]);
	}
	return 0;
}
