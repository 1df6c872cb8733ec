/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/ops/walk.h"

static void
count_row(void *arg, int64_t n, char *const *p, const int64_t *step)
{
    int64_t *c = arg;

    (void)p;
    (void)step;
    c[0]++;
    c[1] += n;
}

/* Rows and elements that a walk over two values gives. */
static void
rows_of(const struct value *y, const struct value *x, int64_t *rows,
        int64_t *elements)
{
    static char memory[4096];
    int64_t c[2] = {0};
    struct walk w;

    walk_begin(&w, &y->shape);
    walk_add(&w, y);
    walk_add(&w, x);
    walk_end(&w);
    walk_run(&w, (char *const[]){memory, memory}, count_row, c);
    *rows = c[0];
    *elements = c[1];
}

static void
rows_are_as_long_as_can_be(void **state)
{
    static const struct {
        struct shape x;
        enum layout layout;
        int64_t rows;
    } cases[] = {
        {{4, {2, 3, 4, 5}}, LAYOUT_PLAIN, 1}, /* same bytes: one run */
        {{4, {2, 3, 4, 5}}, LAYOUT_NXC, 1},
        {{0, {0}}, LAYOUT_PLAIN, 1},          /* one number for all */
        {{4, {1, 3, 1, 1}}, LAYOUT_PLAIN, 6}, /* one for a plain image */
        {{4, {1, 3, 1, 1}}, LAYOUT_NXC, 40},  /* one for a pixel */
        {{2, {4, 5}}, LAYOUT_PLAIN, 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct value y = {.dtype = DTYPE_FLOAT,
                          .shape = SHAPE(2, 3, 4, 5),
                          .layout = cases[i].layout};
        struct value x = {.dtype = DTYPE_FLOAT,
                          .shape = cases[i].x,
                          .layout = cases[i].layout};
        int64_t rows, elements;

        rows_of(&y, &x, &rows, &elements);
        assert_int_equal(elements, 120);
        assert_int_equal(rows, cases[i].rows);
    }
}

static void
nothing_is_no_row(void **state)
{
    struct value y = {.dtype = DTYPE_FLOAT,
                      .shape = SHAPE((int64_t)1 << 40, 0, 7)};
    int64_t rows, elements;

    (void)state;
    rows_of(&y, &y, &rows, &elements);
    assert_int_equal(rows, 0);
}

static void
copies_by_any_strides(void **state)
{
    const int16_t from[6] = {1, 2, 3, 4, 5, 6};
    int16_t to[6];
    struct walk w;

    (void)state;
    walk_begin(&w, &SHAPE(3, 2));
    walk_add_strides(&w, (int64_t[]){2, 1}, sizeof to[0]);
    walk_add_strides(&w, (int64_t[]){-1, -3}, sizeof to[0]);
    walk_end(&w);
    walk_copy(&w, to, from + 5, sizeof to[0]);
    assert_memory_equal(to, ((int16_t[]){6, 3, 5, 2, 4, 1}), sizeof to);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_long_as_can_be),
        cmocka_unit_test(nothing_is_no_row),
        cmocka_unit_test(copies_by_any_strides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
