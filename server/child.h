/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of another program, with limits: its own process group, low
 * priority, some of the cores, so much memory and time.
 */
#ifndef SERVER_CHILD_H
#define SERVER_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct child_options {
    char *const *argv;         /* argv[0] is looked for in PATH; NULL ends it */
    size_t memory_limit;       /* bytes of address space; 0: none */
    double timeout_s;          /* 0: none */
    const atomic_bool *cancel; /* when it becomes true the child is ended */

    /* Each line that it writes, without its newline; of at most 64 KB. */
    void (*out)(void *arg, const char *line);
    void (*err)(void *arg, const char *line);
    void *arg;
};

/*
 * Lowers the priority of the calling thread and keeps it to that share of the
 * cores it may use (at least one); what it starts inherits both.
 */
void child_share(double cpu_share);

/*
 * Runs it to its end.
 * status: out; what it exited with.
 * Fails:  ERR_TIMEOUT, ERR_UNAVAILABLE (cancelled), ERR_INTERNAL (can't be
 *         started, or a signal ended it, with which).
 */
int child_run(const struct child_options *o, int *status, struct err *e);

#endif
