/* What an operator was told: its arguments, and the manager's plan. See operator_parts.h. */
#include <unistd.h>

#include "core/exit.h"
#include "core/fs.h"
#include "core/opt.h"
#include "machine/operator_parts.h"
#include "machine/round.h"
#include "net/ssh.h"

int
operator_args(struct operator_args *a, int argc, char **argv, struct err *e)
{
	struct opt opts[] = {
		{ .name = "store", .type = OPT_STRING }, { .name = "name", .type = OPT_STRING },
		{ .name = "do", .type = OPT_STRING }, { .name = "owner", .type = OPT_STRING },
		{ .name = "reason", .type = OPT_STRING }, { .name = "plan-fd", .type = OPT_INT },
		{ .name = "control-fd", .type = OPT_INT }, { .name = "limit", .type = OPT_INT },
		{ .name = "grace", .type = OPT_INT },
	};
	int rc = opt_parse(opts, NELEM(opts), argc, argv, NULL, e);

	*a = (struct operator_args){ .store = opts[0].value, .name = opts[1].value, .act = opts[2].value,
		.owner = text(opts[3].value), .reason = text(opts[4].value),
		.plan_fd = opts[5].given ? opts[5].number : -1,
		.control = opts[6].given ? (int)opts[6].number : -1,
		.limit_s = opts[7].given ? opts[7].number : OPERATOR_LIMIT_NS / NSEC_SEC,
		.grace_s = opts[8].given ? opts[8].number : ROUND_GRACE_NS / NSEC_SEC };
	if (a->name == NULL)
		a->name = "";	/* a round has none */
	if (rc == 0 && (a->store == NULL || a->act == NULL || a->limit_s < 1 || a->limit_s > 86400 || a->grace_s < 0))
		rc = err_set(e, ERR_CONFIG, 0, "usage: --store DIR --name NAME --do create|remove|look|settle|reconcile|health|watch [--plan-fd N] "
		    "[--owner HEX] [--control-fd N] [--reason TEXT] [--limit SECONDS] [--grace SECONDS]");
	return rc;
}

/* What the manager hands over: a JSON object, in the operation's arena. */
static int
read_plan(int64_t fd, struct buf *b, struct err *e)
{
	for (;;) {
		char *room = buf_room(b, 4096);
		ssize_t n;

		if (room == NULL)
			return err_set(e, ERR_CONFIG, 0, "the plan is longer than %u bytes", OPERATOR_PLAN_MAX);
		n = read((int)fd, room, 4096);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, "read the plan");
		if (n > 0)
			buf_grown(b, (size_t)n);
	}
}

/*
 * The manager's plan; what counts of it also for a machine that exists already is taken at once. Absent (an operator
 * started by hand): JSON_NONE.
 */
int
operator_plan_take(struct operation *op, const struct operator_args *args, struct json_val *root, struct err *e)
{
	struct buf b = { .max = OPERATOR_PLAN_MAX };
	struct arena *a = &op->arena;
	int rc = 0;

	*root = JSON_NONE;
	if (args->plan_fd < 0)
		return 0;
	if (read_plan(args->plan_fd, &b, e) < 0 || json_parse(a, arena_str(a, buf_str(&b)), root, e) < 0)
		rc = err_ctx(e, "plan");
	else {
		op->ready_command = json_cstr(a, json_get(*root, "ready_command"));
		op->watched = json_bool(json_get(*root, "watched"), false);
		account_open(&op->account, json_cstr(a, json_get(*root, "clouds")), json_cstr(a, json_get(*root, "account")));
	}
	buf_wipe(&b);
	return rc;
}

/* Strings of a list in the plan, in the arena. */
const char **
operator_plan_list(struct json_val root, const char *key, struct arena *a, size_t *n)
{
	const char **list = arena_calloc(a, json_len(json_get(root, key)) + 1, sizeof(*list));

	*n = 0;
	JSON_EACH(v, json_get(root, key))
		list[(*n)++] = json_cstr(a, v);
	return list;
}

/* The machine, or the account, that the plan's driver and options describe. hash[17]: of these options. */
int
operator_plan_host(struct operation *op, struct json_val root, struct machine_host *h, char hash[17], struct err *e)
{
	struct arena *a = &op->arena;
	const struct cloud_driver *d = cloud_driver_find(json_str(a, json_get(root, "driver")));
	struct machine_options o;
	const char **list;
	size_t n;
	int rc = -1;

	if (d == NULL)
		return err_set(e, ERR_CONFIG, 0, "windlass has no driver \"%s\" (MachineDriver)", json_cstr(a, json_get(root, "driver")));
	list = operator_plan_list(root, "options", a, &n);
	if (str_copy(json_str(a, json_get(root, "options_hash")), hash, 17) < 0 || hash[0] == '\0')
		machine_options_hash(d->about->name, list, n, hash);
	machine_options_init(&o, d);
	if (machine_options_take(&o, a, list, n, e) == 0)
		rc = machine_options_host(&o, h, a, op->store, op->name, e);
	machine_options_free(&o);
	return rc;
}

/* A machine by the manager's plan. */
int
operator_plan_machine(struct operation *op, const struct operator_args *args, struct json_val root, struct err *e)
{
	struct arena *a = &op->arena;
	const char *owner = json_cstr(a, json_get(root, "owner"));
	struct machine_host h;
	char hash[17];
	int rc = -1;

	if (args->plan_fd < 0)
		return err_set(e, ERR_NOTFOUND, 0, "machine %s does not exist, and there is no plan to make it by", op->name);
	if (operator_plan_host(op, root, &h, hash, e) == 0)
		rc = operation_plan(op, &h, owner[0] != '\0' ? owner : args->owner, json_cstr(a, json_get(root, "runner")),
		    arena_dup(a, str_from(hash)), e);
	return rc < 0 ? err_ctx(e, "plan") : 0;
}

/*
 * Before the process confines itself: for a host that is there already and for which no key is
 * named, the agent and ~/.ssh are where its keys are, and neither can be reached afterwards.
 */
int
operator_plan_keys(struct operation *op, struct json_val plan, struct err *e)
{
	struct str driver = json_str(&op->arena, json_get(plan, "driver"));
	const struct catalog_cloud *about = catalog_find(driver);
	const struct catalog_option *key = catalog_option_for(about, OPTION_LOGIN);
	const char **options;
	size_t n;

	if (key == NULL || !about->hosts || str_from(getenv(key->env)).n > 0)
		return 0;
	options = operator_plan_list(plan, "options", &op->arena, &n);
	for (size_t i = 0; i < n; i++) {
		struct str value = str_from(options[i]), name = str_cut(&value, '=');

		if (str_eqc(name, key->name) && value.n > 0)
			return 0;
	}
	return (op->auth = ssh_auth_default(e)) != NULL ? 0 : -1;
}
