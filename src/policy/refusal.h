/*
 * Who it was that said no. Between us and GitLab stand proxies, portals and
 * load balancers that answer in its place, and GitLab itself says 403 for
 * other reasons than a dead token (maintenance mode, a read-only Geo node, an
 * address that is not let in). A token, a job or this host's entry is only
 * given up on GitLab's own word about it. Pure; nothing is allocated.
 *
 * GitLab's API speaks JSON, {"message": "403 Forbidden"} or, with a reason,
 * {"message": "403 Forbidden - why"}; lib/api/helpers.rb of GitLab makes both.
 */
#ifndef POLICY_REFUSAL_H
#define POLICY_REFUSAL_H

#include "core/str.h"

enum refusal {
	REFUSAL_FOREIGN,	/* not GitLab's word on anything: an outage, however long it lasts */
	REFUSAL_TOKEN,		/* 403: the token in the request is not, or not any more, good */
	REFUSAL_OTHER,		/* 403 of GitLab with another reason: the token may be good */
	REFUSAL_GONE,		/* 404: GitLab does not know the thing that was asked for */
	REFUSAL_LOGIN,		/* 401: a personal access token is not good (runners' and jobs' tokens get 403) */
};

/*
 * What an answer with a status of 4xx says. `type` is its Content-Type, `message` the text of its member "message", empty if
 * it is no JSON or has none.
 */
enum refusal	refusal_of(int status, struct str type, struct str message);

#endif
