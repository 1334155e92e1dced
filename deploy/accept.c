#include "deploy/accept.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/opening.h"
#include "schema/store/loss.h"

#define NUSD_PER_USD 1000000000

/* What was promised and what is there. */
struct gap {
	bool is_acked_known;
	bool is_missing;
	struct tl_highwater_mark acked;
	struct tl_highwater_mark have;
	struct tl_why refusal; /* what a start says */
};

/* A store without its mark file, or whose mark file is damaged, cannot say what it acknowledged. */
static enum tl_err
read_acked(const char *mark_path, struct gap *gap)
{
	enum tl_err err = tl_highwater_read(mark_path, &gap->acked, &gap->refusal);

	gap->is_acked_known = err == TL_OK;
	gap->is_missing = err == TL_ESTORAGE_CORRUPT;
	if (err)
		gap->acked = (struct tl_highwater_mark){.group_no = 0};
	return err == TL_ENOT_FOUND || err == TL_ESTORAGE_CORRUPT ? TL_OK : err;
}

static enum tl_err
compare(struct tl_store *store, const char *mark_path, struct gap *gap, struct tl_why *why)
{
	const struct tl_highwater_mark nothing = {.group_no = 0};
	struct tl_highwater_mark now;
	enum tl_err err;

	err = tl_highwater_check(store, &nothing, &gap->have, why);
	if (err == TL_EACKED_DATA_MISSING) {
		fputs("The journal has a hole: a log in the middle is gone, and what came after "
		      "it does not stand alone.\nMove DATA/db/*.log away, which leaves the state "
		      "of "
		      "the last flush point, and ask again; or restore a backup.\n",
			stderr);
		return err;
	}
	if (err || gap->is_missing)
		return err;
	err = opening_check_mark(store, mark_path, &now, &gap->refusal);
	gap->is_missing = err == TL_EACKED_DATA_MISSING;
	if (err && !gap->is_missing)
		*why = gap->refusal;
	return gap->is_missing ? TL_OK : err;
}

static int64_t
missing_nusd(const struct gap *gap)
{
	return gap->is_acked_known ? (int64_t)(gap->acked.cost_nusd - gap->have.cost_nusd) : 0;
}

static void
print_gap(const struct gap *gap)
{
	int64_t nusd = missing_nusd(gap);

	printf("%s\nhave: %" PRIu64 " events in %" PRIu64 " groups\n", gap->refusal.text,
		gap->have.seq, gap->have.group_no);
	if (!gap->is_acked_known) {
		puts("acked: not known, the mark file is gone or damaged");
		return;
	}
	printf("acked: %" PRIu64 " events in %" PRIu64 " groups\n", gap->acked.seq,
		gap->acked.group_no);
	if (gap->acked.group_no > gap->have.group_no)
		printf("missing: groups %" PRIu64 " to %" PRIu64 ", %" PRIu64 " events, %s$%" PRIu64
		       ".%09" PRIu64 "\n",
			gap->have.group_no + 1, gap->acked.group_no, gap->acked.seq - gap->have.seq,
			nusd < 0 ? "-" : "", (uint64_t)llabs(nusd) / NUSD_PER_USD,
			(uint64_t)llabs(nusd) % NUSD_PER_USD);
}

static enum tl_err
confirm(const struct gap *gap, const char *have_text, struct tl_why *why)
{
	char *end = NULL;
	uint64_t have = strtoull(have_text, &end, 10);

	if (!gap->is_missing)
		return tl_fail(why, TL_EBAD_PARAM, "nothing is missing");
	if (have_text[0] < '0' || have_text[0] > '9' || *end != '\0' || have != gap->have.seq)
		return tl_fail(why, TL_EBAD_PARAM,
			"to go on with what there is: accept-loss --have %" PRIu64, gap->have.seq);
	return TL_OK;
}

/* The row and the epoch first: a mark that is still the old one refuses the next start. */
static enum tl_err
record(const char *data_dir, const char *mark_path, struct gap *gap, struct tl_why *why)
{
	struct tl_store *store = NULL;
	struct tl_loss loss = {
		.accepted_ms = tl_clock_wall_ms(tl_clock_system()),
		.have_group_no = gap->have.group_no,
		.have_seq = gap->have.seq,
		.acked_group_no = gap->acked.group_no,
		.acked_seq = gap->acked.seq,
		.cost_nusd = missing_nusd(gap),
	};
	enum tl_err err = tl_store_open(&(struct tl_store_options){.dir = data_dir}, &store, why);

	if (!err)
		err = tl_loss_accept(store, &loss, why);
	gap->have.epoch = loss.epoch;
	if (!err)
		err = tl_highwater_make(mark_path, &gap->have, why);
	if (!err)
		err = tl_highwater_expect(store, why);
	tl_store_close(store);
	if (!err)
		printf("accepted: epoch %016" PRIx64 " before, %016" PRIx64
		       " from now on; 'tallyd dump mark' shows the record\n",
			loss.epoch_before, loss.epoch);
	return err;
}

/* The database itself is gone: the next start makes a new one, with an epoch of its own. */
static enum tl_err
accept_all(const char *mark_path, struct gap *gap, const char *have_text, struct tl_why *why)
{
	enum tl_err err;

	gap->is_missing |= gap->acked.group_no > 0;
	if (gap->is_missing)
		print_gap(gap);
	err = confirm(gap, have_text, why);
	if (!err)
		err = tl_highwater_make(mark_path, &(struct tl_highwater_mark){.group_no = 0}, why);
	if (!err)
		puts("accepted: the next start makes a new store, with a new epoch");
	return err;
}

enum tl_err
accept_loss(const char *data_dir, const char *mark_path, const char *have_text, struct tl_why *why)
{
	struct gap gap = {.is_acked_known = false};
	struct tl_store *store = NULL;
	enum tl_err err = read_acked(mark_path, &gap);

	if (err) {
		*why = gap.refusal;
		return err;
	}
	err = tl_store_open(
		&(struct tl_store_options){.dir = data_dir, .read_only = true}, &store, why);
	if (err == TL_ENOT_FOUND)
		return accept_all(mark_path, &gap, have_text, why);
	if (!err)
		err = compare(store, mark_path, &gap, why);
	tl_store_close(store);
	if (err)
		return err;
	if (gap.is_missing)
		print_gap(&gap);
	err = confirm(&gap, have_text, why);
	return err ? err : record(data_dir, mark_path, &gap, why);
}
