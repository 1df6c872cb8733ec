/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/call.h"

#include <string.h>

#include "base/mem.h"
#include "engine/ir/weights.h"

void
call_init(struct call *c)
{
    memset(c, 0, sizeof *c);
    c->sum = -1;
    for (int i = 0; i < PRIM_ARGS; i++)
        c->io[i] = -1;
}

/*
 * Four independent lanes of multiply and fold, so that it runs at memory
 * speed.  Not a defence against anybody: it tells a constant from another one
 * that came to lie at the same address after the first was freed.
 */
uint64_t
call_hash(const void *p, size_t bytes)
{
    const uint64_t k = 0x9e3779b97f4a7c15u;
    const unsigned char *at = p;
    uint64_t lane[4] = {k, k << 1, k << 2, bytes * k};
    uint64_t word[4] = {0};

    for (; bytes >= sizeof word; bytes -= sizeof word, at += sizeof word) {
        memcpy(word, at, sizeof word);
        for (int i = 0; i < 4; i++) {
            lane[i] = (lane[i] ^ word[i]) * k;
            lane[i] ^= lane[i] >> 29;
        }
    }
    memset(word, 0, sizeof word);
    memcpy(word, at, bytes);
    for (int i = 0; i < 4; i++) {
        lane[0] = (lane[0] ^ lane[i] ^ word[i]) * k;
        lane[0] ^= lane[0] >> 29;
    }
    return lane[0];
}

struct pack {
    const struct prim *prim;
    const struct value *v;
    bool unsign;
};

static int
pack(void *dst, void *arg, struct err *e)
{
    const struct pack *p = arg;
    const uint8_t *from = p->v->data;
    size_t n = shape_n(&p->v->shape);
    int8_t *shifted;
    int rc;

    if (!p->unsign)
        return prim_pack(p->prim, from, dst, e);
    shifted = mem_try(n, 1);
    if (shifted == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for weights");
    for (size_t i = 0; i < n; i++)
        shifted[i] = (int8_t)(from[i] - 128);
    rc = prim_pack(p->prim, shifted, dst, e);
    mem_free(shifted);
    return rc;
}

int
call_weights(struct call *c, const struct value *v, bool unsign,
             struct weights *w, struct err *e)
{
    size_t form_bytes;
    const void *form = prim_weights_key(c->prim, &form_bytes);
    size_t bytes = shape_n(&v->shape) * dtype_size(v->dtype);
    struct {
        const void *at;
        uint64_t hash;
        int64_t unsign;
    } id = {v->data, call_hash(v->data, bytes), unsign};
    struct pack p = {c->prim, v, unsign};
    unsigned char *key = mem_new(1, sizeof id + form_bytes);

    memcpy(key, &id, sizeof id);
    memcpy(key + sizeof id, form, form_bytes);
    c->fixed[PRIM_WEIGHTS] =
        weights_get(w, key, sizeof id + form_bytes, prim_weights_bytes(c->prim),
                    pack, &p, e);
    mem_free(key);
    return c->fixed[PRIM_WEIGHTS] == NULL ? (int)e->code : 0;
}

int
call_prepare(const struct call *c, struct step *s, struct err *e)
{
    struct call *own;
    int rc = prim_build(c->prim, e);

    if (rc != 0)
        return rc;
    own = mem_new(1, sizeof *own);
    *own = *c;
    s->own = own;
    s->impl = prim_impl(c->prim);
    s->scratch_bytes = prim_scratch_bytes(c->prim);
    s->inplace = c->sum;
    return 0;
}

int
call_bind(const struct step *s, void *const *io, void *scratch, void **state,
          struct err *e)
{
    const struct call *c = s->own;
    void *arg[PRIM_ARGS];
    struct prim_call *call;
    int rc;

    for (int i = 0; i < PRIM_ARGS; i++)
        arg[i] = c->io[i] >= 0 ? io[c->io[i]] : (void *)c->fixed[i];
    rc = prim_bind(c->prim, arg, scratch, &call, e);
    if (rc == 0)
        *state = call;
    return rc;
}

void
call_unbind(const struct step *s, void *state)
{
    struct prim_call *call = state;

    (void)s;
    prim_unbind(&call);
}

int
call_run(const struct step *s, void *const *io, void *scratch, void *state,
         struct err *e)
{
    const struct call *c = s->own;

    (void)scratch;
    if (c->sum >= 0 && io[c->sum] != io[c->io[PRIM_DST]])
        memcpy(io[c->io[PRIM_DST]], io[c->sum], c->sum_bytes);
    return prim_run(state, e);
}

void
call_done(struct step *s)
{
    struct call *c = s->own;

    if (c == NULL)
        return;
    prim_free(&c->prim);
    mem_free(c);
    s->own = NULL;
}

bool
call_fits(call_describe *describe, const struct graph *g, const struct node *n)
{
    struct call c;
    struct err e;
    int rc = describe(g, n, &c, &e);

    prim_free(&c.prim);
    return rc == 0;
}

int
call_make(call_describe *describe, const struct graph *g, const struct node *n,
          struct step *s, struct err *e)
{
    struct call c;
    int rc = describe(g, n, &c, e);

    if (rc == 0)
        rc = call_prepare(&c, s, e);
    if (rc != 0)
        prim_free(&c.prim);
    return rc;
}
