/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lock guards all queues: what is done under it is a few list steps, far
 * less than the shortest run.
 *
 * Fairness is a virtual clock (start-time fair queuing): a queue's clock
 * advances by compute time / weight, and the waiting queue whose clock is
 * furthest behind goes first.  A queue that was idle starts at the scheduler's
 * clock, so it cannot save up a claim.  The clock of a batch that runs is
 * advanced in advance by what the queue's runs took lately, and put right when
 * it is done.
 *
 * Idle workers share: a worker that takes a batch while others are idle leaves
 * them their part of the rows, since two halves on two cores are done sooner
 * than one whole on one.
 */
#include "server/queue.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "server/thread.h"

struct queue {
    struct scheduler *home;
    struct queue *next;
    struct queue_options o;
    struct work *first, *last; /* by priority, then arrival */
    int length;                /* works of which no row was taken yet */
    int runs;                  /* batches that run */
    bool closed;
    double clock;  /* compute ns / weight */
    double run_ns; /* what a run took lately */
};

struct scheduler {
    pthread_mutex_t lock;
    pthread_cond_t more, drained;
    struct queue *queues;
    double clock; /* of the batch taken last */
    int idle;     /* workers that wait */
    bool stop;
    uint64_t (*now)(void);
};

struct scheduler *
scheduler_new(uint64_t (*now)(void))
{
    struct scheduler *s = mem_new(1, sizeof *s);

    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->more);
    thread_cond_init(&s->drained);
    s->now = now != NULL ? now : thread_now_ns;
    return s;
}

void
scheduler_free(struct scheduler **s)
{
    if (*s == NULL)
        return;
    pthread_cond_destroy(&(*s)->more);
    pthread_cond_destroy(&(*s)->drained);
    pthread_mutex_destroy(&(*s)->lock);
    mem_free(*s);
    *s = NULL;
}

/* --- queues ------------------------------------------------------------ */

struct queue *
queue_new(struct scheduler *s, const struct queue_options *o)
{
    struct queue *q = mem_new(1, sizeof *q);

    q->home = s;
    q->o = *o;
    pthread_mutex_lock(&s->lock);
    q->clock = s->clock;
    q->next = s->queues;
    s->queues = q;
    pthread_mutex_unlock(&s->lock);
    return q;
}

void
queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->home->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->home->more); /* nothing more to wait for */
    pthread_mutex_unlock(&q->home->lock);
}

void
queue_drain(struct queue *q)
{
    queue_close(q);
    pthread_mutex_lock(&q->home->lock);
    while (q->first != NULL || q->runs > 0)
        pthread_cond_wait(&q->home->drained, &q->home->lock);
    pthread_mutex_unlock(&q->home->lock);
}

void
queue_free(struct queue **qp)
{
    struct queue *q = *qp, **at;

    if (q == NULL)
        return;
    pthread_mutex_lock(&q->home->lock);
    for (at = &q->home->queues; *at != q; at = &(*at)->next)
        continue;
    *at = q->next;
    pthread_mutex_unlock(&q->home->lock);
    mem_free(q);
    *qp = NULL;
}

int
queue_length(const struct queue *q)
{
    int n;

    pthread_mutex_lock(&q->home->lock);
    n = q->length;
    pthread_mutex_unlock(&q->home->lock);
    return n;
}

/* --- the list of a queue ----------------------------------------------- */

static void
insert(struct queue *q, struct work *w)
{
    struct work *after = q->last;

    while (after != NULL && after->priority > w->priority)
        after = after->prev;
    w->prev = after;
    w->next = after != NULL ? after->next : q->first;
    if (w->next != NULL)
        w->next->prev = w;
    else
        q->last = w;
    if (after != NULL)
        after->next = w;
    else
        q->first = w;
    w->waiting = true;
    q->length++;
}

static void
remove_work(struct queue *q, struct work *w)
{
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        q->first = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    else
        q->last = w->prev;
    w->waiting = false;
    if (w->taken == 0)
        q->length--;
}

int
queue_put(struct queue *q, struct work *w, struct err *e)
{
    struct scheduler *s = q->home;
    int rc = 0;

    w->queue = q;
    w->taken = w->ran = 0;
    w->failed = false;
    pthread_mutex_lock(&s->lock);
    w->put_ns = s->now();
    if (q->closed) {
        rc = err_set(e, ERR_UNAVAILABLE, "the variant is being unloaded");
    } else if (q->length >= q->o.max_length) {
        rc = err_set(e, ERR_BUSY, "the queue is full: %d requests wait",
                     q->length);
    } else {
        if (q->first == NULL && q->runs == 0 && q->clock < s->clock)
            q->clock = s->clock;
        insert(q, w);
        pthread_cond_signal(&s->more);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- works that end ---------------------------------------------------- */

/* Works whose done() is called when the lock is free again. */
struct ended {
    struct work *first;
};

static void
add_ended(struct ended *list, struct work *w)
{
    w->next = list->first;
    list->first = w;
}

static void
call_done(struct ended *list)
{
    struct work *w = list->first;

    while (w != NULL) {
        struct work *next = w->next; /* done() may free w */

        w->done(w, w->failed ? &w->err : NULL);
        w = next;
    }
}

/* Takes w out of the queue for good, unless pieces of it still run. */
static void
fail(struct queue *q, struct work *w, enum err_code code, const char *why,
     struct ended *list)
{
    if (!w->failed) {
        w->failed = true;
        err_set(&w->err, code, "%s", why);
    }
    if (w->waiting)
        remove_work(q, w);
    if (w->ran == w->taken)
        add_ended(list, w);
}

static void
expire(struct scheduler *s, struct queue *q, uint64_t now, struct ended *list)
{
    struct work *next;

    for (struct work *w = q->first; w != NULL; w = next) {
        next = w->next;
        if (w->deadline != 0 && now >= w->deadline)
            fail(q, w, ERR_TIMEOUT, "the deadline passed in the queue", list);
    }
    if (q->first == NULL && q->runs == 0)
        pthread_cond_broadcast(&s->drained);
}

void
scheduler_expire(struct scheduler *s)
{
    struct ended list = {NULL};

    pthread_mutex_lock(&s->lock);
    for (struct queue *q = s->queues; q != NULL; q = q->next)
        if (q->first != NULL)
            expire(s, q, s->now(), &list);
    pthread_mutex_unlock(&s->lock);
    call_done(&list);
}

void
scheduler_abort(struct scheduler *s, const struct err *e)
{
    struct ended list = {NULL};

    pthread_mutex_lock(&s->lock);
    for (struct queue *q = s->queues; q != NULL; q = q->next)
        while (q->first != NULL)
            fail(q, q->first, e->code, e->msg, &list);
    pthread_cond_broadcast(&s->drained);
    pthread_mutex_unlock(&s->lock);
    call_done(&list);
}

void
scheduler_stop(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->more);
    pthread_mutex_unlock(&s->lock);
}

/* --- taking ------------------------------------------------------------ */

/* Rows that wait and could share a batch with w, at most most. */
static int
rows_with(const struct work *w, int most)
{
    int rows = 0;

    for (const struct work *x = w; x != NULL && rows < most; x = x->next)
        if (x == w || (x->group == w->group && x->same(x, w)))
            rows += x->rows - x->taken;
    return rows < most ? rows : most;
}

/*
 * When the queue may be taken from: 0 at once, otherwise the time at which the
 * wait for a fuller batch ends.
 */
static uint64_t
ready_at(const struct queue *q, uint64_t now)
{
    uint64_t at;

    if (q->o.max_delay == 0 || q->o.max_batch == 0 || q->closed ||
        q->home->stop)
        return 0;
    at = q->first->put_ns + q->o.max_delay;
    if (now >= at || q->first->taken > 0 ||
        rows_with(q->first, q->o.max_batch) >= q->o.max_batch)
        return 0;
    return at;
}

/*
 * The queue whose turn it is; NULL when none is ready, and then *wake has the
 * time when one will be (0: unknown).
 */
static struct queue *
choose(struct scheduler *s, uint64_t now, uint64_t *wake)
{
    struct queue *best = NULL;

    *wake = 0;
    for (struct queue *q = s->queues; q != NULL; q = q->next) {
        uint64_t at;

        if (q->first == NULL)
            continue;
        at = ready_at(q, now);
        if (at == 0 && (best == NULL || q->clock < best->clock))
            best = q;
        if (at != 0 && (*wake == 0 || at < *wake))
            *wake = at;
    }
    return best;
}

static void
take_piece(struct queue *q, struct batch *b, struct work *w, int n,
           uint64_t now)
{
    struct piece *p = &b->pieces[b->n_pieces++];

    p->work = w;
    p->from = w->taken;
    p->n = n;
    p->at = b->rows;
    if (w->taken == 0) {
        w->taken_ns = now;
        q->length--;
    }
    w->taken += n;
    b->rows += n;
    if (w->taken == w->rows)
        remove_work(q, w);
}

/* How many rows this worker takes: a size that is built, at most its share. */
static int
rows_to_take(const struct scheduler *s, const struct queue *q)
{
    int waiting = rows_with(q->first, q->o.max_batch * (s->idle + 1));
    int share = (waiting + s->idle) / (s->idle + 1);

    if (share > q->o.max_batch)
        share = q->o.max_batch;
    return q->o.fit(q->o.user, share);
}

static void
fill(struct scheduler *s, struct queue *q, struct batch *b, uint64_t now)
{
    struct work *head = q->first, *next;
    int want;

    b->queue = q;
    b->user = q->o.user;
    b->rows = b->n_pieces = 0;
    b->taken_ns = now;
    if (q->o.max_batch == 0) {
        take_piece(q, b, head, head->rows, now);
    } else {
        want = rows_to_take(s, q);
        for (struct work *w = head;
             w != NULL && b->rows < want && b->n_pieces < QUEUE_MAX_PIECES;
             w = next) {
            int left = w->rows - w->taken;

            next = w->next;
            if (w != head && (w->group != head->group || !w->same(w, head)))
                continue;
            take_piece(q, b, w, left < want - b->rows ? left : want - b->rows,
                       now);
        }
    }
    q->runs++;
    s->clock = q->clock;
    b->claimed_ns = q->run_ns;
    q->clock += q->run_ns / q->o.weight;
}

/* Under the lock: takes a batch, if one can be taken now. */
static bool
try_take(struct scheduler *s, struct batch *b, uint64_t *wake,
         struct ended *list)
{
    uint64_t now = s->now();
    struct queue *q;

    for (q = s->queues; q != NULL; q = q->next)
        if (q->first != NULL)
            expire(s, q, now, list);
    q = choose(s, now, wake);
    if (q == NULL)
        return false;
    fill(s, q, b, now);
    if (q->first != NULL)
        pthread_cond_signal(&s->more); /* there is more for another */
    return true;
}

bool
scheduler_try(struct scheduler *s, struct batch *b)
{
    struct ended list = {NULL};
    uint64_t wake;
    bool got;

    pthread_mutex_lock(&s->lock);
    got = try_take(s, b, &wake, &list);
    pthread_mutex_unlock(&s->lock);
    call_done(&list);
    return got;
}

static bool
anything_waits(const struct scheduler *s)
{
    for (const struct queue *q = s->queues; q != NULL; q = q->next)
        if (q->first != NULL)
            return true;
    return false;
}

static void
wait_until(struct scheduler *s, uint64_t wake)
{
    struct timespec t = {.tv_sec = (time_t)(wake / 1000000000u),
                         .tv_nsec = (long)(wake % 1000000000u)};

    s->idle++;
    if (wake == 0)
        pthread_cond_wait(&s->more, &s->lock);
    else
        pthread_cond_timedwait(&s->more, &s->lock, &t);
    s->idle--;
}

bool
scheduler_take(struct scheduler *s, struct batch *b)
{
    uint64_t wake;
    bool got = false;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct ended list = {NULL};

        got = try_take(s, b, &wake, &list);
        if (list.first != NULL) {
            pthread_mutex_unlock(&s->lock);
            call_done(&list);
            if (got)
                return true;
            pthread_mutex_lock(&s->lock);
            continue;
        }
        if (got || (s->stop && !anything_waits(s)))
            break;
        wait_until(s, wake);
    }
    pthread_mutex_unlock(&s->lock);
    return got;
}

/* --- done -------------------------------------------------------------- */

void
scheduler_done(struct scheduler *s, struct batch *b, uint64_t ns,
               const struct err *e)
{
    struct queue *q = b->queue;
    struct ended list = {NULL};

    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < b->n_pieces; i++) {
        struct work *w = b->pieces[i].work;

        w->ran += b->pieces[i].n;
        if (e != NULL && !w->failed) {
            w->failed = true;
            w->err = *e;
            if (w->waiting)
                remove_work(q, w);
        }
        if (w->ran == w->taken && (w->failed || w->ran == w->rows))
            add_ended(&list, w);
    }
    q->clock += ((double)ns - b->claimed_ns) / q->o.weight;
    q->run_ns =
        q->run_ns == 0 ? (double)ns : q->run_ns * 0.8 + (double)ns * 0.2;
    pthread_mutex_unlock(&s->lock);
    call_done(&list);
    /* Only now: who waits for the drain frees what done() still uses. */
    pthread_mutex_lock(&s->lock);
    q->runs--;
    if (q->first == NULL && q->runs == 0)
        pthread_cond_broadcast(&s->drained);
    pthread_mutex_unlock(&s->lock);
}
