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
batch_norm_by_channel(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2), 1, 3, 5, -200);
    IN_F(&c, SHAPE(2), 2, 1);
    IN_F(&c, SHAPE(2), 10, 0);
    IN_F(&c, SHAPE(2), 1, 5);
    IN_F(&c, SHAPE(2), 4, 1);
    one_node(&c, OP_BATCH_NORMALIZATION, 1);
    attr_set_float(c.g, c.n, "epsilon", 0);
    WANT_F(&c, 0, SHAPE(1, 2, 2), 10, 12, 0, -205);
    one_end(&c);
}

/* All elements equal: the variance is 0 and epsilon keeps it finite. */
static void
constant_images_become_the_bias(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 3), -200, -200, -200);
    IN_F(&c, SHAPE(1), 3);
    IN_F(&c, SHAPE(1), 7);
    one_node(&c, OP_INSTANCE_NORMALIZATION, 1);
    WANT_F(&c, 0, SHAPE(1, 1, 3), 7, 7, 7);
    one_end(&c);
}

static void
layer_norm_gives_its_statistics(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 3, 0, 8);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_F(&c, SHAPE(1), 5);
    one_node(&c, OP_LAYER_NORMALIZATION, 3);
    attr_set_float(c.g, c.n, "epsilon", 0);
    WANT_F(&c, 0, SHAPE(2, 2), 4, 7, 4, 7);
    WANT_F(&c, 1, SHAPE(2, 1), 2, 4);
    WANT_F(&c, 2, SHAPE(2, 1), 1, 0.25f);
    one_end(&c);

    /* scale [2,1] over a tail of [2,2] */
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 2), -1, 1, -1, 1);
    IN_F(&c, SHAPE(2, 1), 1, 10);
    one_node(&c, OP_LAYER_NORMALIZATION, 1);
    attr_set_int(c.g, c.n, "axis", 1);
    attr_set_float(c.g, c.n, "epsilon", 0);
    WANT_F(&c, 0, SHAPE(1, 2, 2), -1, 1, -10, 10);
    one_end(&c);
}

static void
lrn_looks_at_neighbours(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 3, 1), 1, 2, 3);
    one_node(&c, OP_LRN, 1);
    attr_set_int(c.g, c.n, "size", 2);
    attr_set_float(c.g, c.n, "alpha", 2);
    attr_set_float(c.g, c.n, "beta", 1);
    WANT_F(&c, 0, SHAPE(1, 3, 1), 1.0f / 6, 2.0f / 14, 3.0f / 10);
    one_end(&c);
}

static void
refuses_what_does_not_fit(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 3), 1, 2, 3);
    IN_F(&c, SHAPE(2), 3, 3);
    IN_F(&c, SHAPE(1), 7);
    one_node(&c, OP_INSTANCE_NORMALIZATION, 1);
    one_fails(&c, ERR_INVALID, "is [2], want [1]");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 2), 1, 3, 0, 8);
    IN_F(&c, SHAPE(3), 1, 2, 3);
    one_node(&c, OP_LAYER_NORMALIZATION, 1);
    one_fails(&c, ERR_INVALID, "does not broadcast to [2]");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1), 1);
    one_node(&c, OP_LRN, 1);
    one_fails(&c, ERR_INVALID, "size is 0");
    one_end(&c);
}

static void
groups_of_channels(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c); /* two groups of two; a scale for each channel */
    IN_F(&c, SHAPE(1, 4), 1, 3, 0, 8);
    IN_F(&c, SHAPE(4), 1, 2, 1, 1);
    IN_F(&c, SHAPE(4), 0, 0, 5, 0);
    one_node(&c, OP_GROUP_NORMALIZATION, 1);
    attr_set_int(c.g, c.n, "num_groups", 2);
    attr_set_float(c.g, c.n, "epsilon", 0);
    WANT_F(&c, 0, SHAPE(1, 4), -1, 2, 4, 1);
    one_end(&c);

    one_begin(&c); /* or for each group */
    IN_F(&c, SHAPE(1, 4), 1, 3, 0, 8);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_F(&c, SHAPE(2), 0, 1);
    one_node(&c, OP_GROUP_NORMALIZATION, 1);
    attr_set_int(c.g, c.n, "num_groups", 2);
    attr_set_float(c.g, c.n, "epsilon", 0);
    WANT_F(&c, 0, SHAPE(1, 4), -1, 1, -1, 3);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 3), 1, 3, 0);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_F(&c, SHAPE(2), 0, 1);
    one_node(&c, OP_GROUP_NORMALIZATION, 1);
    attr_set_int(c.g, c.n, "num_groups", 2);
    one_fails(&c, ERR_INVALID, "does not divide into 2 groups");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_by_channel),
        cmocka_unit_test(constant_images_become_the_bias),
        cmocka_unit_test(layer_norm_gives_its_statistics),
        cmocka_unit_test(lrn_looks_at_neighbours),
        cmocka_unit_test(groups_of_channels),
        cmocka_unit_test(refuses_what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
