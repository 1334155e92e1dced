#include "deploy/tallyd_settings.h"

#include <inttypes.h>
#include <stddef.h>

/* Ids live a day longer than events are accepted; a day more is for the one in progress. */
#define ID_LIFE_DAYS 37

#define AT(field) offsetof(struct tallyd_settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"data", TL_CONF_STRING, AT(data), "./data", 0, 0, "data directory (made when missing)"},
	{"ingest", TL_CONF_STRING, AT(ingest), "tcp://127.0.0.1:7411", 0, 0,
		"where gateways push; DATA/ingest.sock is always there; 'none' for no tcp"},
	{"query", TL_CONF_STRING, AT(query), "tcp://127.0.0.1:7412", 0, 0,
		"where readers ask; DATA/query.sock is always there; 'none' for no tcp"},
	{"log", TL_CONF_STRING, AT(log), "info", 0, 0, "error, warn, info or debug"},
	{"mark_file", TL_CONF_STRING, AT(mark_file), "", 0, 0,
		"how far was acknowledged, better on another disk; default DATA/mark"},
	{"disk_floor_bytes", TL_CONF_INT, AT(disk.floor_bytes), "0", 0, 1LL << 50,
		"below so much free space intake says disk_full; 0: 5 % of the disk, at least 1G"},
	{"ballast_bytes", TL_CONF_INT, AT(disk.ballast_bytes), "320M", 0, 1LL << 40,
		"held in DATA/ballast and let go when the disk fills; twice memtable_bytes and "
		"64M"},
	{"memtable_bytes", TL_CONF_INT, AT(disk.memtable_bytes), "128M", 4 << 20, 1LL << 36,
		"what is written and not yet in tables, in memory and in the log, each"},
	{"memory_bytes_max", TL_CONF_INT, AT(memory_bytes_max), "0", 0, 1LL << 45,
		"what the process may take: lowers each of the bounds below and memtable_bytes to "
		"its share; at least 128M; 0: they stand as they are"},
	{"cache_bytes", TL_CONF_INT, AT(cache_bytes), "64M", 1 << 20, 1LL << 40,
		"memory for blocks read from disk"},
	{"rollup_bytes_max", TL_CONF_INT, AT(rollup_bytes_max), "512M", 4 << 20, 1LL << 40,
		"sums of a step of the rollup and rows it keeps at hand; less makes smaller steps"},
	{"query_bytes_max", TL_CONF_INT, AT(query_bytes_max), "512M", 8 << 20, 1LL << 40,
		"half of it is what one question may take, a sixth is kept between questions"},
	{"accept_past_days", TL_CONF_INT, AT(intake.accept_past_days), "35", 1, 400,
		"how old a pushed event may be; ids are kept a day longer"},
	{"retention_days", TL_CONF_INT, AT(intake.retention_days), "400", 72, 3650,
		"how long raw events and fine cells are kept, and how far back an import goes"},
	{"seal_after_hours", TL_CONF_INT, AT(seal_after_hours), "6", 0, 8760,
		"how long after its end a day is sealed, if nothing arrives: smaller on disk"},
	{"id_index_bytes_max", TL_CONF_INT, AT(intake.id_index_bytes_max), "4G", 1 << 20, 1LL << 45,
		"memory for the id index; at the cap intake says id_index_full"},
	{"queue_bytes_max", TL_CONF_INT, AT(intake.queue_bytes_max), "64M", 4 << 20, 1LL << 40,
		"batches waiting; past it gateways are told 'overloaded'"},
	{"partial_bytes_max", TL_CONF_INT, AT(partial_bytes_max), "64M", 4 << 20, 1LL << 40,
		"received of frames that are not whole; past it the oldest is closed"},
	{"unread_bytes_max", TL_CONF_INT, AT(unread_bytes_max), "64M", 4 << 20, 1LL << 40,
		"replies that wait for peers to read them; past it who does not read is closed"},
	{"connections_max", TL_CONF_INT, AT(connections_max), "1024", 8, 60000,
		"connections in all; past it the longest silent one makes room"},
	{"connections_per_address_max", TL_CONF_INT, AT(connections_per_address_max), "64", 1,
		60000, "the same for connections from one address over tcp"},
	{"frame_ms_max", TL_CONF_INT, AT(frame_ms_max), "30000", 100, 3600000,
		"how long a peer may take over a frame it began, or to read a reply"},
	{"idle_ms_max", TL_CONF_INT, AT(idle_ms_max), "900000", 100, 86400000,
		"a connection silent for so long is closed; its owner dials again"},
	{"workers", TL_CONF_INT, AT(intake.worker_count), "0", 0, 256,
		"threads that decode, and as many that answer; 0: one a core"},
};

static const char *const reloads[] = {"log", "queue_bytes_max", "partial_bytes_max",
	"unread_bytes_max", "connections_max", "connections_per_address_max", "frame_ms_max",
	"idle_ms_max", NULL};

const struct tl_conf_table tallyd_conf_table = {
	.program = "tallyd",
	.summary =
		"Meters the usage of coding agents: takes events over nng, keeps exact rollups, "
		"answers queries. 'tallyd verify' and 'tallyd dump' work on a data directory that "
		"no daemon has open.",
	.operands = "[verify|rebuild|seal|dump FAMILY|accept-loss HAVE]",
	.settings = setting_table,
	.setting_count = sizeof(setting_table) / sizeof(setting_table[0]),
	.reloads = reloads,
};

#define MEMORY_BYTES_MIN ((int64_t)128 << 20)

/*
 * What each part may take of the memory of the process. The rest, an eighth, is for what is as
 * large as the load makes it and bounded by counts: batches being decoded, the registry.
 */
static enum tl_err
memory_share_out(struct tallyd_settings *settings, struct tl_why *why)
{
	struct {
		int64_t *bytes;
		int64_t part; /* of 32 */
	} shares[] = {
		{&settings->intake.id_index_bytes_max, 8},
		{&settings->disk.memtable_bytes, 4},
		{&settings->intake.queue_bytes_max, 4},
		{&settings->cache_bytes, 2},
		{&settings->rollup_bytes_max, 4},
		{&settings->query_bytes_max, 4},
		{&settings->partial_bytes_max, 1},
		{&settings->unread_bytes_max, 1},
	};

	if (settings->memory_bytes_max == 0)
		return TL_OK;
	if (settings->memory_bytes_max < MEMORY_BYTES_MIN)
		return tl_fail(why, TL_ECONFIG, "memory_bytes_max: at least 128M");
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		int64_t share = settings->memory_bytes_max / 32 * shares[i].part;

		if (*shares[i].bytes > share)
			*shares[i].bytes = share;
	}
	return TL_OK;
}

/* The defaults, the file, the command line; and what one setting asks of another. */
enum tl_err
tallyd_settings_read(int argc, char **argv, struct tallyd_settings *settings,
	enum tl_log_level *level_out, int *operand_count_out, struct tl_why *why)
{
	enum tl_err err;

	tl_conf_defaults(&tallyd_conf_table, settings);
	err = tl_conf_read_args(&tallyd_conf_table, argc, argv, settings, operand_count_out, why);
	if (err)
		return err;
	if (settings->intake.retention_days < settings->intake.accept_past_days + ID_LIFE_DAYS)
		return tl_fail(why, TL_ECONFIG,
			"retention_days must be at least accept_past_days + %d: an event may "
			"arrive that late, and its id lives on",
			ID_LIFE_DAYS);
	if (!tl_log_level_parse(settings->log, level_out))
		return tl_fail(
			why, TL_EUSAGE, "log '%s': error, warn, info or debug", settings->log);
	return memory_share_out(settings, why);
}
