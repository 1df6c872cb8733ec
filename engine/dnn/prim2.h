/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the 2.x implementation share:
 *
 *     prim2.c        a primitive's life: built, packed for, bound, run
 *     prim2_attr.c   posts and scales
 *     prim2_chain.c  the order in which oneDNN computes them
 *     prim2_conv.c   convolutions, and what is wrong with them
 *     prim2_desc.c   all other operations
 */
#ifndef ENGINE_DNN_PRIM2_H
#define ENGINE_DNN_PRIM2_H

#include "engine/dnn/prim2_chain.h"

enum { MAX_ARGS = PRIM_ARGS + 2 + MAX_CHAIN };

/* Roles of arguments that p itself has: the bias, and constants from here
 * downwards. */
enum { ROLE_BIAS = -1, ROLE_CONSTANT = -2 };

struct arg {
    int dnnl_arg;
    int role; /* enum prim_arg or one of the above */
    dnnl_memory_desc_t md;
};

struct prim {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t prim;
    dnnl_memory_desc_t plain; /* weights as prim_pack() is given them */
    dnnl_memory_desc_t packed;
    struct arg arg[MAX_ARGS];
    int n_args;
    float *bias;
    float constant[MAX_CHAIN];
    int n_constants;
    bool has_binary, has_sum; /* among the post-ops */
    size_t scratch_bytes;
    const char *impl;
};

struct prim_call {
    const struct prim *prim;
    dnnl_stream_t stream;
    dnnl_exec_arg_t arg[MAX_ARGS + 1];
    int n_args;
};

/* Spatial arrays as long as oneDNN declares them. */
struct prim2_window {
    dnnl_dims_t kernel, stride, dilation, pad_lo, pad_hi;
};

static inline void
prim2_copy(dnnl_dims_t to, const int64_t from[3], int64_t less)
{
    for (int i = 0; i < 3; i++)
        to[i] = from[i] - less;
}

/* The one engine, or NULL when oneDNN has none. */
dnnl_engine_t prim2_engine(void);

int prim2_failed(dnnl_status_t st, const char *what, struct err *e);

dnnl_data_type_t prim2_type(enum dtype t);

dnnl_status_t prim2_strided(const struct prim_tensor *t,
                            dnnl_memory_desc_t *md);

/* The same shape in whatever form the primitive likes. */
dnnl_status_t prim2_any_form(const struct prim_tensor *t,
                             dnnl_memory_desc_t *md);

/* The attribute all primitives here have: the caller gives the scratchpad. */
int prim2_new_attr(dnnl_primitive_attr_t *attr, struct err *e);

/* rank: of dst; axis: of the channels in it. */
int prim2_math_attr(const struct prim_math *m, int rank, int axis,
                    struct prim *p, dnnl_primitive_attr_t *attr, struct err *e);

/* Takes p, and attr when there is one. */
int prim2_finish(struct prim *p, const void *desc, const char *what,
                 dnnl_primitive_attr_t attr, struct prim **out, struct err *e);

int prim2_give_up(struct prim *p, dnnl_primitive_attr_t attr, int rc);

/* Weights and bias become arguments once the primitive has chosen a form. */
void prim2_add_weights(struct prim *p);

/* The zero point of the source becomes an argument. */
int prim2_add_zero(struct prim *p, struct err *e);

dnnl_status_t prim2_bias_desc(const struct prim *p, const struct prim_math *m,
                              int rank, dnnl_memory_desc_t *md);

#endif
