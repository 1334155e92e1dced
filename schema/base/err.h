/* Error codes: one enum for the whole program, their wire names, retry classes and texts. */
#ifndef TL_BASE_ERR_H
#define TL_BASE_ERR_H

#include <stddef.h>

#define TL_MUST __attribute__((warn_unused_result))
#define TL_PRINTF(fmt_idx, args_idx) __attribute__((format(printf, fmt_idx, args_idx)))

/* What a caller does with a refusal. "same" and "after" re-send identical bytes. */
enum tl_retry {
	TL_RETRY_NEVER,
	TL_RETRY_SAME,
	TL_RETRY_AFTER,
	TL_RETRY_SUCCESS,
};

/*
 * X(symbol, wire name, HTTP status, retry class, text for a person)
 * The order is the numbering; codes are never stored, so rows may be inserted anywhere.
 */
#define TL_ERR_LIST(X)                                                                             \
	/* inside the program, never on the wire */                                                \
	X(TL_EEND, "end", 500, TL_RETRY_NEVER, "nothing more")                                     \
	X(TL_ENOMEM, "no_memory", 503, TL_RETRY_AFTER, "out of memory")                            \
	X(TL_EIO, "io", 503, TL_RETRY_AFTER, "input or output failed")                             \
	X(TL_ELOCKED, "locked", 503, TL_RETRY_AFTER, "the data directory is in use")               \
	X(TL_ENOSPACE, "no_space", 507, TL_RETRY_AFTER, "no space left")                           \
	X(TL_ETIMEOUT, "timeout", 503, TL_RETRY_AFTER, "no answer in time")                        \
	X(TL_ECLOSED, "closed", 503, TL_RETRY_AFTER, "closed")                                     \
	X(TL_EFULL, "full", 503, TL_RETRY_AFTER, "a bound was reached")                            \
	X(TL_EUSAGE, "usage", 400, TL_RETRY_NEVER, "wrong usage")                                  \
	X(TL_ECONFIG, "config", 500, TL_RETRY_NEVER, "wrong configuration")                        \
	/* batch level: nothing of the batch was stored */                                         \
	X(TL_EFRAME_MALFORMED, "frame_malformed", 400, TL_RETRY_NEVER,                             \
		"the frame is not one well-formed msgpack map")                                    \
	X(TL_EBATCH_EMPTY, "batch_empty", 400, TL_RETRY_NEVER, "the batch holds no event")         \
	X(TL_ETOO_DEEP, "too_deep", 400, TL_RETRY_NEVER, "nested deeper than the limit")           \
	X(TL_EFRAME_TOO_LARGE, "frame_too_large", 413, TL_RETRY_NEVER,                             \
		"the frame is larger than the limit; split it")                                    \
	X(TL_ETOO_MANY_EVENTS, "too_many_events", 413, TL_RETRY_NEVER,                             \
		"more events than the limit; split the batch")                                     \
	X(TL_EVERSION_UNSUPPORTED, "version_unsupported", 400, TL_RETRY_NEVER,                     \
		"this protocol version is not spoken here")                                        \
	X(TL_EUNAUTHENTICATED, "unauthenticated", 401, TL_RETRY_NEVER,                             \
		"the credential is missing, unknown, expired or revoked")                          \
	X(TL_EFORBIDDEN, "forbidden", 403, TL_RETRY_NEVER, "this credential may not do that")      \
	X(TL_ENOT_FOUND, "not_found", 404, TL_RETRY_NEVER, "no such thing")                        \
	X(TL_ERATE_LIMITED, "rate_limited", 429, TL_RETRY_AFTER, "too many requests")              \
	X(TL_EOVERLOADED, "overloaded", 503, TL_RETRY_AFTER, "busy, send again later")             \
	X(TL_EID_INDEX_FULL, "id_index_full", 503, TL_RETRY_AFTER, "the id index is at its cap")   \
	X(TL_ESTARTING, "starting", 503, TL_RETRY_SAME, "not ready yet")                           \
	X(TL_ESHUTTING_DOWN, "shutting_down", 503, TL_RETRY_SAME, "stopping")                      \
	X(TL_EDISK_FULL, "disk_full", 507, TL_RETRY_AFTER, "free space is below the floor")        \
	X(TL_ESTORAGE_UNAVAILABLE, "storage_unavailable", 503, TL_RETRY_AFTER,                     \
		"storage failed; nothing of this was stored")                                      \
	X(TL_ESTORAGE_CORRUPT, "storage_corrupt", 500, TL_RETRY_NEVER,                             \
		"stored bytes are damaged; run tally verify")                                      \
	X(TL_EACKED_DATA_MISSING, "acked_data_missing", 503, TL_RETRY_AFTER,                       \
		"acknowledged data is missing from the store")                                     \
	X(TL_ECLOCK_UNTRUSTED, "clock_untrusted", 503, TL_RETRY_AFTER, "the clock is not trusted") \
	X(TL_EFORMAT_TOO_NEW, "format_too_new", 500, TL_RETRY_NEVER,                               \
		"the data directory was written by a newer version")                               \
	X(TL_EFORMAT_TOO_OLD, "format_too_old", 500, TL_RETRY_NEVER,                               \
		"the data directory was written by an older version")                              \
	/* event level: the event is refused, its siblings go on */                                \
	X(TL_EEVENT_NOT_MAP, "event_not_map", 400, TL_RETRY_NEVER, "the event is not a map")       \
	X(TL_EFIELD_MISSING, "field_missing", 400, TL_RETRY_NEVER, "a required field is missing")  \
	X(TL_EFIELD_TYPE, "field_type", 400, TL_RETRY_NEVER, "the field has the wrong type")       \
	X(TL_EFIELD_DUPLICATE, "field_duplicate", 400, TL_RETRY_NEVER, "the field appears twice")  \
	X(TL_EFIELD_UNKNOWN, "field_unknown", 400, TL_RETRY_NEVER, "no such field")                \
	X(TL_EEVENT_TOO_LARGE, "event_too_large", 400, TL_RETRY_NEVER,                             \
		"the event is larger than the limit")                                              \
	X(TL_EID_INVALID, "id_invalid", 400, TL_RETRY_NEVER, "the id cannot identify an event")    \
	X(TL_EDUPLICATE, "duplicate", 200, TL_RETRY_SUCCESS, "stored before")                      \
	X(TL_EREV_STALE, "rev_stale", 200, TL_RETRY_SUCCESS, "a higher revision is stored")        \
	X(TL_EID_CONFLICT, "id_conflict", 409, TL_RETRY_NEVER,                                     \
		"the id is stored with other content; the first stays")                            \
	X(TL_EREV_AFTER_HORIZON, "rev_after_horizon", 400, TL_RETRY_NEVER,                         \
		"the event to correct is outside the window")                                      \
	X(TL_ETIME_TOO_OLD, "time_too_old", 400, TL_RETRY_NEVER,                                   \
		"older than the window; use tally import")                                         \
	X(TL_ETIME_IN_FUTURE, "time_in_future", 400, TL_RETRY_AFTER,                               \
		"further ahead of the clock than the limit")                                       \
	X(TL_ETIME_INVALID, "time_invalid", 400, TL_RETRY_NEVER, "not a time in milliseconds")     \
	X(TL_EAMOUNT_NOT_INTEGER, "amount_not_integer", 400, TL_RETRY_NEVER,                       \
		"an amount is a whole number of nano-dollars")                                     \
	X(TL_EAMOUNT_NEGATIVE, "amount_negative", 400, TL_RETRY_NEVER, "the amount is negative")   \
	X(TL_EAMOUNT_TOO_LARGE, "amount_too_large", 400, TL_RETRY_NEVER,                           \
		"the amount is above the limit")                                                   \
	X(TL_EAMOUNT_OVERFLOW, "amount_overflow", 400, TL_RETRY_NEVER,                             \
		"the sum would leave the range of 63 bits")                                        \
	X(TL_ETOKENS_NEGATIVE, "tokens_negative", 400, TL_RETRY_NEVER, "the count is negative")    \
	X(TL_ETOKENS_TOO_LARGE, "tokens_too_large", 400, TL_RETRY_NEVER,                           \
		"the count is above the limit")                                                    \
	X(TL_ETOKENS_INCONSISTENT, "tokens_inconsistent", 400, TL_RETRY_NEVER,                     \
		"a part is larger than its whole")                                                 \
	X(TL_EORG_UNKNOWN, "org_unknown", 400, TL_RETRY_NEVER, "no org follows from the event")    \
	X(TL_EKEY_UNKNOWN, "key_unknown", 400, TL_RETRY_NEVER, "no such key")                      \
	X(TL_EKEY_REVOKED, "key_revoked", 400, TL_RETRY_NEVER,                                     \
		"the key was revoked before this event")                                           \
	X(TL_EMEMBER_UNKNOWN, "member_unknown", 400, TL_RETRY_NEVER, "no such member")             \
	X(TL_ESTRING_TOO_LONG, "string_too_long", 400, TL_RETRY_NEVER,                             \
		"the text is longer than the limit")                                               \
	X(TL_ESTRING_NOT_UTF8, "string_not_utf8", 400, TL_RETRY_NEVER, "the text is not UTF-8")    \
	X(TL_ESTRING_CONTROL, "string_control", 400, TL_RETRY_NEVER,                               \
		"the text holds a control character")                                              \
	X(TL_ESEAT_LIMIT, "seat_limit", 200, TL_RETRY_SUCCESS, "counted above the seat limit")     \
	/* tag level: the event is accepted, the tag is dropped */                                 \
	X(TL_EREPO_INVALID, "repo_invalid", 200, TL_RETRY_SUCCESS, "not a repository")             \
	X(TL_EPR_INVALID, "pr_invalid", 200, TL_RETRY_SUCCESS, "not a pull request")               \
	X(TL_ECOMMIT_INVALID, "commit_invalid", 200, TL_RETRY_SUCCESS, "not a commit id")          \
	X(TL_ECARDINALITY_LIMIT, "cardinality_limit", 200, TL_RETRY_SUCCESS,                       \
		"too many distinct names; counted as other")                                       \
	/* query level */                                                                          \
	X(TL_EBAD_PARAM, "bad_param", 400, TL_RETRY_NEVER, "a parameter is wrong")                 \
	X(TL_ERANGE_INVALID, "range_invalid", 400, TL_RETRY_NEVER, "the range is not a range")     \
	X(TL_ERANGE_TOO_LONG, "range_too_long", 400, TL_RETRY_NEVER,                               \
		"the range is longer than the limit")                                              \
	X(TL_EEDGE_UNAVAILABLE, "edge_unavailable", 400, TL_RETRY_NEVER,                           \
		"that edge needs raw events that have expired; use whole hours")                   \
	X(TL_ECURSOR_INVALID, "cursor_invalid", 400, TL_RETRY_NEVER, "not a cursor of this query") \
	X(TL_ECONFLICT, "conflict", 409, TL_RETRY_NEVER, "the present state does not allow that")  \
	X(TL_ECONFIRM_REQUIRED, "confirm_required", 409, TL_RETRY_NEVER,                           \
		"type the name of the thing to confirm")                                           \
	X(TL_EREVEAL_OFF, "reveal_off", 409, TL_RETRY_NEVER,                                       \
		"keys are stored as hashes; rotate instead")                                       \
	/* HTTP level */                                                                           \
	X(TL_EBAD_HEADER, "bad_header", 400, TL_RETRY_NEVER, "the request's head is ambiguous")    \
	X(TL_EBAD_LENGTH, "bad_length", 400, TL_RETRY_NEVER, "the body's length is ambiguous")     \
	X(TL_EBAD_METHOD, "bad_method", 405, TL_RETRY_NEVER, "this path does not take the method") \
	X(TL_EREQUEST_TIMEOUT, "request_timeout", 408, TL_RETRY_NEVER,                             \
		"the request took too long to arrive")                                             \
	X(TL_EURI_TOO_LONG, "uri_too_long", 414, TL_RETRY_NEVER,                                   \
		"the address is longer than the limit")                                            \
	X(TL_EBAD_CONTENT_TYPE, "bad_content_type", 415, TL_RETRY_NEVER,                           \
		"this path does not take that content type")                                       \
	X(TL_EHEADER_TOO_LARGE, "header_too_large", 431, TL_RETRY_NEVER,                           \
		"the request's head is larger than the limit")                                     \
	/* browsers */                                                                             \
	X(TL_ECSRF_FAILED, "csrf_failed", 403, TL_RETRY_NEVER,                                     \
		"the request does not show that a page of this server made it")                    \
	X(TL_EORIGIN_NOT_ALLOWED, "origin_not_allowed", 403, TL_RETRY_NEVER,                       \
		"the request comes from another origin")                                           \
	X(TL_EINTERNAL, "internal", 500, TL_RETRY_SAME, "an internal error")

enum tl_err {
	TL_OK = 0,
#define X(symbol, name, http, retry, text) symbol,
	TL_ERR_LIST(X)
#undef X
		TL_ERR_COUNT
};

/* The name on the wire and in logs, "ok" for TL_OK. Static. */
const char *tl_err_name(enum tl_err err);

/* One sentence for a person, without a full stop. Static. */
const char *tl_err_text(enum tl_err err);

enum tl_retry tl_err_retry(enum tl_err err);

/* "never", "same", "after" or "success". Static. */
const char *tl_retry_name(enum tl_retry retry);

int tl_err_http(enum tl_err err);

/* The code whose wire name is name (text_bytes long), or TL_EINTERNAL. */
enum tl_err tl_err_from_name(const char *name, size_t name_bytes);

/* What a stranger is told instead of a code that is only about this program's inside. */
enum tl_err tl_err_outward(enum tl_err err);

/* One line for the operator about a failure; the first tl_fail wins nothing, the last one stands.
 */
struct tl_why {
	char text[240];
};

/* Fill why (may be NULL) and return err, so that a failure is one statement. */
enum tl_err tl_fail(struct tl_why *why, enum tl_err err, const char *fmt, ...) TL_PRINTF(3, 4);

#endif
