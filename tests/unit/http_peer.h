/* A client of a test's HTTP server, byte by byte. */
#ifndef TEST_HTTP_PEER_H
#define TEST_HTTP_PEER_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "schema/net/http_server.h"

static inline int
dial(const struct tl_http_server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(tl_http_server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval timeout = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Until the server closes. */
static inline void
hear_all(int fd, struct tl_buf *heard)
{
	ssize_t got;

	tl_buf_reset(heard);
	do {
		uint8_t *at = tl_buf_reserve(heard, 65536);

		got = recv(fd, at, 65536, 0);
		if (got > 0)
			tl_buf_advance(heard, (size_t)got);
	} while (got > 0);
	tl_buf_put_u8(heard, 0);
	close(fd);
}

/* Until what was heard holds text; it ends in NUL. */
static inline void
hear(int fd, struct tl_buf *heard, const char *text)
{
	while (heard->bytes == 0 || strstr((char *)heard->data, text) == NULL) {
		uint8_t *at = tl_buf_reserve(heard, 65537);
		ssize_t got = recv(fd, at, 65536, 0);

		if (got <= 0)
			fail_msg("closed before '%s'", text);
		at[got] = 0;
		tl_buf_advance(heard, (size_t)got);
	}
}

#endif
