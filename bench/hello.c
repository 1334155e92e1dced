#include "bench/hello.h"

#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/scratch.h"

#define THREADS 2u

static char bytes[HELLO_BYTES_MAX];

static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *data, size_t *data_bytes, void **con_cls)
{
	static int seen;
	struct MHD_Response *response;
	unsigned long count = strtoul(url + 1, NULL, 10);
	enum MHD_Result result;

	(void)cls;
	(void)method;
	(void)version;
	(void)data;
	(void)data_bytes;
	if (*con_cls == NULL) { /* the head; the answer comes after the whole request */
		*con_cls = &seen;
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(
		count < HELLO_BYTES_MAX ? count : HELLO_BYTES_MAX, bytes, MHD_RESPMEM_PERSISTENT);
	result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

static void
serve(int port_fd)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
		handle, NULL, MHD_OPTION_THREAD_POOL_SIZE, THREADS, MHD_OPTION_END);
	const union MHD_DaemonInfo *info;

	if (daemon == NULL)
		measure_die("no bare HTTP server");
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (write(port_fd, &info->port, sizeof(info->port)) != sizeof(info->port))
		measure_die("write a pipe: %m");
	for (;;)
		pause();
}

pid_t
hello_start(uint16_t *port_out)
{
	int ends[2];
	pid_t pid;

	memset(bytes, 'h', sizeof(bytes));
	if (pipe(ends) != 0)
		measure_die("pipe: %m");
	pid = scratch_fork();
	if (pid == 0)
		serve(ends[1]);
	close(ends[1]);
	if (read(ends[0], port_out, sizeof(*port_out)) != sizeof(*port_out))
		measure_die("the bare HTTP server did not start");
	close(ends[0]);
	return pid;
}

void
hello_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
