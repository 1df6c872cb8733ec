/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arrays of an .npz file (a zip of .npy files), each read forward as a
 * stream: nothing is ever unpacked whole.
 */
#ifndef QUANT_NPZ_H
#define QUANT_NPZ_H

#include <stddef.h>

#include "base/err.h"
#include "quant/npy.h"

struct npz;

struct npz_array {
    const char *name; /* without ".npy"; fit to be printed */
    struct npy npy;
};

/*
 * Opens the file and reads the headers of all its arrays.
 * Fails: ERR_INVALID when it is no zip file, is truncated, holds what is no
 *        array, an array shorter or longer than its shape says, or two of one
 *        name; ERR_UNSUPPORTED for encrypted ones, compression other than
 *        deflate, and element types as npy_parse(); ERR_TOO_LARGE for more
 *        than a thousand arrays or 64 GB unpacked; ERR_NOT_FOUND; ERR_IO.
 */
int npz_open(const char *path, struct npz **out, struct err *e);
void npz_free(struct npz **z);

int npz_n(const struct npz *z);
const struct npz_array *npz_array(const struct npz *z, int i);

/*
 * The next bytes of array i's elements; more than are left is the caller's
 * fault.
 * Fails: ERR_INVALID when the file is broken here (also its checksum).
 */
int npz_read(struct npz *z, int i, void *dst, size_t bytes, struct err *e);

/* All arrays begin again. */
int npz_rewind(struct npz *z, struct err *e);

#endif
