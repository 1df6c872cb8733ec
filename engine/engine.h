/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only door to the engine:
 *
 *     file -> graph -> model -> session -> answers
 *
 * A graph says what to compute and may be rewritten (the quantizer does); a
 * model is built from it once and shared by all threads; a session runs it,
 * one for each worker thread.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/ir/dtype.h"
#include "engine/ir/shape.h"

struct graph;
struct model;
struct session;

/* --- the machine ------------------------------------------------------- */

/* Instruction set the kernels use: "avx2", "avx512_core", "avx512_core_vnni",
 * "avx512_core_bf16", ... as oneDNN names it. */
const char *engine_isa(void);

/* "2.6.3": the oneDNN in use. */
const char *engine_dnn_version(void);

/*
 * True where 8-bit products are summed in 32 bits.  Without it (before
 * AVX512-VNNI) pairs saturate at 16 bits unless weights keep to 7 bits.
 */
bool engine_has_vnni(void);

/* Threads that sessions of the calling thread use from now on. */
void engine_set_threads(int n);

/* --- graph ------------------------------------------------------------- */

/*
 * Reads an ONNX file (opset 6 to 28), external data beside it included.
 *
 * out:   the caller's, graph_free() frees it.
 * Fails: ERR_NOT_FOUND, ERR_INVALID (malformed, with where), ERR_UNSUPPORTED
 *        (names operator, node and attribute), ERR_NO_MEMORY, ERR_IO.
 */
int graph_load(const char *path, struct graph **out, struct err *e);

void graph_free(struct graph **g);

/*
 * Reads one TensorProto file (the ONNX backend tests' input_0.pb).
 * out->data is the caller's: mem_free().
 */
int tensor_load(const char *path, struct tensor *out, struct err *e);

/* The same from the bytes of such a file. */
int tensor_parse(const void *p, size_t bytes, struct tensor *out,
                 struct err *e);

/*
 * Writes a standard ONNX file and syncs it; weights over 1.5 GB go into
 * PATH.data, which the file refers to by that name.  On failure neither is
 * left.
 * Fails: ERR_INTERNAL when nodes are joined or exist in memory only,
 *        ERR_NO_SPACE, ERR_IO.
 */
int graph_save(const struct graph *g, const char *path, struct err *e);

/*
 * ONNX to better ONNX, the numbers kept: half types computed in float32 between
 * Casts at the door, constants folded, identities and dropouts gone,
 * BatchNormalization and bias Adds inside Conv, hard-swish by parts made one
 * node.  The result can still be written by graph_save().
 */
int graph_simplify(struct graph *g, struct err *e);

/* --- model ------------------------------------------------------------- */

struct model_options {
    int max_batch;  /* rows a run may have; 0: as engine default (8) */
    int max_shapes; /* built shapes kept for other dynamic axes; 0: 16 */

    /* Memory a run may take besides the weights; 0: 4 GiB.  A small file, or
     * a request for a model with dynamic axes, can ask for any amount. */
    size_t max_run_bytes;

    /* Steps a run may take, as ops_work() counts them; 0: 2^44, an hour or so
     * on one core. */
    double max_run_work;
};

/*
 * Builds what the workers share.  Takes the graph (*g becomes NULL) and
 * simplifies it.
 * Fails: ERR_UNSUPPORTED, ERR_INVALID, ERR_NO_MEMORY, ERR_INTERNAL.
 */
int model_build(struct graph **g, const struct model_options *o,
                struct model **out, struct err *e);

/* graph_load() and model_build(). */
int model_load(const char *path, const struct model_options *o,
               struct model **out, struct err *e);

struct model *model_ref(struct model *m);
void model_unref(struct model **m);

/*
 * Builds the plans of the batch ladder (1, 2, 4, ... max_batch) for the
 * dimensions that are fixed, runs each once on made-up data and checks that
 * row i of a batch is answered as if it were alone: a model whose rows
 * influence each other loses batching (model_max_batch() becomes 0).
 * Models with other dynamic dimensions are built at the first shape seen.
 */
int model_warm(struct model *m, struct err *e);

/* Name, type and shape as the file declares them; the batch axis and other
 * dynamic ones are SHAPE_DYNAMIC. */
struct model_io {
    const char *name;
    enum dtype dtype;
    struct shape shape;
};

int model_n_inputs(const struct model *m);
int model_n_outputs(const struct model *m);
const struct model_io *model_input(const struct model *m, int i);
const struct model_io *model_output(const struct model *m, int i);

/*
 * Rows of the first axis that one run may take, or 0 when the first axis is
 * no batch axis (then a request runs alone, at its full shape).
 */
int model_max_batch(const struct model *m);

/* The largest batch of the ladder that is at most rows (rows >= 1). */
int model_batch_fit(const struct model *m, int rows);

struct model_memory {
    size_t weights; /* constants, as the file has them */
    size_t packed;  /* what kernels made of them */
    size_t plans;   /* primitives' books, estimated */
};
void model_memory(const struct model *m, struct model_memory *out);

/* How often a session found its shapes built, and how many are kept. */
struct model_shapes {
    unsigned long hits, misses;
    int kept;
};
void model_shapes(const struct model *m, struct model_shapes *out);

/*
 * One step of the plan for batch 1 (dynamic axes otherwise as given to
 * model_describe): what inspect shows.
 */
struct model_step {
    const char *node, *op;     /* of the first node joined in it */
    const char *kernel, *impl; /* "dnn.conv", "brgconv_1x1:avx512_core_vnni"*/
    const char *fused;         /* "+Relu +Add", "" when nothing is */
    const char *precision;     /* "float32", "int8", "int64", ... */
    const char *note;          /* why not int8, or NULL */
    struct shape shape;        /* of the first output */
    int depth;                 /* > 0: of a body of the If, Loop or Scan before
                                  with a smaller one */
};

/*
 * Calls each(arg, step) for every step.
 * shapes: one a model input, or NULL: declared shapes, 1 for dynamic axes.
 */
int model_describe(struct model *m, const struct shape *shapes,
                   void (*each)(void *arg, const struct model_step *s),
                   void *arg, struct err *e);

/* --- session ----------------------------------------------------------- */

/* One thread's: it may move between threads, never be used by two at once. */
int session_new(struct model *m, struct session **out, struct err *e);
void session_free(struct session **s);

/*
 * Makes the session ready for these input shapes (one a model input): finds
 * or builds the plan, has the memory.  Cheap when the shapes were seen before.
 * Fails: ERR_INVALID when a shape contradicts the model (input named),
 *        ERR_TOO_LARGE when a run would take more than max_run_bytes.
 */
int session_shape(struct session *s, const struct shape *shapes, struct err *e);

/* Where input i is to be written, row-major, before session_run(). */
void *session_input(struct session *s, int i);

/*
 * Computes.  Allocates nothing, unless data decide what is computed or how much
 * of it: then shapes are found, and memory is had, on the way.
 * Fails: ERR_INVALID when the data themselves are wrong (index out of range);
 *        in such models also as session_shape() does, and ERR_UNSUPPORTED.
 */
int session_run(struct session *s, struct err *e);

/* Output i of the last run, row-major; valid until the next session_shape or
 * session_run.  Its shape, too, where data decide it. */
const struct tensor *session_output(const struct session *s, int i);

/*
 * Where the time of one run goes: from here on each run adds up to ns[i] for
 * step i (as model_describe counts them, but for those of bodies); NULL ends
 * it.
 */
void session_profile(struct session *s, unsigned long *ns, int n_steps);

#endif
