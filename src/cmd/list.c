/* `windlass list`: the runners of config.toml (spec gitlab-runner 3.3). Tokens are shortened: this is read in CI logs. */
#include <unistd.h>

#include "cmd/check.h"
#include "cmd/cmd.h"
#include "cmd/runnercmd.h"
#include "core/fs.h"
#include "core/log.h"

static const char about[] = "Lists the runners of config.toml. Exit status 1 when the file cannot be read.";

static const struct opt opts[] = {
	OPT_CONFIG,
	{ .name = "show-tokens", .type = OPT_BOOL, .help = "show tokens whole" },
};
const struct usage cmd_list_usage = USAGE("", about, opts);

int
cmd_list(int argc, char **argv)
{
	struct opt o[NELEM(opts)];
	struct config *c;
	struct err e = { 0 };
	char *path;
	int rc = 0;

	if (cmd_options(&cmd_list_usage, o, argc, argv, NULL, NULL) < 0)
		return 1;
	runnercmd_hello(false);
	path = o[0].value != NULL ? xstrdup(o[0].value) : config_default_path();
	check_service_environment(path);
	/* A file that somebody named must be there; the default one may be yet to come. */
	if (o[0].value != NULL && !fs_exists(AT_FDCWD, path)) {
		err_set(&e, ERR_NOTFOUND, 0, "%s does not exist", path);
		rc = runnercmd_fatal("list", &e);
		goto out;
	}
	c = config_load(path, NULL, NULL, &e);
	if (c == NULL) {
		rc = runnercmd_fatal("list", &e);
		goto out;
	}
	log_info("Listing configured runners", F_STR("ConfigFile", path));
	for (size_t i = 0; i < c->nrunners; i++) {
		const struct runner *r = &c->runners[i];

		log_info(r->name, F_STR("Executor", r->executor), 
		    F_STR("Token", o[1].number ? secret_reveal(r->token) : r->short_token),
		    F_STR("URL", r->url));
	}
	config_free(c);
out:
	free(path);
	opt_free(o, NELEM(o));
	return rc;
}
