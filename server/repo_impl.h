/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What repo.c (what is there) and publish.c (what comes and goes) share.
 */
#ifndef SERVER_REPO_IMPL_H
#define SERVER_REPO_IMPL_H

#include <pthread.h>
#include <stdbool.h>

#include "server/repo.h"

struct reserved {
    struct reserved *next;
    long version;
    char model[ROUTE_NAME + 1];
};

struct repo {
    char *models;     /* what is served */
    char *root;       /* where quantd writes; may be the same */
    char *model_name; /* of a flat repository */
    char *tmp, *jobs; /* below root */
    bool read_only;   /* nothing can be written at all */
    int lock_fd;
    pthread_mutex_t lock; /* guards reserved */
    struct reserved *reserved;
};

/*
 * Calls each() for every entry of dir in the order of names; an absent dir has
 * none.  Stops at the first failure and returns it.
 */
int repo_walk(const char *dir,
              int (*each)(void *arg, const char *path, const char *name,
                          struct err *e),
              void *arg, struct err *e);

#endif
