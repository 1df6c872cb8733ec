/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ir/dtype.h"

#include <math.h>
#include <string.h>

size_t
dtype_size(enum dtype t)
{
    switch (t) {
#define DTYPE(id, number, bytes, name)                                         \
    case DTYPE_##id:                                                           \
        return bytes;
        DTYPE_TABLE(DTYPE)
#undef DTYPE
    default:
        return 0;
    }
}

const char *
dtype_name(enum dtype t)
{
    switch (t) {
#define DTYPE(id, number, bytes, name)                                         \
    case DTYPE_##id:                                                           \
        return name;
        DTYPE_TABLE(DTYPE)
#undef DTYPE
    default:
        return "none";
    }
}

bool
dtype_is_float(enum dtype t)
{
    return t == DTYPE_FLOAT || t == DTYPE_FLOAT16 || t == DTYPE_BFLOAT16 ||
           t == DTYPE_DOUBLE;
}

static float
bits_to_float(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t
float_to_bits(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

/*
 * binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits (IEEE 754-2008).
 * With its bits in the places of a float's, whose bias is 127, a finite number
 * is 2^112 too small, a subnormal one as well.
 */
float
dtype_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    uint32_t u = float_to_bits(bits_to_float(rest << 13) * 0x1p112f);

    return bits_to_float(sign | u | (rest >= 0x7c00 ? 0x7f800000 : 0));
}

uint16_t
dtype_float_to_half(float f)
{
    uint32_t u = float_to_bits(f);
    uint16_t sign = (uint16_t)((u >> 16) & 0x8000);
    float a = fabsf(f);

    if (isnan(f))
        return (uint16_t)(sign | 0x7e00);
    if (a >= 65520.0f) /* halfway to the first power that is infinite */
        return (uint16_t)(sign | 0x7c00);
    if (a <
        0x1p-14f) /* subnormal: a multiple of 2^-24; may round up to 2^-14 */
        return (uint16_t)(sign | (uint16_t)lrintf(ldexpf(a, 24)));
    u = float_to_bits(a);
    u += 0xfff + ((u >> 13) & 1); /* round to nearest even at bit 13 */
    return (uint16_t)(sign | ((u >> 13) - (112 << 10)));
}

float
dtype_bf16_to_float(uint16_t b)
{
    return bits_to_float((uint32_t)b << 16);
}

uint16_t
dtype_float_to_bf16(float f)
{
    uint32_t u = float_to_bits(f);

    if (isnan(f))
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

void
dtype_widen(enum dtype t, float *to, const uint16_t *from, size_t n)
{
    if (t == DTYPE_FLOAT16)
        for (size_t i = 0; i < n; i++)
            to[i] = dtype_half_to_float(from[i]);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = dtype_bf16_to_float(from[i]);
}

void
dtype_narrow(enum dtype t, uint16_t *to, const float *from, size_t n)
{
    if (t == DTYPE_FLOAT16)
        for (size_t i = 0; i < n; i++)
            to[i] = dtype_float_to_half(from[i]);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = dtype_float_to_bf16(from[i]);
}
