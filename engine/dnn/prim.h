/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam to oneDNN: what this room asks of a primitive, in words that do not
 * depend on the library's version.  prim2.c and what it is made of say it in
 * the 2.x API; no other file sees dnnl.h.
 *
 * Quantized arithmetic is described in real numbers: tensors have scales and
 * zero points, bias and posts are real.  How that becomes accumulator units,
 * output scales or attribute memories is the library version's business.
 *
 * A prim is immutable once built and shared by all sessions of a plan; a
 * prim_call is one session's: fixed addresses, one caller at a time.
 */
#ifndef ENGINE_DNN_PRIM_H
#define ENGINE_DNN_PRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/ir/dtype.h"
#include "engine/ir/op.h"

enum { PRIM_MAX_RANK = 6, PRIM_MAX_POSTS = 8 };

/* FLOAT, INT32, INT8 or UINT8; strides in elements. */
struct prim_tensor {
    enum dtype dtype;
    int rank;
    int64_t dim[PRIM_MAX_RANK];
    int64_t stride[PRIM_MAX_RANK];
};

enum prim_post_kind {
    PRIM_UNARY,  /* op, alpha, beta as in struct post */
    PRIM_LINEAR, /* alpha * x + beta */
    PRIM_ADD,    /* other operand: scale * (other - zero) */
    PRIM_MUL,
    PRIM_SUM, /* ADD of what dst holds before the call, dtype other.dtype */
};

struct prim_post {
    enum prim_post_kind kind;
    enum op op;
    float alpha, beta;
    struct prim_tensor other;
    float scale; /* 1 for a float operand */
    int32_t zero;
};

/*
 * y = sat(round(posts(scale[c] * acc + bias[c]) / dst_scale) + dst_zero)
 * where acc sums (src - src_zero) * (weights - weights_zero) and c is the
 * output channel (the column, for a matmul).  A convolution has no
 * weights_zero.  dst_scale is 1 and dst_zero 0 for a float output.
 */
struct prim_math {
    const float *scale; /* n_scales of them; NULL when all are 1 */
    int n_scales;       /* 1 or the number of channels */
    const float *bias;  /* one a channel, or NULL; copied */
    int n_channels;
    int32_t src_zero, weights_zero;
    bool zero_at_run; /* of a convolution: src_zero is read at PRIM_ZERO */
    float dst_scale;
    int32_t dst_zero;
    struct prim_post post[PRIM_MAX_POSTS];
    int n_posts;
};

/*
 * src [N,C,spatial...], dst likewise; weights [O,I,k...] or, with groups,
 * [G,O/G,I/G,k...], strides as the bytes given to prim_pack() have them.
 */
struct prim_conv {
    bool transposed;
    struct prim_tensor src, weights, dst;
    int64_t stride[3], dilation[3], pad_lo[3], pad_hi[3];
};

/* src [...,M,K], weights [...,K,N], dst [...,M,N]; leading axes equal or 1. */
struct prim_matmul {
    struct prim_tensor src, weights, dst;
    bool pack; /* weights are constant: prim_pack() is going to be called */
};

struct prim_pool {
    struct prim_tensor src, dst;
    bool max, count_pad; /* not max: average, over the padding too */
    int64_t kernel[3], stride[3], dilation[3], pad_lo[3], pad_hi[3];
};

/* Roles of addresses in a call. */
enum prim_arg {
    PRIM_SRC,
    PRIM_WEIGHTS,
    PRIM_GAMMA, /* layer normalization */
    PRIM_BETA,
    PRIM_DST,
    PRIM_ZERO, /* an int32 */
    PRIM_POST, /* + index in prim_math.post */
    PRIM_ARGS = PRIM_POST + PRIM_MAX_POSTS
};

struct prim;
struct prim_call;

/*
 * Each makes a description, cheap enough to ask whether a primitive exists.
 * Fails: ERR_UNSUPPORTED when oneDNN has none, or only its reference code.
 */
int prim_conv(const struct prim_conv *c, const struct prim_math *m,
              struct prim **out, struct err *e);
int prim_matmul(const struct prim_matmul *c, const struct prim_math *m,
                struct prim **out, struct err *e);
int prim_pool(const struct prim_pool *c, struct prim **out, struct err *e);

/* One elementwise operator over n floats. */
int prim_unary(enum op op, float alpha, float beta, int64_t n,
               struct prim **out, struct err *e);

/* Along the last axis. */
int prim_softmax(const struct prim_tensor *t, bool log, struct prim **out,
                 struct err *e);
int prim_layer_norm(const struct prim_tensor *t, float epsilon, bool beta,
                    struct prim **out, struct err *e);

/* src and dst of one shape: a change of strides. */
int prim_reorder(const struct prim_tensor *src, const struct prim_tensor *dst,
                 struct prim **out, struct err *e);

/*
 * Generates the code, when it has not been; to be called before the rest.  A
 * primitive that was described may still fail here.
 */
int prim_build(struct prim *p, struct err *e);
void prim_free(struct prim **p);

const char *prim_impl(const struct prim *p);
size_t prim_scratch_bytes(const struct prim *p);

/* The form the primitive wants its weights in; the key tells forms apart. */
size_t prim_weights_bytes(const struct prim *p);
const void *prim_weights_key(const struct prim *p, size_t *bytes);
int prim_pack(const struct prim *p, const void *plain, void *packed,
              struct err *e);

/* arg: PRIM_ARGS addresses that hold until prim_unbind(); scratch too. */
int prim_bind(const struct prim *p, void *const *arg, void *scratch,
              struct prim_call **out, struct err *e);
int prim_run(const struct prim_call *c, struct err *e);
void prim_unbind(struct prim_call **c);

/* The instruction set in use, as oneDNN names it, after its own limits. */
const char *prim_isa(void);
bool prim_has_vnni(void);
const char *prim_version(void);

#endif
