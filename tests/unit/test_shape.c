/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/ir/shape.h"

static void
broadcast_follows_numpy(void **state)
{
    struct shape a = SHAPE(3, 1, 5), b = SHAPE(4, 1), r;
    struct err e;

    (void)state;
    assert_int_equal(shape_broadcast(&a, &b, &r, &e), 0);
    assert_true(shape_equal(&r, &SHAPE(3, 4, 5)));
    assert_int_equal(shape_broadcast(&SHAPE(2), &SHAPE(3), &r, &e),
                     ERR_INVALID);
    assert_string_equal(e.msg, "cannot broadcast 2 to 3 (axis -1)");
}

static void
count_refuses_overflow(void **state)
{
    struct err e;
    size_t n;

    (void)state;
    assert_int_equal(shape_count(&SHAPE(2, 3), &n, &e), 0);
    assert_int_equal(n, 6);
    assert_int_equal(shape_count(&SHAPE(0, INT64_MAX, 4), &n, &e), ERR_INVALID);
    assert_int_equal(shape_count(&SHAPE(INT64_MAX / 4), &n, &e), ERR_INVALID);
    assert_int_equal(shape_count(&SHAPE(2, -1), &n, &e), ERR_INVALID);
    assert_int_equal(shape_count(&SHAPE(0, 5), &n, &e), 0);
    assert_int_equal(n, 0);
}

static void
text_shows_dynamic_axes(void **state)
{
    char text[SHAPE_TEXT];

    (void)state;
    assert_string_equal(shape_text(&SHAPE(SHAPE_DYNAMIC, 3, 224), text),
                        "[?,3,224]");
    assert_string_equal(
        shape_text(&(struct shape){.rank = SHAPE_UNKNOWN}, text), "?");
}

static void
axis_counts_from_the_end(void **state)
{
    struct err e;
    int axis;

    (void)state;
    assert_int_equal(shape_axis(-1, 4, &axis, &e), 0);
    assert_int_equal(axis, 3);
    assert_int_equal(shape_axis(4, 4, &axis, &e), ERR_INVALID);
    assert_int_equal(shape_axis(INT64_MIN, 4, &axis, &e), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcast_follows_numpy),
        cmocka_unit_test(count_refuses_overflow),
        cmocka_unit_test(text_shows_dynamic_axes),
        cmocka_unit_test(axis_counts_from_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
