/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static void
ranks_follow_numpy(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 2, 3, 4);
    IN_F(&c, SHAPE(2), 10, 1);
    one_node(&c, OP_MATMUL, 1);
    WANT_F(&c, 0, SHAPE(2), 12, 34);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 10, 1);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_MATMUL, 1);
    WANT_F(&c, 0, SCALAR, 12);
    one_end(&c);

    /* [2,1,1,2] x [2,2,1] is [2,2,1,1] */
    one_begin(&c);
    IN_F(&c, SHAPE(2, 1, 1, 2), 1, 2, 3, 4);
    IN_F(&c, SHAPE(2, 2, 1), 1, 0, 0, 1);
    one_node(&c, OP_MATMUL, 1);
    WANT_F(&c, 0, SHAPE(2, 2, 1, 1), 1, 2, 3, 4);
    one_end(&c);
}

static void
empty_sums_are_zero(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 0), 0);
    IN_F(&c, SHAPE(0, 1), 0);
    one_node(&c, OP_MATMUL, 1);
    WANT_F(&c, 0, SHAPE(2, 1), 0, 0);
    one_end(&c);
}

static void
gemm_with_everything(void **state)
{
    struct one c;

    (void)state;
    /* a' = [1 3; 2 4], b' = [1 0; 10 1]: 2 * a' b' + 0.5 * [2 4] */
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 2, 3, 4);
    IN_F(&c, SHAPE(2, 2), 1, 10, 0, 1);
    IN_F(&c, SHAPE(2), 2, 4);
    one_node(&c, OP_GEMM, 1);
    attr_set_int(c.g, c.n, "transA", 1);
    attr_set_int(c.g, c.n, "transB", 1);
    attr_set_float(c.g, c.n, "alpha", 2);
    attr_set_float(c.g, c.n, "beta", 0.5f);
    WANT_F(&c, 0, SHAPE(2, 2), 63, 8, 85, 10);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    IN_F(&c, SHAPE(1, 2), 1, 10);
    IN_F(&c, SHAPE(2, 1), 100, 200);
    one_node(&c, OP_GEMM, 1);
    WANT_F(&c, 0, SHAPE(2, 2), 101, 110, 202, 220);
    one_end(&c);
}

static void
integers_with_zero_points(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(2, 2), 255, 0, 1, 2);
    ONE_IN(&c, INT8, int8_t, SHAPE(2, 2), -128, 1, 127, 2);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1), 1);
    ONE_IN(&c, INT8, int8_t, SHAPE(2), 0, 1);
    one_node(&c, OP_MATMUL_INTEGER, 1);
    ONE_WANT(&c, 0, INT32, int32_t, SHAPE(2, 2), -32639, -1, 127, 1);
    one_end(&c);

    one_begin(&c);
    ONE_IN(&c, INT32, int32_t, SHAPE(1, 1), INT_MAX);
    ONE_IN(&c, INT32, int32_t, SHAPE(1, 1), 2);
    one_node(&c, OP_MATMUL, 1);
    ONE_WANT(&c, 0, INT32, int32_t, SHAPE(1, 1), -2);
    one_end(&c);
}

static void
posts_see_the_product(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1), 3);
    IN_F(&c, SHAPE(1, 2), -1, 1);
    one_node(&c, OP_MATMUL, 1);
    graph_append_input(
        c.g, c.n,
        graph_add_const(c.g, NULL, DTYPE_FLOAT, &SCALAR, (float[]){4}));
    c.n->posts[0] = (struct post){.op = OP_MUL, .in = 2};
    c.n->posts[1] = (struct post){.op = OP_LEAKY_RELU, .alpha = 0.5f};
    c.n->n_posts = 2;
    WANT_F(&c, 0, SHAPE(1, 2), -6, 12);
    one_end(&c);
}

static void
refuses_what_does_not_fit(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_F(&c, SHAPE(3, 1), 1, 2, 3);
    one_node(&c, OP_MATMUL, 1);
    one_fails(&c, ERR_INVALID, "[1,2] x [3,1]: inner sizes differ");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 2), 1, 2);
    IN_F(&c, SHAPE(3, 1), 1, 2, 3);
    one_node(&c, OP_GEMM, 1);
    one_fails(&c, ERR_INVALID, "does not fit");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1), 1);
    IN_F(&c, SHAPE(1, 1), 1);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_GEMM, 1);
    one_fails(&c, ERR_INVALID, "C [2] does not broadcast to [1,1]");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_follow_numpy),
        cmocka_unit_test(empty_sums_are_zero),
        cmocka_unit_test(gemm_with_everything),
        cmocka_unit_test(integers_with_zero_points),
        cmocka_unit_test(posts_see_the_product),
        cmocka_unit_test(refuses_what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
