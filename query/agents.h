/* The coding agents of the people on one page: their ids, and when they were used. */
#ifndef QUERY_AGENTS_H
#define QUERY_AGENTS_H

#include "query/job.h"

#define AGENTS_ID_BYTES 24

struct agents_row {
	const struct agents_row *next; /* of the same member, in the order of their numbers */
	const struct tl_agent *agent;
	struct tl_life life;
	char id[AGENTS_ID_BYTES]; /* of the newest key, else the number */
	int64_t key_created_ms;
};

struct agents {
	struct query_job *job;
	bool *is_wanted;	   /* by member no */
	struct agents_row **first; /* by member no */
};

TL_MUST enum tl_err agents_begin(struct agents *agents, struct query_job *job, struct tl_why *why);
void agents_want(struct agents *agents, uint32_t member_no);

/* Read all agents of the wanted members that are not unenrolled. */
TL_MUST enum tl_err agents_read(struct agents *agents, struct tl_why *why);

/* The first one of a member, NULL when there is none. */
const struct agents_row *agents_of(const struct agents *agents, uint32_t member_no);

#endif
