/* SPDX-License-Identifier: Apache-2.0 */
#include "server/tasks.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "server/thread.h"

struct task {
    struct task *next;
    void (*run)(void *arg);
    void *arg;
};

struct tasks {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct task *first, **end;
    bool stop;
    int n_threads;
    pthread_t threads[];
};

static void *
work(void *arg)
{
    struct tasks *t = arg;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct task *task = t->first;

        if (task == NULL && t->stop)
            break;
        if (task == NULL) {
            pthread_cond_wait(&t->more, &t->lock);
            continue;
        }
        t->first = task->next;
        if (t->first == NULL)
            t->end = &t->first;
        pthread_mutex_unlock(&t->lock);
        task->run(task->arg);
        mem_free(task);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

struct tasks *
tasks_new(const char *name, int n_threads)
{
    struct tasks *t =
        mem_new(1, sizeof *t + (size_t)n_threads * sizeof t->threads[0]);

    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->more, NULL);
    t->end = &t->first;
    t->n_threads = n_threads;
    for (int i = 0; i < n_threads; i++)
        t->threads[i] = thread_start(name, work, t);
    return t;
}

void
tasks_free(struct tasks **tp)
{
    struct tasks *t = *tp;

    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->more);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < t->n_threads; i++)
        pthread_join(t->threads[i], NULL);
    pthread_cond_destroy(&t->more);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
    *tp = NULL;
}

void
tasks_post(struct tasks *t, void (*run)(void *arg), void *arg)
{
    struct task *task = mem_new(1, sizeof *task);

    task->run = run;
    task->arg = arg;
    pthread_mutex_lock(&t->lock);
    *t->end = task;
    t->end = &task->next;
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
}
