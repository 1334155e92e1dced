/*
 * Which coding agents belong to whom, the id each goes by, and how many people there are: an index
 * over the org's people and keys, made once for a generation of the org and kept.
 */
#ifndef QUERY_AGENTS_H
#define QUERY_AGENTS_H

#include "query/job.h"

#define AGENTS_ID_BYTES 24

struct agents {
	struct lru_value value; /* first: what the cache keeps */
	uint64_t generation;	/* of the org in the registry */
	uint32_t member_count, agent_count;
	uint32_t *first; /* member no -> its first agent that is not unenrolled, 0: none */
	uint32_t *next;	 /* agent no -> the next one of the same member, 0: none */
	char (*id)[AGENTS_ID_BYTES]; /* agent no -> the id of its newest key, else its number */
	uint32_t present_count;	     /* members that were not removed */
	uint32_t *removed;	     /* the others */
	uint32_t removed_count;
	struct tl_arena arena;
};

/* The index of the job's registry, valid as long as the job. */
TL_MUST enum tl_err agents_get(
	struct query_job *job, const struct agents **agents_out, struct tl_why *why);

#endif
