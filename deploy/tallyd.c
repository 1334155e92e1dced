/* The daemon: settings, the roles, wait. Owns the data directory; see deploy/README.md. */
#include <limits.h>
#include <stdio.h>

#include "deploy/exit_code.h"
#include "deploy/offline.h"
#include "deploy/roles.h"
#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/base/file.h"

#define TICK_MS 1000
#define STOP_S_MAX 10
#define REOPEN_TICKS 5

struct tallyd {
	struct tallyd_settings settings;
	char mark_path[PATH_MAX];
	struct roles *roles;
	/* the command line, which is read again with its file */
	int argc;
	char **argv;
	struct tl_counter reloads, failed_reloads;
};

/* A wrong file changes nothing. */
static void
reload(struct tallyd *t)
{
	struct tallyd_settings fresh;
	enum tl_log_level level;
	struct tl_buf changed, waiting;
	struct tl_why why = {0};
	int operand_count = 0;

	if (tallyd_settings_read(t->argc, t->argv, &fresh, &level, &operand_count, &why)) {
		tl_counter_add(&t->failed_reloads, 1);
		tl_log(TL_LOG_ERROR, "reload failed, the settings stay why=\"%s\"", why.text);
		return;
	}
	tl_buf_init(&changed, 0);
	tl_buf_init(&waiting, 0);
	tl_conf_adopt(&tallyd_conf_table, &fresh, &t->settings, &changed, &waiting);
	tl_log_set_level(level);
	roles_reload(t->roles);
	tl_counter_add(&t->reloads, 1);
	tl_log(TL_LOG_WARN, "reloaded changed=\"%.*s\" at_the_next_start=\"%.*s\"",
		(int)changed.bytes, (const char *)changed.data, (int)waiting.bytes,
		(const char *)waiting.data);
	tl_buf_fini(&changed);
	tl_buf_fini(&waiting);
}

/* True: open again, for writing. */
static bool
tallyd_wait(struct tallyd *t)
{
	unsigned tick = 0;

	for (;;) {
		switch (tl_daemon_wait(TICK_MS)) {
		case TL_DAEMON_STOP:
			return false;
		case TL_DAEMON_REPORT:
			roles_report(t->roles);
			break;
		case TL_DAEMON_RELOAD:
			reload(t);
			break;
		case TL_DAEMON_TICK:
			roles_tick(t->roles);
			if (++tick % REOPEN_TICKS == 0 && roles_have_room(t->roles))
				return true;
			break;
		}
	}
}

static void
set_mark_path(struct tallyd *t)
{
	bool is_set = t->settings.mark_file[0] != '\0';

	snprintf(t->mark_path, sizeof(t->mark_path), "%s%s",
		is_set ? t->settings.mark_file : t->settings.data, is_set ? "" : "/mark");
}

/* Held until the process ends. */
static enum tl_err
lock_data(const struct tallyd *t, struct tl_why *why)
{
	char path[PATH_MAX];
	enum tl_err err;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", t->settings.data);
	err = tl_dir_make(t->settings.data, why);
	return err ? err : tl_file_lock(path, &fd, why);
}

static int
run(struct tallyd *t)
{
	struct tl_why why = {0};
	enum tl_err err = lock_data(t, &why);

	if (!err)
		err = roles_new(&(struct roles_options){.settings = &t->settings,
					.mark_path = t->mark_path,
					.reloads = &t->reloads,
					.failed_reloads = &t->failed_reloads},
			&t->roles);
	if (!err)
		err = roles_start(t->roles, &why);
	if (!err)
		tl_daemon_notify("READY=1");
	while (!err && tallyd_wait(t)) {
		roles_stop(t->roles, "there is room now: opening for writing");
		err = roles_start(t->roles, &why);
	}
	if (err) {
		tl_log(TL_LOG_ERROR, "start failed code=%s why=\"%s\"", tl_err_name(err), why.text);
		return exit_code_of(err); /* the process ends; nothing was acknowledged */
	}
	tl_daemon_notify("STOPPING=1");
	tl_daemon_stopping(EXIT_CODE_IO, STOP_S_MAX);
	tl_log(TL_LOG_INFO, "stopping");
	roles_stop(t->roles, "stopping");
	roles_free(t->roles);
	tl_log(TL_LOG_INFO, "stopped");
	return EXIT_CODE_OK;
}

static int
help(void)
{
	struct tl_buf text;

	tl_buf_init(&text, 0);
	tl_conf_help(&tallyd_conf_table, &text);
	fwrite(text.data, 1, text.bytes, stdout);
	tl_buf_fini(&text);
	return EXIT_CODE_OK;
}

int
main(int argc, char **argv)
{
	static struct tallyd tallyd;
	struct tl_why why = {0};
	enum tl_log_level level;
	int operand_count = 0;
	enum tl_err err;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
	err = tallyd_settings_read(argc, argv, &tallyd.settings, &level, &operand_count, &why);
	if (err) {
		fprintf(stderr, "tallyd: %s\n", why.text);
		return exit_code_of(err);
	}
	tl_log_set_level(level);
	tallyd.argc = argc;
	tallyd.argv = argv;
	if (tl_crypt_init())
		return EXIT_CODE_CONFIG;
	set_mark_path(&tallyd);
	if (operand_count > 0)
		return offline_run(tallyd.settings.data, tallyd.mark_path, operand_count, argv + 1);
	tl_daemon_init();
	return run(&tallyd);
}
