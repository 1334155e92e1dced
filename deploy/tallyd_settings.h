/* tallyd's settings: the defaults, a file, the command line; and what one asks of another. */
#ifndef DEPLOY_TALLYD_SETTINGS_H
#define DEPLOY_TALLYD_SETTINGS_H

#include "ingest/ingest.h"
#include "schema/base/conf.h"
#include "schema/base/log.h"
#include "schema/store/disk.h"

struct tallyd_settings {
	char data[TL_CONF_STRING_BYTES];
	char ingest[TL_CONF_STRING_BYTES];
	char query[TL_CONF_STRING_BYTES];
	char log[TL_CONF_STRING_BYTES];
	char mark_file[TL_CONF_STRING_BYTES];
	int64_t seal_after_hours;
	int64_t memory_bytes_max;
	int64_t cache_bytes;
	int64_t rollup_bytes_max;
	int64_t query_bytes_max;
	int64_t partial_bytes_max;
	int64_t unread_bytes_max;
	int64_t connections_max;
	int64_t connections_per_address_max;
	int64_t frame_ms_max;
	int64_t idle_ms_max;
	struct tl_disk_settings disk;
	struct ingest_settings intake;
};

/* For --help, and for tl_conf_adopt when they are read again. */
extern const struct tl_conf_table tallyd_conf_table;

/* TL_EUSAGE or TL_ECONFIG with the setting in why; then *settings is not to be used. */
TL_MUST enum tl_err tallyd_settings_read(int argc, char **argv, struct tallyd_settings *settings,
	enum tl_log_level *level_out, int *operand_count_out, struct tl_why *why);

#endif
