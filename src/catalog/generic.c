/* Hosts that are there already, reached by SSH: see clouds.h. */
#include "catalog/clouds.h"

static const struct catalog_option options[] = {
	{ "generic-engine-port", "GENERIC_ENGINE_PORT", OPT_INT, "2376", "port of the engine (default 2376)", 0 },
	{ "generic-ip-address", "GENERIC_IP_ADDRESS", OPT_STRING, NULL, "address of the machine", 0 },
	{ "generic-ssh-user", "GENERIC_SSH_USER", OPT_STRING, "root", "SSH user (default root)", 0 },
	{ "generic-ssh-key", "GENERIC_SSH_KEY", OPT_STRING, NULL,
	  "private key (default: those of ssh-agent, ~/.ssh/id_ed25519, id_ecdsa and id_rsa)",
	  OPTION_FILE | OPTION_LOGIN },
	{ "generic-ssh-port", "GENERIC_SSH_PORT", OPT_INT, "22", "SSH port (default 22)", 0 },
};

const struct catalog_cloud catalog_generic = {
	.name = "generic",
	.hosts = true,
	.options = options, .noptions = NELEM(options),
};
