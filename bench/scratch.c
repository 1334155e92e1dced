#include "bench/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "schema/net/req_client.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define START_MS_MAX 120000
#define ASK_MS 30000

pid_t
scratch_fork(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		measure_die("fork: %m");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Where the daemon says READY=1, as it would to systemd. */
static int
notify_listen(const char *dir, char name_out[sizeof(((struct sockaddr_un *)0)->sun_path)])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s.notify", dir) >=
		(int)sizeof(address.sun_path))
		measure_die("the scratch directory's name is too long: %s", dir);
	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		measure_die("bind %s: %m", address.sun_path);
	strcpy(name_out, address.sun_path);
	return fd;
}

static void
wait_ready(const struct scratch *scratch, int fd)
{
	struct pollfd heard = {.fd = fd, .events = POLLIN};
	char text[64];
	ssize_t got;

	for (int waited_ms = 0; waited_ms < START_MS_MAX; waited_ms += 100) {
		if (waitpid(scratch->pid, NULL, WNOHANG) == scratch->pid)
			measure_die("a server ended at its start; see %s*.log", scratch->dir);
		if (poll(&heard, 1, 100) <= 0)
			continue;
		got = recv(fd, text, sizeof(text) - 1, 0);
		if (got > 0 && strncmp(text, "READY=1", 7) == 0)
			return;
	}
	measure_die(
		"a server was not ready in %d s; see %s*.log", START_MS_MAX / 1000, scratch->dir);
}

/* In the child: what the program says goes to dir and end, its readiness to notify. */
static void
speak_to(const char *dir, const char *end, const char *notify)
{
	char log[TL_CONF_STRING_BYTES + 16];
	int fd;

	snprintf(log, sizeof(log), "%s%s", dir, end);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0)
		measure_die("open %s: %m", log);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	setenv("NOTIFY_SOCKET", notify, 1);
}

static void
exec_tallyd(const char *tallyd, const char *dir, const char *notify)
{
	speak_to(dir, ".log", notify);
	execl(tallyd, tallyd, "--data", dir, "--ingest", "none", "--query", "none",
		"--accept-past-days", "100", (char *)NULL);
	measure_die("exec %s: %m", tallyd);
}

void
scratch_start(struct scratch *scratch, const char *tallyd, const char *dir)
{
	char notify[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd = notify_listen(dir, notify);
	int64_t begun_ns = measure_now_ns();

	*scratch = (struct scratch){.pid = scratch_fork()};
	if (scratch->pid == 0)
		exec_tallyd(tallyd, dir, notify);
	snprintf(scratch->dir, sizeof(scratch->dir), "%s", dir);
	wait_ready(scratch, fd);
	scratch->start_ns = measure_now_ns() - begun_ns;
	scratch->start_cpu_ns = measure_cpu_ns(scratch->pid);
	close(fd);
	unlink(notify);
}

/* The port that the log's last start names. */
static uint16_t
read_port(const char *dir)
{
	static const char word[] = "http_port=";
	char log[TL_CONF_STRING_BYTES + 16], line[1024];
	uint16_t port = 0;
	FILE *file;

	snprintf(log, sizeof(log), "%s.http.log", dir);
	file = fopen(log, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		const char *found = strstr(line, word);

		if (found != NULL)
			port = (uint16_t)atoi(found + strlen(word));
	}
	if (port == 0)
		measure_die("%s names no port", log);
	fclose(file);
	return port;
}

void
scratch_start_bridge(
	struct scratch *scratch, const char *bridge, const char *dir, uint16_t *port_out)
{
	char notify[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd = notify_listen(dir, notify);

	*scratch = (struct scratch){.pid = scratch_fork()};
	if (scratch->pid == 0) {
		speak_to(dir, ".http.log", notify);
		execl(bridge, bridge, "--data", dir, "--listen", "127.0.0.1:0", "--metrics", "none",
			"--connections-per-address", "2000", (char *)NULL);
		measure_die("exec %s: %m", bridge);
	}
	snprintf(scratch->dir, sizeof(scratch->dir), "%s", dir);
	wait_ready(scratch, fd);
	close(fd);
	unlink(notify);
	*port_out = read_port(dir);
}

static int64_t
timeval_ns(struct timeval time)
{
	return time.tv_sec * INT64_C(1000000000) + time.tv_usec * INT64_C(1000);
}

int64_t
scratch_stop(struct scratch *scratch)
{
	struct rusage usage;
	int status;

	kill(scratch->pid, SIGTERM);
	if (wait4(scratch->pid, &status, 0, &usage) != scratch->pid)
		measure_die("wait for a server: %m");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		measure_die("a server did not stop in order; see %s*.log", scratch->dir);
	scratch->pid = 0;
	return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

void
scratch_url(const struct scratch *scratch, enum scratch_door door, char url_out[SCRATCH_URL_BYTES])
{
	static const char *const names[] = {"ingest", "query", "ingest-control", "query-control"};

	snprintf(url_out, SCRATCH_URL_BYTES, "ipc://%s/%s.sock", scratch->dir, names[door]);
}

/* In a child, so that the process that measures has not used nng yet when it forks gateways. */
static int
ask_and_write(const char *url, struct tl_slice request, int fd)
{
	struct tl_req_client *client;
	struct tl_why why = {0};
	struct tl_buf reply;
	enum tl_err err;

	tl_buf_init(&reply, 0);
	err = tl_req_client_open(url, &client, &why);
	if (!err)
		err = tl_req_client_call(client, request, ASK_MS, &reply, &why);
	if (!err)
		err = tl_frame_reply_status(tl_buf_slice(&reply), &why);
	if (err)
		measure_die("ask %s: %s: %s", url, tl_err_name(err), why.text);
	if (write(fd, reply.data, reply.bytes) != (ssize_t)reply.bytes)
		measure_die("write a reply: %m");
	return 0;
}

static void
read_all(int fd, struct tl_buf *buf)
{
	uint8_t part[4096];
	ssize_t got;

	while ((got = read(fd, part, sizeof(part))) != 0) {
		if (got < 0 && errno != EINTR)
			measure_die("read a pipe: %m");
		if (got > 0)
			tl_buf_put(buf, part, (size_t)got);
	}
}

void
scratch_ask(const struct scratch *scratch, struct tl_slice request, struct tl_buf *reply)
{
	char url[SCRATCH_URL_BYTES];
	int ends[2], status;
	pid_t pid;

	scratch_url(scratch, SCRATCH_CONTROL, url);
	if (pipe(ends) != 0)
		measure_die("pipe: %m");
	pid = scratch_fork();
	if (pid == 0)
		_exit(ask_and_write(url, request, ends[1]));
	close(ends[1]);
	tl_buf_reset(reply);
	read_all(ends[0], reply);
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		measure_die("asking tallyd failed; see %s.log", scratch->dir);
}

/* The text at key, which must be there. */
static void
copy_text(struct tl_slice map, const char *key, char *text_out, size_t room)
{
	struct tl_slice text = tl_reader_find_str(map, key);

	if (text.bytes == 0 || text.bytes >= room)
		measure_die("the reply has no %s", key);
	memcpy(text_out, text.data, text.bytes);
	text_out[text.bytes] = '\0';
}

static void
begin_command(struct tl_buf *buf, struct tl_pack_open *map, const char *op)
{
	tl_buf_init(buf, 0);
	*map = tl_pack_open_map(buf);
	tl_pack_key_int(buf, map, "v", 1);
	tl_pack_key_str(buf, map, "op", op);
}

void
scratch_create_org(const struct scratch *scratch, char gateway_token_out[SCRATCH_TOKEN_BYTES])
{
	struct tl_buf request, reply;
	struct tl_pack_open map;

	tl_buf_init(&reply, 0);
	begin_command(&request, &map, "org_create");
	tl_pack_key_str(&request, &map, "name", SCRATCH_ORG);
	tl_pack_key_str(&request, &map, "tz", "Europe/Berlin");
	tl_pack_close(&request, &map);
	scratch_ask(scratch, tl_buf_slice(&request), &reply);
	copy_text(tl_buf_slice(&reply), "gateway_token", gateway_token_out, SCRATCH_TOKEN_BYTES);
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
}

void
scratch_create_token(
	const struct scratch *scratch, const char *type, char token_out[SCRATCH_TOKEN_BYTES])
{
	struct tl_buf request, reply;
	struct tl_pack_open map;

	tl_buf_init(&reply, 0);
	begin_command(&request, &map, "token_create");
	tl_pack_key_str(&request, &map, "org", SCRATCH_ORG);
	tl_pack_key_str(&request, &map, "type", type);
	tl_pack_key_str(&request, &map, "name", "bench");
	tl_pack_close(&request, &map);
	scratch_ask(scratch, tl_buf_slice(&request), &reply);
	copy_text(tl_buf_slice(&reply), "token", token_out, SCRATCH_TOKEN_BYTES);
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
}

void
scratch_stats(const struct scratch *scratch, struct scratch_stats *stats_out)
{
	struct tl_buf request, reply;
	struct tl_pack_open map;
	struct tl_reader latency;
	struct tl_slice found;

	tl_buf_init(&reply, 0);
	begin_command(&request, &map, "stats");
	tl_pack_close(&request, &map);
	scratch_ask(scratch, tl_buf_slice(&request), &reply);
	found = tl_buf_slice(&reply);
	*stats_out = (struct scratch_stats){
		.ids = tl_reader_find_int(found, "ids", 0),
		.id_bytes = tl_reader_find_int(found, "id_bytes", 0),
		.groups = tl_reader_find_int(found, "groups", 0),
		.rollup_writes = tl_reader_find_int(found, "rollup_writes", 0),
		.rollup_bytes = tl_reader_find_int(found, "rollup_bytes", 0),
	};
	if (tl_reader_find(found, "fsync", &latency))
		stats_out->fsync_us_p50 = tl_reader_find_int(tl_read_any(&latency), "p50_us", 0);
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
}

static int
remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
	(void)stat;
	(void)type;
	(void)at;
	return remove(path);
}

void
scratch_remove(const char *dir)
{
	nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static void
copy_one(const char *from, const char *to)
{
	int status;
	pid_t pid = scratch_fork();

	if (pid == 0) {
		execlp("cp", "cp", "-a", "--sparse=always", from, to, (char *)NULL);
		measure_die("cp: %m");
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		measure_die("copying %s failed", from);
}

void
scratch_copy(const char *from, const char *to)
{
	char from_keys[TL_CONF_STRING_BYTES + 8], to_keys[TL_CONF_STRING_BYTES + 8];

	snprintf(from_keys, sizeof(from_keys), "%s.keys", from);
	snprintf(to_keys, sizeof(to_keys), "%s.keys", to);
	scratch_remove(to);
	copy_one(from, to);
	copy_one(from_keys, to_keys);
}
