/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ops/number.h"

#include <math.h>

/* Types of each kind, with the C type that holds an element. */
#define SIGNED_KIND(X)                                                         \
    X(INT8, int8_t)                                                            \
    X(INT16, int16_t)                                                          \
    X(INT32, int32_t)                                                          \
    X(INT64, int64_t)                                                          \
    X(UINT8, uint8_t)                                                          \
    X(UINT16, uint16_t)                                                        \
    X(UINT32, uint32_t)
#define INTEGERS(X) SIGNED_KIND(X) X(UINT64, uint64_t)

double
number_double(enum dtype t, const void *p)
{
    switch (t) {
    case DTYPE_FLOAT:
        return *(const float *)p;
    case DTYPE_DOUBLE:
        return *(const double *)p;
    case DTYPE_FLOAT16:
        return dtype_half_to_float(*(const uint16_t *)p);
    case DTYPE_BFLOAT16:
        return dtype_bf16_to_float(*(const uint16_t *)p);
    case DTYPE_UINT64:
        return (double)*(const uint64_t *)p;
    default:
        return (double)number_int(t, p);
    }
}

int64_t
number_int(enum dtype t, const void *p)
{
    switch (t) {
#define CASE(id, T)                                                            \
    case DTYPE_##id:                                                           \
        return (int64_t) * (const T *)p;
        INTEGERS(CASE)
#undef CASE
    case DTYPE_BOOL:
        return *(const uint8_t *)p != 0;
    default:
        return 0;
    }
}

int
number_order(enum dtype t, const void *a, const void *b)
{
    int64_t x, y;

    if (dtype_is_float(t)) {
        double v = number_double(t, a), w = number_double(t, b);

        if (isnan(v) || isnan(w))
            return isnan(v) - isnan(w);
        return (v > w) - (v < w);
    }
    x = number_int(t, a);
    y = number_int(t, b);
    if (t == DTYPE_UINT64)
        return ((uint64_t)x > (uint64_t)y) - ((uint64_t)x < (uint64_t)y);
    return (x > y) - (x < y);
}

void
number_set_int(enum dtype t, void *p, int64_t v)
{
    switch (t) {
#define CASE(id, T)                                                            \
    case DTYPE_##id:                                                           \
        *(T *)p = (T)v;                                                        \
        break;
        INTEGERS(CASE)
#undef CASE
    case DTYPE_BOOL:
        *(uint8_t *)p = v != 0;
        break;
    default:
        break;
    }
}

/* --- runs of elements ---------------------------------------------------- */

enum { CHUNK = 256 };

union chunk {
    double real[CHUNK];
    int64_t integer[CHUNK];
    uint64_t natural[CHUNK];
};

#define EACH for (int64_t i = 0; i < n; i++)

static void
load(enum dtype t, const char *p, int64_t step, int64_t n, union chunk *c)
{
    if (dtype_is_float(t)) {
        if (t == DTYPE_FLOAT)
            EACH c->real[i] = *(const float *)(p + i * step);
        else
            EACH c->real[i] = number_double(t, p + i * step);
        return;
    }
    switch (t) {
#define CASE(id, T)                                                            \
    case DTYPE_##id:                                                           \
        EACH c->integer[i] = *(const T *)(p + i * step);                       \
        break;
        SIGNED_KIND(CASE)
#undef CASE
    case DTYPE_UINT64:
        EACH c->natural[i] = *(const uint64_t *)(p + i * step);
        break;
    default:
        EACH c->integer[i] = number_int(t, p + i * step);
    }
}

/*
 * Toward zero.  C and ONNX leave open what happens outside the type's range;
 * here it is what x86 and with it ONNX Runtime and numpy do: the number is
 * cut to int32 or, for the types of 32 bits without sign and of 64 bits, to
 * int64; what that can't hold, NaN with it, is its least number; and the bits
 * that the type has no room for are lost.  So -1 is 255 as uint8.
 */
static int32_t
cut_int32(double x)
{
    return x > -0x1p31 - 1 && x < 0x1p31 ? (int32_t)x : INT32_MIN;
}

static int64_t
cut_int64(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

static uint64_t
cut_natural(double x)
{
    return x >= 0x1p63 && x < 0x1p64 ? (uint64_t)x : (uint64_t)cut_int64(x);
}

#define cut_INT8 cut_int32
#define cut_INT16 cut_int32
#define cut_INT32 cut_int32
#define cut_INT64 cut_int64
#define cut_UINT8 cut_int32
#define cut_UINT16 cut_int32
#define cut_UINT32 cut_int64

static void
store_real(enum dtype t, char *p, int64_t step, int64_t n, const union chunk *c)
{
    switch (t) {
    case DTYPE_FLOAT:
        EACH *(float *)(p + i * step) = (float)c->real[i];
        break;
    case DTYPE_DOUBLE:
        EACH *(double *)(p + i * step) = c->real[i];
        break;
    case DTYPE_FLOAT16:
        EACH *(uint16_t *)(p + i * step) =
            dtype_float_to_half((float)c->real[i]);
        break;
    case DTYPE_BFLOAT16:
        EACH *(uint16_t *)(p + i * step) =
            dtype_float_to_bf16((float)c->real[i]);
        break;
    case DTYPE_BOOL:
        EACH *(uint8_t *)(p + i * step) = c->real[i] != 0;
        break;
#define CASE(id, T)                                                            \
    case DTYPE_##id:                                                           \
        EACH *(T *)(p + i * step) = (T)cut_##id(c->real[i]);                   \
        break;
        SIGNED_KIND(CASE)
#undef CASE
    default:
        EACH *(uint64_t *)(p + i * step) = cut_natural(c->real[i]);
    }
}

/* From either kind of integer: `from` names the member of the chunk. */
#define STORE_INTEGER(from)                                                    \
    switch (t) {                                                               \
    case DTYPE_FLOAT:                                                          \
        EACH *(float *)(p + i * step) = (float)c->from[i];                     \
        break;                                                                 \
    case DTYPE_DOUBLE:                                                         \
        EACH *(double *)(p + i * step) = (double)c->from[i];                   \
        break;                                                                 \
    case DTYPE_FLOAT16:                                                        \
        EACH *(uint16_t *)(p + i * step) =                                     \
            dtype_float_to_half((float)c->from[i]);                            \
        break;                                                                 \
    case DTYPE_BFLOAT16:                                                       \
        EACH *(uint16_t *)(p + i * step) =                                     \
            dtype_float_to_bf16((float)c->from[i]);                            \
        break;                                                                 \
    default:                                                                   \
        EACH number_set_int(t, p + i * step, (int64_t)c->from[i]);             \
    }

static void
store_integer(enum dtype t, char *p, int64_t step, int64_t n,
              const union chunk *c)
{
    STORE_INTEGER(integer)
}

static void
store_natural(enum dtype t, char *p, int64_t step, int64_t n,
              const union chunk *c)
{
    STORE_INTEGER(natural)
}

static bool
is_half(enum dtype t)
{
    return t == DTYPE_FLOAT16 || t == DTYPE_BFLOAT16;
}

void
number_convert(enum dtype to_type, char *to, int64_t to_step,
               enum dtype from_type, const char *from, int64_t from_step,
               int64_t n)
{
    union chunk c;

    if (is_half(from_type) && to_type == DTYPE_FLOAT && from_step == 2 &&
        to_step == 4) {
        dtype_widen(from_type, (float *)to, (const uint16_t *)from, (size_t)n);
        return;
    }
    if (is_half(to_type) && from_type == DTYPE_FLOAT && from_step == 4 &&
        to_step == 2) {
        dtype_narrow(to_type, (uint16_t *)to, (const float *)from, (size_t)n);
        return;
    }
    while (n > 0) {
        int64_t some = n < CHUNK ? n : CHUNK;

        load(from_type, from, from_step, some, &c);
        if (dtype_is_float(from_type))
            store_real(to_type, to, to_step, some, &c);
        else if (from_type == DTYPE_UINT64)
            store_natural(to_type, to, to_step, some, &c);
        else
            store_integer(to_type, to, to_step, some, &c);
        to += some * to_step;
        from += some * from_step;
        n -= some;
    }
}
