/* What tells a docker client how to reach a machine: config, env, inspect. */
#include <stdlib.h>

#include "cmd/machine.h"
#include "cmd/template.h"
#include "machine/health.h"

#define CHECK_NS	(20 * NSEC_SEC)

/* Opens the machine and makes sure that its engine answers the docker client as it should. */
static int
checked(const struct machine_cli *m, struct operation *op, const char *name, struct err *e)
{
	if (machine_look(m, op, name, e) < 0)
		return -1;
	if (cloud_url(&op->host.cloud)[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "machine %s has no address yet", name);
	if (health_client(&op->host, op->dir, mono_after(CHECK_NS), e) < 0)
		return err_ctx(e, "Error checking TLS connection");
	return 0;
}

static int
no_swarm(const struct opt *o)
{
	if (!o->number)
		return 0;
	fprintf(stderr, "legacy Swarm is not supported\n");
	return -1;
}

static const struct opt config_opts[] = { { .name = "swarm", .type = OPT_BOOL } };
const struct usage machine_config_usage = USAGE("[MACHINE]",
    "Prints the options that point the docker client at a machine, after a look whether its engine answers.", config_opts);

int
machine_config(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(config_opts)];
	struct machine_args a;
	struct operation op;
	struct err e = { 0 };
	const char *dir;
	int rc = -1;

	if (machine_args(m, &a, &machine_config_usage, o, argc, argv) < 0)
		return 1;
	if (no_swarm(&o[0]) < 0 || machine_names(m, &a) < 0) {
		machine_args_free(&a);
		return 1;
	}
	rc = checked(m, &op, a.words[0], &e);
	if (rc == 0) {
		dir = op.host.auth.store_path;
		printf("--tlsverify\n--tlscacert=\"%s/ca.pem\"\n--tlscert=\"%s/cert.pem\"\n--tlskey=\"%s/key.pem\"\n-H=%s\n",
		    dir, dir, dir, cloud_url(&op.host.cloud));
	}
	operation_end(&op);
	machine_args_free(&a);
	return rc < 0 ? machine_fail(&e) : 0;
}

/* How a shell sets and forgets a variable: K and V stand for its name and value. */
static const struct shell {
	const char	*name;
	const char	*set, *unset;
	const char	*comment;
	const char	*hint;		/* CMD: the command line that printed this */
} shells[] = {
	{ "bash", "export K=\"V\"", "unset K", "#", "eval $(CMD)" },
	{ "fish", "set -gx K \"V\";", "set -e K;", "#", "eval (CMD)" },
	{ "tcsh", "setenv K \"V\";", "unsetenv K;", "#", "eval `CMD`" },
	{ "powershell", "$Env:K = \"V\"", "Remove-Item Env:\\\\K", "#", "& CMD | Invoke-Expression" },
	{ "cmd", "SET K=V", "SET K=", "REM", "\t@FOR /f \"tokens=*\" %i IN ('CMD') DO @%i" },
	{ "emacs", "(setenv \"K\" \"V\")", "(setenv \"K\" nil)", ";;",
	  "(with-temp-buffer (shell-command \"CMD\" (current-buffer)) (eval-buffer))" },
};

static const struct shell *
shell_for(const char *name)
{
	const char *base = strrchr(name, '/');

	base = base != NULL ? base + 1 : name;
	for (size_t i = 0; i < NELEM(shells); i++)
		if (strcmp(base, shells[i].name) == 0)
			return &shells[i];
	return &shells[0];	/* sh, dash, zsh, ksh and what else there is */
}

static void
assign(const struct shell *s, const char *k, const char *v)
{
	for (const char *p = v != NULL ? s->set : s->unset; *p != '\0'; p++) {
		/* Only a K or V that stands alone is ours. */
		bool alone = (p == s->set || p == s->unset || strchr(" \":\\=", p[-1]) != NULL) &&
		    (p[1] == '\0' || strchr(" \";=", p[1]) != NULL);

		if (*p == 'K' && alone)
			fputs(k, stdout);
		else if (*p == 'V' && alone && v != NULL)
			fputs(v, stdout);
		else
			putchar(*p);
	}
	putchar('\n');
}

static void
hint(const struct shell *s, const struct machine_cli *m, const char *rest)
{
	const char *at = strstr(s->hint, "CMD");

	printf("%s Run this command to configure your shell: \n%s %.*s%s env%s%s\n", s->comment, s->comment,
	    (int)(at - s->hint), s->hint, m->program, rest, at + 3);
}

/* The variable that names hosts to be reached without proxy, and its value with ip among them. */
static void
no_proxy(const struct shell *s, const char *ip, bool unset)
{
	const char *lower = getenv("no_proxy"), *upper = getenv("NO_PROXY");
	const char *name = lower != NULL && lower[0] != '\0' ? "no_proxy" : "NO_PROXY";
	const char *old = lower != NULL && lower[0] != '\0' ? lower : upper != NULL ? upper : "";
	struct str rest = str_from(old);
	struct buf v = { 0 };
	bool has = false;

	if (unset) {
		assign(s, name, NULL);
		return;
	}
	while (rest.p != NULL)
		has |= str_eqc(str_cut(&rest, ','), ip);
	buf_puts(&v, old);
	if (!has)
		buf_fmt(&v, "%s%s", v.n > 0 ? "," : "", ip);
	assign(s, name, v.p);
	buf_free(&v);
}

static const struct opt env_opts[] = {
	{ .name = "swarm", .type = OPT_BOOL },
	{ .name = "shell", .type = OPT_STRING, .arg = "SHELL", .help = "bash, fish, tcsh, powershell, cmd or emacs (default: by SHELL)" },
	{ .name = "unset", .letter = 'u', .type = OPT_BOOL, .help = "forget the variables instead" },
	{ .name = "no-proxy", .type = OPT_BOOL, .help = "add the machine's address to NO_PROXY" },
};
const struct usage machine_env_usage = USAGE("[MACHINE]",
    "Prints the commands that point the docker client at a machine: eval $(windlass machine env MACHINE).", env_opts);

int
machine_env(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(env_opts)];
	const char *env = getenv("SHELL");
	const struct shell *s;
	struct machine_args a;
	struct operation op;
	struct err e = { 0 };
	struct buf rest = { 0 };
	int rc = 0;

	if (machine_args(m, &a, &machine_env_usage, o, argc, argv) < 0)
		return 1;
	operation_init(&op, m->store, "");
	s = shell_for(o[1].value != NULL ? o[1].value : env != NULL ? env : "bash");
	if (o[1].value != NULL)
		buf_fmt(&rest, " --shell %s", o[1].value);
	if (o[2].number) {
		if (a.nwords > 0)
			rc = err_set(&e, ERR_CONFIG, 0, "Error: Expected no machine name when the -u flag is present");
		else {
			assign(s, "DOCKER_TLS_VERIFY", NULL);
			assign(s, "DOCKER_HOST", NULL);
			assign(s, "DOCKER_CERT_PATH", NULL);
			assign(s, "DOCKER_MACHINE_NAME", NULL);
			if (o[3].number)
				no_proxy(s, "", true);
			buf_puts(&rest, " -u");
			hint(s, m, rest.p);
		}
		goto out;
	}
	if (no_swarm(&o[0]) < 0 || machine_names(m, &a) < 0) {
		machine_args_free(&a);
		buf_free(&rest);
		return 1;
	}
	rc = checked(m, &op, a.words[0], &e);
	if (rc < 0)
		goto out;
	assign(s, "DOCKER_TLS_VERIFY", "1");
	assign(s, "DOCKER_HOST", cloud_url(&op.host.cloud));
	assign(s, "DOCKER_CERT_PATH", op.host.auth.store_path);
	assign(s, "DOCKER_MACHINE_NAME", op.name);
	if (o[3].number)
		no_proxy(s, op.host.cloud.base.ip, false);
	buf_fmt(&rest, " %s", op.name);
	hint(s, m, rest.p);
out:
	operation_end(&op);
	machine_args_free(&a);
	buf_free(&rest);
	return rc < 0 ? machine_fail(&e) : 0;
}

static const struct opt inspect_opts[] = { { .name = "format", .letter = 'f', .type = OPT_STRING, .arg = "TEMPLATE", .help = "a template: {{.A.B}}, {{json .A}}, {{prettyjson .A}}" } };
const struct usage machine_inspect_usage = USAGE("[MACHINE]",
    "Prints what the store knows of a machine, as JSON. Nobody is asked.", inspect_opts);

int
machine_inspect(const struct machine_cli *m, int argc, char **argv)
{
	struct opt o[NELEM(inspect_opts)];
	struct buf text = { .max = CONFIG_JSON_MAX }, out = { 0 };
	struct arena ar = { 0 };
	struct machine_args a;
	struct operation op;
	struct json_val root;
	struct err e = { 0 };
	int rc = -1;

	if (machine_args(m, &a, &machine_inspect_usage, o, argc, argv) < 0)
		return 1;
	if (machine_names(m, &a) < 0) {
		machine_args_free(&a);
		return 1;
	}
	if (machine_look(m, &op, a.words[0], &e) < 0)
		goto out;
	machine_host_print(&op.host, &text);
	rc = 0;
	if (o[0].value != NULL) {
		rc = json_parse(&ar, buf_str(&text), &root, &e);
		if (rc == 0)
			rc = template_render(&out, str_from(o[0].value), root, &e);
	}
	if (rc == 0)
		printf("%.*s\n", STR_ARG(o[0].value != NULL ? buf_str(&out) : buf_str(&text)));
out:
	operation_end(&op);
	machine_args_free(&a);
	buf_wipe(&text);
	buf_wipe(&out);
	arena_reset(&ar);
	return rc < 0 ? machine_fail(&e) : 0;
}
