/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which array of an .npz file feeds which input, output or labels of a model.
 */
#ifndef QUANT_COLUMNS_H
#define QUANT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "quant/npz.h"

enum column_kind { COLUMN_INPUT, COLUMN_OUTPUT, COLUMN_LABELS };

/* One array and where its rows go. */
struct column {
    enum column_kind kind;
    int index; /* of the model's input or output */
    int array; /* of the .npz file */
    enum dtype from, to;
    bool whole;          /* each row is a whole tensor: it cannot share a run */
    struct shape sample; /* without the sample axis */
    size_t n;            /* elements of it */
};

struct columns {
    struct column *at; /* those that are used; the caller's: mem_free() */
    int n;
    int64_t total; /* samples, at least one */
    bool share;    /* samples may share a run: no input comes whole */
    bool has_labels, has_outputs;
};

/*
 * Finds a place for every array, as data_open() tells, and holds its type and
 * shape against the model's.
 *
 * inputs_only: passes over labels and outputs.
 * out:         its array is the caller's also when this fails.
 * Fails:       ERR_INVALID with array, expected and given; ERR_TOO_LARGE.
 */
int columns_bind(const struct npz *z, const struct model *m, bool inputs_only,
                 struct columns *out, struct err *e);

#endif
