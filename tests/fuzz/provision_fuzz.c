/*
 * What a machine says to the provisioning scripts: the first three bytes choose how each script ends, the rest is what they print, with
 * a NUL between two. The verdict follows the ends, and nothing of a stranger's text but printable ASCII gets into it.
 */
#include "core/log.h"
#include "machine/provision.h"

#define ssh_run run_said
static int run_said(struct ssh *s, const char *cmd, struct str input, struct buf *out,
    mono_t deadline, struct err *e);

#include "machine/provision.c"	/* NOLINT(bugprone-suspicious-include): for its static functions, since SSH is left out here */

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOST	(-1)

static const int ends[] = { 0, STATUS_NO_ENGINE, 1, STATUS_HOPELESS, 7, LOST };
static struct str says;
static int end_of[3], runs;
static bool may_touch;

static int
run_said(struct ssh *s, const char *cmd, struct str input, struct buf *out, mono_t deadline,
    struct err *e)
{
	int status;
	struct str text = str_cut(&says, '\0');

	(void)s;
	(void)deadline;
	assert(runs < 3 && strcmp(cmd, "exec sudo -n sh -s") == 0 && str_starts(input, runs == 1 ? "url=" : "name="));
	status = end_of[runs++];
	may_touch |= str_find(text, "wl:touched") >= 0 || status == LOST;
	buf_putstr(out, str_sub(text, text.n > out->max ? text.n - out->max : 0, text.n));
	return status == LOST ? err_set(e, ERR_NET, 0, "the connection was lost") : status;
}

static bool
is_printable(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine_engine engine = { 0 };
	struct provision p = { .name = "m", .driver = "d", .user = "ubuntu", .engine = &engine };
	struct provision_result r = { 0 };
	struct err e = { 0 };
	int rc, last;

	if (size < NELEM(end_of))
		return 0;
	log_setup(LOG_FATAL, LOG_RUNNER);
	for (size_t i = 0; i < NELEM(end_of); i++)
		end_of[i] = ends[data[i] % NELEM(ends)];
	says = str_of(data + NELEM(end_of), size - NELEM(end_of));
	runs = 0;
	may_touch = false;
	rc = provision_run(NULL, &p, &r, mono_after(NSEC_SEC), &e);
	last = end_of[runs - 1];
	assert((rc == 0) == (last == 0 && runs != 2));
	assert(rc == 0 || (e.msg[0] != '\0' && is_printable(e.msg)));
	assert(rc == 0 || e.kind == (last == LOST ? ERR_NET : last == STATUS_HOPELESS ? ERR_CONFIG : ERR_SYS));
	assert(r.installed == (end_of[0] == STATUS_NO_ENGINE) && (may_touch || !r.touched));
	assert(strlen(r.system) < sizeof(r.system) && is_printable(r.system));
	buf_free(&r.output);
	return 0;
}
