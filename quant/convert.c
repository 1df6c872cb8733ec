/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/convert.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "engine/ir/dtype.h"

/* One element, read: real holds a float, whole an integer (big: of uint64,
 * above what int64 holds). */
struct element {
    double real;
    int64_t whole;
    bool big;
};

bool
convert_allowed(enum dtype from, enum dtype to)
{
    if (dtype_size(from) == 0 || dtype_size(to) == 0)
        return false;
    if (from == to)
        return true;
    if (dtype_is_float(from))
        return dtype_is_float(to);
    return to != DTYPE_BOOL;
}

#define READ(type)                                                             \
    do {                                                                       \
        type v_;                                                               \
        memcpy(&v_, (const char *)p + i * sizeof v_, sizeof v_);               \
        x.whole = (int64_t)v_;                                                 \
        x.real = (double)v_;                                                   \
    } while (0)

static struct element
read_element(enum dtype t, const void *p, size_t i)
{
    struct element x = {0};

    switch (t) {
    case DTYPE_BOOL:
    case DTYPE_UINT8:
        READ(uint8_t);
        break;
    case DTYPE_INT8:
        READ(int8_t);
        break;
    case DTYPE_UINT16:
        READ(uint16_t);
        break;
    case DTYPE_INT16:
        READ(int16_t);
        break;
    case DTYPE_UINT32:
        READ(uint32_t);
        break;
    case DTYPE_INT32:
        READ(int32_t);
        break;
    case DTYPE_INT64:
        READ(int64_t);
        break;
    case DTYPE_UINT64:
        READ(uint64_t);
        x.big = x.whole < 0;
        break;
    case DTYPE_FLOAT:
        x.real = (double)((const float *)p)[i];
        break;
    case DTYPE_DOUBLE:
        x.real = ((const double *)p)[i];
        break;
    case DTYPE_FLOAT16:
        x.real = (double)dtype_half_to_float(((const uint16_t *)p)[i]);
        break;
    case DTYPE_BFLOAT16:
        x.real = (double)dtype_bf16_to_float(((const uint16_t *)p)[i]);
        break;
    case DTYPE_NONE:
        break;
    }
    return x;
}

#define WRITE_INT(type, low, high)                                             \
    do {                                                                       \
        type v_ = (type)x->whole;                                              \
        if (x->big || x->whole < (low) || x->whole > (high))                   \
            return false;                                                      \
        memcpy((char *)p + i * sizeof v_, &v_, sizeof v_);                     \
    } while (0)

/* False when the integer has no equal in type t. */
static bool
write_whole(enum dtype t, void *p, size_t i, const struct element *x)
{
    switch (t) {
    case DTYPE_UINT8:
        WRITE_INT(uint8_t, 0, UINT8_MAX);
        return true;
    case DTYPE_INT8:
        WRITE_INT(int8_t, INT8_MIN, INT8_MAX);
        return true;
    case DTYPE_UINT16:
        WRITE_INT(uint16_t, 0, UINT16_MAX);
        return true;
    case DTYPE_INT16:
        WRITE_INT(int16_t, INT16_MIN, INT16_MAX);
        return true;
    case DTYPE_UINT32:
        WRITE_INT(uint32_t, 0, UINT32_MAX);
        return true;
    case DTYPE_INT32:
        WRITE_INT(int32_t, INT32_MIN, INT32_MAX);
        return true;
    case DTYPE_INT64:
        WRITE_INT(int64_t, INT64_MIN, INT64_MAX);
        return true;
    case DTYPE_UINT64:
        WRITE_INT(uint64_t, 0, INT64_MAX);
        return true;
    default:
        return false;
    }
}

/* Largest integer up to which a floating-point type holds every one. */
static double
exact_up_to(enum dtype t)
{
    switch (t) {
    case DTYPE_DOUBLE:
        return 0x1p53;
    case DTYPE_FLOAT:
        return 0x1p24;
    case DTYPE_FLOAT16:
        return 0x1p11;
    default:
        return 0x1p8; /* bfloat16 */
    }
}

static void
write_real(enum dtype t, void *p, size_t i, double v)
{
    switch (t) {
    case DTYPE_FLOAT:
        ((float *)p)[i] = (float)v;
        break;
    case DTYPE_DOUBLE:
        ((double *)p)[i] = v;
        break;
    case DTYPE_FLOAT16:
        ((uint16_t *)p)[i] = dtype_float_to_half((float)v);
        break;
    case DTYPE_BFLOAT16:
        ((uint16_t *)p)[i] = dtype_float_to_bf16((float)v);
        break;
    default:
        break;
    }
}

int
convert(enum dtype from, const void *src, enum dtype to, void *dst, size_t n,
        struct err *e)
{
    bool whole = !dtype_is_float(from);
    double limit = exact_up_to(to);

    if (from == to) {
        if (n > 0)
            memcpy(dst, src, n * dtype_size(from));
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct element x = read_element(from, src, i);
        bool fits = true;

        if (!dtype_is_float(to))
            fits = write_whole(to, dst, i, &x);
        else if (whole && fabs(x.real) > limit)
            fits = false;
        else
            write_real(to, dst, i, x.real);
        if (!fits)
            return err_set(e, ERR_INVALID,
                           "element %zu: %.0f does not fit into %s", i, x.real,
                           dtype_name(to));
    }
    return 0;
}

double
convert_real(enum dtype t, const void *p, size_t i)
{
    if (t == DTYPE_FLOAT) /* by far the most frequent */
        return (double)((const float *)p)[i];
    return read_element(t, p, i).real;
}
