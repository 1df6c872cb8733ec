/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are whole or not there: write to a temporary name, fsync, rename,
 * fsync the folder.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

#include "base/err.h"

/* Read-only mapping of a whole file; an empty file has p == NULL. */
struct file_map {
    const void *p;
    size_t bytes;
};

/* Fails: ERR_NOT_FOUND, ERR_INVALID when it is no regular file, ERR_IO. */
int file_map(const char *path, struct file_map *out, struct err *e);
void file_unmap(struct file_map *m);

/*
 * The whole file with a NUL behind it (not counted); mem_free frees it.
 * Fails: also ERR_TOO_LARGE when it is over max bytes.
 */
int file_read(const char *path, size_t max, char **out, size_t *bytes,
              struct err *e);

/*
 * Replaces path by these bytes, atomically and durably: after a crash the
 * file is the old one or the new one, whole.
 */
int file_write(const char *path, const void *p, size_t bytes, struct err *e);

/* fsync of a file or folder by name. */
int file_sync(const char *path, struct err *e);

/* fsync of what holds path: makes a rename into it durable. */
int file_sync_parent(const char *path, struct err *e);

/* Appends one record (with its newline) and fsyncs; for journals. */
int file_append(const char *path, const void *p, size_t bytes, struct err *e);

/* mkdir -p, mode 0755. */
int file_mkdirs(const char *path, struct err *e);

/* Removes a file, or a folder with all that is in it; absent is success. */
int file_remove(const char *path, struct err *e);

#endif
