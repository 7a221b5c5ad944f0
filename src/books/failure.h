/*
 * Why a job failed, and every word for it in one place: what stands in
 * stage.json, result.json and the metrics, what a GitLab takes instead when it
 * does not list that word, and what the job's own scripts are told.
 */
#ifndef BOOKS_FAILURE_H
#define BOOKS_FAILURE_H

#include "core/str.h"

enum failure {
	FAILURE_NONE,		/* none, or none that is known better than by its error's kind */
	FAILURE_SCRIPT,
	FAILURE_SYSTEM,		/* the runner's, its machine's or the network's */
	FAILURE_TIMEOUT,
	FAILURE_CANCELED,
	FAILURE_CONFIG,		/* of the runner or of the job: trying again changes nothing */
	FAILURE_IMAGE,		/* a registry did not give an image, and the next try may get it */
	FAILURE_DEPENDENCY,	/* something outside cannot be reached */
	FAILURE_INTERRUPTED,	/* the runner ended it */
	FAILURE_UNKNOWN,
};

/* GitLab's word for it, as it stands in every file; "" for FAILURE_NONE. */
const char	*failure_word(enum failure f);
/*
 * The failure of a word: FAILURE_NONE for "", FAILURE_UNKNOWN for a word of a newer version or a
 * damaged file.
 */
enum failure	 failure_of(struct str word);
/* Whether it is the system's, for the words "(system failure)" in a job's log. */
bool		 failure_is_system(enum failure f);
/* CI_JOB_STATUS of what runs after it: "failed", "canceled", "timedout". */
const char	*failure_status(enum failure f);
/*
 * What is reported to a GitLab that does not name the failure's word among its features: the
 * failure itself when every GitLab takes it.
 */
enum failure	 failure_common(enum failure f);

#endif
