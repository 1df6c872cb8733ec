/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one thread that makes loaded variants from files, and takes them apart
 * when nobody holds them any more.
 */
#ifndef SERVER_LOADER_H
#define SERVER_LOADER_H

#include "base/err.h"
#include "server/registry.h"

struct loader;

struct loader *loader_new(const struct registry_options *o);
void loader_limit(struct loader *l, size_t memory_limit, int max_batch_size);
void loader_start(struct loader *l);

/* Ends the thread; loads that wait, now or later, fail with
 * ERR_UNAVAILABLE. */
void loader_stop(struct loader *l);

/* Takes apart what was given back; stopped before. */
void loader_free(struct loader **l);

/*
 * Loads a variant, behind those already asked for.
 *
 * files, path: as registry_load() has them; copied.
 * done:        called once, on the loader's thread: v is a reference that
 *              becomes the callee's, or NULL and e says why.
 */
void loader_put(struct loader *l, const struct repo_variant *files,
                const char *path,
                void (*done)(void *arg, struct variant *v, const struct err *e),
                void *arg);

#endif
