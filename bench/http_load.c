#include "bench/http_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/measure.h"

#define HEAD_BYTES_MAX 4096u
#define PART_BYTES 65536u
#define EVENTS_MAX 64

struct peer {
	int fd;
	char head[HEAD_BYTES_MAX + 1]; /* of the reply that is being received */
	size_t head_bytes;
	uint64_t rest_bytes; /* of its body */
	int in_body;
};

int
http_load_dial(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		measure_die("connect to port %u: %m", port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return fd;
}

static void
ask(const struct peer *peer, const char *request)
{
	size_t bytes = strlen(request);

	if (send(peer->fd, request, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
		measure_die("send a request: %m");
}

/* The head is whole: what it says of the body. */
static uint64_t
read_head(const struct peer *peer)
{
	const char *length = strcasestr(peer->head, "\r\nContent-Length:");

	if (strncmp(peer->head, "HTTP/1.1 200 ", 13) != 0 || length == NULL)
		measure_die("answered %.60s", peer->head);
	return strtoull(length + 17, NULL, 10);
}

/* Take what was received; how many replies ended in it (0 or 1, for one request is outstanding). */
static int
take(struct peer *peer, const char *part, size_t bytes, uint64_t *body_bytes_out)
{
	size_t before = peer->head_bytes;
	const char *end;
	size_t used;

	if (!peer->in_body) {
		used = bytes < HEAD_BYTES_MAX - before ? bytes : HEAD_BYTES_MAX - before;
		memcpy(peer->head + before, part, used);
		peer->head_bytes += used;
		peer->head[peer->head_bytes] = '\0';
		end = strstr(peer->head, "\r\n\r\n");
		if (end == NULL)
			return 0;
		peer->rest_bytes = read_head(peer);
		*body_bytes_out = peer->rest_bytes;
		peer->in_body = 1;
		bytes -= (size_t)(end + 4 - peer->head) - before;
	}
	peer->rest_bytes -= bytes;
	if (peer->rest_bytes > 0)
		return 0;
	peer->in_body = 0;
	peer->head_bytes = 0;
	return 1;
}

static void
receive(struct peer *peer, struct http_load *load)
{
	static char part[PART_BYTES];
	ssize_t got = recv(peer->fd, part, sizeof(part), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		measure_die("the server closed: %m");
	if (take(peer, part, (size_t)got, &load->body_bytes)) {
		load->count++;
		ask(peer, load->request);
	}
}

void
http_load_run(struct http_load *load)
{
	struct peer *peers = calloc(load->connection_count, sizeof(*peers));
	struct epoll_event events[EVENTS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int64_t until_ns;

	if (peers == NULL || epoll < 0)
		measure_die("no clients: %m");
	for (uint32_t i = 0; i < load->connection_count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &peers[i]};

		peers[i].fd = http_load_dial(load->port);
		epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &event);
		ask(&peers[i], load->request);
	}
	until_ns = measure_now_ns() + load->ms * 1000000;
	load->count = 0;
	while (measure_now_ns() < until_ns) {
		int ready = epoll_wait(epoll, events, EVENTS_MAX, 100);

		for (int i = 0; i < ready; i++)
			receive(events[i].data.ptr, load);
	}
	for (uint32_t i = 0; i < load->connection_count; i++)
		close(peers[i].fd);
	close(epoll);
	free(peers);
}
