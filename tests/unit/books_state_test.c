/* books/state: what a manager says of itself, and the mark of the installation. */
#include <stdlib.h>
#include <unistd.h>

#include "books/state.h"
#include "core/fs.h"
#include "tap.h"

static char path[] = "/tmp/wl-state-test.XXXXXX";
static int dir;
static struct arena arena;

static void
put(const char *file, const char *text)
{
	fs_write_fast(dir, file, str_from(text), 0600, NULL);
}

static void
test_says(void)
{
	struct manager_says s;
	struct err e = { 0 };

	is_int(manager_says(path, &arena, &s, &e), -1, "nobody has said a thing");
	is_int(e.kind, ERR_NOTFOUND, "  yet");
	s = (struct manager_says){ .pid = 4711, .state = "running", .life = "0123456789abcdef", .version = "0.1.0", .revision = "c19",
	    .config = "/etc/c.toml", .store = "/s", .since = wall_of_seconds(1772445600), .adopted = 4, .blind_ms = 0 };
	is_int(manager_says_write(dir, &s, &e), 0, "one that runs");
	is_int(manager_says(path, &arena, &s, &e), 0, "  is heard");
	ok(s.pid == 4711 && s.adopted == 4 && s.blind_ms == 0 && strcmp(s.life, "0123456789abcdef") == 0, "  word for word");
	ok(s.exe[0] == '\0' && !wall_known(s.left), "  and has not left");
	put("manager.json", "{\"pid\":7,\"state\":\"leaving\",\"since\":\"2026-03-02T10:00:00Z\",\"later\":{}}");
	ok(manager_says(path, &arena, &s, &e) == 0 && s.blind_ms == -1 && wall_equal(s.left, wall_of_seconds(1772445600)),
	    "one of another version that leaves: since when nobody asks");
	put("manager.json", "{\"pid\":");
	is_int(manager_says(path, &arena, &s, &e), -1, "half a file says nothing");
	ok(s.pid == 0 && s.state[0] == '\0', "  at all");
}

static void
test_owner(void)
{
	char owner[17];

	ok(!state_owner_read(dir, owner) && owner[0] == '\0', "no owner yet");
	is_int(state_owner_write(dir, "0123456789abcdef", NULL), 0, "one is made");
	ok(state_owner_read(dir, owner), "  and read");
	is_str(owner, "0123456789abcdef", "  as it is");
	put("owner", "0123456789abcdef0\n");
	ok(!state_owner_read(dir, owner) && owner[0] == '\0', "a longer one is none: its first part is somebody else's");
}

int
main(void)
{
	ok(mkdtemp(path) != NULL, "a directory");
	dir = fs_opendir(AT_FDCWD, path, NULL);
	test_says();
	test_owner();
	close(dir);
	fs_remove_tree(AT_FDCWD, path, NULL);
	arena_reset(&arena);
	return done_testing();
}
