/* SPDX-License-Identifier: Apache-2.0 */
#include "server/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "server/loader.h"

/* One variant of one version: what its files are, and what is loaded. */
struct slot {
    char variant[ROUTE_NAME + 1];
    long version;
    bool base;
    enum verdict verdict;
    enum load_state state;
    unsigned long stamp;
    char reason[256];
    struct variant *live; /* a reference, or NULL */
};

/* A route with its variants: constant once it is in force. */
struct bound {
    atomic_ulong refs;
    struct route route;              /* only arms that are loaded */
    struct variant *arm[ROUTE_ARMS]; /* references */
};

struct entry {
    char name[ROUTE_NAME + 1];
    VEC(struct slot) slots; /* newest version first, base first */
    bool has_kept, follows;
    struct route kept;   /* what was asked for */
    struct bound *bound; /* what is in force; NULL when nothing is loaded */
};

struct registry {
    struct loader *loader;
    pthread_mutex_t change;      /* held through a route change; taken first */
    pthread_mutex_t lock;        /* guards what follows */
    VEC(struct entry *) entries; /* by name */
    bool started;
    size_t booting; /* loads queued before the start that have not ended */
};

/* --- finding one's way ------------------------------------------------- */

/* Where the name is, or where it belongs. */
static size_t
place(const struct registry *r, const char *model, bool *there)
{
    size_t lo = 0, hi = r->entries.n;

    *there = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(r->entries.at[mid]->name, model);

        if (c == 0) {
            *there = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct entry *
find_entry(const struct registry *r, const char *model)
{
    bool there;
    size_t at = place(r, model, &there);

    return there ? r->entries.at[at] : NULL;
}

static struct entry *
need_entry(struct registry *r, const char *model)
{
    bool there;
    size_t at = place(r, model, &there);
    struct entry *m;

    if (there)
        return r->entries.at[at];
    m = mem_new(1, sizeof *m);
    snprintf(m->name, sizeof m->name, "%s", model);
    VEC_PUSH(&r->entries, m);
    memmove(&r->entries.at[at + 1], &r->entries.at[at],
            (r->entries.n - 1 - at) * sizeof m);
    r->entries.at[at] = m;
    return m;
}

static struct slot *
find_slot(const struct entry *m, long version, const char *variant)
{
    for (size_t i = 0; i < m->slots.n; i++)
        if (m->slots.at[i].version == version &&
            strcmp(m->slots.at[i].variant, variant) == 0)
            return &m->slots.at[i];
    return NULL;
}

static bool
comes_before(const struct slot *a, const struct slot *b)
{
    if (a->version != b->version)
        return a->version > b->version;
    if (a->base != b->base)
        return a->base;
    return strcmp(a->variant, b->variant) < 0;
}

static struct slot *
need_slot(struct entry *m, const struct repo_variant *files)
{
    struct slot *s = find_slot(m, files->version, files->variant);
    struct slot fresh = {.version = files->version, .base = files->base};
    size_t at;

    if (s != NULL)
        return s;
    memcpy(fresh.variant, files->variant, sizeof fresh.variant);
    VEC_PUSH(&m->slots, fresh);
    for (at = m->slots.n - 1;
         at > 0 && comes_before(&fresh, &m->slots.at[at - 1]); at--)
        m->slots.at[at] = m->slots.at[at - 1];
    m->slots.at[at] = fresh;
    return &m->slots.at[at];
}

/* --- bound routes ------------------------------------------------------ */

static void
bound_unref(struct bound **ref)
{
    struct bound *b = *ref;

    *ref = NULL;
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    for (int i = 0; i < b->route.n_arms; i++)
        variant_unref(&b->arm[i]);
    mem_free(b);
}

/* The route with those of its arms that are loaded, or NULL when no traffic
 * could go anywhere. */
static struct bound *
bind_route(const struct entry *m, const struct route *want)
{
    struct bound *b = mem_new(1, sizeof *b);
    double sum = 0;
    int n = 0;

    atomic_init(&b->refs, 1);
    b->route = *want;
    for (int i = 0; i < want->n_arms; i++) {
        const struct slot *s =
            find_slot(m, want->arms[i].version, want->arms[i].variant);

        if (s == NULL || s->live == NULL)
            continue;
        b->route.arms[n] = want->arms[i];
        b->arm[n++] = variant_ref(s->live);
        sum += want->arms[i].weight;
    }
    b->route.n_arms = n;
    if (!(sum > 0))
        bound_unref(&b);
    return b;
}

/* Where requests go as long as nobody has said: the newest version's own. */
static struct bound *
bind_newest(const struct entry *m)
{
    struct route newest;

    for (size_t i = 0; i < m->slots.n; i++)
        if (m->slots.at[i].base && m->slots.at[i].live != NULL) {
            route_single(&newest, m->slots.at[i].version,
                         m->slots.at[i].variant);
            return bind_route(m, &newest);
        }
    return NULL;
}

/*
 * After a change of what is loaded.  Without a route of its own a model
 * keeps to the version it has while it runs: moving on is a route change,
 * and those are written down first (traffic.c).
 */
static void
rebind(struct registry *r, struct entry *m)
{
    struct bound *old = m->bound, *b = NULL;

    if (m->has_kept)
        b = bind_route(m, &m->kept);
    else if (old != NULL && r->booting == 0)
        b = bind_route(m, &old->route);
    if (b == NULL)
        b = bind_newest(m);
    m->bound = b;
    bound_unref(&old);
}

/* --- answering --------------------------------------------------------- */

static int
not_loaded(const struct slot *s, const char *model, struct err *e)
{
    static const char *const why[] = {
        [LOAD_WAITING] = "is being loaded",
        [LOAD_READY] = "is not loaded",
        [LOAD_FAILED] = "could not be loaded: ",
        [LOAD_UNLOADED] = "was unloaded",
    };

    return err_set(e, ERR_UNAVAILABLE, "model %s, version %ld, variant %s %s%s",
                   model, s->version, s->variant, why[s->state],
                   s->state == LOAD_FAILED ? s->reason : "");
}

static int
pick_slot(const struct entry *m, const struct slot *s, struct pick *out,
          struct err *e)
{
    if (s->live == NULL)
        return not_loaded(s, m->name, e);
    out->variant = variant_ref(s->live);
    out->routed = ROUTED_PINNED;
    return 0;
}

static int
pick_version(const struct entry *m, const char *text, const char *variant,
             struct pick *out, struct err *e)
{
    long version = route_version(text);
    bool known = false;

    if (version == 0)
        return err_set(e, ERR_INVALID, "version '%s' is no positive number",
                       text);
    for (size_t i = 0; i < m->slots.n; i++) {
        const struct slot *s = &m->slots.at[i];

        if (s->version != version)
            continue;
        known = true;
        if (variant != NULL ? strcmp(s->variant, variant) == 0 : s->base)
            return pick_slot(m, s, out, e);
    }
    if (!known)
        return err_set(e, ERR_NOT_FOUND, "model %s has no version %ld", m->name,
                       version);
    return err_set(e, ERR_NOT_FOUND, "model %s, version %ld has no variant %s",
                   m->name, version, variant != NULL ? variant : "fp32");
}

static int
pick_variant(const struct entry *m, const char *variant, struct pick *out,
             struct err *e)
{
    const struct slot *best = NULL;

    for (size_t i = 0; i < m->slots.n; i++) {
        const struct slot *s = &m->slots.at[i];

        if (strcmp(s->variant, variant) != 0)
            continue;
        if (best == NULL || (best->live == NULL && s->live != NULL))
            best = s;
        if (s->live != NULL && m->bound != NULL &&
            m->bound->route.arms[0].version == s->version) {
            best = s;
            break;
        }
    }
    if (best == NULL)
        return err_set(e, ERR_NOT_FOUND, "model %s has no variant %s", m->name,
                       variant);
    return pick_slot(m, best, out, e);
}

/* The exact name, or "model.variant". */
static const struct entry *
resolve(struct registry *r, const struct ask *a, const char **variant)
{
    const struct entry *m = find_entry(r, a->model);
    const char *dot = strrchr(a->model, '.');
    char name[ROUTE_NAME + 1];

    *variant = a->variant;
    if ((m != NULL && m->slots.n > 0) || a->variant != NULL || dot == NULL ||
        dot == a->model || (size_t)(dot - a->model) > ROUTE_NAME)
        return m;
    memcpy(name, a->model, (size_t)(dot - a->model));
    name[dot - a->model] = '\0';
    *variant = dot + 1;
    return find_entry(r, name);
}

static int
pick_routed(struct bound **ref, const struct ask *a, const char *model,
            struct pick *out)
{
    struct bound *b = *ref;
    const char *key = NULL;
    int i;

    if (a->key != NULL && (b->route.sticky_header[0] != '\0' ||
                           b->route.sticky_parameter[0] != '\0'))
        key = a->key(a->arg, b->route.sticky_header, b->route.sticky_parameter);
    i = route_choose(&b->route, model, key);
    out->variant = variant_ref(b->arm[i]);
    out->routed = i == 0 ? ROUTED_PRIMARY : ROUTED_CANARY;
    bound_unref(ref);
    return 0;
}

int
registry_find(struct registry *r, const struct ask *a, struct pick *out,
              struct err *e)
{
    const struct entry *m;
    const char *variant;
    struct bound *b = NULL;
    int rc = 0;

    pthread_mutex_lock(&r->lock);
    m = resolve(r, a, &variant);
    if (m == NULL)
        rc = err_set(e, ERR_NOT_FOUND, "no model '%s'", a->model);
    else if (a->version != NULL)
        rc = pick_version(m, a->version, variant, out, e);
    else if (variant != NULL)
        rc = pick_variant(m, variant, out, e);
    else if (m->bound != NULL) {
        b = m->bound;
        atomic_fetch_add(&b->refs, 1);
    } else if (m->slots.n > 0)
        rc = not_loaded(&m->slots.at[0], m->name, e);
    else
        rc = err_set(e, ERR_NOT_FOUND, "model '%s' has no version", a->model);
    pthread_mutex_unlock(&r->lock);
    return b != NULL ? pick_routed(&b, a, a->model, out) : rc;
}

/* --- looking ----------------------------------------------------------- */

static double
share_of(const struct entry *m, const struct slot *s)
{
    const struct bound *b = m->bound;

    for (int i = 0; b != NULL && i < b->route.n_arms; i++)
        if (b->route.arms[i].version == s->version &&
            strcmp(b->route.arms[i].variant, s->variant) == 0)
            return route_share(&b->route, i);
    return 0;
}

static struct registry_row
row_of(const struct entry *m, const struct slot *s)
{
    struct registry_row row = {
        .version = s->version,
        .state = s->state,
        .verdict = s->verdict,
        .base = s->base,
        .share = share_of(m, s),
        .stamp = s->stamp,
        .live = s->live != NULL ? variant_ref(s->live) : NULL,
    };

    memcpy(row.model, m->name, sizeof row.model);
    memcpy(row.variant, s->variant, sizeof row.variant);
    memcpy(row.reason, s->reason, sizeof row.reason);
    return row;
}

void
registry_list(struct registry *r, const char *model, struct registry_list *out)
{
    size_t n = 0;

    *out = (struct registry_list){0};
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->entries.n; i++)
        n += r->entries.at[i]->slots.n;
    out->at = n > 0 ? mem_new(n, sizeof *out->at) : NULL;
    for (size_t i = 0; i < r->entries.n; i++) {
        const struct entry *m = r->entries.at[i];

        if (model != NULL && strcmp(m->name, model) != 0)
            continue;
        for (size_t k = 0; k < m->slots.n; k++)
            out->at[out->n++] = row_of(m, &m->slots.at[k]);
    }
    pthread_mutex_unlock(&r->lock);
}

void
registry_list_free(struct registry_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        variant_unref(&l->at[i].live);
    mem_free(l->at);
    *l = (struct registry_list){0};
}

bool
registry_ready(struct registry *r)
{
    bool ready;

    pthread_mutex_lock(&r->lock);
    ready = r->started && r->booting == 0;
    pthread_mutex_unlock(&r->lock);
    return ready;
}

int
registry_route(struct registry *r, const char *model, struct route *out,
               bool *follows, struct err *e)
{
    const struct entry *m;
    int rc = 0;

    pthread_mutex_lock(&r->lock);
    m = find_entry(r, model);
    if (m == NULL || m->slots.n == 0)
        rc = err_set(e, ERR_NOT_FOUND, "no model '%s'", model);
    else if (m->has_kept)
        *out = m->kept;
    else if (m->bound != NULL)
        *out = m->bound->route;
    else
        rc = not_loaded(&m->slots.at[0], model, e);
    if (rc == 0)
        *follows = !m->has_kept || m->follows;
    pthread_mutex_unlock(&r->lock);
    return rc;
}

/* --- loading ----------------------------------------------------------- */

static void
install(struct registry *r, const struct repo_variant *files, struct variant *v)
{
    struct entry *m = need_entry(r, files->model);
    struct slot *s = need_slot(m, files);
    struct variant *old = s->live;

    s->live = v;
    s->state = LOAD_READY;
    s->verdict = files->verdict;
    s->stamp = files->stamp;
    s->reason[0] = '\0';
    rebind(r, m);
    variant_unref(&old);
}

void
registry_install(struct registry *r, const struct repo_variant *files,
                 struct variant **v)
{
    pthread_mutex_lock(&r->lock);
    install(r, files, *v);
    pthread_mutex_unlock(&r->lock);
    *v = NULL;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ended;
    struct variant *v;
    struct err e;
};

static void
waiter_wake(void *arg, struct variant *v, const struct err *e)
{
    struct waiter *w = arg;

    pthread_mutex_lock(&w->lock);
    w->ended = true;
    w->v = v;
    w->e = *e;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

int
registry_load(struct registry *r, const struct repo_variant *files,
              const char *path, struct variant **out, struct err *e)
{
    struct waiter w = {.ended = false};

    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.wake, NULL);
    loader_put(r->loader, files, path, waiter_wake, &w);
    pthread_mutex_lock(&w.lock);
    while (!w.ended)
        pthread_cond_wait(&w.wake, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.wake);
    pthread_mutex_destroy(&w.lock);
    if (w.v == NULL) {
        *e = w.e;
        return e->code;
    }
    *out = w.v;
    return 0;
}

struct later {
    struct registry *r;
    struct repo_variant files;
    bool boot;
    void (*done)(void *arg);
    void *arg;
};

static void
later_ended(void *arg, struct variant *v, const struct err *e)
{
    struct later *l = arg;
    struct registry *r = l->r;
    struct entry *m;
    struct slot *s;

    pthread_mutex_lock(&r->lock);
    m = find_entry(r, l->files.model);
    s = m != NULL ? find_slot(m, l->files.version, l->files.variant) : NULL;
    if (l->boot)
        r->booting--;
    if (s == NULL || s->state == LOAD_UNLOADED)
        variant_unref(&v); /* it was dropped while it was being loaded */
    else if (v != NULL)
        install(r, &l->files, v);
    else {
        s->state = LOAD_FAILED;
        s->stamp = l->files.stamp;
        snprintf(s->reason, sizeof s->reason, "%.255s", e->msg);
    }
    pthread_mutex_unlock(&r->lock);
    if (l->done != NULL)
        l->done(l->arg);
    repo_variant_free(&l->files);
    mem_free(l);
}

void
registry_load_later(struct registry *r, const struct repo_variant *files,
                    void (*done)(void *arg), void *arg)
{
    struct later *l = mem_new(1, sizeof *l);
    struct slot *s;

    *l = (struct later){.r = r, .done = done, .arg = arg};
    repo_variant_copy(&l->files, files);
    pthread_mutex_lock(&r->lock);
    l->boot = !r->started;
    r->booting += l->boot;
    s = need_slot(need_entry(r, files->model), files);
    s->state = LOAD_WAITING;
    s->verdict = files->verdict;
    s->stamp = files->stamp;
    pthread_mutex_unlock(&r->lock);
    loader_put(r->loader, files, NULL, later_ended, l);
}

void
registry_note(struct registry *r, const struct repo_variant *files,
              const char *reason)
{
    struct slot *s;

    pthread_mutex_lock(&r->lock);
    s = need_slot(need_entry(r, files->model), files);
    s->state = LOAD_FAILED;
    s->verdict = files->verdict;
    s->stamp = files->stamp;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
    pthread_mutex_unlock(&r->lock);
}

void
registry_drop(struct registry *r, const char *model, long version,
              const char *variant, bool forget, const char *reason)
{
    struct entry *m;
    struct slot *s;
    struct variant *old = NULL;

    pthread_mutex_lock(&r->lock);
    m = find_entry(r, model);
    s = m != NULL ? find_slot(m, version, variant) : NULL;
    if (s != NULL) {
        old = s->live;
        s->live = NULL;
        s->state = LOAD_UNLOADED;
        snprintf(s->reason, sizeof s->reason, "%s", reason);
        if (forget) {
            size_t at = (size_t)(s - m->slots.at);

            m->slots.n--;
            memmove(s, s + 1, (m->slots.n - at) * sizeof *s);
        }
        rebind(r, m);
    }
    pthread_mutex_unlock(&r->lock);
    variant_unref(&old);
}

/* --- routing ----------------------------------------------------------- */

static int
check_targets(const struct entry *m, const struct route *to, bool force,
              struct err *e)
{
    for (int i = 0; i < to->n_arms; i++) {
        const struct route_arm *a = &to->arms[i];
        const struct slot *s = find_slot(m, a->version, a->variant);

        if (s == NULL)
            return err_set(e, ERR_CONFLICT,
                           "arms[%d]: model %s has no version %ld, variant %s",
                           i, m->name, a->version, a->variant);
        if (s->live == NULL) {
            not_loaded(s, m->name, e);
            e->code = ERR_CONFLICT;
            return err_wrap(e, "arms[%d]", i);
        }
        if (s->verdict == VERDICT_REJECTED && a->weight > 0 && !force)
            return err_set(e, ERR_CONFLICT,
                           "arms[%d]: version %ld, variant %s was rejected "
                           "when it was judged; \"force\": true overrides",
                           i, a->version, a->variant);
    }
    return 0;
}

bool
registry_can_route(struct registry *r, const char *model,
                   const struct route *to)
{
    const struct entry *m;
    struct err e;
    bool can;

    pthread_mutex_lock(&r->lock);
    m = find_entry(r, model);
    can = m != NULL && check_targets(m, to, true, &e) == 0;
    pthread_mutex_unlock(&r->lock);
    return can;
}

static void
keep(struct entry *m, const struct route *to, bool follows)
{
    m->kept = *to;
    m->has_kept = true;
    m->follows = follows;
}

int
registry_set_route(struct registry *r, const char *model,
                   const struct route *to, const struct route_change *c,
                   struct err *e)
{
    struct route from;
    bool has_from = false;
    struct entry *m;
    int rc = 0;

    pthread_mutex_lock(&r->change);
    pthread_mutex_lock(&r->lock);
    m = find_entry(r, model);
    if (m == NULL || m->slots.n == 0)
        rc = err_set(e, ERR_NOT_FOUND, "no model '%s'", model);
    else
        rc = check_targets(m, to, c->force, e);
    if (rc == 0 && m->bound != NULL) {
        has_from = true;
        from = m->has_kept ? m->kept : m->bound->route;
    }
    pthread_mutex_unlock(&r->lock);

    if (rc == 0)
        rc = c->journal(c->arg, has_from ? &from : NULL, to, e);
    if (rc == 0) {
        pthread_mutex_lock(&r->lock);
        keep(m, to, c->follows);
        rebind(r, m);
        pthread_mutex_unlock(&r->lock);
    }
    pthread_mutex_unlock(&r->change);
    return rc;
}

void
registry_keep_route(struct registry *r, const char *model,
                    const struct route *to, bool follows)
{
    pthread_mutex_lock(&r->lock);
    keep(need_entry(r, model), to, follows);
    rebind(r, need_entry(r, model));
    pthread_mutex_unlock(&r->lock);
}

/* --- life -------------------------------------------------------------- */

struct registry *
registry_new(const struct registry_options *o)
{
    struct registry *r = mem_new(1, sizeof *r);

    r->loader = loader_new(o);
    pthread_mutex_init(&r->change, NULL);
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void
registry_limit(struct registry *r, size_t memory_limit, int max_batch_size)
{
    loader_limit(r->loader, memory_limit, max_batch_size);
}

void
registry_start(struct registry *r)
{
    pthread_mutex_lock(&r->lock);
    r->started = true;
    pthread_mutex_unlock(&r->lock);
    loader_start(r->loader);
}

void
registry_stop(struct registry *r)
{
    loader_stop(r->loader);
}

void
registry_free(struct registry **registry)
{
    struct registry *r = *registry;

    loader_stop(r->loader);
    for (size_t i = 0; i < r->entries.n; i++) {
        struct entry *m = r->entries.at[i];

        bound_unref(&m->bound);
        for (size_t k = 0; k < m->slots.n; k++)
            variant_unref(&m->slots.at[k].live);
        mem_free(m->slots.at);
        mem_free(m);
    }
    loader_free(&r->loader);
    mem_free(r->entries.at);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->change);
    mem_free(r);
    *registry = NULL;
}
