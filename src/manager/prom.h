/*
 * Metrics as Prometheus reads them (text format 0.0.4), from a view: what
 * the manager counted, and what can be seen from its pools, machines and jobs. The table is in
 * manager/metrics.h. No file and no socket here.
 */
#ifndef MANAGER_PROM_H
#define MANAGER_PROM_H

#include "books/view.h"

/* What only the process that serves can know. */
struct prom_process {
	bool	 known;
	double	 cpu_seconds, resident_bytes, virtual_bytes, start_time;
	double	 open_fds, max_fds;	/* < 0: not to be had */
	const char *version, *revision, *branch;	/* of gitlab-runner that we answer to be; of windlass */
};

/* The whole answer to GET /metrics. */
void	prom_put(struct buf *b, const struct view *v, const struct prom_process *p, wall_t now);
/* The answer to GET /debug/jobs/list, as upstream's version 2. */
void	prom_put_jobs(struct buf *b, const struct view *v, wall_t now);
/* Upstream's word for what the process is doing: "running", "graceful-shutdown", "forceful-shutdown". */
const char *prom_process_state(const struct view *v);

/* A label's value and a help text with what the format wants escaped. */
void	prom_put_value(struct buf *b, struct str s);
void	prom_put_help(struct buf *b, const char *s);
/* "12", "0.25", "+Inf", "NaN": the shortest that reads back the same. */
void	prom_put_number(struct buf *b, double v);

#endif
