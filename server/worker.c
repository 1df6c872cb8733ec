/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker takes a batch, copies its pieces' rows side by side into the
 * session's inputs, runs, and copies each piece's rows of the outputs to where
 * its request wants them: two copies in all, none of them under a lock that
 * another request could wait for.  Requests that share a run share nothing
 * else: data that fail it (an index out of range) fail their own request.
 */
#include "server/worker.h"

#include <stdatomic.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/log.h"
#include "server/stats.h"
#include "server/thread.h"

struct worker {
    struct workers *home;
    int index;
    pthread_t thread;
    struct batch batch;   /* too large for the stack */
    struct batch one;     /* a piece of it */
    struct shape *shapes; /* of the batch; as many as some lane has inputs */
    int n_shapes;
};

struct workers {
    struct scheduler *scheduler;
    int n, threads_each;
    struct worker *at;
};

struct lane {
    struct workers *workers;
    struct model *model;
    struct series *series;
    struct queue *queue;
    int max_batch;
    struct session **sessions; /* one a worker */
};

/* --- lanes ------------------------------------------------------------- */

static int
fit(void *user, int rows)
{
    struct lane *l = user;

    return model_batch_fit(l->model, rows);
}

int
lane_new(struct workers *w, struct model *m, const struct lane_options *o,
         struct series *series, struct lane **out, struct err *e)
{
    struct lane *l = mem_new(1, sizeof *l);
    struct queue_options q = {
        .max_length = o->max_length,
        .max_delay = o->max_delay_us * 1000,
        .weight = o->weight,
        .fit = fit,
        .user = l,
    };

    l->workers = w;
    l->model = model_ref(m);
    l->series = series_ref(series);
    l->sessions = mem_new((size_t)w->n, sizeof *l->sessions);
    l->max_batch = model_max_batch(m);
    if (l->max_batch > o->max_batch)
        l->max_batch = o->max_batch;
    q.max_batch = l->max_batch;
    for (int i = 0; i < w->n; i++)
        if (session_new(m, &l->sessions[i], e) != 0) {
            lane_free(&l);
            return err_wrap(e, "session for worker %d", i);
        }
    l->queue = queue_new(w->scheduler, &q);
    *out = l;
    return 0;
}

void
lane_drain(struct lane *l)
{
    queue_drain(l->queue);
}

void
lane_free(struct lane **lp)
{
    struct lane *l = *lp;

    if (l == NULL)
        return;
    queue_free(&l->queue);
    for (int i = 0; i < l->workers->n; i++)
        session_free(&l->sessions[i]);
    mem_free(l->sessions);
    series_unref(&l->series);
    model_unref(&l->model);
    mem_free(l);
    *lp = NULL;
}

struct queue *
lane_queue(const struct lane *l)
{
    return l->queue;
}

struct model *
lane_model(const struct lane *l)
{
    return l->model;
}

struct series *
lane_series(const struct lane *l)
{
    return l->series;
}

int
lane_max_batch(const struct lane *l)
{
    return l->max_batch;
}

/* --- requests ---------------------------------------------------------- */

void
run_init(struct run *r, struct lane *l)
{
    size_t n_in = (size_t)model_n_inputs(l->model);
    size_t n_out = (size_t)model_n_outputs(l->model);

    memset(r, 0, sizeof *r);
    r->lane = l;
    r->in_shapes = mem_new(n_in, sizeof *r->in_shapes);
    r->in = mem_new(n_in, sizeof *r->in);
    r->want = mem_new(n_out, sizeof *r->want);
    r->out = mem_new(n_out, sizeof *r->out);
    r->out_buf = mem_new(n_out, sizeof *r->out_buf);
    pthread_mutex_init(&r->lock, NULL);
}

void
run_clear(struct run *r)
{
    for (int i = 0; i < model_n_outputs(r->lane->model); i++)
        buf_free(&r->out_buf[i]);
    mem_free(r->in_shapes);
    mem_free(r->in);
    mem_free(r->want);
    mem_free(r->out);
    mem_free(r->out_buf);
    pthread_mutex_destroy(&r->lock);
}

/* What must be the same in a batch: all dimensions but the first. */
static bool
same_rows(const struct work *a, const struct work *b)
{
    const struct run *x = (const struct run *)a, *y = (const struct run *)b;

    for (int i = 0; i < model_n_inputs(x->lane->model); i++) {
        const struct shape *s = &x->in_shapes[i], *t = &y->in_shapes[i];

        if (s->rank != t->rank ||
            memcmp(s->dim + 1, t->dim + 1,
                   (size_t)(s->rank - 1) * sizeof s->dim[0]) != 0)
            return false;
    }
    return true;
}

static uint64_t
hash_rows(const struct run *r)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (int i = 0; i < model_n_inputs(r->lane->model); i++)
        for (int k = 1; k < r->in_shapes[i].rank; k++)
            h = (h ^ (uint64_t)r->in_shapes[i].dim[k]) * 1099511628211u;
    return h;
}

/* Rows of no bytes: no body's size bounds them, but each takes its time. */
enum { MAX_EMPTY_ROWS = 1 << 16 };

int
run_put(struct run *r, struct err *e)
{
    const struct lane *l = r->lane;

    r->work.rows = 1;
    r->work.same = same_rows;
    if (l->max_batch > 0) {
        for (int i = 0; i < model_n_inputs(l->model); i++) {
            int64_t rows = r->in_shapes[i].dim[0];
            bool empty = shape_n(&r->in_shapes[i]) == 0;

            if (rows < 1)
                return err_set(e, ERR_INVALID, "the batch has no rows");
            if (rows > (empty ? MAX_EMPTY_ROWS : INT32_MAX))
                return err_set(e, ERR_TOO_LARGE, "the batch has %lld rows",
                               (long long)rows);
            if (i == 0)
                r->work.rows = (int)rows;
            else if (rows != r->work.rows)
                return err_set(e, ERR_INVALID,
                               "input '%s' has %lld rows, input '%s' has %d: "
                               "the first dimension is the batch",
                               model_input(l->model, i)->name, (long long)rows,
                               model_input(l->model, 0)->name, r->work.rows);
        }
        r->work.group = hash_rows(r);
    }
    return queue_put(l->queue, &r->work, e);
}

/* --- one batch --------------------------------------------------------- */

static size_t
row_bytes(const struct shape *s, enum dtype t)
{
    return (size_t)shape_span(s, 1, s->rank) * dtype_size(t);
}

static void
fill_inputs(struct session *s, const struct lane *l, const struct batch *b)
{
    for (int i = 0; i < model_n_inputs(l->model); i++) {
        char *to = session_input(s, i);
        enum dtype t = model_input(l->model, i)->dtype;

        for (int k = 0; k < b->n_pieces; k++) {
            const struct piece *p = &b->pieces[k];
            const struct run *r = (const struct run *)p->work;
            size_t row;

            if (l->max_batch == 0) {
                memcpy(to, r->in[i], shape_n(&r->in_shapes[i]) * dtype_size(t));
                continue;
            }
            row = row_bytes(&r->in_shapes[i], t);
            memcpy(to + (size_t)p->at * row,
                   (const char *)r->in[i] + (size_t)p->from * row,
                   (size_t)p->n * row);
        }
    }
}

/* Room for output i of the whole request, at its first piece. */
static int
make_room(struct run *r, int i, const struct tensor *t, int rows, struct err *e)
{
    struct shape shape = t->shape;
    size_t n;

    if (r->out_buf[i] != NULL) {
        shape.dim[0] = rows;
        if (!shape_equal(&shape, &r->out[i].shape))
            return err_set(e, ERR_INTERNAL,
                           "output %d has another shape for other rows", i);
        return 0;
    }
    if (r->lane->max_batch > 0)
        shape.dim[0] = rows;
    if (shape_count(&shape, &n, e) != 0 ||
        buf_new(n * dtype_size(t->dtype), &r->out_buf[i], e) != 0)
        return e->code;
    r->out_buf[i]->n = n * dtype_size(t->dtype);
    r->out[i] = (struct tensor){t->dtype, shape, r->out_buf[i]->p};
    return 0;
}

static int
take_output(struct run *r, int i, const struct tensor *t, const struct batch *b,
            const struct piece *p, struct err *e)
{
    bool batched = r->lane->max_batch > 0;
    size_t row, bytes;
    const char *from = t->data;

    if (batched && (t->shape.rank < 1 || t->shape.dim[0] != b->rows))
        return err_set(e, ERR_INTERNAL,
                       "output '%s' does not have a row for each of the %d "
                       "that were asked",
                       model_output(r->lane->model, i)->name, b->rows);
    if (make_room(r, i, t, r->work.rows, e) != 0)
        return e->code;
    row = batched ? row_bytes(&t->shape, t->dtype) : 0;
    bytes = batched ? row * (size_t)p->n : r->out_buf[i]->n;
    from += row * (size_t)p->at;
    memcpy((char *)r->out[i].data + row * (size_t)p->from, from, bytes);
    return 0;
}

static void
take_outputs(struct session *s, const struct lane *l, const struct batch *b)
{
    for (int k = 0; k < b->n_pieces; k++) {
        const struct piece *p = &b->pieces[k];
        struct run *r = (struct run *)p->work;

        pthread_mutex_lock(&r->lock);
        for (int i = 0; i < model_n_outputs(l->model) && r->err.code == 0; i++)
            if (r->want[i])
                take_output(r, i, session_output(s, i), b, p, &r->err);
        pthread_mutex_unlock(&r->lock);
    }
}

struct times {
    uint64_t input, infer, output;
};

static void
add_times(const struct batch *b, const struct times *t)
{
    for (int k = 0; k < b->n_pieces; k++) {
        struct run *r = (struct run *)b->pieces[k].work;

        pthread_mutex_lock(&r->lock);
        r->input_ns += t->input;
        r->infer_ns += t->infer;
        r->output_ns += t->output;
        pthread_mutex_unlock(&r->lock);
    }
}

/* Makes the session ready for the batch's rows. */
static int
shape_session(struct worker *w, struct session *s, const struct batch *b,
              struct err *e)
{
    const struct lane *l = b->user;
    const struct run *head = (const struct run *)b->pieces[0].work;
    int n = model_n_inputs(l->model);

    if (n > w->n_shapes) {
        mem_free(w->shapes);
        w->shapes = mem_new((size_t)n, sizeof *w->shapes);
        w->n_shapes = n;
    }
    for (int i = 0; i < n; i++) {
        w->shapes[i] = head->in_shapes[i];
        if (l->max_batch > 0)
            w->shapes[i].dim[0] = b->rows;
    }
    return session_shape(s, w->shapes, e);
}

static int
run_rows(struct worker *w, const struct batch *b, struct err *e)
{
    struct lane *l = b->user;
    struct session *s = l->sessions[w->index];
    uint64_t t0 = thread_now_ns(), t1, t2, t3;
    struct times t;

    if (shape_session(w, s, b, e) != 0)
        return e->code;
    fill_inputs(s, l, b);
    t1 = thread_now_ns();
    if (session_run(s, e) != 0)
        return e->code;
    t2 = thread_now_ns();
    take_outputs(s, l, b);
    t3 = thread_now_ns();
    t = (struct times){t1 - t0, t2 - t1, t3 - t2};
    add_times(b, &t);
    series_ran(l->series, l->max_batch > 0 ? b->rows : 1, t.input, t.infer,
               t.output);
    return 0;
}

/* Somebody's data failed a shared run: each piece alone, in sizes that are
 * built, so that it fails its own request only. */
static void
run_apart(struct worker *w, const struct batch *b)
{
    struct lane *l = b->user;
    struct batch *one = &w->one;

    for (int k = 0; k < b->n_pieces; k++) {
        struct run *r = (struct run *)b->pieces[k].work;
        struct err e = {0};

        one->user = l;
        one->n_pieces = 1;
        for (int at = 0; at < b->pieces[k].n && e.code == ERR_OK;
             at += one->rows) {
            one->rows = model_batch_fit(l->model, b->pieces[k].n - at);
            one->pieces[0] = (struct piece){.work = &r->work,
                                            .from = b->pieces[k].from + at,
                                            .n = one->rows};
            run_rows(w, one, &e);
        }
        pthread_mutex_lock(&r->lock);
        if (e.code != ERR_OK && r->err.code == ERR_OK)
            r->err = e;
        pthread_mutex_unlock(&r->lock);
    }
}

static void
run_batch(struct worker *w)
{
    struct batch *b = &w->batch;
    uint64_t t0 = thread_now_ns();
    struct err e = {0};

    run_rows(w, b, &e);
    if (e.code == ERR_INVALID && b->n_pieces > 1) {
        run_apart(w, b);
        e.code = ERR_OK;
    }
    scheduler_done(w->home->scheduler, b, thread_now_ns() - t0,
                   e.code == ERR_OK ? NULL : &e);
}

/* --- threads ----------------------------------------------------------- */

static void *
work(void *arg)
{
    struct worker *w = arg;

    stats_thread(w->index);
    engine_set_threads(w->home->threads_each);
    while (scheduler_take(w->home->scheduler, &w->batch))
        run_batch(w);
    return NULL;
}

int
workers_wanted(const struct config *c)
{
    int n = (int)c->scheduler.workers;
    int each = (int)c->scheduler.threads_per_worker;

    if (n == 0)
        n = cpu_usable() / each;
    return n > 0 ? n : 1;
}

struct workers *
workers_new(struct daemon *d)
{
    struct workers *w = mem_new(1, sizeof *w);

    w->scheduler = d->scheduler;
    w->threads_each = (int)d->config->scheduler.threads_per_worker;
    w->n = workers_wanted(d->config);
    w->at = mem_new((size_t)w->n, sizeof *w->at);
    for (int i = 0; i < w->n; i++) {
        char name[16];

        snprintf(name, sizeof name, "worker%u", (unsigned)i % 1000);
        w->at[i].home = w;
        w->at[i].index = i;
        w->at[i].thread = thread_start(name, work, &w->at[i]);
    }
    log_event(LOG_NOTICE, "workers", "workers=%d threads_each=%d cores=%d",
              w->n, w->threads_each, cpu_usable());
    return w;
}

void
workers_free(struct workers **wp)
{
    struct workers *w = *wp;

    if (w == NULL)
        return;
    scheduler_stop(w->scheduler);
    for (int i = 0; i < w->n; i++) {
        pthread_join(w->at[i].thread, NULL);
        mem_free(w->at[i].shapes);
    }
    mem_free(w->at);
    mem_free(w);
    *wp = NULL;
}
