/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static void
there_and_back(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 4, 1), 1, 2, 3, 4);
    one_node(&c, OP_DFT, 1);
    WANT_F(&c, 0, SHAPE(1, 4, 2), 10, 0, -2, 2, -2, 0, -2, -2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 4, 2), 10, 0, -2, 2, -2, 0, -2, -2);
    one_node(&c, OP_DFT, 1);
    attr_set_int(c.g, c.n, "inverse", 1);
    attr_set_int(c.g, c.n, "axis", 1);
    WANT_F(&c, 0, SHAPE(1, 4, 2), 1, 0, 2, 0, 3, 0, 4, 0);
    one_end(&c);

    /* Longer than the signal: zeros follow; one side of what is symmetric. */
    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    IN_I(&c, SCALAR, 4);
    IN_I(&c, SCALAR, -2);
    one_node(&c, OP_DFT, 1);
    attr_set_int(c.g, c.n, "onesided", 1);
    WANT_F(&c, 0, SHAPE(3, 2), 3, 0, 1, -2, -1, 0);
    one_end(&c);
}

static void
frames_under_a_window(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 5, 1), 1, 2, 3, 4, 5);
    IN_I(&c, SCALAR, 2);
    IN_F(&c, SHAPE(2), 1, 0.5f);
    one_node(&c, OP_STFT, 1);
    WANT_F(&c, 0, SHAPE(1, 2, 2, 2), 2, 0, 0, 0, 5, 0, 1, 0);
    one_end(&c);
}

static void
windows(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_I(&c, SCALAR, 4);
    one_node(&c, OP_HANN_WINDOW, 1);
    WANT_F(&c, 0, SHAPE(4), 0, 0.5f, 1, 0.5f);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SCALAR, 1);
    one_node(&c, OP_BLACKMAN_WINDOW, 1);
    attr_set_int(c.g, c.n, "periodic", 0);
    attr_set_int(c.g, c.n, "output_datatype", DTYPE_DOUBLE);
    ONE_WANT(&c, 0, DOUBLE, double, SHAPE(1), 0);
    one_end(&c);

    one_begin(&c);
    IN_I(&c, SCALAR, 0);
    one_node(&c, OP_HAMMING_WINDOW, 1);
    WANT_F(&c, 0, SHAPE(0), 0);
    one_end(&c);
}

static void
refuses_sizes(void **state)
{
    static const int64_t bad[] = {0, -1, INT64_MIN};
    struct one c;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        one_begin(&c);
        IN_F(&c, SHAPE(2, 1), 1, 2);
        IN_I(&c, SCALAR, bad[i]);
        one_node(&c, OP_DFT, 1);
        one_fails(&c, ERR_INVALID, "the length is");
        one_end(&c);

        one_begin(&c);
        IN_F(&c, SHAPE(1, 2, 1), 1, 2);
        IN_I(&c, SCALAR, bad[i]);
        one_node(&c, OP_STFT, 1);
        one_fails(&c, ERR_INVALID, "the frame step is");
        one_end(&c);
    }
    one_begin(&c);
    IN_F(&c, SHAPE(1, 2, 1), 1, 2);
    IN_I(&c, SCALAR, 1);
    one_absent(&c);
    IN_I(&c, SCALAR, 3);
    one_node(&c, OP_STFT, 1);
    one_fails(&c, ERR_INVALID, "frames of 3 fit neither");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    IN_I(&c, SCALAR, INT64_MAX);
    one_node(&c, OP_DFT, 1);
    one_fails(&c, ERR_UNSUPPORTED, "points, at most");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    one_node(&c, OP_DFT, 1);
    one_fails(&c, ERR_INVALID, "want [...,1] or [...,2]");
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(2, 1), 1, 2);
    one_in(&c, DTYPE_INT64, &SCALAR, NULL);
    one_node(&c, OP_DFT, 1);
    one_fails(&c, ERR_UNSUPPORTED, "depends on data");
    one_end(&c);
}

/* Three boxes, two of which are nearly the same. */
static void
suppresses_what_overlaps(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_F(&c, SHAPE(1, 3, 4), 0, 0, 1, 1, 1, 1.1f, 0, 0, 5, 5, 6, 6);
    IN_F(&c, SHAPE(1, 1, 3), 0.8f, 0.9f, 0.7f);
    IN_I(&c, SHAPE(1), 3);
    IN_F(&c, SHAPE(1), 0.5f);
    one_node(&c, OP_NON_MAX_SUPPRESSION, 1);
    WANT_I(&c, 0, SHAPE(2, 3), 0, 0, 1, 0, 0, 2);
    one_end(&c);

    one_begin(&c);
    IN_F(&c, SHAPE(1, 1, 4), 0, 0, 1, 1);
    IN_F(&c, SHAPE(1, 1, 1), 0.8f);
    one_node(&c, OP_NON_MAX_SUPPRESSION, 1);
    WANT_I(&c, 0, SHAPE(0, 3), 0);
    one_end(&c);

    one_begin(&c);
    one_in(&c, DTYPE_FLOAT, &SHAPE(1, 1, 4), NULL);
    IN_F(&c, SHAPE(1, 1, 1), 0.8f);
    one_node(&c, OP_NON_MAX_SUPPRESSION, 1);
    one_fails(&c, ERR_UNSUPPORTED, "depends on data");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(frames_under_a_window),
        cmocka_unit_test(windows),
        cmocka_unit_test(refuses_sizes),
        cmocka_unit_test(suppresses_what_overlaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
