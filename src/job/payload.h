/*
 * What executor and reporter both read of a job's directory: payload.json
 * (what GitLab sent), runner.json (what the job may know of config.toml). All memory is in one
 * arena that lives as long as the process. Any field may be missing or null (spec gitlab-runner 1.11).
 */
#ifndef JOB_PAYLOAD_H
#define JOB_PAYLOAD_H

#include "config/settings.h"
#include "core/arena.h"
#include "core/err.h"
#include "core/mono.h"
#include "core/secret.h"
#include "wire/json.h"
#include "wire/vars.h"

struct payload {
	struct arena	*arena;
	struct json_val	 root;			/* payload.json */
	struct job_settings runner;		/* runner.json */
	int64_t		 id;
	struct secret	 token;
	dur_t		 timeout;		/* 2 h when GitLab says nothing */
	bool		 trace_sections;
	bool		 timestamps;		/* FF_TIMESTAMPS, as far as it is known without expansion */
	bool		 debug_trace;		/* CI_DEBUG_TRACE or CI_DEBUG_SERVICES, unless debug_trace_disabled */
};

/* Reads both files of the job directory. 0 or -1; ERR_PARSE, ERR_NOTFOUND: they are not what they were. */
int	payload_read(int job_dir, struct arena *a, struct payload *p, struct err *e);
/*
 * When that failed: as much as GitLab can be told of the job's end with, from ticket.json, else from what is left of the two
 * files. id, token, url and the texts are set, root has nothing. 0 or -1.
 */
int	payload_read_ticket(int job_dir, struct arena *a, struct payload *p, struct err *e);
/* Whether an error of reading a job's file means that the file is damaged, and not that the moment was a bad one. */
bool	payload_damaged(const struct err *e);
/*
 * For a process that lives for hours beside hundreds of its kind and has read what it needs: moves what a reporter still
 * asks (the fields above, `features` of the payload, the runner's names, shell and tries) into `a`. The arena that was
 * read into may be reset then; the runner's token is gone.
 */
void	payload_keep(struct payload *p, struct arena *a);
/*
 * The effective value of a feature flag: runner.json's feature_flags, else the job's variable, else dflt
 * (spec gitlab-runner 8).
 */
bool	payload_flag(const struct payload *p, const char *name, bool dflt);
/* The raw value of the last variable of that name in the payload; p == NULL if there is none. */
struct str payload_var(const struct payload *p, const char *name);
/* What this GitLab is told for the word of a failure in result.json (spec gitlab-runner 7.1): the word or a static text. */
const char *payload_failure_word(const struct payload *p, const char *word);

#endif
