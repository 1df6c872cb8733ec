/* SPDX-License-Identifier: Apache-2.0 */
/* GridSample and RoiAlign: places between elements, and far outside. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

/* A row of three elements, seen at four places. */
static void
row(const char *mode, const char *outside, const float at[4],
    const float want[4])
{
    float grid[8] = {0};
    struct one c;

    for (int i = 0; i < 4; i++)
        grid[2 * i] = at[i];
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1, 3), 1, 2, 4);
    one_in(&c, DTYPE_FLOAT, &SHAPE(1, 1, 4, 2), grid);
    one_node(&c, OP_GRID_SAMPLE, 1);
    attr_set_int(c.g, c.n, "align_corners", 1);
    attr_set_string(c.g, c.n, "mode", mode);
    attr_set_string(c.g, c.n, "padding_mode", outside);
    one_want(&c, 0, DTYPE_FLOAT, &SHAPE(1, 1, 1, 4), want);
    one_end(&c);
}

static void
between_and_outside(void **state)
{
    const float at[] = {-1, 0.5f, 1.5f, -3};
    const float hostile[] = {NAN, INFINITY, -INFINITY, FLT_MAX};

    (void)state;
    row("linear", "zeros", at, (float[]){1, 3, 2, 0});
    row("bilinear", "border", at, (float[]){1, 3, 4, 1});
    row("linear", "reflection", at, (float[]){1, 3, 3, 4});
    row("nearest", "zeros", at, (float[]){1, 4, 4, 0});
    row("nearest", "border", hostile, (float[]){1, 4, 1, 4});
    row("linear", "zeros", hostile, (float[]){0, 0, 0, 0});
    row("bicubic", "zeros", hostile, (float[]){0, 0, 0, 0});
    row("cubic", "border", hostile, (float[]){1, 4, 1, 4});
}

static void
of_a_single_element(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1, 1), 5);
    IN_F(&c, SHAPE(1, 1, 1, 2), 7, -7);
    one_node(&c, OP_GRID_SAMPLE, 1);
    attr_set_int(c.g, c.n, "align_corners", 1);
    attr_set_string(c.g, c.n, "padding_mode", "reflection");
    WANT_F(&c, 0, SHAPE(1, 1, 1, 1), 5);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1, 0), 0);
    IN_F(&c, SHAPE(1, 1, 1, 2), 0, 0);
    one_node(&c, OP_GRID_SAMPLE, 1);
    one_fails(&c, ERR_INVALID, "nothing to sample");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 1, 1), 5);
    IN_F(&c, SHAPE(1, 1, 1, 3), 0, 0, 0);
    one_node(&c, OP_GRID_SAMPLE, 1);
    one_fails(&c, ERR_INVALID, "grid [1,1,1,3] does not fit");
    one_end(&c);
}

static void
region(struct one *c, float x1, float y1, float x2, float y2, int64_t image)
{
    one_begin(c);
    IN_F(c, SHAPE(1, 1, 2, 2), 1, 2, 3, 4);
    IN_F(c, SHAPE(1, 4), x1, y1, x2, y2);
    IN_I(c, SHAPE(1), image);
    one_node(c, OP_ROI_ALIGN, 1);
}

static void
regions_of_an_image(void **state)
{
    struct one c;

    (void)state;
    region(&c, 0, 0, 2, 2, 0);
    WANT_F(&c, 0, SHAPE(1, 1, 1, 1), 2.5f);
    one_end(&c);

    region(&c, 0, 0, 2, 2, 0);
    attr_set_int(c.g, c.n, "output_width", 2);
    attr_set_string(c.g, c.n, "mode", "max");
    WANT_F(&c, 0, SHAPE(1, 1, 1, 2), 3, 4);
    one_end(&c);

    region(&c, 0.5f, 0.5f, 1.5f, 1.5f, 0);
    attr_set_string(c.g, c.n, "mode", "max");
    WANT_F(&c, 0, SHAPE(1, 1, 1, 1), 1); /* a quarter of the largest */
    one_end(&c);

    region(&c, 10, 10, 12, 12, 0);
    WANT_F(&c, 0, SHAPE(1, 1, 1, 1), 0);
    one_end(&c);

    region(&c, 0, 0, 2, 2, 1);
    one_fails(&c, ERR_INVALID, "region 0 lies in image 1 of 1");
    one_end(&c);

    region(&c, 0, 0, FLT_MAX, 2, 0);
    one_fails(&c, ERR_INVALID, "is too large");
    one_end(&c);

    region(&c, NAN, 0, 1, 2, 0);
    one_fails(&c, ERR_INVALID, "is too large");
    one_end(&c);

    region(&c, 0, 0, 1, 1, 0);
    attr_set_int(c.g, c.n, "sampling_ratio", INT64_MAX);
    one_fails(&c, ERR_INVALID, "sampling_ratio");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_and_outside),
        cmocka_unit_test(of_a_single_element),
        cmocka_unit_test(regions_of_an_image),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
