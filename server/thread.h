/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of the daemon: named, with all signals blocked (the main thread
 * takes them), and the clock that all waiting is measured by.
 */
#ifndef SERVER_THREAD_H
#define SERVER_THREAD_H

#include <pthread.h>
#include <stdint.h>

/* Aborts when the system has no thread left: only the start makes threads. */
pthread_t thread_start(const char *name, void *(*run)(void *arg), void *arg);

/* A condition whose timed wait takes CLOCK_MONOTONIC. */
void thread_cond_init(pthread_cond_t *c);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t thread_now_ns(void);

#endif
