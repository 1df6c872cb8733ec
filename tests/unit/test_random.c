/* SPDX-License-Identifier: Apache-2.0 */
/* What is drawn by lot: the same each time, and distributed as it should be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

enum { N = 20000 };

static void
begin(struct one *c, enum op op)
{
    one_begin(c);
    one_node(c, op, 1);
    attr_set_ints(c->g, c->n, "shape", (const int64_t[]){N}, 1);
}

/* Mean and deviation of what the node drew. */
static void
moments(struct one *c, double *mean, double *deviation)
{
    const float *y;
    double sum = 0, squares = 0;

    if (one_run(c) != 0)
        fail_msg("%s", c->e.msg);
    y = node_out(c->g, c->n, 0)->data;
    for (int i = 0; i < N; i++) {
        sum += y[i];
        squares += (double)y[i] * y[i];
    }
    *mean = sum / N;
    *deviation = sqrt(squares / N - *mean * *mean);
}

static void
moments_are_as_told(void **state)
{
    double mean, deviation;
    struct one c;

    (void)state;
    begin(&c, OP_RANDOM_NORMAL);
    attr_set_float(c.g, c.n, "mean", 3);
    attr_set_float(c.g, c.n, "scale", 2);
    moments(&c, &mean, &deviation);
    assert_true(fabs(mean - 3) < 0.05 && fabs(deviation - 2) < 0.05);
    one_end(&c);

    begin(&c, OP_RANDOM_UNIFORM);
    attr_set_float(c.g, c.n, "low", -1);
    attr_set_float(c.g, c.n, "high", 5);
    moments(&c, &mean, &deviation);
    assert_true(fabs(mean - 2) < 0.05 && fabs(deviation - sqrt(3)) < 0.05);
    one_end(&c);
}

static void
seeds_tell_draws_apart(void **state)
{
    const float seeds[] = {1, 1, 2};
    float first[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct one c;

        begin(&c, OP_RANDOM_NORMAL);
        attr_set_float(c.g, c.n, "seed", seeds[i]);
        assert_int_equal(one_run(&c), 0);
        first[i] = *(const float *)node_out(c.g, c.n, 0)->data;
        one_end(&c);
    }
    assert_true(first[0] == first[1] && first[1] != first[2]);
}

static void
chances_are_kept(void **state)
{
    struct one c;
    const int32_t *y;
    int seen[3] = {0};

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(4), 0, 1, 0, 1);
    one_node(&c, OP_BERNOULLI, 1);
    WANT_F(&c, 0, SHAPE(4), 0, 1, 0, 1);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 3), 0, logf(3), -INFINITY);
    one_node(&c, OP_MULTINOMIAL, 1);
    attr_set_int(c.g, c.n, "sample_size", N);
    assert_int_equal(one_run(&c), 0);
    y = node_out(c.g, c.n, 0)->data;
    for (int i = 0; i < N; i++)
        seen[y[i]]++;
    assert_true(seen[2] == 0 && abs(seen[0] - N / 4) < N / 50);
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_as_told),
        cmocka_unit_test(seeds_tell_draws_apart),
        cmocka_unit_test(chances_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
