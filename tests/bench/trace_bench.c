/*
 * The way of a job's output from masking to the disk, as an executor goes it: an
 * entry a line, masked, with time stamps, appended to a file a megabyte at a time and
 * synced. In MB of input for a second of our own time, and for a second on the wall.
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "core/mono.h"
#include "wire/traceline.h"

#define TOTAL	(200u << 20)
#define COMMIT	(1u << 20)

static const char *const lines[] = {
	"gcc -O2 -g -Wall -Wextra -Isrc -c -o build/release/src/core/buffer.o src/core/buffer.c\n",
	"ok 1204 - the answer to a request that was never sent is thrown away\n",
	"=> => extracting sha256:3f4a90c1b1d5f3a9e5b0d6a1e4c2f7b8a9d0e1f2a3b4c5d6e7f8091a2b3c4d5e      0.4s\n",
	"npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory.\n",
	"[ 57%] Building CXX object lib/CMakeFiles/engine.dir/parser.cc.o\n",
	"curl --header \"PRIVATE-TOKEN: glpat-abcdefghij\" https://gitlab.example/api/v4/projects\n",
	"PASS src/cart/total.test.js (5.112 s)\n",
};

static int64_t
cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * NSEC_SEC + t.tv_nsec;
}

static void
commit(int fd, struct buf *out, off_t *at)
{
	if (pwrite(fd, out->p, out->n, *at) != (ssize_t)out->n || fdatasync(fd) < 0) {
		perror("write");
		exit(1);
	}
	*at += (off_t)out->n;
	buf_clear(out);
}

int
main(int argc, char **argv)
{
	struct str phrases[] = { STR("correct horse battery staple"), STR("AKIAIOSFODNN7EXAMPLE"), STR("s3cr3t-Pa55word") };
	struct str prefixes[] = { STR("glpat-"), STR("gldt-"), STR("glrt-"), STR("glcbt-") };
	struct mask_set *set = mask_set_new(phrases, NELEM(phrases), prefixes, NELEM(prefixes));
	const char *path = argc > 1 ? argv[1] : "trace_bench.out";
	struct buf out = { .max = 64u << 20 };
	struct tl_sink k;
	struct tl_stream s;
	dur_t cpu, wall;
	mono_t begun;
	wall_t at = wall_now();
	off_t written = 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0) {
		perror(path);
		return 1;
	}
	unlink(path);
	tl_sink_init(&k, &out, UINT64_C(1) << 50, true);
	tl_init(&s, set, TL_ID_SCRIPT, 'O', TL_JOB);
	begun = mono_now();
	cpu = cpu_now();
	for (size_t fed = 0, i = 0; fed < TOTAL; i++) {
		struct str line = str_from(lines[i % NELEM(lines)]);

		tl_entry(&s, &k, line, at);
		at = wall_add(at, 20000);
		fed += line.n;
		if (out.n >= COMMIT)
			commit(fd, &out, &written);
	}
	tl_close(&s, &k);
	commit(fd, &out, &written);
	cpu = cpu_now() - cpu;
	wall = mono_since(begun);
	printf("trace to disk: %.0f MB/s of our time, %.0f MB/s on the wall, %.0f MB written\n",
	    TOTAL / 1e6 / ((double)cpu / 1e9), TOTAL / 1e6 / ((double)wall / 1e9), (double)written / 1e6);
	tl_sink_free(&k);
	mask_set_free(set);
	buf_free(&out);
	close(fd);
	return 0;
}
