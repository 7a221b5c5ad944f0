/*
 * The bodies of the engine's create calls for a job's containers and
 * volumes, from [runners.docker] and the job (spec job-execution 1.8-1.12).
 * JSON in, JSON out; the one file that is read is a seccomp profile named in security_opt.
 */
#ifndef JOB_CONTAINER_H
#define JOB_CONTAINER_H

#include "job/work.h"

/* CONTAINER_OTHER: of a newer version, known by its name alone. */
enum container_kind { CONTAINER_BUILD, CONTAINER_HELPER, CONTAINER_OTHER };

/* A volume of the job: what to create (name set) and what to write into Binds. */
struct volume {
	char	*bind;		/* "name:/cache" */
	char	*name;		/* to create; NULL for binds that need nothing */
	char	*destination;
	bool	 temporary;	/* removed at the end of the job */
};
struct volumes {
	struct volume	*v;
	size_t		 n;
};

/*
 * The job's volumes in order: those of the configuration, then the builds
 * volume. -1 (ERR_CONFIG) with the entry for a bad specification.
 */
int	volumes_plan(const struct work *w, struct volumes *vs, struct err *e);
/* POST /volumes/create. */
void	volume_put_create(const struct work *w, const struct volume *v, struct buf *body);

/* What a container is made of, beside the job's own settings. */
struct container_order {
	enum container_kind kind;
	struct str	 image;		/* the reference to use: a digest or an id */
	int		 api;		/* the engine's minor version */
	const struct volumes *volumes;
};

/* POST /containers/create, appended to body. -1 (ERR_CONFIG) when a setting has no meaning. */
int	container_put_create(const struct work *w, const struct container_order *o,
	    struct buf *body, struct err *e);
/*
 * What /etc/hostname says in the job's containers, when that is certain before they exist: NULL with the
 * host's or another container's network, where it is theirs.
 */
const char *container_hostname(const struct work *w);
/* The per-job network, with FF_NETWORK_PER_BUILD and no network_mode; false otherwise. */
bool	network_wanted(const struct work *w);
void	network_put_create(const struct work *w, int api, struct buf *body);

/* Memory sizes: number, optional b k m g t, optional i and b; -1 only with allow_unlimited. 0 or -1. */
int	container_parse_size(struct str s, bool allow_unlimited, int64_t *bytes);

#endif
