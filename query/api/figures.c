#include "query/api/figures.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/api/fresh.h"
#include "query/api/params.h"
#include "query/lru.h"
#include "schema/wire/reader.h"

/* What an ETag of a client may be old: within it an unchanged figure is not sent again. */
#define CLIENT_HAVE_AGE_MS 60000
#define MARK_BYTES_MAX 64
#define QUESTION_BYTES_MAX 16384

/* A body that was made, under the question it answers. */
struct made {
	struct lru_value value; /* first: what the cache keeps */
	struct tl_http_body *body;
	_Atomic(struct tl_http_ready *) ready[2]; /* plain and gzip; NULL: not asked for yet */
	char mark[MARK_BYTES_MAX];
};

struct figures_kept {
	struct lru *bodies;
};

enum tl_err
figures_kept_new(size_t bytes_max, struct figures_kept **kept_out)
{
	struct figures_kept *kept = calloc(1, sizeof(*kept));
	enum tl_err err;

	if (kept == NULL)
		return TL_ENOMEM;
	err = lru_new(bytes_max, &kept->bodies);
	if (err) {
		free(kept);
		return err;
	}
	*kept_out = kept;
	return TL_OK;
}

void
figures_kept_free(struct figures_kept *kept)
{
	if (kept == NULL)
		return;
	lru_free(kept->bodies);
	free(kept);
}

static void
made_free(struct lru_value *value)
{
	struct made *made = (struct made *)value;

	tl_http_ready_drop(made->ready[0]);
	tl_http_ready_drop(made->ready[1]);
	tl_http_body_drop(made->body);
	free(made);
}

/* A request, what asks for it, and what is known when the answer comes. */
struct asking {
	struct fresh_ask ask; /* first: while it waits among others */
	struct tl_relay *relay;
	struct tl_http_request *request;
	const struct tl_relay_route *route;
	struct tl_buf question;
	struct tl_buf key; /* of the kept body: the form, then the question without "have" */
	char client_mark[MARK_BYTES_MAX]; /* of the ETag the client has, or "" */
	struct made *made;		  /* pinned, NULL: none is kept */
};

/* W/"<mark>.j": the mark, and the form it is in. Others are not of ours. */
static void
read_client_mark(struct asking *asking, const char *form)
{
	struct tl_slice tag = tl_http_request_header(asking->request, "If-None-Match");
	char end[4];

	asking->client_mark[0] = '\0';
	snprintf(end, sizeof(end), ".%s\"", form);
	if (tag.bytes < 7 || tag.bytes >= MARK_BYTES_MAX || memcmp(tag.data, "W/\"", 3) != 0 ||
		memcmp(tag.data + tag.bytes - 3, end, 3) != 0)
		return;
	memcpy(asking->client_mark, tag.data + 3, tag.bytes - 6);
	asking->client_mark[tag.bytes - 6] = '\0';
}

static const char *
form_of(const struct tl_http_request *request)
{
	return tl_http_request_takes_msgpack(request) ? "m" : "j";
}

static void
put_etag(struct tl_http_request *request, const char *mark)
{
	char tag[MARK_BYTES_MAX + 8];

	snprintf(tag, sizeof(tag), "W/\"%s.%s\"", mark, form_of(request));
	tl_http_reply_header(request, "ETag", tag);
	tl_http_reply_header(request, "Cache-Control", "private, no-cache");
}

static void
keep(struct asking *asking, const char *mark, struct tl_http_body *body)
{
	struct lru *bodies = asking->relay->kept->bodies;
	struct made *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return;
	made->value = (struct lru_value){.free = made_free,
		.bytes = sizeof(*made) + tl_http_body_cost(body),
		.pin_count = 1};
	made->body = tl_http_body_hold(body);
	snprintf(made->mark, sizeof(made->mark), "%s", mark);
	lru_put(bodies, tl_buf_slice(&asking->key), &made->value);
	lru_unpin(bodies, &made->value);
}

/* The answer with the body, made for the first who wants it in this form. */
static struct tl_http_ready *
find_ready(struct made *made, struct tl_http_request *request)
{
	_Atomic(struct tl_http_ready *) *place = &made->ready[tl_http_request_takes_gzip(request)];
	struct tl_http_ready *ready = *place;
	struct tl_http_ready *none = NULL;

	if (ready != NULL)
		return ready;
	put_etag(request, made->mark);
	ready = tl_http_ready_new(request, tl_relay_content_type(request), made->body);
	if (ready == NULL || atomic_compare_exchange_strong(place, &none, ready))
		return ready;
	tl_http_ready_drop(ready); /* another was faster */
	return *place;
}

/* tallyd says that what the asker has is what it would answer. */
static void
answer_same(struct asking *asking)
{
	struct tl_http_request *request = asking->request;
	struct tl_http_ready *ready;

	if (asking->client_mark[0] != '\0') {
		put_etag(request, asking->client_mark);
		tl_http_reply(request, 304, NULL, NULL);
		return;
	}
	ready = find_ready(asking->made, request);
	if (ready != NULL)
		tl_http_reply_ready(request, ready);
	else
		tl_http_reply_error(request, TL_ENOMEM, NULL);
}

/* A team that fits is exactly three members (SPEC 4); the other replies keep v and ok. */
static enum tl_err
make_body(struct asking *asking, struct tl_slice reply, struct tl_http_body **body_out)
{
	static const char *const envelope[] = {"v", "ok", NULL};
	struct tl_buf bare;
	enum tl_err err;

	if (strcmp(asking->route->op, "team") != 0)
		return tl_relay_body(asking->request, reply, body_out);
	tl_buf_init(&bare, 0);
	tl_relay_leave_out(reply, envelope, &bare);
	err = bare.err ? bare.err : tl_relay_body(asking->request, tl_buf_slice(&bare), body_out);
	tl_buf_fini(&bare);
	return err;
}

static void
answer_new(struct asking *asking, struct tl_slice marked)
{
	struct tl_slice mark = tl_reader_find_str(marked, "mark");
	struct tl_http_body *body = NULL;
	struct tl_reader at;
	char text[MARK_BYTES_MAX];
	enum tl_err err = TL_EINTERNAL;

	if (tl_reader_find(marked, "reply", &at))
		err = make_body(asking, tl_read_any(&at), &body);
	if (err) {
		tl_http_reply_error(asking->request, err, NULL);
		return;
	}
	if (mark.bytes > 0 && mark.bytes < sizeof(text)) {
		snprintf(text, sizeof(text), "%.*s", (int)mark.bytes, (const char *)mark.data);
		put_etag(asking->request, text);
		keep(asking, text, body);
	}
	tl_http_reply(asking->request, 200, tl_relay_content_type(asking->request), body);
}

/* What the client has, or else what is kept here, is told to tallyd with the question. */
static void
put_have(struct asking *asking, struct tl_pack_open *map)
{
	const char *form = form_of(asking->request);

	tl_buf_put_str(&asking->key, form);
	tl_buf_put_slice(&asking->key, tl_buf_slice(&asking->question));
	read_client_mark(asking, form);
	if (asking->client_mark[0] != '\0') {
		tl_pack_key_str(&asking->question, map, "have", asking->client_mark);
		tl_pack_key_int(&asking->question, map, "have_age_ms", CLIENT_HAVE_AGE_MS);
		return;
	}
	asking->made =
		(struct made *)lru_get(asking->relay->kept->bodies, tl_buf_slice(&asking->key));
	tl_pack_key_str(
		&asking->question, map, "have", asking->made != NULL ? asking->made->mark : "");
}

/* False: the request was refused. */
static bool
asking_init(struct asking *asking, struct tl_relay *relay, struct tl_http_request *request,
	const struct tl_relay_route *route)
{
	struct tl_pack_open map;

	*asking = (struct asking){.relay = relay, .request = request, .route = route};
	tl_buf_init(&asking->key, 0);
	tl_buf_init(&asking->question, QUESTION_BYTES_MAX);
	map = tl_relay_question(&asking->question, request, route);
	if (!params_put(&asking->question, &map, request, route))
		return false;
	put_have(asking, &map);
	tl_pack_close(&asking->question, &map);
	return true;
}

static void
asking_fini(struct asking *asking)
{
	if (asking->made != NULL)
		lru_unpin(asking->relay->kept->bodies, &asking->made->value);
	tl_buf_fini(&asking->question);
	tl_buf_fini(&asking->key);
}

void
figures_run(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct asking asking;
	struct tl_buf reply;

	tl_buf_init(&reply, 0);
	if (asking_init(&asking, arg, request, route->what) &&
		!tl_relay_ask(arg, request, TL_RELAY_QUERY, &asking.question, &reply)) {
		if (tl_reader_find_bool(tl_buf_slice(&reply), "same", false))
			answer_same(&asking);
		else
			answer_new(&asking, tl_buf_slice(&reply));
	}
	asking_fini(&asking);
	tl_buf_fini(&reply);
}

/* What it has is what tallyd would answer, or it is asked alone. */
static void
told(struct fresh_ask *ask, bool is_same)
{
	struct asking *asking = (struct asking *)ask;
	struct tl_http_request *request = asking->request;

	if (is_same)
		answer_same(asking);
	asking_fini(asking);
	free(asking);
	if (is_same)
		tl_http_request_done(request);
	else
		tl_http_request_hand_on(request);
}

bool
figures_start(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_relay *relay = arg;
	struct asking *asking = malloc(sizeof(*asking));

	if (asking == NULL)
		return false;
	if (!asking_init(asking, relay, request, route->what)) {
		asking_fini(asking);
		free(asking);
		tl_http_request_done(request);
		return true;
	}
	asking->ask.question = tl_buf_slice(&asking->question);
	asking->ask.told = told;
	if ((asking->client_mark[0] != '\0' || asking->made != NULL) && !asking->question.err &&
		fresh_add(relay->fresh, &asking->ask))
		return true;
	asking_fini(asking);
	free(asking);
	return false;
}
