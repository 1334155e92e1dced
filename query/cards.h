/* Cards of repositories, pull requests and models, for every reply that shows them. */
#ifndef QUERY_CARDS_H
#define QUERY_CARDS_H

#include "query/listing.h"

enum cards_which {
	CARDS_REPOS,
	CARDS_PULLS,
	CARDS_MODELS,
};

struct cards_kind;

/* The cards of a page, in order. In the job's arena. */
struct cards {
	const struct cards_kind *kind;
	const struct board *board;
	struct listing_row *rows;
	struct reply_page page;
};

/* The dimension that the board of such cards has. */
enum tl_dim cards_dim(enum cards_which which);

TL_MUST enum tl_err cards_read(struct query_job *job, enum cards_which which,
	const struct board *board, uint32_t first, uint32_t limit, struct cards *cards_out,
	struct tl_why *why);

/* repos, pulls or models: [cards of the page]. */
void cards_put(struct query_job *job, struct tl_pack_open *map, const struct cards *cards);

/* The repositories with the most sessions, of the board that their cards have. */
struct top_repos {
	const char *state;
	struct listing_row *rows;
	struct reply_page page;
};

TL_MUST enum tl_err top_repos_read(struct query_job *job, const struct board *board, uint32_t first,
	uint32_t limit, struct top_repos *top_out, struct tl_why *why);

/* state, and repos: [of the page]. */
void top_repos_put(struct query_job *job, struct tl_pack_open *map, const struct top_repos *top);

#endif
