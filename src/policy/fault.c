/* Whose fault an engine's refusal is: see fault.h. */
#include "core/buf.h"
#include "policy/fault.h"

/*
 * Phrases in one text each, since a pointer a phrase would cost more than the phrases: the kind as one byte, the words, a NUL.
 */
#define THEIRS		"\1"	/* FAULT_NONE + 1, and so on */
#define SPACE		"\2"
#define READ_ONLY	"\3"
#define IO		"\4"
#define RUNTIME		"\5"
#define CGROUP		"\6"
#define FILES		"\7"
#define PROCESSES	"\10"
#define MEMORY		"\11"
#define NETWORK		"\12"
#define DEVICE		"\13"
_Static_assert(FAULT_NONE == 0 && FAULT_SPACE == 1 && FAULT_RUNTIME == 4 && FAULT_PROCESSES == 7 && FAULT_DEVICE == 10, "the bytes above");

/* Certain, whatever else the sentence says: the runtime's own words could not even be had. Looked for outside of quotes. */
static const char certain[] =
	RUNTIME "unable to retrieve oci runtime error" "\0"
	RUNTIME "failed to start shim" "\0"
	RUNTIME "failed to create shim task: ttrpc" "\0"
	RUNTIME "containerd.sock" "\0"
	RUNTIME "containerd-shim" "\0";

/* The job's, its image's, its registry's or the configuration's, whatever else the sentence says. */
static const char theirs[] =
	THEIRS "executable file not found" "\0"
	THEIRS "exec format error" "\0"
	THEIRS "argument list too long" "\0"
	THEIRS "unable to find user" "\0"
	THEIRS "unable to find group" "\0"
	THEIRS "no matching entries in passwd" "\0"
	THEIRS "no matching entries in group" "\0"
	THEIRS "chdir to cwd" "\0"
	THEIRS "invalid reference" "\0"
	THEIRS "no such image" "\0"
	THEIRS "manifest unknown" "\0"
	THEIRS "manifest for " "\0"
	THEIRS "no matching manifest" "\0"
	THEIRS "pull access denied" "\0"
	THEIRS "repository does not exist" "\0"
	THEIRS "toomanyrequests" "\0"
	THEIRS "too many requests" "\0"
	THEIRS "unauthorized" "\0"
	THEIRS "authentication required" "\0"
	THEIRS "no basic auth credentials" "\0"
	THEIRS "unexpected http status" "\0"
	THEIRS "error parsing http" "\0"
	THEIRS "error response from registry" "\0"
	THEIRS "invalid mount" "\0"
	THEIRS "invalid volume" "\0"
	THEIRS "trying to mount a directory onto a file" "\0"
	THEIRS "port is already allocated" "\0"
	THEIRS "unknown runtime" "\0"
	THEIRS "unknown or invalid runtime" "\0";

/* The machine's. The more exact ones first: "fork/exec runc: resource temporarily unavailable" is about processes. */
static const char machines[] =
	SPACE "no space left on device" "\0"
	SPACE "not enough space" "\0"
	SPACE "disk quota exceeded" "\0"
	SPACE "thin pool has" "\0"
	READ_ONLY "read-only file system" "\0"
	IO "input/output error" "\0"
	IO "structure needs cleaning" "\0"
	IO "stale file handle" "\0"
	IO "transport endpoint is not connected" "\0"
	FILES "too many open files" "\0"
	PROCESSES "pthread_create failed" "\0"
	PROCESSES "resource temporarily unavailable" "\0"
	PROCESSES "cannot fork" "\0"
	PROCESSES "failed to create new os thread" "\0"
	MEMORY "cannot allocate memory" "\0"
	MEMORY "out of memory" "\0"
	CGROUP "cgroup: " "\0"
	CGROUP "cgroups: " "\0"
	CGROUP "cgroup configuration" "\0"
	CGROUP "cgroup mountpoint" "\0"
	CGROUP "cgroup mount destination" "\0"
	CGROUP "devices cgroup" "\0"
	CGROUP "cgroup deleted" "\0"
	CGROUP "unable to start unit" "\0"
	CGROUP "failed to connect to dbus" "\0"
	NETWORK "non-overlapping ipv4 address pool" "\0"
	NETWORK "predefined address pools have been fully subnetted" "\0"
	NETWORK "no available ipv4 addresses" "\0"
	NETWORK "no available addresses" "\0"
	NETWORK "iptables failed" "\0"
	NETWORK "iptables: no chain" "\0"
	NETWORK "iptables not found" "\0"
	NETWORK "nftables" "\0"
	NETWORK "adding interface veth" "\0"
	NETWORK "failed to add the host" "\0"
	NETWORK "failed to set ipv6 gateway" "\0"
	NETWORK "network bridge not found" "\0"
	NETWORK "no such network: bridge" "\0"
	NETWORK "failed to create endpoint" "\0"
	NETWORK "error creating default bridge" "\0"
	NETWORK "network sandbox" "\0"
	DEVICE "driver/library version mismatch" "\0"
	DEVICE "driver not loaded" "\0"
	RUNTIME "fork/exec " "\0"
	RUNTIME "runc did not terminate" "\0"
	RUNTIME "transport is closing" "\0"
	RUNTIME "ttrpc: closed" "\0"
	RUNTIME "connection error: desc" "\0"
	RUNTIME "transport: error while dialing: dial unix" "\0"
	IO "error creating overlay mount" "\0"
	RUNTIME "error mounting \"proc\"" "\0"
	IO "failed to mount overlay" "\0"
	IO "layer does not exist" "\0"
	IO "content digest" "\0"
	RUNTIME "read init-p" "\0"
	RUNTIME "unexpected fault address" "\0";

static const char *const texts[] = {
	[FAULT_NONE] = "",
	[FAULT_SPACE] = "no space left on the machine",
	[FAULT_READ_ONLY] = "the machine's disk is read-only",
	[FAULT_IO] = "the machine's disk fails",
	[FAULT_RUNTIME] = "the machine's container runtime does not work",
	[FAULT_CGROUP] = "the machine's control groups do not work",
	[FAULT_FILES] = "the machine's engine has too many files open",
	[FAULT_PROCESSES] = "the machine starts no further process",
	[FAULT_MEMORY] = "no memory left on the machine",
	[FAULT_NETWORK] = "the engine's network on the machine does not work",
	[FAULT_DEVICE] = "a device driver of the machine does not work",
};

/* The kind of the first phrase that is in it; FAULT_NONE, and *known unchanged, for none. */
static enum fault
find(struct str s, const char *phrases, bool *known)
{
	for (const char *p = phrases; *p != '\0'; p += strlen(p) + 1)
		if (str_casefind(s, p + 1) >= 0) {
			if (known != NULL)
				*known = true;
			return (enum fault)(*p - 1);
		}
	return FAULT_NONE;
}

/* The sentence without what is quoted in it. Quotes that do not end hide nothing. */
static void
put_unquoted(struct buf *b, struct str s)
{
	while (s.n > 0) {
		ssize_t from = str_chr(s, '"'), to = from < 0 ? -1 : str_chr(str_sub(s, (size_t)from + 1, s.n), '"');

		if (to < 0) {
			buf_putstr(b, s);
			return;
		}
		buf_putstr(b, str_sub(s, 0, (size_t)from));
		s = str_sub(s, (size_t)from + 1 + (size_t)to + 1, s.n);
	}
}

/* A program of the job's or its image's that is not there or may not be run: exec: "x": stat x: no such file or directory. */
static bool
own_program(struct str s)
{
	static const char *const why[] = { "no such file or directory", "permission denied", "is a directory", "not a directory" };

	if (str_find(s, "exec: \"") < 0 && str_find(s, "exec: \\\"") < 0)
		return false;
	for (size_t i = 0; i < NELEM(why); i++)
		if (str_casefind(s, why[i]) >= 0)
			return true;
	return false;
}

/* A directory of the host that the configuration mounts and the engine may not make: it is so on each machine. */
static bool
own_mount(struct str s)
{
	return str_casefind(s, "error while creating mount source path") >= 0 && str_casefind(s, "no space left") < 0;
}

enum fault
fault_of(struct str sentence)
{
	struct buf b = { .max = 65536 };
	bool known = false;
	enum fault f;

	put_unquoted(&b, sentence);
	f = find(buf_str(&b), certain, NULL);
	buf_free(&b);
	if (f != FAULT_NONE)
		return f;
	(void)find(sentence, theirs, &known);
	return known || own_program(sentence) || own_mount(sentence) ? FAULT_NONE : find(sentence, machines, NULL);
}

enum fault
fault_of_err(const struct err *e)
{
	switch (e->kind) {
	case ERR_SERVER:
	case ERR_REFUSED:
	case ERR_AUTH:
	case ERR_CONFLICT:
	case ERR_NOTFOUND:
		return fault_of(str_from(e->msg));
	default:
		return FAULT_NONE;
	}
}

const char *
fault_text(enum fault f)
{
	return texts[f];
}
