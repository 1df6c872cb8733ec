/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quantizer: a simplified float graph in, a graph in QDQ form out.
 *
 *     static:   samples -> quant_observe() -> observation
 *               graph + observation -> quant_static() -> graph, result
 *     dynamic:  graph -> quant_dynamic() -> graph, result
 *
 * Observing is the slow part and is done once; quant_static() may then be
 * called again with another calibrator or more excluded layers.
 *
 * The result is plain ONNX: QuantizeLinear and DequantizeLinear around the
 * operators, int8 weights behind DequantizeLinear, biases in float.
 */
#ifndef QUANT_QUANT_H
#define QUANT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"
#include "engine/engine.h"

/* How the range of an activation is chosen from what was seen of it. */
enum quant_calibrator {
    QUANT_MINMAX,     /* all of it */
    QUANT_PERCENTILE, /* all but a share at each end */
    QUANT_MSE,        /* least expected squared error */
    QUANT_ENTROPY,    /* least information lost (Kullback-Leibler) */
};

/* "minmax", "percentile", "mse", "entropy"; and back: -1 for another word. */
const char *quant_calibrator_name(enum quant_calibrator c);
int quant_calibrator_find(const char *name);

struct quant_options {
    enum quant_calibrator calibrator;
    double percentile; /* kept at each end, percent: 50 < p <= 100 */
    int samples;       /* calibration samples used at most */
    int batch;         /* samples a calibration run may have, >= 1 */
    bool per_tensor;   /* one scale a weight instead of one a channel */
    bool reduce_range; /* weights in 7 bits: products fit 16 bits */
    const char *const *exclude; /* node names or fnmatch(3) patterns */
    int n_exclude;
};

/*
 * The defaults (why: see quant.c); reduce_range is set where engine_has_vnni()
 * says that 8-bit products would saturate.
 */
void quant_options_init(struct quant_options *o);

/*
 * Where calibration samples come from, some at a time.
 *
 * next:  gives the next samples, at most max_rows.  in[i] is model input i
 *        in its declared type, row-major, in a shape that the model takes;
 *        with more than one row, dimension 0 of each is *rows.  The data
 *        stay valid until the next call.  *rows is 0 when there are no more.
 * total: samples there are, for the progress; 0 when not known.
 */
struct quant_source {
    int (*next)(void *arg, int max_rows, struct tensor *in, int *rows,
                struct err *e);
    void *arg;
    long total;
};

/* Called now and then with the share done (0 to 1) and a line for people. */
struct quant_progress {
    void (*call)(void *arg, double fraction, const char *message);
    void *arg;
};

/* What calibration saw of every tensor that may be quantized. */
struct observation;

/*
 * Runs the float model on the samples and watches its tensors.  Memory does
 * not grow with the number of samples; what is kept does not depend on their
 * order or on how they are cut into batches.
 *
 * g:     simplified (graph_simplify()), input shapes with dynamic axes or not.
 * p:     may be NULL.
 * Fails: ERR_INVALID without a single usable sample, ERR_UNSUPPORTED when the
 *        model has no layer to quantize, and as next(), model_build() and
 *        session_run() do.
 */
int quant_observe(const struct graph *g, const struct quant_options *o,
                  const struct quant_source *src,
                  const struct quant_progress *p, struct observation **out,
                  struct err *e);

void observation_free(struct observation **ob);

enum quant_precision {
    QUANT_FLOAT,       /* computed and stored as in the original */
    QUANT_INT8,        /* integers in, integers multiplied */
    QUANT_DYNAMIC,     /* int8 weights, activations quantized while it runs */
    QUANT_WEIGHT_ONLY, /* int8 weights in the file, computed in float */
};

const char *quant_precision_name(enum quant_precision p);

/* One layer with weights: Conv, ConvTranspose, Gemm, MatMul. */
struct quant_layer {
    const char *node, *op;
    enum quant_precision precision;
    const char *reason; /* why not int8, NULL when it is */
    int channels;       /* weight scales; 1: one for the tensor */
    float weight_min, weight_max;
    double weight_sqnr_db; /* INFINITY when exact, NAN when left in float */
    double sqnr_db; /* of what it computes, expected of the noise that its
                       weights and its input carry: the lowest layers are the
                       first to try in float; NAN when not known */
    int input;      /* of tensors[], what it reads; -1 when not quantized */
    int output;     /* what it writes, activation included; or -1 */
};

/* One activation tensor: what was seen, what was chosen. */
struct quant_tensor {
    const char *name;
    bool is_input;  /* of the model */
    bool quantized; /* else only watched */
    float min, max; /* seen */
    double mean, std;
    uint64_t values, nonfinite; /* finite ones seen; others, left out */
    float low, high;            /* range that the integers cover */
    float scale;
    int zero;       /* zero point, uint8 */
    double clipped; /* share of the values moved by more than half a step */
    double sqnr_db; /* of the values against their quantized form, expected */
};

struct quant_result {
    struct arena *arena; /* owns every string below */
    VEC(struct quant_layer) layers;
    VEC(struct quant_tensor) tensors;
    VEC(const char *) warnings;
    enum quant_calibrator calibrator;
    bool reduce_range;
    long samples;        /* used */
    long skipped;        /* left out, NaN or infinity in an input */
    int n_int8, n_float; /* of layers; n_int8 counts all but QUANT_FLOAT */
    size_t weight_bytes_float, weight_bytes; /* of the layers: was, is */
};

void quant_result_free(struct quant_result *r);

/*
 * Static quantization.
 *
 * g:     as given to quant_observe(); must outlive *out.
 * r:     out; quant_result_free().
 * out:   graph_free(); can be written by graph_save().
 * Fails: ERR_UNSUPPORTED when no layer is left to quantize, with why;
 *        ERR_NO_MEMORY.
 */
int quant_static(const struct graph *g, const struct quant_options *o,
                 const struct observation *ob, struct quant_result *r,
                 struct graph **out, struct err *e);

/*
 * Dynamic quantization: int8 weights a column for MatMul and Gemm, whose
 * activations are quantized row by row while the model runs; int8 weights a
 * channel for Conv, which computes in float (it would not gain by quantizing
 * its input on the fly) but takes a quarter of the room in the file.
 * Arguments and failures as quant_static().
 */
int quant_dynamic(const struct graph *g, const struct quant_options *o,
                  struct quant_result *r, struct graph **out, struct err *e);

#endif
