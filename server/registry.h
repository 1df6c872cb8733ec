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

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/engine.h"
#include "server/modelconf.h"
#include "server/repo.h"
#include "server/route.h"

struct registry;
struct loader; /* loader.h */
struct lane;   /* worker.h */

/* A loaded variant.  All members but the last group stay as they are from
 * attach() to detach(). */
struct variant {
    char model_name[ROUTE_NAME + 1];
    char name[ROUTE_NAME + 1]; /* "fp32", "int8", ... */
    long version;
    enum verdict verdict;
    bool base;             /* what was uploaded, not made from it */
    size_t file_bytes;     /* of its ONNX file and external data */
    double accuracy_ratio; /* of the version's own; 0: not measured */
    struct model *model;   /* the engine's, warm */
    struct modelconf conf; /* batching, labels */
    struct lane *lane;     /* attach() sets it, detach() frees it */

    /* registry.c's own. */
    struct loader *home;
    struct variant *next_dead;
    atomic_ulong refs;
};

struct registry_options {
    size_t memory_limit; /* bytes of weights and packed weights; 0: no limit */
    int max_batch_size;  /* where the model's own configuration says nothing */
    int threads;         /* that a run will have: kernels are made for them */

    /* On the loader thread, before the variant can be found.  May fail. */
    int (*attach)(struct variant *v, void *arg, struct err *e);
    /* On the loader thread, when nobody holds a reference any more. */
    void (*detach)(struct variant *v, void *arg);
    void *arg;
};

struct registry *registry_new(const struct registry_options *o);

/* What SIGHUP may change; for loads from now on. */
void registry_limit(struct registry *r, size_t memory_limit,
                    int max_batch_size);

/* Starts the loader thread; what was queued before counts for
 * registry_ready(). */
void registry_start(struct registry *r);

/* Stops the loader: loads that wait fail. */
void registry_stop(struct registry *r);

/* Lets everything go; no reference is held. */
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
    enum routed routed;
};

/*
 * The variant that answers.  Without version and variant: by the model's
 * route (primary is its first arm).  With a version only: that version's
 * base variant.  With a variant only: the one of the version that the route's
 * first arm names, or else of the newest version that has it loaded.  An exact
 * model name comes before "model.variant".
 *
 * Fails: ERR_INVALID (version is no number), ERR_NOT_FOUND (no such model,
 *        version, variant), ERR_UNAVAILABLE (known, but not loaded: loading,
 *        failed, unloaded).
 */
int registry_find(struct registry *r, const struct ask *a, struct pick *out,
                  struct err *e);

struct variant *variant_ref(struct variant *v);
void variant_unref(struct variant **v); /* any thread; clears the pointer */

/* --- looking ----------------------------------------------------------- */

enum load_state {
    LOAD_WAITING, /* its turn comes; what was there before still serves */
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
    unsigned long stamp;  /* of the files that were loaded or tried last */
    char reason[256];     /* why it failed or was unloaded, "" otherwise */
    struct variant *live; /* a reference, or NULL when not loaded */
};

struct registry_list {
    struct registry_row *at; /* by model, version (newest first), base first */
    size_t n;
};

/* model: NULL for all.  registry_list_free() drops the references. */
void registry_list(struct registry *r, const char *model,
                   struct registry_list *out);
void registry_list_free(struct registry_list *l);

/* True once everything that was on disk at start was loaded or has failed. */
bool registry_ready(struct registry *r);

/*
 * The route asked for last, or the one in force where none was.
 * follows: out; true where the route moves to each new version by itself.
 * Fails:   ERR_NOT_FOUND for an unknown model, ERR_UNAVAILABLE where nothing is
 *          loaded.
 */
int registry_route(struct registry *r, const char *model, struct route *out,
                   bool *follows, struct err *e);

/* --- loading ----------------------------------------------------------- */

/*
 * Loads one variant and waits for that, without putting it in its place.
 *
 * files: as the repository describes it.
 * path:  where its ONNX file lies now (a variant is loaded from its staging
 *        folder before it is published), or NULL: from files, which must match
 *        their manifest.
 * out:   a reference, for registry_install() or variant_unref().
 */
int registry_load(struct registry *r, const struct repo_variant *files,
                  const char *path, struct variant **out, struct err *e);

/* Puts a loaded variant in its place; takes the reference. */
void registry_install(struct registry *r, const struct repo_variant *files,
                      struct variant **v);

/*
 * Queues a load that ends in its place; the outcome is seen in
 * registry_list().  done: called with arg when it has ended, or NULL.
 */
void registry_load_later(struct registry *r, const struct repo_variant *files,
                         void (*done)(void *arg), void *arg);

/* Notes what can't be served, with the reason, for the index. */
void registry_note(struct registry *r, const struct repo_variant *files,
                   const char *reason);

/* Takes out one variant: forget drops its row, otherwise it stays unloaded. */
void registry_drop(struct registry *r, const char *model, long version,
                   const char *variant, bool forget, const char *reason);

/* --- routing ----------------------------------------------------------- */

struct route_change {
    bool force;   /* rejected variants may take traffic */
    bool follows; /* noted with the route */
    /* Called with the route in force until now (NULL: none) and the new one,
     * once all targets are known to be ready and before the change takes
     * effect; when it fails nothing changes.  Changes never overlap. */
    int (*journal)(void *arg, const struct route *from, const struct route *to,
                   struct err *e);
    void *arg;
};

/*
 * Puts a route in force.
 * Fails: ERR_NOT_FOUND (model), ERR_CONFLICT (a target isn't there, isn't
 *        loaded, or was rejected), what journal returns.
 */
int registry_set_route(struct registry *r, const char *model,
                       const struct route *to, const struct route_change *c,
                       struct err *e);

/* True when every arm with a weight is loaded. */
bool registry_can_route(struct registry *r, const char *model,
                        const struct route *to);

/*
 * The route kept on disk, told at start before the loads: it takes effect arm
 * by arm as variants come up.
 */
void registry_keep_route(struct registry *r, const char *model,
                         const struct route *to, bool follows);

#endif
