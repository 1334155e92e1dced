/*
 * What a page should say, from facts: sums of raw rows by quarter and key. Shares of pull requests
 * are divided here once more, by hand.
 */
#ifndef ROLLUP_AUDIT_EXPECT_H
#define ROLLUP_AUDIT_EXPECT_H

#include "rollup/audit_parts.h"

/* One row of one quarter. */
struct audit_fact {
	uint32_t org;
	int64_t bucket_no;
	struct tl_cell_row row;
};

struct audit_group {
	struct audit_group *next;
	uint64_t group_no;
	uint8_t quarters; /* bit q: has rows in quarter q */
};

/* A page of an hour of an org, and the groups with rows in it; newest first. */
struct audit_hour {
	uint32_t org;
	uint32_t part;
	int64_t hour_no;
	struct audit_group *groups;
	uint32_t group_count;
};

/* A growing list of pointers in the day's arena. */
struct audit_list {
	void **at;
	size_t count, capacity;
};

TL_MUST enum tl_err audit_list_put(struct audit_list *list, struct tl_arena *arena, void *what);

/*
 * The page of facts[0..count), which are by (bucket, key); hour NULL for a day. All memory is the
 * block arena's, which is reset.
 */
TL_MUST enum tl_err audit_expect(struct audit *audit, uint32_t org, struct audit_fact *const *facts,
	size_t count, const struct audit_hour *hour, struct tl_page *page_out);

#endif
