/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy files: a magic number, a version, a Python dictionary with
 * type, order and shape, and then the elements.
 * Spec: NEP 1, "A Simple File Format for NumPy Arrays".
 */
#ifndef QUANT_NPY_H
#define QUANT_NPY_H

#include <stddef.h>

#include "base/err.h"
#include "engine/ir/shape.h"

enum {
    NPY_PREFIX = 12,          /* enough to know how long the header is */
    NPY_HEADER_MAX = 1 << 16, /* numpy itself refuses headers over 10,000 */
};

struct npy {
    enum dtype dtype;
    struct shape shape;
    size_t header_bytes; /* where the elements begin */
    size_t data_bytes;   /* of all elements */
};

/*
 * How many bytes the header has, prefix included: at most NPY_HEADER_MAX.
 *
 * p, n:  the first bytes of the file.
 * Fails: ERR_INVALID when they are no .npy file of version 1, 2 or 3, or fewer
 *        than 10 (version 1) or NPY_PREFIX.
 */
int npy_header(const void *p, size_t n, size_t *bytes, struct err *e);

/*
 * Reads a whole header (npy_header() told how long).
 * Fails: ERR_INVALID for what is malformed; ERR_UNSUPPORTED for element types
 *        that no tensor has, big-endian and Fortran-ordered arrays.
 */
int npy_parse(const void *p, size_t n, struct npy *out, struct err *e);

/*
 * Reads a whole file.  out->data is the caller's: mem_free().
 * Fails: as above, and as file_map() does.
 */
int npy_load(const char *path, struct tensor *out, struct err *e);

/* Writes a version 1 file, atomically. */
int npy_save(const char *path, const struct tensor *t, struct err *e);

#endif
