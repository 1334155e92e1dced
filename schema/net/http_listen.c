/* Addresses of the server, in numbers: names would say nothing about who can connect. */
#include "schema/net/http_private.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

/* "host:port" with an address in numbers. */
static enum tl_err
split_address(const char *address, char host_out[64], char port_out[8], struct tl_why *why)
{
	const char *colon = strrchr(address, ':');
	const char *host = address;
	size_t bytes = colon != NULL ? (size_t)(colon - address) : 0;

	if (bytes > 2 && address[0] == '[' && address[bytes - 1] == ']') {
		host++;
		bytes -= 2;
	}
	if (bytes == 0 || bytes >= 64 || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
		return tl_fail(
			why, TL_ECONFIG, "'%s' is not an address like 127.0.0.1:8787", address);
	memcpy(host_out, host, bytes);
	host_out[bytes] = '\0';
	strcpy(port_out, colon + 1);
	return TL_OK;
}

bool
tl_http_is_loopback(const char *address)
{
	struct in6_addr v6;
	struct in_addr v4;
	char host[64], port[8];

	if (split_address(address, host, port, NULL))
		return false;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

enum tl_err
tl_http_listen(const char *address, int *fd_out, struct tl_why *why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *found = NULL;
	char host[64], port[8];
	int yes = 1, fd;
	enum tl_err err = split_address(address, host, port, why);

	if (err)
		return err;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return tl_fail(
			why, TL_ECONFIG, "'%s' is not an address like 127.0.0.1:8787", address);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
		bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
		listen(fd, LISTEN_BACKLOG) != 0) {
		err = tl_fail(why, TL_EIO, "listen on %s: %m", address);
		if (fd >= 0)
			close(fd);
	} else {
		*fd_out = fd;
	}
	freeaddrinfo(found);
	return err;
}

uint16_t
tl_http_listen_port(int fd)
{
	struct sockaddr_storage bound;
	socklen_t bytes = sizeof(bound);
	char port[8];

	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0 ||
		getnameinfo((struct sockaddr *)&bound, bytes, NULL, 0, port, sizeof(port),
			NI_NUMERICSERV) != 0)
		return 0;
	return (uint16_t)atoi(port);
}
