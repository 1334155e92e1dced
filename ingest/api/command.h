/* A request that is a command: its body's members become the parameters of a question. */
#ifndef INGEST_API_COMMAND_H
#define INGEST_API_COMMAND_H

#include "schema/net/http_relay.h"

#define COMMAND_BODY_BYTES_MAX (64u << 10)
#define COMMAND_QUESTION_BYTES_MAX (128u << 10)

/* Runs a route of the table: asks tallyd as whoever the request came from. arg is the relay. */
void command_run(struct tl_http_request *request, const struct tl_http_route *http, void *arg);

/*
 * The members of the body's object behind what the question has; no body is an empty object. False
 * when the request was answered with a refusal.
 */
TL_MUST bool command_put_body(struct tl_buf *question, struct tl_pack_open *map,
	struct tl_http_request *request, const struct tl_relay_route *route);

/* Whether the body comes with a Content-Encoding. */
bool command_is_encoded(const struct tl_http_request *request);

/* 415 with what is taken. */
void command_refuse_type(struct tl_http_request *request, const char *message);

#endif
