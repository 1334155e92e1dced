#include "schema/store/loss.h"

#include <inttypes.h>
#include <stdio.h>

#include "schema/base/crypt.h"
#include "schema/store/key.h"
#include "schema/store/store_private.h"

#define VERSION 1
#define KEY_PREFIX "loss."
#define MARK_EPOCH "epoch"

void
tl_loss_encode(const struct tl_loss *loss, struct tl_buf *buf)
{
	tl_buf_put_u8(buf, VERSION);
	tl_buf_put_zigzag(buf, loss->accepted_ms);
	tl_buf_put_be64(buf, loss->epoch_before);
	tl_buf_put_be64(buf, loss->epoch);
	tl_buf_put_varint(buf, loss->have_group_no);
	tl_buf_put_varint(buf, loss->have_seq);
	tl_buf_put_varint(buf, loss->acked_group_no);
	tl_buf_put_varint(buf, loss->acked_seq);
	tl_buf_put_zigzag(buf, loss->cost_nusd);
}

enum tl_err
tl_loss_decode(struct tl_slice bytes, struct tl_loss *loss_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_loss loss;
	uint8_t version = tl_cursor_u8(&cur);

	loss.accepted_ms = tl_cursor_zigzag(&cur);
	loss.epoch_before = tl_cursor_be64(&cur);
	loss.epoch = tl_cursor_be64(&cur);
	loss.have_group_no = tl_cursor_varint(&cur);
	loss.have_seq = tl_cursor_varint(&cur);
	loss.acked_group_no = tl_cursor_varint(&cur);
	loss.acked_seq = tl_cursor_varint(&cur);
	loss.cost_nusd = tl_cursor_zigzag(&cur);
	if (cur.err || version != VERSION || tl_cursor_left(&cur) > 0)
		return TL_ESTORAGE_CORRUPT;
	*loss_out = loss;
	return TL_OK;
}

bool
tl_loss_is_key(struct tl_slice key)
{
	size_t bytes = strlen(KEY_PREFIX);

	return key.bytes > bytes && memcmp(key.data, KEY_PREFIX, bytes) == 0;
}

enum tl_err
tl_loss_accept(struct tl_store *store, struct tl_loss *loss, struct tl_why *why)
{
	struct tl_key epoch_key = tl_key_mark(MARK_EPOCH);
	struct tl_key loss_key;
	struct tl_write *write = NULL;
	char name[sizeof(KEY_PREFIX) + 16];
	uint8_t epoch[8];
	struct tl_buf row;
	enum tl_err err = tl_write_new(store, &write);

	if (err)
		return err;
	loss->epoch_before = store->epoch;
	do
		tl_random(&loss->epoch, sizeof(loss->epoch));
	while (loss->epoch == 0 || loss->epoch == loss->epoch_before);
	tl_put_be64(epoch, loss->epoch);
	snprintf(name, sizeof(name), KEY_PREFIX "%016" PRIx64, loss->epoch);
	loss_key = tl_key_mark(name);
	tl_buf_init(&row, 0);
	tl_loss_encode(loss, &row);
	err = row.err;
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&loss_key), tl_buf_slice(&row));
	tl_write_put(
		write, TL_FAMILY_MARK, tl_key_slice(&epoch_key), tl_slice_of(epoch, sizeof(epoch)));
	if (!err)
		err = tl_write_commit(write, TL_SYNC, why);
	if (!err)
		store->epoch = loss->epoch;
	tl_buf_fini(&row);
	tl_write_free(write);
	return err;
}
