#include "ingest/links.h"

#include "schema/model/limits.h"

/*
 * A link's value came as text, "host/owner/name", "host/owner/name#N" or "#N": a repo symbol and a
 * number from here on, so that stored rows hold dense ids alone.
 */
static enum tl_err
split_link(struct tl_batch *batch, uint32_t row_idx)
{
	struct tl_slice value = batch->symbols[batch->column[TL_COL_VALUE][row_idx]].text;
	size_t repo_bytes = 0;
	int64_t number = 0;
	uint32_t repo = 0;
	enum tl_err err;

	while (repo_bytes < value.bytes && value.data[repo_bytes] != '#')
		repo_bytes++;
	for (size_t i = repo_bytes + 1; i < value.bytes && number <= TL_PR_MAX; i++)
		number = number * 10 + (value.data[i] - '0');
	if (repo_bytes > 0) {
		err = tl_batch_symbol(
			batch, TL_NAME_REPO, tl_slice_of(value.data, repo_bytes), &repo);
		if (err)
			return err;
	}
	batch->column[TL_COL_VALUE][row_idx] = 0;
	err = tl_batch_set(batch, TL_COL_REPO, row_idx, repo);
	if (!err)
		err = tl_batch_set(batch, TL_COL_PR, row_idx, number);
	return err;
}

enum tl_err
links_split(struct tl_batch *batch)
{
	enum tl_err err = TL_OK;

	if (batch->column[TL_COL_LINK_OP] == NULL || batch->column[TL_COL_VALUE] == NULL)
		return TL_OK;
	for (uint32_t i = 0; i < batch->row_count && !err; i++) {
		int64_t op = batch->column[TL_COL_LINK_OP][i];

		if (batch->column[TL_COL_VALUE][i] == 0)
			continue;
		if (op == TL_LINK_SET_REPO || op == TL_LINK_ADD_PR)
			err = split_link(batch, i);
	}
	return err;
}
