/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static void
elements_of_each_line(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    IN_I(&c, SHAPE(2, 2), -1, 0, 1, 1);
    one_node(&c, OP_GATHER_ELEMENTS, 1);
    attr_set_int(c.g, c.n, "axis", -1);
    WANT_F(&c, 0, SHAPE(2, 2), 3, 1, 5, 5);
    one_end(&c);

    /* Fewer lines than there are, and longer ones. */
    one_begin(&c);
    ONE_IN(&c, BOOL, uint8_t, SHAPE(2, 2), 1, 0, 0, 1);
    ONE_IN(&c, INT32, int32_t, SHAPE(1, 3), -2, -1, 0);
    one_node(&c, OP_GATHER_ELEMENTS, 1);
    attr_set_int(c.g, c.n, "axis", 1);
    ONE_WANT(&c, 0, BOOL, uint8_t, SHAPE(1, 3), 1, 0, 1);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 0), 0);
    IN_I(&c, SHAPE(2, 0), 0);
    one_node(&c, OP_GATHER_ELEMENTS, 1);
    WANT_F(&c, 0, SHAPE(2, 0), 0);
    one_end(&c);
}

static void
scatter(const char *how, const float want[3])
{
    struct one c;

    one_begin(&c);
    IN_F(&c, SHAPE(1, 3), 1, 2, 3);
    IN_I(&c, SHAPE(1, 3), 1, -2, 0);
    IN_F(&c, SHAPE(1, 3), 4, 5, 0.5f);
    one_node(&c, OP_SCATTER_ELEMENTS, 1);
    attr_set_int(c.g, c.n, "axis", 1);
    attr_set_string(c.g, c.n, "reduction", how);
    one_want(&c, 0, DTYPE_FLOAT, &SHAPE(1, 3), want);
    one_end(&c);
}

static void
elements_replace_or_join(void **state)
{
    struct one c;

    (void)state;
    scatter("none", (float[]){0.5f, 5, 3});
    scatter("add", (float[]){1.5f, 11, 3});
    scatter("mul", (float[]){0.5f, 40, 3});
    scatter("max", (float[]){1, 5, 3});
    scatter("min", (float[]){0.5f, 2, 3});

    one_begin(&c);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), 1, UINT64_MAX);
    IN_I(&c, SHAPE(2), 0, 1);
    ONE_IN(&c, UINT64, uint64_t, SHAPE(2), UINT64_MAX, 1);
    one_node(&c, OP_SCATTER_ELEMENTS, 1);
    attr_set_string(c.g, c.n, "reduction", "max");
    ONE_WANT(&c, 0, UINT64, uint64_t, SHAPE(2), UINT64_MAX, UINT64_MAX);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(1), 0);
    IN_F(&c, SHAPE(1), 3);
    one_node(&c, OP_SCATTER_ELEMENTS, 1);
    attr_set_string(c.g, c.n, "reduction", "avg");
    one_fails(&c, ERR_UNSUPPORTED, "reduction is \"avg\"");
    one_end(&c);
}

static void
slices_by_tuples(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7);
    IN_I(&c, SHAPE(2, 2), 0, -1, 1, 0);
    one_node(&c, OP_GATHER_ND, 1);
    WANT_F(&c, 0, SHAPE(2, 2), 2, 3, 4, 5);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7);
    IN_I(&c, SHAPE(2, 1), 1, 0);
    one_node(&c, OP_GATHER_ND, 1);
    attr_set_int(c.g, c.n, "batch_dims", 1);
    WANT_F(&c, 0, SHAPE(2, 2), 2, 3, 4, 5);
    one_end(&c);

    /* A tuple of none is all. */
    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(3, 0), 0);
    one_node(&c, OP_GATHER_ND, 1);
    WANT_F(&c, 0, SHAPE(3, 2), 1, 2, 1, 2, 1, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(3, 2), 1, 2, 3, 4, 5, 6);
    IN_I(&c, SHAPE(2, 1), -1, 0);
    IN_F(&c, SHAPE(2, 2), 10, 20, 30, 40);
    one_node(&c, OP_SCATTER_ND, 1);
    attr_set_string(c.g, c.n, "reduction", "add");
    WANT_F(&c, 0, SHAPE(3, 2), 31, 42, 3, 4, 15, 26);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(0, 2), 0);
    IN_I(&c, SHAPE(0, 1), 0);
    IN_F(&c, SHAPE(0, 2), 0);
    one_node(&c, OP_SCATTER_ND, 1);
    WANT_F(&c, 0, SHAPE(0, 2), 0);
    one_end(&c);
}

static void
indices_are_checked_when_used(void **state)
{
    static const int64_t bad[] = {2, -3, INT64_MIN, INT64_MAX};
    static const enum op ops[] = {OP_GATHER_ELEMENTS, OP_SCATTER_ELEMENTS,
                                  OP_GATHER_ND, OP_SCATTER_ND};
    struct one c;

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        enum op op = ops[i / 4];
        bool nd = op == OP_GATHER_ND || op == OP_SCATTER_ND;

        one_begin(&c);
        IN_F(&c, SHAPE(2), 1, 2);
        one_in(&c, DTYPE_INT64, nd ? &SHAPE(1, 1) : &SHAPE(1), &bad[i % 4]);
        if (op == OP_SCATTER_ELEMENTS || op == OP_SCATTER_ND)
            IN_F(&c, SHAPE(1), 3);
        one_node(&c, op, 1);
        one_fails(&c, ERR_INVALID, "is outside an axis of 2");
        one_end(&c);
    }
}

static void
refuses_shapes(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    IN_I(&c, SHAPE(1, 2), 0, 0);
    one_node(&c, OP_GATHER_ELEMENTS, 1);
    one_fails(&c, ERR_INVALID, "indices [1,2] do not fit into [2,1]");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(1, 2), 0, 0);
    one_node(&c, OP_GATHER_ND, 1);
    one_fails(&c, ERR_INVALID, "do not fit to [2]");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    IN_I(&c, SHAPE(1), 0);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_SCATTER_ELEMENTS, 1);
    one_fails(&c, ERR_INVALID, "want [1]");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_of_each_line),
        cmocka_unit_test(elements_replace_or_join),
        cmocka_unit_test(slices_by_tuples),
        cmocka_unit_test(indices_are_checked_when_used),
        cmocka_unit_test(refuses_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
