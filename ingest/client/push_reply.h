/* What a reply to a batch means for whoever sent it. */
#ifndef CLIENT_PUSH_REPLY_H
#define CLIENT_PUSH_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/wire/event_wire.h"

enum push_verdict {
	PUSH_ACKNOWLEDGED, /* result says what became of the events */
	PUSH_REFUSED,	   /* all of it, for good: code and field say why */
	PUSH_AGAIN,	   /* nothing of it was stored: the same bytes after a wait */
	PUSH_UNREADABLE,   /* no reply of ours: as if none had come */
};

#define PUSH_WORD_BYTES 64

struct push_reply {
	enum push_verdict verdict;
	struct tl_batch_result result; /* its errors lie in the message */
	char code[PUSH_WORD_BYTES];
	char field[PUSH_WORD_BYTES];
	int64_t retry_after_ms; /* 0: the server did not say */
};

/* why tells an operator about anything but an acknowledgement. */
void push_reply_read(struct tl_slice message, struct push_reply *reply_out, struct tl_why *why);

/*
 * Walk over result.errors: next is false at the end. code and field end in NUL; field may be "".
 * Valid while the message is.
 */
struct push_reply_errors {
	struct tl_slice left;
	uint32_t left_count;
	char code[PUSH_WORD_BYTES];
	char field[PUSH_WORD_BYTES];
};

void push_reply_errors_of(const struct push_reply *reply, struct push_reply_errors *errors_out);
bool push_reply_errors_next(struct push_reply_errors *errors);

#endif
