/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of many threads: nothing is lost, and no reading has half of an
 * event.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/stats.h"

enum { THREADS = 4, EVENTS = 20000 };

static struct series *series;
static _Atomic int next_worker;

static void *
count(void *arg)
{
    int worker = next_worker++;

    (void)arg;
    stats_thread(worker % 2); /* two threads a slot */
    for (int i = 0; i < EVENTS; i++) {
        const struct answered a = {
            ROUTED_CANARY, i % 10 ? 200 : 503, 7, 1, 2, 3, 4};

        series_enter(series);
        series_ran(series, 1 + i % 100, 1, 1, 1);
        series_answered(series, &a);
    }
    return NULL;
}

static void
readings_are_whole(void **state)
{
    struct stats *s = stats_new(2);
    pthread_t t[THREADS];
    struct counts c;
    uint64_t batches = 0;

    (void)state;
    series = series_new(s);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, count, NULL);
    do {
        series_read(series, &c);
        assert_int_equal(c.input.count, c.infer.count);
        assert_int_equal(c.input.count, c.output.count);
        assert_int_equal(c.input.count, c.success.count);
        assert_int_equal(c.input.count, c.queue.count);
        assert_int_equal(c.success.count + c.fail.count, c.request.count);
    } while (c.request.count < THREADS * EVENTS / 2);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    series_read(series, &c);
    assert_int_equal(c.request.count, THREADS * EVENTS);
    assert_int_equal(c.requests[ROUTED_CANARY][STATS_CODE_503],
                     THREADS * EVENTS / 10);
    assert_int_equal(c.runs, THREADS * EVENTS);
    assert_int_equal(c.output.ns, 4 * c.output.count);
    for (int i = 0; i <= STATS_BATCHES; i++)
        batches += c.batch[i].runs;
    assert_int_equal(batches, c.runs);
    assert_true(c.last_ms > 1600000000000u);
    assert_int_equal(series_in_flight(series), 0);
    series_unref(&series);
    stats_free(&s);
}

static void
buckets_hold_their_bound(void **state)
{
    struct stats *s = stats_new(1);
    struct series *x = series_new(s);
    struct counts c;

    (void)state;
    for (int i = 0; i < STATS_BUCKETS - 1; i++)
        for (int over = 0; over < 2; over++) {
            const struct answered a = {.status = 200,
                                       .total = stats_bounds_us[i] * 1000 +
                                                (unsigned)over};

            series_enter(x);
            series_answered(x, &a);
        }
    series_read(x, &c);
    assert_int_equal(c.request.bucket[0], 1);
    for (int i = 1; i < STATS_BUCKETS - 1; i++)
        assert_int_equal(c.request.bucket[i], 2);
    assert_int_equal(c.request.bucket[STATS_BUCKETS - 1], 1);
    series_unref(&x);
    stats_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_are_whole),
        cmocka_unit_test(buckets_hold_their_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
