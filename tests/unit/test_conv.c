/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

#define INTS(c, name, ...)                                                     \
    attr_set_ints((c)->g, (c)->n, name, (const int64_t[]){__VA_ARGS__},        \
                  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

/* A 3x3 image of 1..9 under a window of ones. */
static void
image_and_ones(struct one *c, int64_t k)
{
    float ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};

    one_begin(c);
    IN_F(c, SHAPE(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9);
    one_in(c, DTYPE_FLOAT, &SHAPE(1, 1, k, k), ones);
}

static void
pads_strides_dilations(void **state)
{
    struct one c;

    (void)state;
    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    WANT_F(&c, 0, SHAPE(1, 1, 2, 2), 12, 16, 24, 28);
    one_end(&c);

    image_and_ones(&c, 3);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "pads", 1, 1, 1, 1);
    INTS(&c, "strides", 2, 2);
    WANT_F(&c, 0, SHAPE(1, 1, 2, 2), 12, 16, 24, 28);
    one_end(&c);

    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "dilations", 2, 2);
    WANT_F(&c, 0, SHAPE(1, 1, 1, 1), 20);
    one_end(&c);
}

static void
auto_pad_upper_and_lower(void **state)
{
    struct one c;

    (void)state;
    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    attr_set_string(c.g, c.n, "auto_pad", "SAME_UPPER");
    WANT_F(&c, 0, SHAPE(1, 1, 3, 3), 12, 16, 9, 24, 28, 15, 15, 17, 9);
    one_end(&c);

    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    attr_set_string(c.g, c.n, "auto_pad", "SAME_LOWER");
    WANT_F(&c, 0, SHAPE(1, 1, 3, 3), 1, 3, 5, 5, 12, 16, 11, 24, 28);
    one_end(&c);
}

static void
groups_and_bias(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2), 1, 2, 3, 4);
    IN_F(&c, SHAPE(4, 1, 1), 1, 10, 100, 1000);
    IN_F(&c, SHAPE(4), 0.5f, 0, 0, -1);
    one_node(&c, OP_CONV, 1);
    attr_set_int(c.g, c.n, "group", 2);
    WANT_F(&c, 0, SHAPE(1, 4, 2), 1.5f, 2.5f, 10, 20, 300, 400, 2999, 3999);
    one_end(&c);
}

static void
posts_come_after_the_bias(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 3), -1, 2, 3);
    IN_F(&c, SHAPE(1, 1, 1), 2);
    IN_F(&c, SHAPE(1), 1);
    one_node(&c, OP_CONV, 1);
    graph_append_input(c.g, c.n,
                       graph_add_const(c.g, NULL, DTYPE_FLOAT, &SHAPE(1, 1, 3),
                                       (float[]){-10, 0, 1}));
    c.n->posts[0] = (struct post){.op = OP_RELU};
    c.n->posts[1] = (struct post){.op = OP_ADD, .in = 3};
    c.n->posts[2] = (struct post){.op = OP_CLIP, .alpha = -3, .beta = 6};
    c.n->n_posts = 3;
    WANT_F(&c, 0, SHAPE(1, 1, 3), -3, 5, 6);
    one_end(&c);
}

static void
transposed_in_every_padding(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2), 1, 2);
    IN_F(&c, SHAPE(1, 1, 3), 1, 10, 100);
    one_node(&c, OP_CONV_TRANSPOSE, 1);
    INTS(&c, "strides", 2);
    WANT_F(&c, 0, SHAPE(1, 1, 5), 1, 10, 102, 20, 200);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2), 1, 2);
    IN_F(&c, SHAPE(1, 1, 3), 1, 10, 100);
    one_node(&c, OP_CONV_TRANSPOSE, 1);
    INTS(&c, "strides", 2);
    INTS(&c, "pads", 1, 1);
    INTS(&c, "output_padding", 1);
    WANT_F(&c, 0, SHAPE(1, 1, 4), 10, 102, 20, 200);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 2), 1, 2);
    IN_F(&c, SHAPE(1, 1, 3), 1, 10, 100);
    one_node(&c, OP_CONV_TRANSPOSE, 1);
    INTS(&c, "strides", 2);
    attr_set_string(c.g, c.n, "auto_pad", "SAME_UPPER");
    WANT_F(&c, 0, SHAPE(1, 1, 4), 1, 10, 102, 20);
    one_end(&c);
}

static void
transposed_groups(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 1), 1, 2);
    IN_F(&c, SHAPE(2, 2, 1), 1, 10, 100, 1000);
    IN_F(&c, SHAPE(4), 0, 0, 0, 5);
    one_node(&c, OP_CONV_TRANSPOSE, 1);
    attr_set_int(c.g, c.n, "group", 2);
    WANT_F(&c, 0, SHAPE(1, 4, 1), 1, 10, 200, 2005);
    one_end(&c);
}

static void
no_batch_is_no_trouble(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(0, 1, 3), 0);
    IN_F(&c, SHAPE(1, 1, 2), 1, 1);
    one_node(&c, OP_CONV, 1);
    WANT_F(&c, 0, SHAPE(0, 1, 2), 0);
    one_end(&c);
}

static void
refuses_what_does_not_fit(void **state)
{
    struct one c;

    (void)state;
    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    attr_set_int(c.g, c.n, "group", 0);
    one_fails(&c, ERR_INVALID, "do not fit in 0 groups");
    one_end(&c);

    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "strides", 0, 1);
    one_fails(&c, ERR_INVALID, "strides holds 0");
    one_end(&c);

    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "pads", 1, 1);
    one_fails(&c, ERR_INVALID, "pads has 2 numbers, want 4");
    one_end(&c);

    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "dilations", 9, 9);
    one_fails(&c, ERR_INVALID, "larger than the padded input");
    one_end(&c);

    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "pads", INT64_MAX, 1, 1, 1);
    one_fails(&c, ERR_INVALID, "pads holds");
    one_end(&c);

    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "kernel_shape", 3, 3);
    one_fails(&c, ERR_INVALID, "contradicts weights [1,1,2,2]");
    one_end(&c);

    /* A padding this large is possible; the memory for it is not. */
    image_and_ones(&c, 2);
    one_node(&c, OP_CONV, 1);
    INTS(&c, "pads", 1 << 30, 1 << 30, 1 << 30, 1 << 30);
    one_fails(&c, ERR_INVALID, "is not possible");
    one_end(&c);
}

static void
integers_less_their_zero_points(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c); /* padding is the zero point; one a channel for weights */
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1, 1, 2), 10, 255);
    ONE_IN(&c, INT8, int8_t, SHAPE(2, 1, 2), 1, 2, -128, 127);
    ONE_IN(&c, UINT8, uint8_t, SCALAR, 5);
    ONE_IN(&c, INT8, int8_t, SHAPE(2), 0, -1);
    one_node(&c, OP_CONV_INTEGER, 1);
    INTS(&c, "pads", 1, 0);
    ONE_WANT(&c, 0, INT32, int32_t, SHAPE(1, 2, 2), 10, 505, 640, 31365);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1, 1, 2), 10, 255);
    ONE_IN(&c, INT8, int8_t, SHAPE(1, 1, 1), 1);
    ONE_IN(&c, INT8, int8_t, SCALAR, 5);
    one_node(&c, OP_CONV_INTEGER, 1);
    one_fails(&c, ERR_INVALID, "is int8, want uint8");
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1, 1, 2), 10, 255);
    ONE_IN(&c, INT8, int8_t, SHAPE(1, 1, 1), 1);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(3), 5, 6, 7);
    one_node(&c, OP_CONV_INTEGER, 1);
    one_fails(&c, ERR_INVALID, "zero point");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pads_strides_dilations),
        cmocka_unit_test(auto_pad_upper_and_lower),
        cmocka_unit_test(groups_and_bias),
        cmocka_unit_test(posts_come_after_the_bias),
        cmocka_unit_test(transposed_in_every_padding),
        cmocka_unit_test(transposed_groups),
        cmocka_unit_test(no_batch_is_no_trouble),
        cmocka_unit_test(integers_less_their_zero_points),
        cmocka_unit_test(refuses_what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
