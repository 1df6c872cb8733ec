/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels that are written for float32 run on other types as well: what goes
 * in is converted to float32 in scratch memory, and what comes out is
 * converted back.  For types that real models seldom have (double in
 * convolutions, bytes in Resize) this stands instead of a second kernel; what
 * it costs is the digits of a double beyond those of a float.
 *
 * Scratch: the pointers that stand for io, the converted tensors, and behind
 * them what the kernel itself asked for.
 */
#include "engine/ops/floats.h"

#include "engine/ops/number.h"

enum { LINE = 64 };

static size_t
rounded(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* Input i or, behind the inputs, output i - n_in, if it is to be converted. */
static const struct value *
foreign(const struct graph *g, const struct node *n, unsigned types, int i)
{
    const struct value *v =
        i < n->n_in ? node_in(g, n, i) : node_out(g, n, i - n->n_in);

    return v != NULL && (types & (1u << v->dtype)) != 0 ? v : NULL;
}

static size_t
floats_of(const struct value *v)
{
    return v == NULL ? 0 : rounded(shape_n(&v->shape) * sizeof(float));
}

static size_t
floats_bytes(const struct graph *g, const struct node *n, unsigned types)
{
    const int n_io = n->n_in + n->n_out;
    size_t bytes = 0;

    for (int i = 0; i < n_io; i++)
        bytes += floats_of(foreign(g, n, types, i));
    return bytes == 0 ? 0 : bytes + rounded((size_t)n_io * sizeof(void *));
}

void
floats_prepare(const struct graph *g, const struct node *n, unsigned types,
               struct step *s)
{
    s->scratch_bytes += floats_bytes(g, n, types);
}

/* As Cast does it: a real number is cut toward zero in an integer. */
static void
convert(const struct value *v, void *floats, void *own, bool in)
{
    const int64_t n = (int64_t)shape_n(&v->shape);
    const int64_t size = (int64_t)dtype_size(v->dtype);

    if (in)
        number_convert(DTYPE_FLOAT, floats, sizeof(float), v->dtype, own, size,
                       n);
    else
        number_convert(v->dtype, own, size, DTYPE_FLOAT, floats, sizeof(float),
                       n);
}

int
floats_run(const struct step *s, void *const *io, void *scratch, void *state,
           unsigned types, floats_kernel *kernel, struct err *e)
{
    const struct node *n = s->node;
    const int n_io = n->n_in + n->n_out;
    void **own = scratch;
    char *at;
    int rc;

    if (floats_bytes(s->graph, n, types) == 0)
        return kernel(s, io, scratch, state, e);
    at = (char *)scratch + rounded((size_t)n_io * sizeof(void *));
    for (int i = 0; i < n_io; i++) {
        const struct value *v = foreign(s->graph, n, types, i);

        own[i] = v == NULL ? io[i] : at;
        if (v != NULL && i < n->n_in)
            convert(v, at, io[i], true);
        at += floats_of(v);
    }
    rc = kernel(s, own, at, state, e);
    for (int i = n->n_in; rc == 0 && i < n_io; i++)
        if (own[i] != io[i])
            convert(step_out(s, i - n->n_in), own[i], io[i], false);
    return rc;
}

int
floats_nothing(const struct graph *g, const struct node *n, struct step *s,
               struct weights *w, struct err *e)
{
    (void)g;
    (void)n;
    (void)s;
    (void)w;
    (void)e;
    return 0;
}
