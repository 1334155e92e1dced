/* How many seats an org has and how many are taken, for every reply that shows them. */
#ifndef QUERY_TEAM_H
#define QUERY_TEAM_H

#include "query/job.h"

/* seats and used, in place. */
TL_MUST enum tl_err team_put_seats(
	struct query_job *job, struct tl_pack_open *map, struct tl_why *why);

#endif
