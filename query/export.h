/* One page of an export, as fields and rows; where it ended. */
#ifndef QUERY_EXPORT_H
#define QUERY_EXPORT_H

#include "query/reply.h"
#include "schema/base/clock.h"

/* Of rows; a page ends with the row (or the bin) that passes it, or the limit that was asked for.
 */
#define EXPORT_PAGE_BYTES (1u << 20)

/* Nor does a page take much longer: a requester that hears nothing for two seconds asks again. */
#define EXPORT_PAGE_US 500000

/* The last row that was shown; the next page has what comes after it. */
struct export_place {
	int64_t ms; /* ts of a request, start of a bin */
	uint8_t id[16];
};

struct export
{
	struct query_job *job;
	struct tl_pack_open *rows;
	struct export_place place;
	size_t end_bytes; /* of the reply: the page is full */
	int64_t end_us;	  /* likewise, monotonic */
	bool is_over;	  /* nothing comes after this page */
};

/* fields: [names]; the rows that follow have as many values. */
void export_requests_fields(struct query_job *job, struct tl_pack_open *map);
TL_MUST enum tl_err export_requests(struct export *x, struct tl_why *why);

void export_bins_fields(struct query_job *job, struct tl_pack_open *map);
TL_MUST enum tl_err export_bins(struct export *x, struct tl_why *why);

static inline bool
export_is_full(const struct export *x)
{
	return x->job->reply->bytes >= x->end_bytes || tl_clock_mono_us() >= x->end_us ||
	       (x->job->query->limit > 0 && x->rows->count >= x->job->query->limit);
}

#endif
