/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files in a .tar archive (not compressed): their names, and where their
 * bytes lie in the mapped archive.
 * Spec: POSIX.1-2017, pax, "ustar" and "pax" formats; and GNU tar's long
 *       names.
 */
#ifndef QUANT_TAR_H
#define QUANT_TAR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct tar;

struct tar_file {
    char *name; /* as the archive has it, without a leading "./" */
    const void *p;
    size_t bytes;
};

/* True when the file looks like one. */
bool tar_is(const char *path);

/*
 * Maps the archive and lists its regular files.
 * Fails: ERR_INVALID (with the offset) when a header is broken or the archive
 *        is cut off, ERR_TOO_LARGE for more than a million files; ERR_IO.
 */
int tar_open(const char *path, struct tar **out, struct err *e);
void tar_free(struct tar **t);

size_t tar_n(const struct tar *t);
const struct tar_file *tar_at(const struct tar *t, size_t i);

/* The file of that name, or NULL. */
const struct tar_file *tar_find(const struct tar *t, const char *name);

#endif
