/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

#include "base/mem.h"

struct call {
    struct call *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop_signal {
    uv_signal_t handle;
    void (*fn)(void *arg, int signum);
    void *arg;
};

struct loop_timer {
    uv_timer_t handle;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    pthread_mutex_t lock; /* of the calls */
    struct call *first, **end;
    bool stop;
};

/* Every handle of libuv lies first in its struct. */
static void
free_handle(uv_handle_t *h)
{
    mem_free(h);
}

static void
close_handle(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, h->type == UV_ASYNC ? NULL : free_handle);
}

static int
uv_failed(struct err *e, int rc, const char *what)
{
    return err_set(e, rc == UV_ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", what,
                   uv_strerror(rc));
}

static void
make_calls(uv_async_t *h)
{
    struct loop *l = h->data;
    struct call *c;
    bool stop;

    pthread_mutex_lock(&l->lock);
    c = l->first;
    l->first = NULL;
    l->end = &l->first;
    stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    while (c != NULL) {
        struct call *next = c->next;

        c->fn(c->arg);
        mem_free(c);
        c = next;
    }
    if (stop)
        uv_stop(&l->uv);
}

int
loop_new(struct loop **out, struct err *e)
{
    struct loop *l = mem_new(1, sizeof *l);
    int rc = uv_loop_init(&l->uv);

    if (rc != 0) {
        mem_free(l);
        return uv_failed(e, rc, "event loop");
    }
    rc = uv_async_init(&l->uv, &l->wake, make_calls);
    if (rc != 0) {
        uv_loop_close(&l->uv);
        mem_free(l);
        return uv_failed(e, rc, "event loop");
    }
    l->wake.data = l;
    l->end = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    *out = l;
    return 0;
}

void
loop_free(struct loop **lp)
{
    struct loop *l = *lp;

    if (l == NULL)
        return;
    make_calls(&l->wake); /* what was posted too late for the loop */
    uv_walk(&l->uv, close_handle, NULL);
    while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0)
        continue; /* a stop that was still asked for ends one turn */
    uv_loop_close(&l->uv);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
    *lp = NULL;
}

void
loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

void
loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct call *c = mem_new(1, sizeof *c);

    c->fn = fn;
    c->arg = arg;
    pthread_mutex_lock(&l->lock);
    *l->end = c;
    l->end = &c->next;
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

static void
on_signal(uv_signal_t *h, int signum)
{
    struct loop_signal *s = h->data;

    s->fn(s->arg, signum);
}

int
loop_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum),
            void *arg, struct err *e)
{
    struct loop_signal *s = mem_new(1, sizeof *s);
    int rc;

    s->fn = fn;
    s->arg = arg;
    uv_signal_init(&l->uv, &s->handle);
    s->handle.data = s;
    rc = uv_signal_start(&s->handle, on_signal, signum);
    if (rc != 0) {
        uv_close((uv_handle_t *)&s->handle, free_handle);
        return uv_failed(e, rc, "signal");
    }
    return 0;
}

static void
on_timer(uv_timer_t *h)
{
    struct loop_timer *t = h->data;

    t->fn(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, unsigned first_ms, unsigned repeat_ms,
               void (*fn)(void *arg), void *arg)
{
    struct loop_timer *t = mem_new(1, sizeof *t);

    t->fn = fn;
    t->arg = arg;
    uv_timer_init(&l->uv, &t->handle);
    t->handle.data = t;
    uv_timer_start(&t->handle, on_timer, first_ms, repeat_ms);
    return t;
}

void
loop_timer_free(struct loop_timer **t)
{
    if (*t != NULL)
        uv_close((uv_handle_t *)&(*t)->handle, free_handle);
    *t = NULL;
}
