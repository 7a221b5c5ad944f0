/*
 * B5 of spec machines 1.17: creation is held back while the cloud refuses
 * it. See struct scale_gate in scale.h.
 */
#include "core/mono.h"
#include "policy/scale.h"

#define GATE_BASE	(30 * NSEC_SEC)
#define GATE_CAP	(600 * NSEC_SEC)

void
scale_create_started(struct scale_gate *g, int64_t now)
{
	(void)now;
	if (g->failures > 0)
		g->probing = true;
}

void
scale_created(struct scale_gate *g)
{
	*g = (struct scale_gate){ 0 };
}

void
scale_create_cancelled(struct scale_gate *g, int64_t started)
{
	if (started > g->since)
		g->probing = false;
}

void
scale_create_failed(struct scale_gate *g, int64_t started, int64_t retry_after,
    int64_t now, uint64_t rnd)
{
	int64_t wait = GATE_CAP;
	bool same_wave = g->failures > 0 && started <= g->since && g->since <= now;

	if (same_wave) {
		if (retry_after > g->not_before)
			g->not_before = retry_after;
		return;
	}
	g->probing = false;
	if (g->failures < UINT_MAX)
		g->failures++;
	if (g->failures < 5)
		wait = GATE_BASE << g->failures;
	if (wait > GATE_CAP)
		wait = GATE_CAP;
	/* +-20 %, in steps of a millionth */
	wait += (wait / 5000000) * ((int64_t)(rnd % 2000001) - 1000000);
	g->since = now;
	g->not_before = add_bounded(now, wait);
	if (retry_after > g->not_before)
		g->not_before = retry_after;
}

int
scale_gate_room(const struct scale_gate *g, int64_t now)
{
	if (g->failures == 0)
		return SCALE_UNLIMITED;
	if (g->probing)
		return 0;
	/* a failure in the future: the clock was set back, and not_before means nothing */
	if (g->since > now)
		return 1;
	return now >= g->not_before ? 1 : 0;
}
