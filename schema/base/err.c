#include "schema/base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
	const char *name;
	const char *text;
	int http;
	enum tl_retry retry;
};

static const struct err_row rows[TL_ERR_COUNT] = {
	[TL_OK] = {"ok", "no error", 200, TL_RETRY_SUCCESS},
#define X(symbol, name, http, retry, text) [symbol] = {name, text, http, retry},
	TL_ERR_LIST(X)
#undef X
};

static const struct err_row *
row_of(enum tl_err err)
{
	assert(err < TL_ERR_COUNT);
	return &rows[err];
}

const char *
tl_err_name(enum tl_err err)
{
	return row_of(err)->name;
}

const char *
tl_err_text(enum tl_err err)
{
	return row_of(err)->text;
}

enum tl_retry
tl_err_retry(enum tl_err err)
{
	return row_of(err)->retry;
}

const char *
tl_retry_name(enum tl_retry retry)
{
	switch (retry) {
	case TL_RETRY_NEVER:
		return "never";
	case TL_RETRY_SAME:
		return "same";
	case TL_RETRY_AFTER:
		return "after";
	case TL_RETRY_SUCCESS:
		return "success";
	}
	assert(!"a retry class");
	return "never";
}

int
tl_err_http(enum tl_err err)
{
	return row_of(err)->http;
}

enum tl_err
tl_err_from_name(const char *name, size_t name_bytes)
{
	for (size_t i = 0; i < TL_ERR_COUNT; i++) {
		if (strlen(rows[i].name) == name_bytes &&
			memcmp(rows[i].name, name, name_bytes) == 0)
			return (enum tl_err)i;
	}
	return TL_EINTERNAL;
}

enum tl_err
tl_fail(struct tl_why *why, enum tl_err err, const char *fmt, ...)
{
	struct tl_why fresh;
	va_list args;

	if (!why)
		return err;

	/* Formatted aside, because a caller that adds to a line passes why->text as an argument. */
	va_start(args, fmt);
	if (vsnprintf(fresh.text, sizeof(fresh.text), fmt, args) < 0)
		snprintf(fresh.text, sizeof(fresh.text), "%s", tl_err_text(err));
	va_end(args);
	memcpy(why->text, fresh.text, strlen(fresh.text) + 1);
	return err;
}

enum tl_err
tl_err_outward(enum tl_err err)
{
	switch (err) {
	case TL_ENOMEM:
	case TL_EFULL:
	case TL_ETIMEOUT:
		return TL_EOVERLOADED;
	case TL_ECLOSED:
		return TL_ESHUTTING_DOWN;
	case TL_EIO:
	case TL_ELOCKED:
	case TL_ENOSPACE:
		return TL_ESTORAGE_UNAVAILABLE;
	case TL_OK:
	case TL_EEND:
	case TL_EUSAGE:
	case TL_ECONFIG:
		return TL_EINTERNAL;
	default:
		return err;
	}
}
