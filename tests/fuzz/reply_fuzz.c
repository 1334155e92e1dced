/*
 * What a client makes of a reply: whatever the bytes, there is one verdict, its words end, and the
 * walk over its errors ends too. Error replies of ours come back as the code they were made of.
 */
#include "ingest/client/push_reply.h"
#include "schema/wire/frame.h"
#include "schema/wire/json.h"
#include "schema/wire/reader.h"
#include "tests/fuzz/fuzz.h"

static void
check_push(struct tl_slice message)
{
	struct push_reply reply;
	struct push_reply_errors errors;
	struct tl_why why = {""};
	uint32_t walked = 0;
	uint32_t count;

	push_reply_read(message, &reply, &why);
	assert(memchr(reply.code, '\0', sizeof(reply.code)) != NULL);
	assert(memchr(reply.field, '\0', sizeof(reply.field)) != NULL);
	if (reply.verdict == PUSH_ACKNOWLEDGED)
		assert(tl_frame_reply_status(message, NULL) == TL_OK);
	if (reply.verdict == PUSH_REFUSED || reply.verdict == PUSH_AGAIN)
		assert(reply.code[0] != '\0');
	push_reply_errors_of(&reply, &errors);
	count = errors.left_count;
	while (push_reply_errors_next(&errors))
		walked++;
	assert(walked <= count && walked <= message.bytes);
}

/* The first bytes choose a code, the rest is its message. */
static void
check_error(struct tl_slice input)
{
	static struct tl_buf reply;
	struct tl_cursor cur = tl_cursor_of(input);
	enum tl_err err = (enum tl_err)(1 + tl_cursor_u8(&cur) % (TL_ERR_COUNT - 1));
	struct tl_error_detail detail = {.limit = (int64_t)tl_cursor_be64(&cur),
		.retry_after_ms = tl_cursor_be16(&cur),
		.field = "model"};
	struct push_reply read;
	struct tl_why why;

	tl_buf_reset(&reply);
	tl_frame_put_error(&reply, err, &detail);
	assert(tl_frame_reply_status(tl_buf_slice(&reply), &why) == err);
	push_reply_read(tl_buf_slice(&reply), &read, &why);
	assert(read.verdict == (tl_err_retry(err) == TL_RETRY_NEVER ? PUSH_REFUSED : PUSH_AGAIN));
	assert(strcmp(read.code, tl_err_name(err)) == 0 && strcmp(read.field, "model") == 0);
	assert(read.retry_after_ms == detail.retry_after_ms);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice message = tl_slice_of(data, bytes);

	check_push(message);
	if (bytes > 0 && bytes < 16)
		check_error(message);
	return 0;
}
