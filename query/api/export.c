#include "query/api/export.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/api/params.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/net/http_stream.h"
#include "schema/wire/frame.h"
#include "schema/wire/reader.h"
#include "schema/wire/rows_text.h"

#define EXPORTS_MAX 4u
#define STREAM_BYTES_MAX (512u << 10)
#define PART_BYTES (256u << 10) /* put at once; the rest waits for the peer */
#define QUESTION_BYTES_MAX 16384u
#define PEER_MS_MAX 30000 /* without reading anything */
#define REPLY_DEPTH_MAX 16u

struct exports {
	struct tl_relay *relay;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t ended;
	uint32_t count;
};

/* One export, its own thread's once that runs. */
struct export
{
	struct exports *exports;
	struct tl_http_stream *stream;
	enum tl_rows_form form;
	struct tl_buf question; /* the first, without a cursor */
	struct tl_buf page, text;
	uint64_t row_count;
	char name[32]; /* of the request, for the log */
};

enum tl_err
exports_new(struct tl_relay *relay, struct exports **exports_out)
{
	struct exports *exports = calloc(1, sizeof(*exports));

	if (exports == NULL)
		return TL_ENOMEM;
	exports->relay = relay;
	pthread_mutex_init(&exports->mtx, NULL);
	pthread_cond_init(&exports->ended, NULL);
	*exports_out = exports;
	return TL_OK;
}

void
exports_free(struct exports *exports)
{
	if (exports == NULL)
		return;
	pthread_mutex_lock(&exports->mtx);
	while (exports->count > 0)
		pthread_cond_wait(&exports->ended, &exports->mtx);
	pthread_mutex_unlock(&exports->mtx);
	pthread_cond_destroy(&exports->ended);
	pthread_mutex_destroy(&exports->mtx);
	free(exports);
}

/* A place among those that may run at the same time. */
static bool
enter(struct exports *exports)
{
	bool has_room;

	pthread_mutex_lock(&exports->mtx);
	has_room = exports->count < EXPORTS_MAX;
	exports->count += has_room;
	pthread_mutex_unlock(&exports->mtx);
	return has_room;
}

static void
leave(struct exports *exports)
{
	pthread_mutex_lock(&exports->mtx);
	exports->count--;
	pthread_cond_signal(&exports->ended);
	pthread_mutex_unlock(&exports->mtx);
}

/* In the place that enter gave, which it leaves also when this fails. */
static struct export *
export_new(struct exports *exports, const char *name)
{
	struct export *export = calloc(1, sizeof(*export));

	if (export == NULL) {
		leave(exports);
		return NULL;
	}
	export->exports = exports;
	snprintf(export->name, sizeof(export->name), "%s", name);
	tl_buf_init(&export->question, QUESTION_BYTES_MAX);
	tl_buf_init(&export->page, 0);
	tl_buf_init(&export->text, 0);
	return export;
}

static void
export_free(struct export *export)
{
	struct exports *exports = export->exports;

	tl_buf_fini(&export->text);
	tl_buf_fini(&export->page);
	tl_buf_fini(&export->question);
	free(export);
	leave(exports);
}

/* The question that goes on at the cursor. */
static void
put_question(const struct export *export, struct tl_slice cursor, struct tl_buf *question)
{
	struct tl_reader first = tl_reader_of(tl_buf_slice(&export->question));
	struct tl_pack_open map = tl_pack_open_map(question);

	for (uint32_t count = tl_read_map(&first); count > 0; count--) {
		tl_buf_put_slice(question, tl_read_any(&first));
		tl_buf_put_slice(question, tl_read_any(&first));
		map.count++;
	}
	tl_pack_key_slice(question, &map, "cursor", cursor);
	tl_pack_close(question, &map);
}

/* All of the text, as fast as the peer reads. False: it does not, or is gone. */
static bool
send_text(struct export *export)
{
	struct tl_slice rest = tl_buf_slice(&export->text);

	while (rest.bytes > 0) {
		size_t bytes = rest.bytes < PART_BYTES ? rest.bytes : PART_BYTES;

		if (!tl_http_stream_wait(export->stream, PEER_MS_MAX) ||
			!tl_http_stream_put(export->stream, tl_slice_of(rest.data, bytes)))
			return false;
		rest = tl_slice_of(rest.data + bytes, rest.bytes - bytes);
	}
	return true;
}

static bool
send_page(struct export *export)
{
	tl_buf_reset(&export->text);
	if (export->row_count == 0)
		tl_rows_put_head(&export->text, export->form, tl_buf_slice(&export->page));
	export->row_count += tl_rows_put(&export->text, export->form, tl_buf_slice(&export->page));
	return !export->text.err && send_text(export);
}

/* Ask for the page after the one at hand. */
static enum tl_err
ask_page(struct export *export, struct tl_slice cursor)
{
	const struct tl_relay *relay = export->exports->relay;
	struct tl_buf question, page;
	struct tl_why why = {0};
	enum tl_err err;

	tl_buf_init(&question, 0);
	tl_buf_init(&page, 0);
	put_question(export, cursor, &question);
	err = tl_req_client_call(relay->clients[TL_RELAY_QUERY], tl_buf_slice(&question),
		relay->timeout_ms, &page, &why);
	if (!err)
		err = tl_reader_check(tl_buf_slice(&page), REPLY_DEPTH_MAX, &why);
	if (!err)
		err = tl_frame_reply_status(tl_buf_slice(&page), &why);
	if (err)
		tl_log(TL_LOG_WARN, "request=%s export ends early rows=%" PRIu64 " why=\"%s\"",
			export->name, export->row_count, why.text);
	tl_buf_fini(&question);
	tl_buf_fini(&export->page);
	export->page = page;
	return err;
}

static void *
export_main(void *arg)
{
	struct export *export = arg;
	bool is_whole = false;

	tl_thread_name("http-export");
	while (send_page(export)) {
		struct tl_slice cursor =
			tl_reader_find_str(tl_buf_slice(&export->page), "next_cursor");

		is_whole = cursor.bytes == 0;
		if (is_whole || ask_page(export, cursor))
			break;
	}
	tl_http_stream_end(export->stream, is_whole);
	export_free(export);
	return NULL;
}

static enum tl_err
start(struct export *export, struct tl_http_request *request)
{
	pthread_t thread;
	enum tl_err err;

	tl_http_reply_header(request, "Content-Disposition",
		export->form == TL_ROWS_CSV ? "attachment; filename=\"tally.csv\""
					    : "attachment; filename=\"tally.ndjson\"");
	err = tl_http_stream_open(request,
		export->form == TL_ROWS_CSV ? "text/csv; charset=utf-8" : "application/x-ndjson",
		STREAM_BYTES_MAX, &export->stream);
	if (err)
		return err;
	if (pthread_create(&thread, NULL, export_main, export) == 0) {
		pthread_detach(thread);
	} else { /* it is answered, with a cut */
		tl_http_stream_end(export->stream, false);
		export_free(export);
	}
	return TL_OK;
}

/* False: the request was refused. */
static bool
read_request(
	struct export *export, struct tl_http_request *request, const struct tl_relay_route *route)
{
	struct tl_slice form = tl_http_target_param(tl_http_request_target(request), "format");
	struct tl_pack_open map;
	bool is_read;

	if (form.bytes == 0)
		form = tl_slice_str("csv");
	if (!tl_rows_form_parse(form, &export->form)) {
		tl_relay_refuse(request, TL_EBAD_PARAM, "format", "csv or ndjson");
		return false;
	}
	map = tl_relay_question(&export->question, request, route);
	is_read = params_put(&export->question, &map, request, route);
	tl_pack_close(&export->question, &map);
	return is_read;
}

/* On success the export goes on by itself; else the request was refused. */
static bool
begin(struct export *export, struct tl_http_request *request, const struct tl_relay_route *route)
{
	struct tl_relay *relay = export->exports->relay;
	enum tl_err err;

	if (!read_request(export, request, route) ||
		tl_relay_ask(relay, request, TL_RELAY_QUERY, &export->question, &export->page))
		return false;
	err = start(export, request);
	if (err)
		tl_http_reply_error(request, err, NULL);
	return !err;
}

void
export_serve(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_relay *relay = arg;
	struct export *export;

	if (!enter(relay->exports)) {
		tl_http_reply_error(request, TL_EOVERLOADED, NULL);
		return;
	}
	export = export_new(relay->exports, tl_http_request_name(request));
	if (export == NULL)
		tl_http_reply_error(request, TL_ENOMEM, NULL);
	else if (!begin(export, request, route->what))
		export_free(export);
}
