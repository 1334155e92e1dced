/* The parts that replies share: the head, totals, sparks, people. */
#ifndef QUERY_REPLY_H
#define QUERY_REPLY_H

#include "query/job.h"

/* The rows of a list that one reply holds. */
struct reply_page {
	uint32_t first, end;
	bool has_more;
	bool is_cut; /* something that belongs here is no longer stored */
};

/* At most limit rows of row_count from first on; the page that the job asks for. */
struct reply_page reply_page_cut(uint32_t first, uint32_t limit, uint32_t row_count);
struct reply_page reply_page_of(const struct query_job *job, uint32_t row_count);

/*
 * v and ok, then the common head of SPEC 4: what the figures are of, and where the list goes on.
 * page NULL: the reply is no list.
 */
struct tl_pack_open reply_open(struct query_job *job);
void reply_head(struct query_job *job, struct tl_pack_open *map, const struct reply_page *page);

/* The head but for truncated and next_cursor, for who puts them later. */
void reply_head_figures(struct query_job *job, struct tl_pack_open *map);

/* Only whether the list goes on, and where: truncated and next_cursor. */
void reply_page_put(struct query_job *job, struct tl_pack_open *map, const struct reply_page *page);

/* Closes the map. The buffer's error, if any, is the reply's. */
TL_MUST enum tl_err reply_close(
	struct query_job *job, const struct tl_pack_open *map, struct tl_why *why);

/* Every key of a totals map, in place. */
void reply_totals(struct query_job *job, struct tl_pack_open *map, const struct tl_totals *totals,
	uint32_t session_count);

/* key: [value per bin] for the metric. row NULL: zeros. */
void reply_spark(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct board_row *row);

/* key: time, or nil for INT64_MIN and INT64_MAX. */
void reply_time(struct query_job *job, struct tl_pack_open *map, const char *key, int64_t time_ms);

/* key: id as 32 hex digits; nil for NULL. */
void reply_member_id(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct tl_member *member);

/* Whether the caller may see a member's email. */
bool reply_shows_email(const struct query_job *job, const struct tl_member *member);

/* key: the name to show: the display name, else the email, else half the id and "...". */
void reply_member_name(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct tl_member *member);

/* floor(part * 1,000,000 / whole); 0 when there is no whole. */
int64_t reply_ppm(int64_t part, int64_t whole);

#endif
