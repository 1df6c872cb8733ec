/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One way to compute one operator.  ops/ and dnn/ each export one array of
 * kernels, ended by NULL; run/ takes the first that fits, dnn/ before ops/.
 *
 *     fits      may this kernel run this node?  Shapes and types are known,
 *               layouts are not yet.
 *     prepare   once for each plan: primitives, packed weights, scratch size.
 *     bind      once for each session: the addresses are fixed from here on.
 *     run       many times, by one thread at a time for each session:
 *               no allocation, no lock, no state outside `state` and scratch.
 */
#ifndef ENGINE_IR_KERNEL_H
#define ENGINE_IR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/ir/graph.h"

struct step;
struct weights;

/* Which layouts of its activations (rank >= 3 and not constant) it takes. */
enum kernel_layout {
    KERNEL_PLAIN,   /* all plain (what 0 means: the safe default) */
    KERNEL_NXC,     /* all channels-last, in and out */
    KERNEL_SAME,    /* any, but all of them, in and out, the same; a
                       broadcast operand is walked by logical strides */
    KERNEL_CONVERT, /* one in, one out, each as it likes */
};

struct kernel {
    enum op op;
    const char *name; /* "dnn.conv": room, then family */
    enum kernel_layout layout;

    /*
     * Output 0 is the bytes of input 0 under another shape (Reshape): run/
     * gives both one address and run is not called.  Such a kernel is PLAIN.
     */
    bool view;

    bool (*fits)(const struct graph *g, const struct node *n);

    /*
     * Fills s->own, s->scratch_bytes, s->inplace, s->impl.  May be NULL.
     * Fails: ERR_UNSUPPORTED with the attribute named, ERR_NO_MEMORY.
     */
    int (*prepare)(const struct graph *g, const struct node *n, struct step *s,
                   struct weights *w, struct err *e);

    /* io: inputs (n_in of them), then outputs; NULL where one is absent. */
    int (*bind)(const struct step *s, void *const *io, void *scratch,
                void **state, struct err *e);
    void (*unbind)(const struct step *s, void *state);

    /* Fails only on what the data say (an index out of range). */
    int (*run)(const struct step *s, void *const *io, void *scratch,
               void *state, struct err *e);

    void (*done)(struct step *s); /* frees s->own */
};

struct step {
    const struct kernel *kernel;
    const struct graph *graph; /* the plan's: shapes, types, constants */
    const struct node *node;
    void *own;
    size_t scratch_bytes;
    int inplace;      /* input whose buffer output 0 should take, or -1: a wish;
                         run() copies first when the addresses differ */
    const char *impl; /* implementation within the kernel, for people */
};

static inline const struct value *
step_in(const struct step *s, int i)
{
    return node_in(s->graph, s->node, i);
}

static inline const struct value *
step_out(const struct step *s, int i)
{
    return node_out(s->graph, s->node, i);
}

/*
 * Packed forms of constants, shared by all plans of a model and freed with it:
 * a plan for another batch size finds the weights that the first one packed.
 * Thread-safe.
 *
 * key:   identifies content and form: the constant's address and whatever the
 *        kernel needs (a memory descriptor).
 * make:  fills `bytes` bytes at dst when there is no such entry yet.
 * Returns the bytes, or NULL with *e set.
 */
const void *weights_get(struct weights *w, const void *key, size_t key_bytes,
                        size_t bytes,
                        int (*make)(void *dst, void *arg, struct err *e),
                        void *arg, struct err *e);

#endif
