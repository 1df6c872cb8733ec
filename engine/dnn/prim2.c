/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prim.h in the API of oneDNN 2.x: operation descriptors, output scales, and
 * memory descriptors that are plain structs.
 */
#include "engine/dnn/prim2.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static dnnl_engine_t engine;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void
make_engine(void)
{
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
}

dnnl_engine_t
prim2_engine(void)
{
    pthread_once(&engine_once, make_engine);
    return engine;
}

int
prim2_failed(dnnl_status_t st, const char *what, struct err *e)
{
    if (st == dnnl_out_of_memory)
        return err_set(e, ERR_NO_MEMORY, "oneDNN %s: out of memory", what);
    if (st == dnnl_unimplemented || st == dnnl_invalid_arguments)
        return err_set(e, ERR_UNSUPPORTED, "oneDNN has no such %s", what);
    return err_set(e, ERR_INTERNAL, "oneDNN %s failed with status %d", what,
                   (int)st);
}

dnnl_data_type_t
prim2_type(enum dtype t)
{
    switch (t) {
    case DTYPE_FLOAT:
        return dnnl_f32;
    case DTYPE_INT32:
        return dnnl_s32;
    case DTYPE_INT8:
        return dnnl_s8;
    case DTYPE_UINT8:
        return dnnl_u8;
    default:
        return dnnl_data_type_undef;
    }
}

dnnl_status_t
prim2_strided(const struct prim_tensor *t, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dim, stride;

    for (int i = 0; i < t->rank; i++) {
        dim[i] = t->dim[i];
        stride[i] = t->stride[i];
    }
    return dnnl_memory_desc_init_by_strides(md, t->rank, dim,
                                            prim2_type(t->dtype), stride);
}

/* The same shape in whatever form the primitive likes. */
dnnl_status_t
prim2_any_form(const struct prim_tensor *t, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dim;

    for (int i = 0; i < t->rank; i++)
        dim[i] = t->dim[i];
    return dnnl_memory_desc_init_by_tag(md, t->rank, dim, prim2_type(t->dtype),
                                        dnnl_format_tag_any);
}

/* --- life ---------------------------------------------------------------- */

int
prim_build(struct prim *p, struct err *e)
{
    dnnl_status_t st = dnnl_success;

    if (p->prim == NULL)
        st = dnnl_primitive_create(&p->prim, p->pd);

    return st == dnnl_success ? 0 : prim2_failed(st, "primitive", e);
}

void
prim_free(struct prim **p)
{
    if (*p == NULL)
        return;
    if ((*p)->prim != NULL)
        dnnl_primitive_destroy((*p)->prim);
    if ((*p)->pd != NULL)
        dnnl_primitive_desc_destroy((*p)->pd);
    mem_free((*p)->bias);
    mem_free(*p);
    *p = NULL;
}

const char *
prim_impl(const struct prim *p)
{
    return p->impl;
}

size_t
prim_scratch_bytes(const struct prim *p)
{
    return p->scratch_bytes;
}

size_t
prim_weights_bytes(const struct prim *p)
{
    return dnnl_memory_desc_get_size(&p->packed);
}

const void *
prim_weights_key(const struct prim *p, size_t *bytes)
{
    *bytes = sizeof p->packed;
    return &p->packed;
}

static dnnl_status_t
run_reorder(dnnl_primitive_t prim, dnnl_memory_t from, dnnl_memory_t to)
{
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_stream_t stream;
    dnnl_status_t st =
        dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);

    if (st != dnnl_success)
        return st;
    st = dnnl_primitive_execute(prim, stream, 2, args);
    if (st == dnnl_success)
        st = dnnl_stream_wait(stream);
    dnnl_stream_destroy(stream);
    return st;
}

int
prim_pack(const struct prim *p, const void *plain, void *packed, struct err *e)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    dnnl_memory_t from = NULL, to = NULL;
    dnnl_status_t st;

    /* oneDNN takes addresses as void *; a source is only read. */
    if ((st = dnnl_reorder_primitive_desc_create(&pd, &p->plain, engine,
                                                 &p->packed, engine, NULL)) ==
            dnnl_success &&
        (st = dnnl_primitive_create(&prim, pd)) == dnnl_success &&
        (st = dnnl_memory_create(&from, &p->plain, engine, (void *)plain)) ==
            dnnl_success &&
        (st = dnnl_memory_create(&to, &p->packed, engine, packed)) ==
            dnnl_success)
        st = run_reorder(prim, from, to);
    if (to != NULL)
        dnnl_memory_destroy(to);
    if (from != NULL)
        dnnl_memory_destroy(from);
    if (prim != NULL)
        dnnl_primitive_destroy(prim);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return st == dnnl_success ? 0 : prim2_failed(st, "weights reorder", e);
}

/* oneDNN takes addresses as void *, but only reads here. */
static void *
own_constant(const struct prim *p, int role)
{
    return (void *)&p->constant[ROLE_CONSTANT - role];
}

static dnnl_status_t
bind_all(struct prim_call *c, void *const *arg, void *scratch)
{
    const struct prim *p = c->prim;
    dnnl_status_t st =
        dnnl_stream_create(&c->stream, engine, dnnl_stream_default_flags);

    for (int i = 0; i < p->n_args && st == dnnl_success; i++) {
        const struct arg *a = &p->arg[i];
        void *at = a->role >= 0           ? arg[a->role]
                   : a->role == ROLE_BIAS ? p->bias
                                          : own_constant(p, a->role);

        c->arg[i].arg = a->dnnl_arg;
        st = dnnl_memory_create(&c->arg[i].memory, &a->md, engine, at);
        c->n_args = i + (st == dnnl_success);
    }
    if (st != dnnl_success || p->scratch_bytes == 0)
        return st;
    c->arg[c->n_args].arg = DNNL_ARG_SCRATCHPAD;
    st = dnnl_memory_create(
        &c->arg[c->n_args].memory,
        dnnl_primitive_desc_query_md(p->pd, dnnl_query_scratchpad_md, 0),
        engine, scratch);
    c->n_args += st == dnnl_success;
    return st;
}

int
prim_bind(const struct prim *p, void *const *arg, void *scratch,
          struct prim_call **out, struct err *e)
{
    struct prim_call *c = mem_new(1, sizeof *c);
    dnnl_status_t st;

    c->prim = p;
    st = bind_all(c, arg, scratch);
    if (st != dnnl_success) {
        prim_unbind(&c);
        return prim2_failed(st, "memory", e);
    }
    *out = c;
    return 0;
}

int
prim_run(const struct prim_call *c, struct err *e)
{
    dnnl_status_t st =
        dnnl_primitive_execute(c->prim->prim, c->stream, c->n_args, c->arg);

    return st == dnnl_success ? 0 : prim2_failed(st, "execution", e);
}

void
prim_unbind(struct prim_call **c)
{
    if (*c == NULL)
        return;
    for (int i = 0; i < (*c)->n_args; i++)
        dnnl_memory_destroy((*c)->arg[i].memory);
    if ((*c)->stream != NULL)
        dnnl_stream_destroy((*c)->stream);
    mem_free(*c);
    *c = NULL;
}

/* --- the machine --------------------------------------------------------- */

const char *
prim_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "generic";
    }
}

bool
prim_has_vnni(void)
{
    int isa = (int)dnnl_get_effective_cpu_isa();

    /* Each instruction set has the bits of those it includes. */
    return (isa & dnnl_cpu_isa_avx512_core_vnni) ==
           dnnl_cpu_isa_avx512_core_vnni;
}

const char *
prim_version(void)
{
    static char text[24];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const dnnl_version_t *v = dnnl_version();

    pthread_mutex_lock(&lock);
    if (text[0] == '\0')
        snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    pthread_mutex_unlock(&lock);
    return text;
}
