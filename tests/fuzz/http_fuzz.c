/*
 * Whole connections, through libmicrohttpd: the server of the bridge with routes of its own answers
 * what comes in over a socket, in two pieces. However the bytes are cut into requests, there are no
 * more answers than requests, and none of a request behind a refusal.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "schema/base/crypt.h"
#include "schema/net/http_server.h"
#include "tests/fuzz/fuzz.h"

#define HEARD_BYTES_MAX (1u << 20)
#define WAIT_MS 10000

/*
 * From the last byte to the end of what is sent. The library reads by edges and overlooks an end
 * that came together with bytes; then a deadline ends the connection, which costs time here.
 */
#define APART_US 200

static _Atomic uint32_t run_count, body_bytes_most;

/* Says how long the body was; what was asked for is in no answer. */
static void
run_echo(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	uint32_t bytes = (uint32_t)tl_http_request_body(request).bytes;
	struct tl_http_body *body = NULL;
	struct tl_buf text;

	(void)route;
	(void)arg;
	run_count++;
	if (bytes > body_bytes_most)
		body_bytes_most = bytes;
	tl_buf_init(&text, 0);
	tl_buf_printf(&text, "ran %u\n", bytes);
	assert(tl_http_body_of(&text, &body) == TL_OK);
	tl_buf_fini(&text);
	tl_http_reply(request, 200, "text/plain", body);
}

static const struct tl_http_route routes[] = {
	{.method = TL_HTTP_GET, .path = "/a", .run = run_echo},
	{.method = TL_HTTP_GET, .path = "/a/{id}", .run = run_echo},
	{.method = TL_HTTP_POST, .path = "/a", .body_bytes_max = 600, .run = run_echo},
	{.method = TL_HTTP_DELETE, .path = "/a/{id}", .body_bytes_max = 10, .run = run_echo},
};

static uint16_t
server_port(void)
{
	static const char *const hosts[] = {"h"};
	static struct tl_http_server *server;
	struct tl_http_options options = tl_http_defaults;

	if (server == NULL) {
		assert(tl_crypt_init() == TL_OK);
		options.address = "127.0.0.1:0";
		options.routes = routes;
		options.route_count = sizeof(routes) / sizeof(routes[0]);
		options.hosts = hosts;
		options.host_count = 1;
		options.worker_count = 1;
		options.connection_max = 256;
		options.per_address_max = 0;
		options.deadlines = (struct tl_http_deadlines){
			.head_ms = 300, .body_ms = 300, .write_ms = 5000, .idle_ms = 300};
		assert(tl_http_server_start(&options, &server, NULL) == TL_OK);
	}
	return tl_http_server_port(server);
}

/* -1 when this machine had no port to spare, or libFuzzer's watch came in between. */
static int
dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(server_port()),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger at_once = {.l_onoff = 1}; /* a port is not kept for a minute */
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert(fd >= 0);
	assert(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	assert(errno == EINTR || errno == EADDRNOTAVAIL);
	close(fd);
	return -1;
}

/* Until the server has nothing more to say; a server that goes silent is a finding. */
static size_t
hear(int fd, char *heard)
{
	size_t bytes = 0;

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ssize_t part;
		int found;

		do { /* libFuzzer looks at its watch by a signal */
			found = poll(&ready, 1, WAIT_MS);
		} while (found < 0 && errno == EINTR);
		assert(found == 1);
		part = recv(fd, heard + bytes, HEARD_BYTES_MAX - bytes, 0);
		if (part <= 0)
			return bytes;
		bytes += (size_t)part;
		assert(bytes < HEARD_BYTES_MAX);
	}
}

static uint32_t
count(const char *text, size_t bytes, const char *what)
{
	size_t what_bytes = strlen(what);
	uint32_t found = 0;

	for (size_t i = 0; i + what_bytes <= bytes; i++)
		found += memcmp(text + i, what, what_bytes) == 0;
	return found;
}

/* Answers begin a line, and no body of ours holds such a line. */
static void
check(const char *heard, size_t heard_bytes, const uint8_t *data, size_t bytes)
{
	uint32_t asked = count((const char *)data, bytes, "HTTP/");
	uint32_t answers = 0, refusals = 0;
	bool is_closed = false;

	for (size_t i = 0; i + 12 <= heard_bytes; i++) {
		const char *at = heard + i;

		if ((i > 0 && at[-1] != '\n') || memcmp(at, "HTTP/1.", 7) != 0)
			continue;
		/* Nothing here is the server's fault; 505 is the library's word for HTTP/0.1. */
		assert(at[9] <= '4' || memcmp(at + 9, "505", 3) == 0);
		if (at[9] == '1')
			continue;
		assert(at[9] != '2' || !is_closed);
		answers++;
		refusals += at[9] == '4';
		is_closed = is_closed || memcmp(at + 9, "400", 3) == 0;
	}
	/* The library says its own refusals twice. */
	assert(answers <= asked + 2);
	assert(answers - refusals <= asked);
	assert(run_count <= asked);
	assert(body_bytes_most <= bytes && body_bytes_most <= 600);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static char heard[HEARD_BYTES_MAX];
	size_t heard_bytes, first;
	int fd;

	if (bytes == 0)
		return 0;
	run_count = body_bytes_most = 0;
	first = data[0] * bytes / 256;
	data++;
	bytes--;
	fd = dial();
	if (fd < 0)
		return 0;
	if (send(fd, data, first < bytes ? first : bytes, MSG_NOSIGNAL) >= 0 && first < bytes)
		(void)!send(fd, data + first, bytes - first, MSG_NOSIGNAL);
	usleep(APART_US);
	shutdown(fd, SHUT_WR);
	heard_bytes = hear(fd, heard);
	close(fd);
	check(heard, heard_bytes, data, bytes);
	return 0;
}
