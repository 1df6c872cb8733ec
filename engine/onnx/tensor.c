/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw data are little-endian in the file and used as they are: quantd is for
 * little-endian machines.
 */
#include "engine/onnx/tensor.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/wire.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensors in ONNX files are little-endian");

const char *
onnx_type_name(int32_t data_type)
{
    static const struct {
        int32_t number;
        const char *name;
    } others[] = {
        {0, "undefined"},   {8, "string"},          {14, "complex64"},
        {15, "complex128"}, {17, "float8e4m3fn"},   {18, "float8e4m3fnuz"},
        {19, "float8e5m2"}, {20, "float8e5m2fnuz"}, {21, "uint4"},
        {22, "int4"},       {23, "float4e2m1"},     {24, "float8e8m0"},
        {25, "uint2"},      {26, "int2"},           {27, "float6e2m3"},
        {28, "float6e3m2"},
    };

    if (dtype_size((enum dtype)data_type) > 0)
        return dtype_name((enum dtype)data_type);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i].number == data_type)
            return others[i].name;
    return "unknown";
}

int
dtype_import(int32_t data_type, enum dtype *out, struct err *e)
{
    if (dtype_size((enum dtype)data_type) == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "element type %s (%" PRId32 ") is not supported",
                       onnx_type_name(data_type), data_type);
    *out = (enum dtype)data_type;
    return 0;
}

enum { ONNX_UINT4 = 21, ONNX_INT4 = 22 };

bool
tensor_has_four_bits(const Onnx__TensorProto *t)
{
    return t->data_type == ONNX_UINT4 || t->data_type == ONNX_INT4;
}

static int
type_of(const Onnx__TensorProto *t, enum dtype *out, struct err *e)
{
    if (!tensor_has_four_bits(t))
        return dtype_import(t->data_type, out, e);
    *out = t->data_type == ONNX_INT4 ? DTYPE_INT8 : DTYPE_UINT8;
    return 0;
}

static int
describe(const Onnx__TensorProto *t, struct tensor *out, size_t *n,
         struct err *e)
{
    if (type_of(t, &out->dtype, e) != 0)
        return e->code;
    if (t->n_dims > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "rank %zu, at most %d is supported",
                       t->n_dims, SHAPE_MAX_RANK);
    if (t->segment != NULL)
        return err_set(e, ERR_UNSUPPORTED, "segments are not supported");
    out->shape = (struct shape){.rank = (int)t->n_dims};
    for (size_t i = 0; i < t->n_dims; i++)
        out->shape.dim[i] = t->dims[i];
    return shape_count(&out->shape, n, e);
}

static int
no_memory(size_t bytes, struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "no memory for %zu bytes", bytes);
}

static int
wrong_size(const struct tensor *t, size_t have, size_t want, const char *unit,
           struct err *e)
{
    char text[SHAPE_TEXT];

    return err_set(e, ERR_INVALID, "%s%s takes %zu %s, the file has %zu",
                   dtype_name(t->dtype), shape_text(&t->shape, text), want,
                   unit, have);
}

/* --- typed data --------------------------------------------------------- */

/* The list that holds elements of a dtype, and how wide its numbers are. */
struct typed {
    void **at;
    size_t n, width;
};

static struct typed
typed_of(Onnx__TensorProto *t, enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_FLOAT:
        return (struct typed){(void **)&t->float_data, t->n_float_data, 4};
    case DTYPE_DOUBLE:
        return (struct typed){(void **)&t->double_data, t->n_double_data, 8};
    case DTYPE_INT64:
        return (struct typed){(void **)&t->int64_data, t->n_int64_data, 8};
    case DTYPE_UINT32:
    case DTYPE_UINT64:
        return (struct typed){(void **)&t->uint64_data, t->n_uint64_data, 8};
    default: /* the rest is kept as int32, half floats by their bits */
        return (struct typed){(void **)&t->int32_data, t->n_int32_data, 4};
    }
}

/* Range of a type that is kept in a wider one. */
static void
range_of(enum dtype t, int64_t *low, int64_t *high)
{
    switch (t) {
    case DTYPE_BOOL:
        *low = 0, *high = 1;
        return;
    case DTYPE_INT8:
        *low = INT8_MIN, *high = INT8_MAX;
        return;
    case DTYPE_UINT8:
        *low = 0, *high = UINT8_MAX;
        return;
    case DTYPE_INT16:
        *low = INT16_MIN, *high = INT16_MAX;
        return;
    case DTYPE_UINT32:
        *low = 0, *high = UINT32_MAX;
        return;
    default: /* uint16, float16, bfloat16 */
        *low = 0, *high = UINT16_MAX;
    }
}

/* Copies n numbers of l into the narrower elements of t. */
static int
narrow(const struct typed *l, size_t n, const struct tensor *t, struct err *e)
{
    size_t size = dtype_size(t->dtype);
    int64_t low, high;

    range_of(t->dtype, &low, &high);
    for (size_t i = 0; i < n; i++) {
        int64_t v = l->width == 8 ? ((const int64_t *)*l->at)[i]
                                  : ((const int32_t *)*l->at)[i];

        if (v < low || v > high)
            return err_set(e, ERR_INVALID, "element %zu: %" PRId64 " is no %s",
                           i, v, dtype_name(t->dtype));
        memcpy((char *)t->data + i * size, &v, size); /* its low bytes */
    }
    return 0;
}

static int
from_typed(Onnx__TensorProto *p, size_t n, struct arena *a, struct tensor *t,
           struct err *e)
{
    struct typed l = typed_of(p, t->dtype);

    if (l.n != n)
        return wrong_size(t, l.n, n, "elements", e);
    if (n > 0 && l.width == dtype_size(t->dtype)) {
        t->data = *l.at;
        *l.at = NULL;
        arena_defer(a, mem_free, t->data);
        return 0;
    }
    t->data = arena_try(a, n, dtype_size(t->dtype));
    if (t->data == NULL)
        return no_memory(n * dtype_size(t->dtype), e);
    return narrow(&l, n, t, e);
}

/* --- raw data ----------------------------------------------------------- */

/* A C bool that is neither 0 nor 1 is undefined behaviour where it is read. */
static int
check_bools(const struct tensor *t, size_t n, struct err *e)
{
    const uint8_t *p = t->data;

    for (size_t i = 0; t->dtype == DTYPE_BOOL && i < n; i++)
        if (p[i] > 1)
            return err_set(e, ERR_INVALID, "element %zu: %d is no bool", i,
                           p[i]);
    return 0;
}

static int
from_raw(Onnx__TensorProto *p, size_t bytes, struct arena *a, struct tensor *t,
         struct err *e)
{
    if (p->raw_data.len != bytes)
        return wrong_size(t, p->raw_data.len, bytes, "bytes", e);
    t->data = p->raw_data.data;
    p->raw_data = (ProtobufCBinaryData){0, NULL};
    arena_defer(a, mem_free, t->data);
    return 0;
}

static int
from_file(Onnx__TensorProto *p, size_t bytes, struct external *x,
          struct tensor *t, struct err *e)
{
    const void *at;

    if (external_map(x, p, bytes, &at, e) != 0)
        return e->code;
    if ((uintptr_t)at % dtype_size(t->dtype) == 0) {
        t->data = (void *)at;
        return 0;
    }
    t->data = arena_try(x->arena, bytes, 1);
    if (t->data == NULL)
        return no_memory(bytes, e);
    memcpy(t->data, at, bytes);
    return 0;
}

static size_t
typed_elements(const Onnx__TensorProto *t)
{
    return t->n_float_data + t->n_double_data + t->n_int32_data +
           t->n_int64_data + t->n_uint64_data + t->n_string_data;
}

static int
read_data(Onnx__TensorProto *p, size_t n, struct external *x, struct tensor *t,
          struct err *e)
{
    size_t bytes = n * dtype_size(t->dtype);

    if (p->data_location == 1)
        return from_file(p, bytes, x, t, e);
    if (p->data_location != 0)
        return err_set(e, ERR_INVALID, "data location %" PRId32,
                       p->data_location);
    if (p->raw_data.len > 0 && typed_elements(p) > 0)
        return err_set(e, ERR_INVALID, "both raw and typed data");
    if (p->raw_data.len > 0)
        return from_raw(p, bytes, x->arena, t, e);
    return from_typed(p, n, x->arena, t, e);
}

/* Two integers a byte, the first in its low bits. */
static int
read_four_bits(Onnx__TensorProto *p, size_t n, struct external *x,
               struct tensor *t, struct err *e)
{
    struct tensor packed = {DTYPE_UINT8, SHAPE((int64_t)(n / 2 + n % 2)), NULL};
    const bool negative = t->dtype == DTYPE_INT8;
    const uint8_t *from;
    uint8_t *to;

    if (read_data(p, n / 2 + n % 2, x, &packed, e) != 0)
        return e->code;
    to = arena_try(x->arena, n, 1);
    if (to == NULL)
        return no_memory(n, e);
    t->data = to;
    from = packed.data;
    for (size_t i = 0; i < n; i++) {
        uint8_t v = i % 2 == 0 ? from[i / 2] & 15 : from[i / 2] >> 4;

        to[i] = negative && v > 7 ? (uint8_t)(v - 16) : v;
    }
    return 0;
}

int
tensor_import(Onnx__TensorProto *p, struct external *x, struct tensor *out,
              struct err *e)
{
    struct tensor t = {0};
    size_t n;
    int rc;

    if (describe(p, &t, &n, e) != 0)
        return e->code;
    rc = tensor_has_four_bits(p) ? read_four_bits(p, n, x, &t, e)
                                 : read_data(p, n, x, &t, e);
    if (rc != 0 || check_bools(&t, n, e) != 0)
        return e->code;
    *out = t;
    return 0;
}

/* --- a file of its own -------------------------------------------------- */

/* What tensor_import() leaves in an arena, in memory of its own. */
static int
take_out(Onnx__TensorProto *p, struct external *x, struct tensor *out,
         struct err *e)
{
    struct tensor t;
    size_t bytes;

    if (tensor_import(p, x, &t, e) != 0)
        return e->code;
    bytes = shape_n(&t.shape) * dtype_size(t.dtype);
    *out = t;
    out->data = mem_try_aligned(bytes);
    if (out->data == NULL)
        return no_memory(bytes, e);
    memcpy(out->data, t.data, bytes);
    return 0;
}

int
tensor_parse(const void *p, size_t bytes, struct tensor *out, struct err *e)
{
    struct external x = {.arena = arena_new()};
    ProtobufCMessage *m = NULL;
    int rc = wire_parse(&onnx__tensor_proto__descriptor, p, bytes, &m, e);

    if (rc == 0)
        rc = take_out((Onnx__TensorProto *)m, &x, out, e);
    wire_free(m);
    external_free(&x);
    arena_free(&x.arena);
    return rc;
}

int
tensor_load(const char *path, struct tensor *out, struct err *e)
{
    struct file_map map;
    int rc = file_map(path, &map, e);

    if (rc != 0)
        return rc;
    rc = tensor_parse(map.p, map.bytes, out, e);
    file_unmap(&map);
    return rc;
}
