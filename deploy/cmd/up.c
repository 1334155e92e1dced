/*
 * tally up: tallyd and the bridge in the foreground, both found beside this program. tallyd's end
 * is the end of all, with its exit code; the bridge holds nothing and is started again when it
 * dies. Who starts it by hand gets an address that signs the browser in.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "deploy/cmd/cli.h"
#include "deploy/exit_code.h"
#include "schema/base/clock.h"

#define STEADY_MS 5000 /* a bridge that lived so long is started again at once */
#define AGAIN_MS_MIN 100
#define AGAIN_MS_MAX 2000

struct child {
	char path[CLI_PATH_BYTES];
	char **args; /* args[0] is path */
	int count;
	pid_t pid; /* 0: does not run */
	int64_t started_ms;
	int64_t again_ms; /* the pause before the next start */
};

struct up {
	struct child daemon, bridge;
	struct child link; /* prints the address once the daemon is there, and ends */
	bool has_bridge;
	bool has_link; /* a terminal is there to print it to: a log must not keep it */
	bool is_stopping;
	int64_t bridge_due_ms; /* 0: nothing is due */
	int exit_code;
};

static void
add(struct child *child, const char *arg)
{
	child->args[child->count++] = (char *)arg;
}

static bool
child_init(struct child *child, const char *name, int argc)
{
	child->args = calloc((size_t)argc + 8, sizeof(*child->args));
	child->again_ms = AGAIN_MS_MIN;
	if (child->args == NULL || !cli_sibling(name, child->path))
		return false;
	add(child, child->path);
	return true;
}

/* In a group of its own: Ctrl-C reaches this program alone, which passes it on once. */
static bool
child_start(struct child *child)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == parent)
			execv(child->path, child->args);
		cli_error("up: %s: %s", child->path, strerror(errno));
		_exit(CLI_UNAVAILABLE);
	}
	if (pid < 0)
		return false;
	child->pid = pid;
	child->started_ms = tl_clock_mono_us() / 1000;
	return true;
}

static void
child_signal(const struct child *child, int signo)
{
	if (child->pid > 0)
		kill(child->pid, signo);
}

static int
exit_code_of_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CODE_IO;
}

static void
stop(struct up *up, int exit_code)
{
	up->is_stopping = true;
	up->exit_code = exit_code;
	up->bridge_due_ms = 0;
	child_signal(&up->bridge, SIGTERM);
	child_signal(&up->daemon, SIGTERM);
}

/* What can be wrong with its settings stays wrong: then nothing runs half. */
static void
bridge_ended(struct up *up, int status)
{
	struct child *bridge = &up->bridge;
	int64_t now_ms = tl_clock_mono_us() / 1000;
	int code = exit_code_of_status(status);

	bridge->pid = 0;
	if (up->is_stopping)
		return;
	if (code == EXIT_CODE_USAGE || code == EXIT_CODE_CONFIG) {
		stop(up, code);
		return;
	}
	if (now_ms - bridge->started_ms >= STEADY_MS)
		bridge->again_ms = 0;
	up->bridge_due_ms = now_ms + bridge->again_ms;
	cli_error("up: tally-http ended; it starts again in %lld ms", (long long)bridge->again_ms);
	bridge->again_ms =
		bridge->again_ms * 2 < AGAIN_MS_MIN ? AGAIN_MS_MIN : bridge->again_ms * 2;
	if (bridge->again_ms > AGAIN_MS_MAX)
		bridge->again_ms = AGAIN_MS_MAX;
}

static void
reap(struct up *up)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == up->bridge.pid) {
			bridge_ended(up, status);
		} else if (pid == up->daemon.pid) {
			up->daemon.pid = 0;
			if (!up->is_stopping || exit_code_of_status(status) != 0)
				up->exit_code = exit_code_of_status(status);
			stop(up, up->exit_code);
		}
	}
}

/* A signal, or 0 when the bridge is due. */
static int
wait_signal(const struct up *up, const sigset_t *set)
{
	int64_t left_ms = up->bridge_due_ms - tl_clock_mono_us() / 1000;
	struct timespec left;
	int signo;

	if (up->bridge_due_ms == 0)
		return sigwaitinfo(set, NULL);
	if (left_ms < 0)
		left_ms = 0;
	left = (struct timespec){.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
	signo = sigtimedwait(set, NULL, &left);
	return signo > 0 ? signo : 0;
}

static int
supervise(struct up *up, const sigset_t *set)
{
	while (up->daemon.pid > 0 || up->bridge.pid > 0) {
		int signo = wait_signal(up, set);

		if (signo == SIGTERM || signo == SIGINT) {
			stop(up, up->exit_code);
		} else if (signo == SIGHUP || signo == SIGUSR1) {
			child_signal(&up->daemon, signo);
			child_signal(&up->bridge, signo);
		} else if (signo == 0 && up->bridge_due_ms != 0) {
			up->bridge_due_ms = 0;
			if (!child_start(&up->bridge))
				up->bridge_due_ms = tl_clock_mono_us() / 1000 + AGAIN_MS_MAX;
		}
		reap(up);
	}
	return up->exit_code;
}

/* The value of an option that is the bridge's, as "--name value" or "--name=value". */
static const char *
take(const char *name, int argc, char **argv, int *idx)
{
	size_t bytes = strlen(name);

	if (strncmp(argv[*idx], name, bytes) != 0)
		return NULL;
	if (argv[*idx][bytes] == '=')
		return argv[*idx] + bytes + 1;
	if (argv[*idx][bytes] != '\0' || *idx + 1 >= argc)
		return NULL;
	return argv[++*idx];
}

/* False for "none", and for a port that only the bridge will know. */
static bool
has_port(const char *address)
{
	const char *colon = strrchr(address, ':');

	return colon != NULL && strcmp(colon, ":0") != 0;
}

static void
share_options(struct up *up, int argc, char **argv)
{
	const char *data = getenv("TALLY_DATA");
	const char *value;

	up->has_bridge = true;
	up->has_link = isatty(STDOUT_FILENO) != 0;
	add(&up->link, "login-link");
	add(&up->link, "--wait=60");
	for (int i = 1; i < argc; i++) {
		if ((value = take("--http", argc, argv, &i)) != NULL) {
			up->has_bridge = strcmp(value, "none") != 0;
			add(&up->bridge, "--listen");
			add(&up->bridge, value);
			add(&up->link, "--http");
			add(&up->link, value);
			up->has_link = up->has_link && has_port(value);
		} else if ((value = take("--metrics", argc, argv, &i)) != NULL) {
			add(&up->bridge, "--metrics");
			add(&up->bridge, value);
		} else if ((value = take("--prices", argc, argv, &i)) != NULL) {
			add(&up->bridge, "--prices");
			add(&up->bridge, value);
		} else if ((value = take("--trusted-proxy", argc, argv, &i)) != NULL) {
			add(&up->bridge, "--trusted-proxy");
			add(&up->bridge, value);
		} else if ((value = take("--host", argc, argv, &i)) != NULL) {
			add(&up->bridge, "--host");
			add(&up->bridge, value);
		} else if (strcmp(argv[i], "--behind-proxy") == 0) {
			add(&up->bridge, argv[i]);
		} else if ((value = take("--data", argc, argv, &i)) != NULL) {
			data = value;
		} else {
			add(&up->daemon, argv[i]);
		}
	}
	if (data != NULL) {
		add(&up->daemon, "--data");
		add(&up->daemon, data);
		add(&up->bridge, "--data");
		add(&up->bridge, data);
		add(&up->link, "--data");
		add(&up->link, data);
	}
}

static int
help(void)
{
	puts("Usage: tally up [OPTION...]\n\n"
	     "Starts tallyd and, beside it, tally-http, which is started again when it dies. On a\n"
	     "terminal it prints an address that signs the browser in.\n\n"
	     "  --data TEXT\n        data directory; default $TALLY_DATA or ./data\n"
	     "  --http TEXT\n        address of the HTTP API, 'none' for none (default "
	     "127.0.0.1:8787)\n"
	     "  --metrics TEXT\n        loopback address of /metrics, 'none' for none (default "
	     "127.0.0.1:8788)\n"
	     "  --host TEXT\n        names that HTTP requests may be for beside localhost\n"
	     "  --behind-proxy\n        a proxy that speaks TLS stands before the HTTP API\n"
	     "  --trusted-proxy TEXT\n        addresses of such proxies on other machines\n"
	     "  --prices TEXT\n        file of own prices, for telemetry without a cost\n"
	     "All other options are tallyd's: see tallyd --help. For more of the HTTP API's, see\n"
	     "tally-http --help and start it yourself beside tally up --http none.");
	return CLI_OK;
}

int
cmd_up(int argc, char **argv)
{
	struct up up = {0};
	sigset_t set;
	int code = CLI_UNAVAILABLE;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
	if (!child_init(&up.daemon, "tallyd", argc) ||
		!child_init(&up.bridge, "tally-http", argc) ||
		!child_init(&up.link, "tally", argc)) {
		cli_error("up: tallyd was not found");
		goto out;
	}
	share_options(&up, argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!child_start(&up.daemon)) {
		cli_error("up: %s", strerror(errno));
		goto out;
	}
	if (up.has_bridge && !child_start(&up.bridge))
		stop(&up, CLI_UNAVAILABLE);
	if (up.has_bridge && up.has_link && !up.is_stopping && !child_start(&up.link))
		cli_error("up: no process for an address: tally login-link prints one");
	code = supervise(&up, &set);

out:
	free(up.daemon.args);
	free(up.bridge.args);
	free(up.link.args);
	return code;
}
