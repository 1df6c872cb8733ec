/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread's event loop: signals, timers, and calls from other
 * threads.  The only place that knows libuv.  Callbacks run on the main thread
 * and must not block.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include "base/err.h"

struct loop;
struct loop_timer;

int loop_new(struct loop **out, struct err *e);
void loop_free(struct loop **l);

/* Runs until loop_stop(). */
void loop_run(struct loop *l);

/* From any thread. */
void loop_stop(struct loop *l);

/* fn(arg) soon on the main thread; from any thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* fn(arg, signum) each time the signal comes. */
int loop_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum),
                void *arg, struct err *e);

/*
 * fn(arg) after first_ms, then every repeat_ms (0: once).  Main thread only,
 * or before loop_run(); loop_timer_free() may be called from fn.
 */
struct loop_timer *loop_timer_new(struct loop *l, unsigned first_ms,
                                  unsigned repeat_ms, void (*fn)(void *arg),
                                  void *arg);
void loop_timer_free(struct loop_timer **t);

#endif
