/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of ResNet-50, MobileNetV2 and BERT-base find a fast kernel, in
 * float32 and in int8: none is left to the plain kernels or to oneDNN's
 * reference code, which is up to ten thousand times slower.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/op/both.h"

/* What runs graph g, whose output is y; frees g. */
static void
expect(struct graph *g, int y, const char *want, const char *what)
{
    struct both_kernels k = {""};
    struct model *m = NULL;
    struct shape shapes[8];
    struct err e = {0};

    VEC_PUSH(&g->outputs, y);
    for (size_t i = 0; i < g->inputs.n; i++)
        shapes[i] = g->values.at[g->inputs.at[i]].shape;
    setenv("QUANTD_KERNELS", "default", 1);
    if (model_build(&g, NULL, &m, &e) != 0 ||
        model_describe(m, shapes, both_note, &k, &e) != 0)
        fail_msg("%s: %s", what, e.msg);
    model_unref(&m);
    if (getenv("VERBOSE") != NULL)
        printf("%s: %s\n", what, k.text);
    if (strstr(k.text, want) == NULL || strstr(k.text, "ops.") != NULL ||
        strstr(k.text, "/ref") != NULL || strstr(k.text, "(") != NULL)
        fail_msg("%s: %s", what, k.text);
}

static int
scalar(struct graph *g, enum dtype t, const void *bytes)
{
    return graph_add_const(g, NULL, t, &(struct shape){.rank = 0}, bytes);
}

/* Q and DQ by 0.02, zero point 3, uint8; Q alone when `half`. */
static int
quantized(struct graph *g, int x, bool half)
{
    const float scale = 0.02f;
    const uint8_t zero = 3;
    int s = scalar(g, DTYPE_FLOAT, &scale), z = scalar(g, DTYPE_UINT8, &zero);

    x = NODE(g, OP_QUANTIZE_LINEAR, x, s, z);
    return half ? x : NODE(g, OP_DEQUANTIZE_LINEAR, x, s, z);
}

/* Weights, int8 behind a DQ or float32; 7 bits, which every CPU can sum. */
static int
weights(struct graph *g, struct shape s, int axis, bool int8)
{
    size_t n = shape_n(&s);
    int scales = (int)s.dim[axis], y;
    int8_t *w, *zero;
    float *scale;

    if (!int8)
        return both_const(g, s, 0.1f);
    w = mem_new(n, 1);
    zero = mem_new((size_t)scales, 1);
    scale = mem_new((size_t)scales, sizeof *scale);
    for (size_t i = 0; i < n; i++)
        w[i] = (int8_t)both_int(-64, 64);
    for (int i = 0; i < scales; i++)
        scale[i] = 0.01f;
    y = NODE(g, OP_DEQUANTIZE_LINEAR,
             graph_add_const(g, NULL, DTYPE_INT8, &s, w),
             graph_add_const(g, NULL, DTYPE_FLOAT, &SHAPE(scales), scale),
             graph_add_const(g, NULL, DTYPE_INT8, &SHAPE(scales), zero));
    attr_set_int(g, MADE(g, y), "axis", axis);
    mem_free(w);
    mem_free(zero);
    mem_free(scale);
    return y;
}

struct layer {
    int c, h, o, k, stride, group;
};

static void
one_conv(const struct layer *l, bool int8)
{
    struct graph *g = graph_new();
    int64_t stride[2] = {l->stride, l->stride}, p = l->k / 2;
    int64_t pads[4] = {p, p, p, p};
    int x = both_input(g, "x", SHAPE(1, l->c, l->h, l->h)), y;
    char what[80];

    if (int8)
        x = quantized(g, x, false);
    y = NODE(g, OP_CONV, x,
             weights(g, SHAPE(l->o, l->c / l->group, l->k, l->k), 0, int8),
             both_const(g, SHAPE(l->o), 1));
    attr_set_ints(g, MADE(g, y), "strides", stride, 2);
    attr_set_ints(g, MADE(g, y), "pads", pads, 4);
    attr_set_int(g, MADE(g, y), "group", l->group);
    y = NODE(g, OP_RELU, y);
    if (int8)
        y = quantized(g, y, true);
    snprintf(what, sizeof what, "%s conv %d x %d -> %d k %d s %d g %d",
             int8 ? "int8" : "float", l->c, l->h, l->o, l->k, l->stride,
             l->group);
    expect(g, y,
           int8 && l->group > 1 && engine_has_vnni() ? "dnn.depthwise/"
                                                     : "dnn.conv/",
           what);
}

static void
test_resnet50(void **state)
{
    static const struct layer layers[] = {
        {3, 224, 64, 7, 2, 1},    {64, 56, 64, 1, 1, 1},
        {64, 56, 64, 3, 1, 1},    {64, 56, 256, 1, 1, 1},
        {256, 56, 64, 1, 1, 1},   {256, 56, 512, 1, 2, 1},
        {256, 56, 128, 1, 1, 1},  {128, 56, 128, 3, 2, 1},
        {128, 28, 128, 3, 1, 1},  {128, 28, 512, 1, 1, 1},
        {512, 28, 1024, 1, 2, 1}, {256, 28, 256, 3, 2, 1},
        {256, 14, 1024, 1, 1, 1}, {1024, 14, 2048, 1, 2, 1},
        {512, 14, 512, 3, 2, 1},  {512, 7, 512, 3, 1, 1},
        {512, 7, 2048, 1, 1, 1},  {2048, 7, 512, 1, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        one_conv(&layers[i], false);
        one_conv(&layers[i], true);
    }
}

static void
test_mobilenet(void **state)
{
    static const struct layer layers[] = {
        {3, 224, 32, 3, 2, 1},     {32, 112, 32, 3, 1, 32},
        {32, 112, 16, 1, 1, 1},    {16, 112, 96, 1, 1, 1},
        {96, 112, 96, 3, 2, 96},   {96, 56, 24, 1, 1, 1},
        {144, 56, 144, 3, 1, 144}, {192, 28, 192, 3, 2, 192},
        {384, 14, 384, 3, 1, 384}, {576, 14, 576, 3, 2, 576},
        {960, 7, 960, 3, 1, 960},  {960, 7, 320, 1, 1, 1},
        {320, 7, 1280, 1, 1, 1},   {72, 28, 72, 5, 2, 72},
        {240, 14, 240, 5, 1, 240},
    };

    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        one_conv(&layers[i], false);
        one_conv(&layers[i], true);
    }
}

static void
test_bert(void **state)
{
    static const int shapes[][2] = {{768, 768}, {768, 3072}, {3072, 768}};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int int8 = 0; int8 < 2; int8++) {
            struct graph *g = graph_new();
            int k = shapes[i][0], n = shapes[i][1];
            int x = both_input(g, "x", SHAPE(1, 16, k)), y;

            if (int8)
                x = quantized(g, x, false);
            y = NODE(g, OP_MATMUL, x, weights(g, SHAPE(k, n), 1, int8));
            y = NODE(g, OP_ADD, y, both_const(g, SHAPE(n), 1));
            expect(g, NODE(g, OP_GELU, y), "dnn.matmul/", "BERT");
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnet50),
        cmocka_unit_test(test_mobilenet),
        cmocka_unit_test(test_bert),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
