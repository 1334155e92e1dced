/* What a request is about: the org, or one thing in it. */
#ifndef QUERY_SCOPE_H
#define QUERY_SCOPE_H

#include "query/job.h"

struct scope {
	enum tl_dim dim;
	uint64_t key;	      /* of its row on a board of the dimension; not for a session */
	struct tl_slice name; /* of a session, as it was asked for */
};

/* job->query->scope: org, member:ID, agent:ID, model:NAME, repo:NAME, pr:REPO#N or session:ID. What
 * the caller may not see is TL_ENOT_FOUND like what does not exist; a session is looked up later.
 */
TL_MUST enum tl_err scope_find(struct query_job *job, struct scope *scope_out, struct tl_why *why);

#endif
