/* SPDX-License-Identifier: Apache-2.0 */
#include "server/repo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "server/manifest.h"
#include "server/repo_impl.h"

static const char model_file[] = "model.onnx";
static const char flat_model[] = "model";

const char *
verdict_name(enum verdict v)
{
    static const char *const name[] = {"accepted", "undecided", "rejected"};

    return name[v];
}

int
verdict_parse(const char *name, enum verdict *out, struct err *e)
{
    for (int v = VERDICT_ACCEPTED; v <= VERDICT_REJECTED; v++)
        if (strcmp(name, verdict_name((enum verdict)v)) == 0) {
            *out = (enum verdict)v;
            return 0;
        }
    return err_set(e, ERR_INVALID, "state '%s' (accepted, undecided, rejected)",
                   name);
}

/* --- walking ----------------------------------------------------------- */

int
repo_walk(const char *dir,
          int (*each)(void *arg, const char *path, const char *name,
                      struct err *e),
          void *arg, struct err *e)
{
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort), rc = 0;

    if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (n < 0)
        return err_errno(e, "%s", dir);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;

        if (rc == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            char *path = mem_printf("%s/%s", dir, name);

            rc = each(arg, path, name, e);
            mem_free(path);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

static bool
is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool
exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* --- scanning ---------------------------------------------------------- */

struct scan {
    struct repo_list *out;
    size_t cap;
    const char *only; /* model, or NULL: all */
    const char *model, *model_dir;
    long version;
    const char *variant; /* NULL: a version's own file */
};

/* Bytes of the model's files, and a number that changes when they do. */
struct measure {
    size_t bytes;
    unsigned long stamp;
};

static void
stamp_file(struct measure *m, const struct stat *st)
{
    m->stamp = m->stamp * 31 + (unsigned long)st->st_ino;
    m->stamp = m->stamp * 31 + (unsigned long)st->st_size;
    m->stamp = m->stamp * 31 + (unsigned long)st->st_mtim.tv_sec;
    m->stamp = m->stamp * 31 + (unsigned long)st->st_mtim.tv_nsec;
}

static int
measure_file(void *arg, const char *path, const char *name, struct err *e)
{
    struct measure *m = arg;
    const char *dot = strrchr(name, '.');
    struct stat st;

    (void)e;
    if (strcmp(name, "report.json") == 0 || stat(path, &st) != 0 ||
        !S_ISREG(st.st_mode))
        return 0;
    if (dot == NULL || (strcmp(dot, ".json") != 0 && strcmp(dot, ".txt") != 0 &&
                        strcmp(dot, ".pbtxt") != 0))
        m->bytes += (size_t)st.st_size;
    stamp_file(m, &st);
    return 0;
}

size_t
repo_bytes(const char *dir)
{
    struct measure m = {0};
    struct err e;

    repo_walk(dir, measure_file, &m, &e);
    return m.bytes;
}

/* What the folder of the model says about serving it counts, too. */
static void
measure_conf(struct measure *m, const char *model_dir)
{
    static const char *const names[] = {"config.pbtxt", "model.conf"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = mem_printf("%s/%s", model_dir, names[i]);
        struct stat st;

        if (stat(path, &st) == 0)
            stamp_file(m, &st);
        mem_free(path);
    }
}

/* Triton keeps a model with external data in a folder named model.onnx. */
static char *
model_path(const char *dir)
{
    char *path = mem_printf("%s/%s", dir, model_file);

    if (is_dir(path)) {
        char *inner = mem_printf("%s/%s", path, model_file);

        mem_free(path);
        return inner;
    }
    return path;
}

static void
read_manifest(const char *dir, struct repo_variant *v)
{
    json_t *manifest = NULL;
    const char *state, *name;
    struct err e;

    if (manifest_check(dir, false, &manifest, &e) != 0) {
        v->managed = true;
        v->reason = mem_strdup(e.msg);
        return;
    }
    if (manifest == NULL)
        return;
    v->managed = true;
    state = json_string_value(json_object_get(manifest, "state"));
    name = json_string_value(json_object_get(manifest, "variant"));
    if (state != NULL && verdict_parse(state, &v->verdict, &e) != 0)
        v->reason = mem_printf("manifest.json: %s", e.msg);
    v->accuracy_ratio =
        json_number_value(json_object_get(manifest, "accuracy_ratio"));
    if (v->base && name != NULL && route_name_ok(name))
        memcpy(v->variant, name, strlen(name) + 1);
    json_decref(manifest);
}

/* What lies in dir, which holds model.onnx. */
static void
describe(const struct scan *s, const char *dir, struct repo_variant *v)
{
    struct measure m = {0};
    struct err e;

    *v = (struct repo_variant){
        .version = s->version,
        .base = s->variant == NULL,
        .path = model_path(dir),
        .dir = mem_strdup(dir),
        .model_dir = mem_strdup(s->model_dir),
    };
    memcpy(v->model, s->model, strlen(s->model) + 1);
    snprintf(v->variant, sizeof v->variant, "%s",
             s->variant != NULL ? s->variant : "fp32");
    repo_walk(dir, measure_file, &m, &e);
    measure_conf(&m, s->model_dir);
    v->bytes = m.bytes;
    v->stamp = m.stamp;
    read_manifest(dir, v);
}

static bool
same(const struct repo_variant *v, const struct repo_variant *w)
{
    return v->version == w->version && strcmp(v->model, w->model) == 0 &&
           strcmp(v->variant, w->variant) == 0;
}

/* The first found counts: the state folder is read before the models. */
static void
found(struct scan *s, const char *dir)
{
    char *path = mem_printf("%s/%s", dir, model_file);
    struct repo_variant v;

    if (exists(path)) {
        describe(s, dir, &v);
        for (size_t i = 0; i < s->out->n; i++)
            if (same(&s->out->at[i], &v)) {
                repo_variant_free(&v);
                mem_free(path);
                return;
            }
        if (s->out->n == s->cap)
            s->out->at = vec_grow(s->out->at, &s->cap, sizeof v);
        s->out->at[s->out->n++] = v;
    }
    mem_free(path);
}

static int
scan_variant(void *arg, const char *path, const char *name, struct err *e)
{
    struct scan *s = arg;

    (void)e;
    if (!route_name_ok(name) || !is_dir(path))
        return 0;
    s->variant = name;
    found(s, path);
    s->variant = NULL;
    return 0;
}

static int
scan_version(void *arg, const char *path, const char *name, struct err *e)
{
    struct scan *s = arg;
    char *variants;
    int rc;

    s->version = route_version(name);
    if (s->version == 0 || !is_dir(path))
        return 0;
    found(s, path);
    variants = mem_printf("%s/variants", path);
    rc = repo_walk(variants, scan_variant, s, e);
    mem_free(variants);
    return rc;
}

static int
scan_model(void *arg, const char *path, const char *name, struct err *e)
{
    struct scan *s = arg;

    if ((s->only != NULL && strcmp(s->only, name) != 0) ||
        !route_name_ok(name) || !is_dir(path))
        return 0;
    s->model = name;
    s->model_dir = path;
    return repo_walk(path, scan_version, s, e);
}

static int
order(const void *a, const void *b)
{
    const struct repo_variant *v = a, *w = b;
    int c = strcmp(v->model, w->model);

    if (c != 0)
        return c;
    if (v->version != w->version)
        return v->version < w->version ? 1 : -1;
    if (v->base != w->base)
        return v->base ? -1 : 1;
    return strcmp(v->variant, w->variant);
}

/* A variant of which the version's own file is gone, or whose name the
 * version's own file has, is not served. */
static void
mark_orphans(struct repo_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct repo_variant *v = &l->at[i];
        bool has_base = false;

        for (size_t k = 0; k < l->n && !v->base; k++)
            has_base |= l->at[k].base && l->at[k].version == v->version &&
                        strcmp(l->at[k].model, v->model) == 0;
        if (!v->base && !has_base && v->reason == NULL)
            v->reason =
                mem_printf("version %ld has no %s", v->version, model_file);
    }
}

int
repo_scan(struct repo *r, const char *model, struct repo_list *out,
          struct err *e)
{
    struct scan s = {.out = out, .only = model};
    int rc;

    *out = (struct repo_list){0};
    rc = repo_walk(r->root, scan_model, &s, e);
    if (rc == 0 && strcmp(r->root, r->models) != 0)
        rc = repo_walk(r->models, scan_model, &s, e);
    if (rc == 0 && (model == NULL || strcmp(model, r->model_name) == 0)) {
        s.model = r->model_name;
        s.model_dir = r->models;
        s.version = 1;
        found(&s, r->models);
    }
    if (rc != 0) {
        repo_list_free(out);
        return rc;
    }
    mark_orphans(out);
    if (out->n > 0)
        qsort(out->at, out->n, sizeof *out->at, order);
    return 0;
}

int
repo_lookup(struct repo *r, const char *model, long version,
            const char *variant, struct repo_variant *out, struct err *e)
{
    struct repo_list l;
    int rc = repo_scan(r, model, &l, e);

    if (rc != 0)
        return rc;
    rc = err_set(e, ERR_NOT_FOUND, "model %s, version %ld has no variant %s",
                 model, version, variant);
    for (size_t i = 0; i < l.n && rc != 0; i++)
        if (strcmp(l.at[i].model, model) == 0 && l.at[i].version == version &&
            strcmp(l.at[i].variant, variant) == 0) {
            repo_variant_copy(out, &l.at[i]);
            rc = 0;
        }
    repo_list_free(&l);
    return rc;
}

void
repo_variant_copy(struct repo_variant *to, const struct repo_variant *v)
{
    *to = *v;
    to->path = mem_strdup(v->path);
    to->dir = mem_strdup(v->dir);
    to->model_dir = mem_strdup(v->model_dir);
    to->reason = v->reason != NULL ? mem_strdup(v->reason) : NULL;
}

void
repo_variant_free(struct repo_variant *v)
{
    mem_free(v->path);
    mem_free(v->dir);
    mem_free(v->model_dir);
    mem_free(v->reason);
    *v = (struct repo_variant){0};
}

void
repo_list_free(struct repo_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        repo_variant_free(&l->at[i]);
    mem_free(l->at);
    *l = (struct repo_list){0};
}

/* --- opening, and mending after a crash -------------------------------- */

static int
remove_entry(void *arg, const char *path, const char *name, struct err *e)
{
    (void)arg;
    (void)name;
    return file_remove(path, e);
}

/* .old.NAME is what an exchange by two renames left: put back what never got
 * its successor, drop what did. */
static int
mend_variant(void *arg, const char *path, const char *name, struct err *e)
{
    char *now;
    int rc = 0;

    (void)arg;
    if (strncmp(name, ".old.", 5) != 0)
        return 0;
    now = mem_printf("%.*s%s", (int)(strlen(path) - strlen(name)), path,
                     name + 5);
    if (exists(now))
        rc = file_remove(path, e);
    else if (rename(path, now) != 0)
        rc = err_errno(e, "%s", now);
    mem_free(now);
    return rc;
}

/* A small file's temporary neighbour that a crash left. */
static bool
is_temporary(const char *name)
{
    const char *tmp = strstr(name, ".tmp");

    return tmp != NULL && tmp[4] != '\0' &&
           strspn(tmp + 4, "0123456789") == strlen(tmp + 4);
}

static int
mend_file(void *arg, const char *path, const char *name, struct err *e)
{
    (void)arg;
    return is_temporary(name) && !is_dir(path) ? file_remove(path, e) : 0;
}

static int
mend_version(void *arg, const char *path, const char *name, struct err *e)
{
    char *variants;
    int rc;

    if (route_version(name) == 0 || !is_dir(path))
        return mend_file(arg, path, name, e);
    if ((rc = repo_walk(path, mend_file, NULL, e)) != 0)
        return rc;
    variants = mem_printf("%s/variants", path);
    rc = repo_walk(variants, mend_variant, NULL, e);
    mem_free(variants);
    return rc;
}

static int
mend_model(void *arg, const char *path, const char *name, struct err *e)
{
    return route_name_ok(name) && is_dir(path)
               ? repo_walk(path, mend_version, arg, e)
               : 0;
}

static int
take_lock(struct repo *r, struct err *e)
{
    char *path = mem_printf("%s/.quantd/lock", r->root);
    int rc = 0;

    r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (r->lock_fd < 0)
        rc = err_errno(e, "%s", path);
    else if (flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK
                 ? err_set(e, ERR_CONFLICT, "%s: another quantd writes there",
                           r->root)
                 : err_errno(e, "%s", path);
    mem_free(path);
    return rc;
}

static int
prepare_root(struct repo *r, struct err *e)
{
    int rc;

    if ((rc = file_mkdirs(r->tmp, e)) != 0 ||
        (rc = file_mkdirs(r->jobs, e)) != 0)
        return rc;
    if ((rc = take_lock(r, e)) != 0 ||
        (rc = repo_walk(r->tmp, remove_entry, NULL, e)) != 0 ||
        (rc = repo_walk(r->jobs, mend_file, NULL, e)) != 0)
        return rc;
    return repo_walk(r->root, mend_model, NULL, e);
}

/* True where quantd may not write: a read-only mount, a foreign folder. */
static bool
read_only(const char *root)
{
    return access(root, W_OK) != 0 && (errno == EROFS || errno == EACCES);
}

int
repo_open(const struct repo_options *o, struct repo **out, struct err *e)
{
    bool has_state = o->state != NULL && o->state[0] != '\0';
    bool has_name = o->model_name != NULL && o->model_name[0] != '\0';
    struct repo *r;
    int rc = 0;

    if (has_name && !route_name_ok(o->model_name))
        return err_set(e, ERR_INVALID, "model_name '%s' is no model name",
                       o->model_name);
    r = mem_new(1, sizeof *r);
    r->models = mem_strdup(o->models);
    r->root = mem_strdup(has_state ? o->state : o->models);
    r->model_name = mem_strdup(has_name ? o->model_name : flat_model);
    r->tmp = mem_printf("%s/.quantd/tmp", r->root);
    r->jobs = mem_printf("%s/.quantd/jobs", r->root);
    r->lock_fd = -1;
    pthread_mutex_init(&r->lock, NULL);
    if (has_state && !is_dir(r->models))
        rc = err_set(e, ERR_NOT_FOUND, "%s: no such folder", r->models);
    else if (is_dir(r->root) && read_only(r->root))
        r->read_only = true;
    else if ((rc = file_mkdirs(r->root, e)) == 0)
        rc = prepare_root(r, e);
    if (rc != 0) {
        repo_close(&r);
        return err_wrap(e, "repository");
    }
    *out = r;
    return 0;
}

void
repo_close(struct repo **repo)
{
    struct repo *r = *repo;

    if (r == NULL)
        return;
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    while (r->reserved != NULL) {
        struct reserved *next = r->reserved->next;

        mem_free(r->reserved);
        r->reserved = next;
    }
    pthread_mutex_destroy(&r->lock);
    mem_free(r->models);
    mem_free(r->root);
    mem_free(r->model_name);
    mem_free(r->tmp);
    mem_free(r->jobs);
    mem_free(r);
    *repo = NULL;
}

int
repo_writable(const struct repo *r, struct err *e)
{
    return r->read_only ? err_set(e, ERR_CONFLICT,
                                  "%s can't be written to: set state_dir to "
                                  "a folder for what quantd writes",
                                  r->root)
                        : 0;
}

const char *
repo_jobs_dir(const struct repo *r)
{
    return r->read_only ? NULL : r->jobs;
}

/* --- where to watch ---------------------------------------------------- */

struct dirs {
    void (*each)(void *arg, const char *path);
    void *arg;
    int depth; /* 0: models, 1: versions, 2: what is in a version */
};

static int
each_dir(void *arg, const char *path, const char *name, struct err *e)
{
    struct dirs *d = arg;
    struct dirs deeper = {d->each, d->arg, d->depth + 1};

    if (!is_dir(path) || (d->depth == 0 && !route_name_ok(name)) ||
        (d->depth == 1 && route_version(name) == 0) ||
        (d->depth == 2 && strcmp(name, "variants") != 0))
        return 0;
    d->each(d->arg, path);
    return d->depth < 3 ? repo_walk(path, each_dir, &deeper, e) : 0;
}

void
repo_each_dir(struct repo *r, void (*each)(void *arg, const char *path),
              void *arg)
{
    struct dirs d = {each, arg, 0};
    struct err e;

    each(arg, r->models);
    repo_walk(r->models, each_dir, &d, &e);
    if (strcmp(r->root, r->models) != 0) {
        each(arg, r->root);
        repo_walk(r->root, each_dir, &d, &e);
    }
}
