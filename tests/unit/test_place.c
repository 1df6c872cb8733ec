/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/run/place.h"

static bool
collide(const struct place *a, const struct place *b)
{
    return a->first <= b->last && b->first <= a->last &&
           a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void
no_two_live_buffers_overlap(void **state)
{
    struct err e;
    size_t total;

    (void)state;
    srand(1);
    for (int t = 0; t < 2000; t++) {
        struct place p[24];
        size_t n = (size_t)rand() % 24 + 1, sum = 0;

        for (size_t i = 0; i < n; i++) {
            p[i].first = rand() % 20;
            p[i].last = p[i].first + rand() % 6;
            p[i].bytes = (size_t)rand() % 3000 + 1;
            sum += (p[i].bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
        }
        assert_int_equal(place_buffers(p, n, &total, &e), 0);
        assert_true(total <= sum);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(p[i].offset % MEM_ALIGN, 0);
            assert_true(p[i].offset + p[i].bytes <= total);
            for (size_t j = 0; j < i; j++)
                assert_false(collide(&p[i], &p[j]));
        }
    }
}

/* A chain of equal buffers, each read by the next step only, needs two. */
static void
a_chain_takes_two_buffers(void **state)
{
    struct place p[50];
    struct err e;
    size_t total;

    (void)state;
    for (int i = 0; i < 50; i++)
        p[i] = (struct place){.first = i, .last = i + 1, .bytes = 6400};
    assert_int_equal(place_buffers(p, 50, &total, &e), 0);
    assert_int_equal(total, 2 * 6400);
}

static void
failures_are_errors(void **state)
{
    struct place p[2] = {{.bytes = SIZE_MAX / 5}, {.bytes = SIZE_MAX / 5}};
    struct err e;
    size_t total;

    (void)state;
    assert_int_equal(place_buffers(p, 2, &total, &e), ERR_NO_MEMORY);
    p[0].bytes = p[1].bytes = 64;
    mem_fail_at(1);
    assert_int_equal(place_buffers(p, 2, &total, &e), ERR_NO_MEMORY);
    mem_fail_at(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_live_buffers_overlap),
        cmocka_unit_test(a_chain_takes_two_buffers),
        cmocka_unit_test(failures_are_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
