/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

/* x of n places on the last axis of [1,n], by scale; want: [1,m]. */
static void
begin(struct one *c, int64_t n, const float *x, float scale)
{
    one_begin(c);
    one_in(c, DTYPE_FLOAT, &SHAPE(1, n), x);
    one_absent(c);
    IN_F(c, SHAPE(2), 1, scale);
    one_node(c, OP_RESIZE, 1);
}

static void
nearest_rounds_as_it_is_told(void **state)
{
    static const struct {
        const char *rounding;
        float want[3];
    } cases[] = {
        /* asymmetric, scale 0.6 of 5 places: 0, 1.67, 3.33 */
        {"floor", {0, 1, 3}},
        {"ceil", {0, 2, 4}},
        {"round_prefer_floor", {0, 2, 3}},
        {"round_prefer_ceil", {0, 2, 3}},
    };
    const float x[] = {0, 1, 2, 3, 4};
    struct one c;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        begin(&c, 5, x, 0.6f);
        attr_set_string(c.g, c.n, "coordinate_transformation_mode",
                        "asymmetric");
        attr_set_string(c.g, c.n, "nearest_mode", cases[i].rounding);
        one_want(&c, 0, DTYPE_FLOAT, &SHAPE(1, 3), cases[i].want);
        one_end(&c);
    }
}

static void
linear_in_all_coordinates(void **state)
{
    static const struct {
        const char *mode;
        float want[4];
    } cases[] = {
        {"half_pixel", {0, 2.5f, 7.5f, 10}},
        {"pytorch_half_pixel", {0, 2.5f, 7.5f, 10}},
        {"half_pixel_symmetric", {0, 2.5f, 7.5f, 10}},
        {"align_corners", {0, 10.0f / 3, 20.0f / 3, 10}},
        {"asymmetric", {0, 5, 10, 10}},
    };
    const float x[] = {0, 10};
    struct one c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(&c, 2, x, 2);
        attr_set_string(c.g, c.n, "mode", "linear");
        attr_set_string(c.g, c.n, "coordinate_transformation_mode",
                        cases[i].mode);
        one_want(&c, 0, DTYPE_FLOAT, &SHAPE(1, 4), cases[i].want);
        one_end(&c);
    }
}

static void
bytes_keep_their_type(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    ONE_IN(&c, UINT8, uint8_t, SHAPE(1, 1, 1, 2), 1, 255);
    one_absent(&c);
    one_absent(&c);
    IN_I(&c, SHAPE(4), 1, 1, 2, 4);
    one_node(&c, OP_RESIZE, 1);
    ONE_WANT(&c, 0, UINT8, uint8_t, SHAPE(1, 1, 2, 4), 1, 1, 255, 255, 1, 1,
             255, 255);
    one_end(&c);
}

static void
regions_are_extrapolated(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 3), 1, 2, 3);
    IN_F(&c, SHAPE(4), 0, 0.5f, 1, 1.5f);
    one_absent(&c);
    IN_I(&c, SHAPE(2), 1, 3);
    one_node(&c, OP_RESIZE, 1);
    attr_set_string(c.g, c.n, "mode", "linear");
    attr_set_string(c.g, c.n, "coordinate_transformation_mode",
                    "tf_crop_and_resize");
    attr_set_float(c.g, c.n, "extrapolation_value", -7);
    WANT_F(&c, 0, SHAPE(1, 3), 2, 3, -7);
    one_end(&c);
}

/* Twice as wide as usual, the ends repeated. */
static void
antialias_takes_the_mean_of_more(void **state)
{
    const float x[] = {0, 8, 16, 24};
    struct one c;

    (void)state;
    begin(&c, 4, x, 0.5f);
    attr_set_string(c.g, c.n, "mode", "linear");
    attr_set_int(c.g, c.n, "antialias", 1);
    WANT_F(&c, 0, SHAPE(1, 2), 5, 19);
    one_end(&c);

    begin(&c, 4, x, 0.5f);
    attr_set_string(c.g, c.n, "mode", "linear");
    attr_set_int(c.g, c.n, "antialias", 1);
    attr_set_int(c.g, c.n, "exclude_outside", 1);
    WANT_F(&c, 0, SHAPE(1, 2), 40.0f / 7, 128.0f / 7);
    one_end(&c);
}

static void
ratios_are_kept(void **state)
{
    for (int larger = 0; larger < 2; larger++) {
        struct one c;

        (void)state;
        one_begin(&c);
        IN_F(&c, SHAPE(2, 2, 1), 1, 2, 3, 4);
        one_absent(&c);
        one_absent(&c);
        IN_I(&c, SHAPE(2), larger ? 1 : 2, larger ? 4 : 5);
        one_node(&c, OP_RESIZE, 1);
        attr_set_ints(c.g, c.n, "axes", (const int64_t[]){-1, 1}, 2);
        attr_set_string(c.g, c.n, "keep_aspect_ratio_policy",
                        larger ? "not_smaller" : "not_larger");
        attr_set_string(c.g, c.n, "coordinate_transformation_mode",
                        "asymmetric");
        WANT_F(&c, 0, SHAPE(2, 4, 2), 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4,
               4, 4);
        one_end(&c);
    }
}

static void
refuses_nonsense(void **state)
{
    const float x[] = {0, 10};
    struct one c;

    (void)state;
    begin(&c, 2, x, -1);
    one_fails(&c, ERR_INVALID, "scale -1 of axis 1");
    one_end(&c);

    begin(&c, 2, x, NAN);
    one_fails(&c, ERR_INVALID, "scale");
    one_end(&c);

    begin(&c, 2, x, 1e30f);
    one_fails(&c, ERR_INVALID, "scale");
    one_end(&c);

    begin(&c, 2, x, 2);
    attr_set_string(c.g, c.n, "mode", "sinc");
    one_fails(&c, ERR_UNSUPPORTED, "mode is \"sinc\"");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2), 1, 2);
    one_node(&c, OP_RESIZE, 1);
    one_fails(&c, ERR_INVALID, "either scales or sizes");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_rounds_as_it_is_told),
        cmocka_unit_test(linear_in_all_coordinates),
        cmocka_unit_test(bytes_keep_their_type),
        cmocka_unit_test(regions_are_extrapolated),
        cmocka_unit_test(antialias_takes_the_mean_of_more),
        cmocka_unit_test(ratios_are_kept),
        cmocka_unit_test(refuses_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
