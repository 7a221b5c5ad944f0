/*
 * What config.toml says of one runner's machines, as policy/scale wants it: the one place where keys become
 * numbers of a policy, for the manager and for `simulate`.
 */
#ifndef CONFIG_POLICY_H
#define CONFIG_POLICY_H

#include "config/config.h"

/*
 * The policy of a runner while `section` of its [[runners.machine.autoscaling]] holds (periods_active(); -1: none).
 * `until` is left 0.
 */
struct scale_policy runner_policy(const struct runner *r, int section);
/* Its bucket for creations, full. */
struct budget runner_growth(const struct runner *r);

#endif
