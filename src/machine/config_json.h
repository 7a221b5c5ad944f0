/*
 * config.json, docker-machine's description of a machine (spec machines 4.3),
 * whole: read tolerantly, in all its versions, and written byte for byte as
 * the original writes it. What windlass does not know is kept, at every level. It
 * holds credentials: never log it.
 */
#ifndef MACHINE_CONFIG_JSON_H
#define MACHINE_CONFIG_JSON_H

#include "cloud/driver.h"

#define CONFIG_JSON_MAX		(1u << 20)
#define CONFIG_JSON_VERSION	3
#define ENGINE_INSTALL_URL	"https://get.docker.com"

struct machine_engine {
	struct field_list	 arbitrary_flags, dns, env, insecure_registry, labels, registry_mirror;
	const char		*graph_dir, *log_level, *storage_driver, *install_url;
	bool			 ipv6, selinux, tls_verify;
};

/* Legacy Swarm: stored as it comes, never acted upon. */
struct machine_swarm {
	bool			 is_swarm, agent, master, experimental;
	const char		*address, *discovery, *host, *image, *strategy;
	int64_t			 heartbeat, overcommit;
	struct field_list	 arbitrary_flags, arbitrary_join_flags, env;
};

struct machine_auth {
	const char		*cert_dir, *ca_cert, *ca_key, *ca_cert_remote, *server_cert, *server_key, *client_key,
				*server_cert_remote, *server_key_remote, *client_cert;
	struct field_list	 sans;
	const char		*store_path;
};

struct machine_host {
	struct arena		*a;
	int64_t			 version;	/* as read; always written as CONFIG_JSON_VERSION */
	const char		*name;
	struct cloud		 cloud;
	const char		*legacy_driver;
	int64_t			 legacy_memory, legacy_disk;
	struct machine_engine	 engine;
	struct machine_swarm	 swarm;
	struct machine_auth	 auth;
	/* members that we do not know, per object */
	struct str		 unknown, unknown_host, unknown_engine, unknown_swarm, unknown_auth;
};

/* As `create` without options makes it. */
void	machine_host_init(struct machine_host *h, struct arena *a, const struct cloud_driver *d,
	    const char *store, const char *name);
/*
 * From the file's text, which must outlive *h. name, the directory's, wins over
 * the one inside. ERR_PARSE; ERR_CONFIG for a version from the future.
 */
int	machine_host_parse(struct machine_host *h, struct arena *a, struct str text, const char *name,
	    struct err *e);
void	machine_host_print(const struct machine_host *h, struct buf *b);
/*
 * What lies inside the store that the file names (Driver.StorePath) is taken to lie in this one: stores
 * are moved, and copied to other homes. Paths elsewhere stay as they are. Nothing is written.
 */
void	machine_host_follow(struct machine_host *h, const char *store);
/* ERR_NOTFOUND if there is no machine; ERR_PARSE if only this one of its files is missing, or damaged. */
int	machine_host_read(struct machine_host *h, struct arena *a, int machine_dir, const char *name,
	    struct err *e);
/* Whole and durable, 0600; the bytes of a file of an older version stay as config.json.bak. */
int	machine_host_write(const struct machine_host *h, int machine_dir, struct err *e);

#endif
