/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler with made-up runs and a clock of the test's own: which rows a
 * batch has, in which order, whose turn it is, what is refused.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/queue.h"

static uint64_t clock_ns;

static uint64_t
now(void)
{
    return clock_ns;
}

/* The sizes that are built: powers of two. */
static int
fit(void *user, int rows)
{
    int n = 1;

    (void)user;
    while (n * 2 <= rows)
        n *= 2;
    return n;
}

struct item {
    struct work work; /* first */
    int id, ended;
    enum err_code code;
};

static bool
same(const struct work *a, const struct work *b)
{
    return a->group == b->group;
}

static void
done(struct work *w, const struct err *e)
{
    struct item *x = (struct item *)w;

    x->ended++;
    x->code = e == NULL ? ERR_OK : e->code;
}

static struct item
item(int id, int rows)
{
    return (struct item){.work = {.rows = rows,
                                  .priority = QUEUE_DEFAULT_PRIORITY,
                                  .same = same,
                                  .done = done},
                         .id = id};
}

static struct queue *
make(struct scheduler *s, int max_batch, int max_length, uint64_t delay)
{
    const struct queue_options o = {.max_batch = max_batch,
                                    .max_length = max_length,
                                    .max_delay = delay,
                                    .weight = 1,
                                    .fit = fit};

    return queue_new(s, &o);
}

static void
put(struct queue *q, struct item *x)
{
    struct err e;

    assert_int_equal(queue_put(q, &x->work, &e), 0);
}

static struct batch batch;

/* Takes a batch and checks its rows; runs it in ns. */
static void
take(struct scheduler *s, int rows, uint64_t ns)
{
    assert_true(scheduler_try(s, &batch));
    assert_int_equal(batch.rows, rows);
    scheduler_done(s, &batch, ns, NULL);
}

static void
small_works_are_joined(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 8, 100, 0);
    struct item x[5];

    (void)state;
    for (int i = 0; i < 5; i++) {
        x[i] = item(i, 1);
        put(q, &x[i]);
    }
    assert_int_equal(queue_length(q), 5);
    assert_true(scheduler_try(s, &batch));
    assert_int_equal(batch.rows, 4); /* the largest size that is built */
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(batch.pieces[i].work, &x[i].work);
        assert_int_equal(batch.pieces[i].at, i);
    }
    scheduler_done(s, &batch, 10, NULL);
    assert_int_equal(x[3].ended, 1);
    assert_int_equal(x[4].ended, 0);
    take(s, 1, 10);
    assert_int_equal(x[4].ended, 1);
    assert_false(scheduler_try(s, &batch));
    queue_drain(q);
    queue_free(&q);
    scheduler_free(&s);
}

static void
large_works_are_cut(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 8, 100, 0);
    struct item a = item(0, 21), b = item(1, 3);

    (void)state;
    put(q, &a);
    put(q, &b);
    take(s, 8, 1);
    take(s, 8, 1);
    assert_int_equal(a.ended, 0);
    assert_true(scheduler_try(s, &batch)); /* its last 5, and 3 of the next */
    assert_int_equal(batch.rows, 8);
    assert_int_equal(batch.n_pieces, 2);
    assert_int_equal(batch.pieces[0].from, 16);
    assert_int_equal(batch.pieces[0].n, 5);
    assert_int_equal(batch.pieces[1].at, 5);
    assert_int_equal(batch.pieces[1].n, 3);
    scheduler_done(s, &batch, 1, NULL);
    assert_int_equal(a.ended, 1);
    assert_int_equal(b.ended, 1);
    queue_free(&q);
    scheduler_free(&s);
}

static void
only_equal_shapes_share_a_batch(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 8, 100, 0);
    struct item x[6];

    (void)state;
    for (int i = 0; i < 6; i++) {
        x[i] = item(i, 1);
        x[i].work.group = (uint64_t)(i % 2);
        put(q, &x[i]);
    }
    assert_true(scheduler_try(s, &batch));
    assert_int_equal(batch.rows, 2); /* three of them are built as 2 and 1 */
    for (int i = 0; i < batch.n_pieces; i++)
        assert_int_equal(batch.pieces[i].work->group, 0);
    scheduler_done(s, &batch, 1, NULL);
    /* The oldest goes first now: x[1]. */
    assert_true(scheduler_try(s, &batch));
    assert_ptr_equal(batch.pieces[0].work, &x[1].work);
    scheduler_done(s, &batch, 1, NULL);
    take(s, 1, 1);
    take(s, 1, 1);
    for (int i = 0; i < 6; i++)
        assert_int_equal(x[i].ended, 1);
    queue_free(&q);
    scheduler_free(&s);
}

static void
without_a_batch_axis_works_run_alone(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 0, 100, 0);
    struct item a = item(0, 1), b = item(1, 1);

    (void)state;
    put(q, &a);
    put(q, &b);
    assert_true(scheduler_try(s, &batch));
    assert_int_equal(batch.n_pieces, 1);
    scheduler_done(s, &batch, 1, NULL);
    take(s, 1, 1);
    queue_free(&q);
    scheduler_free(&s);
}

static void
priority_then_arrival(void **state)
{
    static const int priority[] = {128, 128, 1, 200, 5, 1};
    static const int want[] = {2, 5, 4, 0, 1, 3};
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 1, 100, 0);
    struct item x[6];

    (void)state;
    for (int i = 0; i < 6; i++) {
        x[i] = item(i, 1);
        x[i].work.priority = priority[i];
        put(q, &x[i]);
    }
    for (int i = 0; i < 6; i++) {
        assert_true(scheduler_try(s, &batch));
        assert_int_equal(((struct item *)batch.pieces[0].work)->id, want[i]);
        scheduler_done(s, &batch, 1, NULL);
    }
    queue_free(&q);
    scheduler_free(&s);
}

static void
full_is_refused(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 4, 2, 0);
    struct item x[3] = {item(0, 1), item(1, 1), item(2, 1)};
    struct err e;

    (void)state;
    put(q, &x[0]);
    put(q, &x[1]);
    assert_int_equal(queue_put(q, &x[2].work, &e), ERR_BUSY);
    assert_int_equal(x[2].ended, 0);
    take(s, 2, 1);
    queue_close(q);
    assert_int_equal(queue_put(q, &x[2].work, &e), ERR_UNAVAILABLE);
    queue_free(&q);
    scheduler_free(&s);
}

static void
what_is_late_does_not_run(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 4, 10, 0);
    struct item a = item(0, 1), b = item(1, 9), c = item(2, 1);

    (void)state;
    clock_ns = 1000;
    a.work.deadline = 1500;
    b.work.deadline = 1600;
    put(q, &a);
    put(q, &b);
    put(q, &c);
    clock_ns = 1550;
    assert_true(scheduler_try(s, &batch)); /* without a */
    assert_int_equal(a.ended, 1);
    assert_int_equal(a.code, ERR_TIMEOUT);
    assert_ptr_equal(batch.pieces[0].work, &b.work);
    clock_ns = 1700;
    scheduler_expire(s); /* b's other rows are late; its first still run */
    assert_int_equal(b.ended, 0);
    scheduler_done(s, &batch, 1, NULL);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.code, ERR_TIMEOUT);
    take(s, 1, 1);
    assert_int_equal(c.code, ERR_OK);
    queue_free(&q);
    scheduler_free(&s);
}

static void
a_delay_waits_for_a_full_batch(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 4, 10, 100);
    struct item x[4] = {item(0, 1), item(1, 1), item(2, 1), item(3, 1)};

    (void)state;
    clock_ns = 1000;
    put(q, &x[0]);
    put(q, &x[1]);
    assert_false(scheduler_try(s, &batch));
    clock_ns = 1099;
    assert_false(scheduler_try(s, &batch));
    put(q, &x[2]);
    put(q, &x[3]);
    take(s, 4, 1); /* full: at once */
    x[0] = item(0, 1);
    put(q, &x[0]);
    clock_ns = 1199;
    take(s, 1, 1); /* not full, but it has waited */
    queue_free(&q);
    scheduler_free(&s);
}

/* Two models, one ten times as slow: equal shares of time, not of runs. */
static void
compute_time_is_shared_fairly(void **state)
{
    enum { N = 400 };
    struct scheduler *s = scheduler_new(now);
    struct queue *slow = make(s, 1, N, 0), *quick = make(s, 1, N, 0);
    struct item *x = calloc(2 * N, sizeof *x);
    uint64_t used[2] = {0, 0};

    (void)state;
    for (int i = 0; i < N; i++) {
        x[i] = item(0, 1);
        put(slow, &x[i]);
        x[N + i] = item(1, 1);
        put(quick, &x[N + i]);
    }
    for (int i = 0; i < 220; i++) {
        int which;

        assert_true(scheduler_try(s, &batch));
        which = batch.queue == quick;
        used[which] += which ? 100 : 1000;
        scheduler_done(s, &batch, which ? 100 : 1000, NULL);
    }
    assert_in_range(used[0], 18000, 22000);
    assert_in_range(used[1], 18000, 22000);
    struct err e;

    err_set(&e, ERR_UNAVAILABLE, "the end");
    scheduler_abort(s, &e);
    for (int i = 0; i < 2 * N; i++)
        assert_int_equal(x[i].ended, 1);
    queue_free(&slow);
    queue_free(&quick);
    scheduler_free(&s);
    free(x);
}

/* One that was idle gets its turn at once, but no more than its share. */
static void
idleness_saves_nothing_up(void **state)
{
    enum { N = 100 };
    struct scheduler *s = scheduler_new(now);
    struct queue *busy = make(s, 1, N, 0), *idle = make(s, 1, N, 0);
    struct item *x = calloc(2 * N, sizeof *x);
    int turns = 0;
    struct err e;

    (void)state;
    for (int i = 0; i < 2 * N; i++)
        x[i] = item(i, 1);
    for (int i = 0; i < N; i++)
        put(busy, &x[i]);
    for (int i = 0; i < 50; i++)
        take(s, 1, 1000);
    for (int i = N; i < 2 * N; i++)
        put(idle, &x[i]);
    for (int i = 0; i < 20; i++) {
        assert_true(scheduler_try(s, &batch));
        turns += batch.queue == idle;
        scheduler_done(s, &batch, 1000, NULL);
    }
    assert_in_range(turns, 9, 12);
    err_set(&e, ERR_UNAVAILABLE, "the end");
    scheduler_abort(s, &e);
    queue_free(&busy);
    queue_free(&idle);
    scheduler_free(&s);
    free(x);
}

static void
a_failed_run_fails_its_works(void **state)
{
    struct scheduler *s = scheduler_new(now);
    struct queue *q = make(s, 2, 10, 0);
    struct item a = item(0, 3), b = item(1, 1);
    struct err e;

    (void)state;
    put(q, &a);
    put(q, &b);
    assert_true(scheduler_try(s, &batch));
    err_set(&e, ERR_INTERNAL, "it broke");
    scheduler_done(s, &batch, 1, &e);
    assert_int_equal(a.ended, 1); /* its third row is not tried */
    assert_int_equal(a.code, ERR_INTERNAL);
    take(s, 1, 1);
    assert_int_equal(b.code, ERR_OK);
    queue_free(&q);
    scheduler_free(&s);
}

/* --- with threads ------------------------------------------------------ */

struct load {
    struct scheduler *s;
    struct queue *q[2];
    _Atomic long rows;
};

static void *
worker(void *arg)
{
    struct load *l = arg;
    struct batch *b = malloc(sizeof *b);

    while (scheduler_take(l->s, b)) {
        l->rows += b->rows;
        scheduler_done(l->s, b, 1000, NULL);
    }
    free(b);
    return NULL;
}

struct client {
    struct load *load;
    struct item items[300];
};

static void *
client(void *arg)
{
    struct client *c = arg;

    for (int i = 0; i < 300; i++) {
        struct err e;

        c->items[i] = item(i, 1 + i % 11);
        while (queue_put(c->load->q[i % 2], &c->items[i].work, &e) != 0)
            assert_int_equal(e.code, ERR_BUSY);
    }
    return NULL;
}

static void
nothing_is_lost_under_load(void **state)
{
    struct load l = {.s = scheduler_new(NULL)};
    struct client *clients = calloc(4, sizeof *clients);
    pthread_t w[3], c[4];
    long rows = 0;

    (void)state;
    l.q[0] = make(l.s, 8, 20, 0);
    l.q[1] = make(l.s, 4, 20, 50000);
    for (int i = 0; i < 3; i++)
        pthread_create(&w[i], NULL, worker, &l);
    for (int i = 0; i < 4; i++) {
        clients[i].load = &l;
        pthread_create(&c[i], NULL, client, &clients[i]);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(c[i], NULL);
    queue_drain(l.q[0]);
    queue_drain(l.q[1]);
    scheduler_stop(l.s);
    for (int i = 0; i < 3; i++)
        pthread_join(w[i], NULL);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 300; k++) {
            assert_int_equal(clients[i].items[k].ended, 1);
            rows += clients[i].items[k].work.rows;
        }
    assert_int_equal(rows, l.rows);
    queue_free(&l.q[0]);
    queue_free(&l.q[1]);
    scheduler_free(&l.s);
    free(clients);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_works_are_joined),
        cmocka_unit_test(large_works_are_cut),
        cmocka_unit_test(only_equal_shapes_share_a_batch),
        cmocka_unit_test(without_a_batch_axis_works_run_alone),
        cmocka_unit_test(priority_then_arrival),
        cmocka_unit_test(full_is_refused),
        cmocka_unit_test(what_is_late_does_not_run),
        cmocka_unit_test(a_delay_waits_for_a_full_batch),
        cmocka_unit_test(compute_time_is_shared_fairly),
        cmocka_unit_test(idleness_saves_nothing_up),
        cmocka_unit_test(a_failed_run_fails_its_works),
        cmocka_unit_test(nothing_is_lost_under_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
