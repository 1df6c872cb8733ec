/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of samples for a model: what calibration and validation are fed from.
 *
 *     data_open(path, model, DATA_VALIDATION, &d, e);
 *     while (data_left(d) > 0) {
 *         int rows = model_batch_fit(model, min(32, data_left(d)));
 *         data_next(d, rows, &b, e);
 *         data_feed(&b, session, e);
 *         session_run(session, e);
 *     }
 *
 * A set is an .npz file with one array a model input, samples along the first
 * axis, or a folder or .tar archive of ONNX TensorProto files as the ONNX
 * backend tests have them (test_data_set_0/input_0.pb ...).  It is read as a
 * stream: memory holds one batch, however large the file.
 */
#ifndef QUANT_DATA_H
#define QUANT_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "engine/engine.h"
#include "quant/seen.h"

struct data;

enum data_role {
    DATA_CALIBRATION, /* inputs only; labels and outputs are passed over */
    DATA_VALIDATION,
};

/* Samples in the types the model wants; valid until the next call. */
struct data_batch {
    int rows;
    int n_in, n_want;
    const struct tensor *in;   /* one a model input, [rows, ...] or, where
                                  samples cannot share a run, as it is */
    const int64_t *labels;     /* rows class indices, or NULL */
    const struct tensor *want; /* one a model output, data == NULL where the
                                  set has none; NULL when it has none at all */
};

/*
 * Opens a set and holds it against the model's inputs and outputs.
 *
 * An array belongs to the input or output of its name; "labels" (integers,
 * [n]) are class indices.  A model of one input also takes the only other
 * array, whatever its name.  A sample is one row of an input whose first axis
 * is a batch axis or 1 (array [n, ...]), or the whole input (array
 * [n, whole shape]).
 *
 * m:     must outlive the set.
 * Fails: ERR_INVALID, with array, expected and given shape or type;
 *        ERR_NOT_FOUND; ERR_UNSUPPORTED; ERR_TOO_LARGE; ERR_IO.
 */
int data_open(const char *path, const struct model *m, enum data_role role,
              struct data **out, struct err *e);
void data_free(struct data **d);

/* Samples of the set, as data_limit() left it. */
int64_t data_n(const struct data *d);

/* Samples not yet read. */
int64_t data_left(const struct data *d);

/* Uses only n samples, spread evenly over the set.  Before the first read. */
void data_limit(struct data *d, int64_t n);

bool data_has_labels(const struct data *d);
bool data_has_outputs(const struct data *d);

/*
 * The next samples: `rows` of them, fewer at the end, and one where samples
 * cannot share a run.  b->rows is 0 behind the last.
 * Fails: ERR_INVALID for broken files; ERR_NO_MEMORY; ERR_IO.
 */
int data_next(struct data *d, int rows, struct data_batch *b, struct err *e);

/* Begins again. */
int data_rewind(struct data *d, struct err *e);

/* Shapes the session for the batch and copies its inputs in. */
int data_feed(const struct data_batch *b, struct session *s, struct err *e);

/* SHA-256 of the file, or of the folder's files one after another. */
int data_digest(const struct data *d, char hex[DIGEST_HEX + 1], struct err *e);

/* What the samples read so far look like; lives as long as d. */
const struct seen *data_seen(const struct data *d);

#endif
