/*
 * Free space on the disk of the data directory. RocksDB as Debian builds it aborts when a write
 * finds no room, so that must never happen: below a floor nothing is written any more, and a
 * ballast file gives a flush that already runs the room to end.
 */
#ifndef TL_STORE_DISK_H
#define TL_STORE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/gate.h"

struct tl_disk_settings {
	int64_t floor_bytes;	/* 0: a twentieth of the disk, at least 1 GiB */
	int64_t ballast_bytes;	/* 0: none */
	int64_t memtable_bytes; /* what a store that is written holds in memory */
};

struct tl_disk_figures {
	uint64_t free_bytes;
	uint64_t floor_bytes;
	uint64_t ballast_bytes; /* on the disk now */
};

/*
 * Before a store is opened for writing: TL_EDISK_FULL with the figures when there is less than the
 * floor, or less than what its log and memory may grow into.
 */
TL_MUST enum tl_err tl_disk_check_open(
	const char *data_dir, const struct tl_disk_settings *settings, struct tl_why *why);

/* The thread that looks every 50 ms. */
struct tl_disk_guard;

struct tl_disk_guard_options {
	const char *data_dir;
	struct tl_disk_settings settings;
	struct tl_gate *gate; /* closed for TL_GATE_DISK while the disk is low */
	/* When the disk became low or recovered, and once at start; on whatever thread noticed. */
	void (*on_change)(void *arg, bool is_low, const struct tl_disk_figures *figures);
	void *arg;
};

TL_MUST enum tl_err tl_disk_guard_start(const struct tl_disk_guard_options *options,
	struct tl_disk_guard **guard_out, struct tl_why *why);

/* Look now: the writer before each group. NULL is fine. */
void tl_disk_guard_look(struct tl_disk_guard *guard);

void tl_disk_guard_figures(struct tl_disk_guard *guard, struct tl_disk_figures *figures_out);

/* The ballast stays. Frees. NULL is fine. */
void tl_disk_guard_stop(struct tl_disk_guard *guard);

#endif
