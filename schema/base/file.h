/* Files: read whole, replace atomically, make directories, free space. */
#ifndef TL_BASE_FILE_H
#define TL_BASE_FILE_H

#include <stdint.h>

#include "schema/base/bytes.h"

/* Append the file's content to buf. TL_ENOT_FOUND, TL_EIO, or the buffer's own error. */
TL_MUST enum tl_err tl_file_read(const char *path, struct tl_buf *buf, struct tl_why *why);

/* Write beside, fsync, rename over, fsync the folder. Mode 0600. */
TL_MUST enum tl_err tl_file_replace(const char *path, struct tl_slice content, struct tl_why *why);

/* mkdir -p, mode 0700 for what is made. */
TL_MUST enum tl_err tl_dir_make(const char *path, struct tl_why *why);

/*
 * Take the file at path (made when missing) for this process until *fd_out is closed or it ends.
 * TL_ELOCKED when another has it.
 */
TL_MUST enum tl_err tl_file_lock(const char *path, int *fd_out, struct tl_why *why);

TL_MUST enum tl_err tl_dir_sync(const char *path, struct tl_why *why);

/* Bytes an unprivileged writer can still use on the file system of path. */
TL_MUST enum tl_err tl_disk_free(
	const char *path, uint64_t *free_bytes_out, uint64_t *total_bytes_out, struct tl_why *why);

#endif
