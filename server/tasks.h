/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that do what must not be done where it was asked for: a queue of
 * calls, and n threads that make them in order (with n == 1 one after the
 * other).  What may wait for a disk runs here, never on the HTTP thread.
 */
#ifndef SERVER_TASKS_H
#define SERVER_TASKS_H

struct tasks;

struct tasks *tasks_new(const char *name, int n_threads);

/* Makes what was posted, then ends the threads. */
void tasks_free(struct tasks **t);

/* run(arg) soon, on one of the threads; from any thread. */
void tasks_post(struct tasks *t, void (*run)(void *arg), void *arg);

#endif
