/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is served: models, their versions, their variants, and the route of
 * each model, in memory.
 *
 * A variant is loaded aside by the one loader thread (file -> graph -> model ->
 * warm -> attach) and then put in its place under the lock; a failed load
 * leaves what was there.  Whoever answers a request holds a reference to its
 * variant; a variant that was taken out or replaced goes when the last
 * reference is dropped, so nothing in flight ever fails because of a change.
 *
 * Routes are bound: each arm of the route in force holds a reference to its
 * loaded variant.  A change swaps the whole bound route; a request reads it
 * once, so it sees the old one or the new one, never a mixture.
 *
 * The registry knows nothing of queues, sessions or counters: attach() and
 * detach() below hang them onto a variant.
 */
#ifndef SERVER_REGISTRY_H
#define SERVER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/engine.h"
#include "server/modelconf.h"
#include "server/repo.h"
#include "server/route.h"

struct lane; /* worker.h: its queue, sessions and counters */
struct registry;

/* A loaded variant.  All members but the last group stay as they are from
 * attach() to detach(). */
struct variant {
    char model_name[ROUTE_NAME + 1];
    char name[ROUTE_NAME + 1]; /* "fp32", "int8", ... */
    long version;
    enum verdict verdict;
    bool base;             /* what was uploaded, not made from it */
    size_t file_bytes;     /* of its ONNX file and external data */
    struct model *model;   /* the engine's, warm */
    struct modelconf conf; /* batching, labels */

    struct lane *lane; /* attach() makes it, detach() frees it */

    /* registry.c's own. */
    struct registry *home;
    struct variant *next_dead;
    unsigned long refs; /* atomic */
};

struct registry_options {
    size_t memory_limit; /* bytes of weights and packed weights; 0: no limit */
    int max_batch_size;  /* where the model's own configuration says nothing */

    /* On the loader thread, before the variant can be found.  May fail. */
    int (*attach)(struct variant *v, void *arg, struct err *e);
    /* On the loader thread, when nobody holds a reference any more. */
    void (*detach)(struct variant *v, void *arg);
    /* After each change of a route or of what is loaded; may be NULL.  Called
     * under the registry's lock: it must not call back. */
    void (*changed)(const char *model, void *arg);
    void *arg;
};

struct registry *registry_new(const struct registry_options *o);

/* Starts the loader thread. */
int registry_start(struct registry *r, struct err *e);

/* Stops the loader and lets everything go; no reference may be held. */
void registry_free(struct registry **r);

/* --- answering --------------------------------------------------------- */

/* What a request asks for. */
struct ask {
    const char *model;   /* "resnet50", or "resnet50.int8" */
    const char *version; /* decimal text, or NULL */
    const char *variant; /* or NULL */
    /*
     * The sticky key: the value of the named header or request parameter
     * (either may be ""), or NULL when the request has none.  Called at most
     * once, outside of all locks; NULL for no key.
     */
    const char *(*key)(void *arg, const char *header, const char *parameter);
    void *arg;
};

struct pick {
    struct variant *variant; /* a reference: variant_unref() */
    const char *route;       /* "primary", "canary" or "pinned" */
};

/*
 * The variant that answers.  Without version and variant: by the model's
 * route ("primary" is its first arm).  With a version only: that version's
 * base variant.  With a variant only: the one of the newest version that has
 * it and is loaded.  An exact model name comes before "model.variant".
 *
 * Fails: ERR_NOT_FOUND (no such model, version, variant), ERR_UNAVAILABLE
 *        (known, but not loaded: loading, failed, unloaded).
 */
int registry_find(struct registry *r, const struct ask *a, struct pick *out,
                  struct err *e);

struct variant *variant_ref(struct variant *v);
void variant_unref(struct variant **v); /* any thread; clears the pointer */

/* --- looking ----------------------------------------------------------- */

enum load_state {
    LOAD_WAITING, /* known, its turn comes */
    LOAD_READY,
    LOAD_FAILED,   /* reason says why; what was there before still serves */
    LOAD_UNLOADED, /* on request */
};

/* One variant as it stands; a copy. */
struct registry_row {
    char model[ROUTE_NAME + 1];
    char variant[ROUTE_NAME + 1];
    long version;
    enum load_state state;
    enum verdict verdict;
    bool base;
    double share;         /* of the route in force, 0 to 1 */
    char reason[256];     /* why it failed or was unloaded, "" otherwise */
    struct variant *live; /* a reference, or NULL when not loaded */
};

struct registry_list {
    struct registry_row *at; /* by model, version (descending), variant */
    size_t n;
};

/* model: NULL for all.  registry_list_free() drops the references. */
void registry_list(struct registry *r, const char *model,
                   struct registry_list *out);
void registry_list_free(struct registry_list *l);

/* True once everything that was on disk at start was loaded or has failed. */
bool registry_ready(struct registry *r);

/* The route in force; ERR_NOT_FOUND for an unknown model, ERR_UNAVAILABLE
 * where nothing is loaded. */
int registry_route(struct registry *r, const char *model, struct route *out,
                   struct err *e);

/* --- changing (control plane) ------------------------------------------ */

/*
 * Loads one variant from its files and puts it in its place; waits for that.
 *
 * files: as the repository describes it (copied).
 * path:  where its ONNX file lies now, or NULL for files->path: a variant is
 *        loaded from its staging folder before it is published.
 * out:   when not NULL the loaded variant is given here, with a reference, and
 *        not put in its place: registry_install() does that.
 */
int registry_load(struct registry *r, const struct repo_variant *files,
                  const char *path, struct variant **out, struct err *e);
void registry_install(struct registry *r, struct variant **v);

/* Queues a load and returns; the outcome is seen in registry_list(). */
void registry_load_later(struct registry *r, const struct repo_variant *files,
                         bool first_of_all);

/* Notes what can't be served, with the reason, for the index. */
void registry_note(struct registry *r, const struct repo_variant *files,
                   const char *reason);

/* Takes out one variant: forget drops its row, otherwise it stays unloaded. */
void registry_drop(struct registry *r, const char *model, long version,
                   const char *variant, bool forget, const char *reason);

/* True when no load waits or runs for the model (NULL: any). */
bool registry_idle(struct registry *r, const char *model);

/*
 * Puts a route in force.
 *
 * force:    rejected variants may take traffic.
 * journal:  called with the route in force until now and the new one, once
 *           all targets are known to be ready and before the change takes
 *           effect; when it fails nothing changes.  Changes of one registry
 *           never overlap.
 * Fails:    ERR_NOT_FOUND (model), ERR_CONFLICT (a target isn't there, isn't
 *           loaded, or was rejected), what journal returns.
 */
struct route_change {
    bool force;
    int (*journal)(void *arg, const struct route *from, const struct route *to,
                   struct err *e);
    void *arg;
};
int registry_set_route(struct registry *r, const char *model,
                       const struct route *to, const struct route_change *c,
                       struct err *e);

/*
 * The route kept on disk, told at start before the loads: it takes effect arm
 * by arm as variants come up.
 */
void registry_keep_route(struct registry *r, const char *model,
                         const struct route *to);

#endif
