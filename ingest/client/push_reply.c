#include "ingest/client/push_reply.h"

#include <stdio.h>

#include "schema/wire/reader.h"

#define REPLY_DEPTH_MAX 16u

static void
word_copy(char word_out[PUSH_WORD_BYTES], struct tl_slice word)
{
	size_t bytes = word.bytes < PUSH_WORD_BYTES ? word.bytes : PUSH_WORD_BYTES - 1;

	if (bytes > 0)
		memcpy(word_out, word.data, bytes);
	word_out[bytes] = '\0';
}

/* The server's own word for it first: a newer one may have codes that are not known here. */
static bool
is_never(struct tl_slice error, enum tl_err err)
{
	struct tl_slice retry = tl_reader_find_str(error, "retry");

	if (retry.bytes > 0)
		return tl_slice_eq(retry, tl_slice_str(tl_retry_name(TL_RETRY_NEVER)));
	return tl_err_retry(err) == TL_RETRY_NEVER;
}

static void
error_read(
	struct tl_slice message, struct tl_slice error, enum tl_err err, struct push_reply *reply)
{
	word_copy(reply->code, tl_reader_find_str(error, "code"));
	word_copy(reply->field, tl_reader_find_str(error, "field"));
	reply->retry_after_ms = tl_reader_find_int(message, "retry_after_ms", 0);
	reply->verdict = is_never(error, err) ? PUSH_REFUSED : PUSH_AGAIN;
}

void
push_reply_read(struct tl_slice message, struct push_reply *reply_out, struct tl_why *why)
{
	struct push_reply reply = {.verdict = PUSH_UNREADABLE};
	struct tl_reader reader;
	enum tl_err err;

	*reply_out = reply;
	if (tl_reader_check(message, REPLY_DEPTH_MAX, why) != TL_OK)
		return;
	err = tl_batch_answer_read(message, &reply.result, why);
	/* Without an error in it, a reply that is not ok is none: the code is only our word for it.
	 */
	if (err == TL_OK)
		reply.verdict = PUSH_ACKNOWLEDGED;
	else if (tl_reader_find(message, "error", &reader))
		error_read(message, tl_read_any(&reader), err, &reply);
	if (reply.verdict == PUSH_REFUSED || reply.verdict == PUSH_AGAIN) {
		if (reply.code[0] == '\0')
			reply.verdict = PUSH_UNREADABLE;
	}
	*reply_out = reply;
}

void
push_reply_errors_of(const struct push_reply *reply, struct push_reply_errors *errors_out)
{
	struct tl_reader reader = tl_reader_of(reply->result.errors);

	*errors_out = (struct push_reply_errors){0};
	if (reply->result.errors.bytes == 0)
		return;
	errors_out->left_count = tl_read_array(&reader);
	errors_out->left = tl_slice_of(reader.next, (size_t)(reader.end - reader.next));
}

bool
push_reply_errors_next(struct push_reply_errors *errors)
{
	struct tl_reader reader = tl_reader_of(errors->left);
	struct tl_slice error;

	if (errors->left_count == 0)
		return false;
	error = tl_read_any(&reader);
	if (reader.err)
		return false;
	errors->left_count--;
	errors->left = tl_slice_of(reader.next, (size_t)(reader.end - reader.next));
	word_copy(errors->code, tl_reader_find_str(error, "code"));
	word_copy(errors->field, tl_reader_find_str(error, "field"));
	return true;
}
