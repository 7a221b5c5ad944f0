/*
 * A machine's engine as the store describes it: TLS with the machine's files,
 * then GET /_ping. No cloud is asked.
 *
 * The engine's identity is its certificate's DNS name, which for machines of ours is the machine's name; for one that
 * docker-machine made it is the very key in server.pem; for one without server.pem (driver none) it is the URL's host.
 */
#ifndef MACHINE_HEALTH_H
#define MACHINE_HEALTH_H

#include "machine/config_json.h"

/* 0 when the engine answered; ERR_NET, ERR_TLS, ERR_TIMEOUT otherwise, ERR_CONFIG without an address. */
int	health_check(const struct machine_host *h, int machine_dir, mono_t deadline, struct err *e);
/*
 * The same, and the engine is tried out (docker/probe.h). *unfit: it is there, and says in its own words that the machine can run
 * no container (policy/fault.h).
 */
int	health_probe(const struct machine_host *h, int machine_dir, bool *unfit, mono_t deadline, struct err *e);
/* The same as health_check() again and again, until it answers. */
int	health_await(const struct machine_host *h, int machine_dir, mono_t deadline, struct err *e);
/*
 * The same as the docker client of `machine env` and `config` sees it, which knows no pinned key: the authority of ca.pem, the address that
 * it dials, the dates. ERR_TLS names `regenerate-certs`.
 */
int	health_client(const struct machine_host *h, int machine_dir, mono_t deadline, struct err *e);
/* The engine's version ("27.3.1") into out; also a health check. */
int	health_version(const struct machine_host *h, int machine_dir, char *out, size_t size, mono_t deadline,
	    struct err *e);

#endif
