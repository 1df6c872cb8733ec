/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Open Inference Protocol's infer request and answer, with the binary
 * tensor and classification extensions; bytes on one side, tensors on the
 * other.
 *
 * Reading has two steps, for the request itself says which model shall
 * answer: oip_read() takes the body apart, oip_bind() holds it against the
 * model.
 */
#ifndef SERVER_OIP_H
#define SERVER_OIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "server/buf.h"

enum { OIP_TENSORS = 256, OIP_PARAMETERS = 64 };

struct oip_input {
    const char *name;
    enum dtype dtype;
    struct shape shape;
    const void *data; /* row-major */
    size_t bytes;     /* of data */
    struct buf *own;  /* where parsed numbers lie */
};

struct oip_output {
    const char *name;
    int binary;      /* -1: not said */
    int64_t classes; /* classification: k; 0: none */
};

/* A request-level parameter; numbers and booleans as their text. */
struct oip_parameter {
    const char *name;
    char kind; /* 's' string, 'n' number, 'b' boolean */
    char *text;
};

struct oip_request {
    const char *id; /* NULL: none */
    struct oip_input *inputs;
    int n_inputs;
    struct oip_output *outputs; /* n_outputs 0: all that the model has */
    int n_outputs;
    struct oip_parameter *parameters;
    int n_parameters;
    bool binary_output; /* for outputs that don't say */
    bool raw;           /* the body is the one input's bytes */
    struct buf *body;   /* names and binary data point into it */
};

/*
 * body:    taken, whatever comes out.
 * header:  of Inference-Header-Content-Length, NULL when absent.
 * Fails:   ERR_INVALID with what and where; ERR_UNSUPPORTED for BYTES inputs
 *          and shared memory; ERR_BUSY and ERR_NO_MEMORY for room.
 */
int oip_read(struct buf **body, const char *header, struct oip_request **out,
             struct err *e);
void oip_free(struct oip_request **q);

/* The text of a request parameter, NULL when it was not given. */
const char *oip_parameter(const struct oip_request *q, const char *name);

/* An integer parameter between min and max; dflt when it was not given. */
int oip_integer(const struct oip_request *q, const char *name, int64_t min,
                int64_t max, int64_t dflt, int64_t *out, struct err *e);

/*
 * Matches the tensors with the model's.
 *
 * in:      of each model input: the request's input.
 * out:     of each model output: what is asked of it, NULL when it is not
 *          wanted.  Both arrays are the caller's, as long as the model has
 *          inputs and outputs.
 * batched: the first dimension is a batch of any size.
 * Fails:   ERR_INVALID, with what is expected.
 */
int oip_bind(struct oip_request *q, const struct model *m, bool batched,
             const struct oip_input **in, const struct oip_output **out,
             struct err *e);

/* What an answer says besides its tensors. */
struct oip_answer {
    const char *model_name; /* as it was asked for */
    long version;
    const char *variant;
    const struct oip_output *const *out; /* as oip_bind() gave it */
    const struct tensor *tensors;        /* of each model output */
    bool batched;
    /* Name of a class, or NULL. */
    const char *(*label)(const void *arg, const char *output, size_t index);
    const void *arg;
};

/*
 * The answer's first part (*head: JSON), the rest being the data of the binary
 * outputs, one behind the other in the model's order of outputs.
 *
 * classes: classified binary outputs make their bytes anew: of each model
 *          output a buffer or NULL.  The caller's, and *head too.
 * binary:  some output goes in binary form, so the JSON's length is told in a
 *          header.
 */
int oip_write(const struct oip_request *q, const struct model *m,
              const struct oip_answer *a, struct buf **head,
              struct buf **classes, bool *binary, struct err *e);

/* "FP32"; NULL for none. */
const char *oip_datatype(enum dtype t);

#endif
