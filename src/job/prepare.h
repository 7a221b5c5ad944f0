/* The first stage of a job, and the image that its script needs. */
#ifndef JOB_PREPARE_H
#define JOB_PREPARE_H

#include "job/stages.h"

/*
 * The stage prepare_executor: leftovers removed, images, network, volumes and the helper container
 * made.
 */
enum outcome prepare_executor(struct run *r, struct err *e);
/*
 * Waits for the puller and prints its lines. 0 (at once when the build image is known), or -1 with
 * r->failure.
 */
int	prepare_build_image(struct run *r, struct err *e);
/* Ends the pullers of the images that are known: nobody will order these again. */
void	prepare_pulled(struct run *r);

#endif
