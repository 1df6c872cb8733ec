/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The half of repo.h that changes the disk: staging, version numbers,
 * publishing, removing.  Everything becomes visible by one rename.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "server/manifest.h"
#include "server/repo_impl.h"

/* --- staging ----------------------------------------------------------- */

int
repo_stage(struct repo *r, const char *id, char **out, struct err *e)
{
    char *dir;

    if (repo_writable(r, e) != 0)
        return e->code;
    dir = mem_printf("%s/%s", r->tmp, id);
    if (mkdir(dir, 0755) != 0) {
        err_errno(e, "%s", dir);
        mem_free(dir);
        return e->code;
    }
    *out = dir;
    return 0;
}

void
repo_unstage(struct repo *r, const char *id)
{
    char *dir = mem_printf("%s/%s", r->tmp, id);
    struct err e;

    /* What can't be removed now goes at the next start. */
    (void)file_remove(dir, &e);
    mem_free(dir);
}

/* --- version numbers --------------------------------------------------- */

struct newest {
    long version, want;
    bool taken;
};

static int
newest_entry(void *arg, const char *path, const char *name, struct err *e)
{
    struct newest *n = arg;
    long v = route_version(name);

    (void)path;
    (void)e;
    if (v > n->version)
        n->version = v;
    n->taken |= v > 0 && v == n->want;
    return 0;
}

static int
newest_on_disk(struct repo *r, const char *model, struct newest *n,
               struct err *e)
{
    const char *roots[] = {r->models, r->root};
    char *flat = mem_printf("%s/model.onnx", r->models);
    int rc = 0;

    for (size_t i = 0; i < 2 && rc == 0; i++) {
        char *dir = mem_printf("%s/%s", roots[i], model);

        rc = repo_walk(dir, newest_entry, n, e);
        mem_free(dir);
    }
    if (rc == 0 && strcmp(model, r->model_name) == 0 && access(flat, F_OK) == 0)
        rc = newest_entry(n, flat, "1", e);
    mem_free(flat);
    return rc;
}

int
repo_reserve(struct repo *r, const char *model, long want, long *out,
             struct err *e)
{
    struct newest n = {.want = want};
    struct reserved *res;
    int rc;

    if (repo_writable(r, e) != 0)
        return e->code;
    pthread_mutex_lock(&r->lock);
    rc = newest_on_disk(r, model, &n, e);
    for (res = r->reserved; res != NULL; res = res->next)
        if (strcmp(res->model, model) == 0) {
            if (res->version > n.version)
                n.version = res->version;
            n.taken |= res->version == want;
        }
    if (rc == 0 && n.taken)
        rc = err_set(e, ERR_CONFLICT, "model %s has a version %ld already",
                     model, want);
    if (rc == 0) {
        res = mem_new(1, sizeof *res);
        res->version = want != 0 ? want : n.version + 1;
        snprintf(res->model, sizeof res->model, "%s", model);
        res->next = r->reserved;
        r->reserved = res;
        *out = res->version;
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

void
repo_release(struct repo *r, const char *model, long version)
{
    pthread_mutex_lock(&r->lock);
    for (struct reserved **p = &r->reserved; *p != NULL; p = &(*p)->next)
        if ((*p)->version == version && strcmp((*p)->model, model) == 0) {
            struct reserved *gone = *p;

            *p = gone->next;
            mem_free(gone);
            break;
        }
    pthread_mutex_unlock(&r->lock);
}

/* --- publishing -------------------------------------------------------- */

/* mkdir that lasts: the parent is synced when the folder is new. */
static int
make_dir(const char *path, struct err *e)
{
    if (mkdir(path, 0755) == 0)
        return file_sync_parent(path, e);
    return errno == EEXIST ? 0 : err_errno(e, "%s", path);
}

static json_t *
with_facts(const json_t *info, const char *variant, enum verdict verdict)
{
    json_t *facts = info != NULL ? json_copy((json_t *)info) : json_object();

    json_object_set_new(facts, "variant", json_string(variant));
    json_object_set_new(facts, "state", json_string(verdict_name(verdict)));
    return facts;
}

static int
write_facts(const char *dir, const char *variant, enum verdict verdict,
            const json_t *info, struct err *e)
{
    json_t *facts = with_facts(info, variant, verdict);
    int rc = manifest_make(dir, facts, e);

    json_decref(facts);
    return rc;
}

int
repo_publish_version(struct repo *r, const char *dir, const char *model,
                     long version, const char *variant, const json_t *info,
                     struct repo_variant *out, struct err *e)
{
    char *parent = mem_printf("%s/%s", r->root, model);
    char *final = mem_printf("%s/%ld", parent, version);
    int rc;

    if ((rc = write_facts(dir, variant, VERDICT_ACCEPTED, info, e)) != 0 ||
        (rc = make_dir(parent, e)) != 0)
        goto out;
    if (rename(dir, final) != 0) {
        rc = errno == ENOTEMPTY || errno == EEXIST
                 ? err_set(e, ERR_CONFLICT,
                           "model %s has a version %ld already", model, version)
                 : err_errno(e, "publish %s", final);
        goto out;
    }
    if ((rc = file_sync_parent(final, e)) != 0)
        goto out;
    rc = repo_lookup(r, model, version, variant, out, e);
out:
    mem_free(final);
    mem_free(parent);
    return rc;
}

/* The new folder for the old; what was replaced ends up under old_name. */
static int
exchange(const char *dir, const char *final, const char *aside, struct err *e)
{
    struct err gone;

    if (renameat2(AT_FDCWD, dir, AT_FDCWD, final, RENAME_EXCHANGE) == 0) {
        int rc = file_sync_parent(final, e);

        (void)file_remove(dir, &gone);
        return rc;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
        return err_errno(e, "publish %s", final);
    if (rename(final, aside) != 0)
        return err_errno(e, "publish %s", final);
    if (rename(dir, final) != 0) {
        int rc = err_errno(e, "publish %s", final);

        (void)rename(aside, final); /* or the next start does it */
        return rc;
    }
    if (file_sync_parent(final, e) != 0)
        return e->code;
    (void)file_remove(aside, &gone);
    return 0;
}

int
repo_publish_variant(struct repo *r, const char *dir, const char *model,
                     long version, const char *variant, enum verdict verdict,
                     const json_t *info, struct repo_variant *out,
                     struct err *e)
{
    char *in_model = mem_printf("%s/%s", r->root, model);
    char *in_version = mem_printf("%s/%ld", in_model, version);
    char *parent = mem_printf("%s/variants", in_version);
    char *final = mem_printf("%s/%s", parent, variant);
    char *aside = mem_printf("%s/.old.%s", parent, variant);
    struct repo_variant base;
    int rc;

    if (repo_lookup(r, model, version, variant, &base, e) == 0) {
        bool is_base = base.base;

        repo_variant_free(&base);
        if (is_base) {
            rc = err_set(e, ERR_CONFLICT,
                         "%s is what was uploaded as version %ld", variant,
                         version);
            goto out;
        }
    }
    if ((rc = write_facts(dir, variant, verdict, info, e)) != 0 ||
        (rc = make_dir(in_model, e)) != 0 ||
        (rc = make_dir(in_version, e)) != 0 || (rc = make_dir(parent, e)) != 0)
        goto out;
    if (access(final, F_OK) == 0)
        rc = exchange(dir, final, aside, e);
    else if (rename(dir, final) != 0)
        rc = err_errno(e, "publish %s", final);
    else
        rc = file_sync_parent(final, e);
    if (rc == 0)
        rc = repo_lookup(r, model, version, variant, out, e);
out:
    mem_free(aside);
    mem_free(final);
    mem_free(parent);
    mem_free(in_version);
    mem_free(in_model);
    return rc;
}

int
repo_remove_variant(struct repo *r, const char *model, long version,
                    const char *variant, struct err *e)
{
    struct repo_variant v;
    char *trash = NULL;
    size_t root = strlen(r->root);
    int rc;

    if (repo_writable(r, e) != 0 ||
        repo_lookup(r, model, version, variant, &v, e) != 0)
        return e->code;
    if (v.base)
        rc = err_set(e, ERR_CONFLICT,
                     "%s is what version %ld was made from: it stays", variant,
                     version);
    else if (strncmp(v.dir, r->root, root) != 0 || v.dir[root] != '/')
        rc = err_set(e, ERR_CONFLICT, "%s: quantd only reads this folder",
                     v.dir);
    else {
        trash =
            mem_printf("%s/gone.%s.%ld.%s", r->tmp, model, version, variant);
        rc = rename(v.dir, trash) != 0 ? err_errno(e, "remove %s", v.dir)
                                       : file_sync_parent(v.dir, e);
        if (rc == 0)
            rc = file_remove(trash, e);
    }
    mem_free(trash);
    repo_variant_free(&v);
    return rc;
}

/* --- small files ------------------------------------------------------- */

int
repo_file_to_write(struct repo *r, const char *model, const char *name,
                   char **out, struct err *e)
{
    char *dir;
    int rc;

    if (repo_writable(r, e) != 0)
        return e->code;
    dir = mem_printf("%s/%s", r->root, model);
    rc = make_dir(dir, e);
    if (rc == 0)
        *out = mem_printf("%s/%s", dir, name);
    mem_free(dir);
    return rc;
}

char *
repo_file_to_read(struct repo *r, const char *model, const char *name)
{
    char *path = mem_printf("%s/%s/%s", r->root, model, name);

    if (access(path, F_OK) == 0)
        return path;
    mem_free(path);
    return mem_printf("%s/%s/%s", r->models, model, name);
}

static json_t *
read_json(const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name);
    json_t *j = json_load_file(path, 0, NULL);

    mem_free(path);
    return j;
}

json_t *
repo_manifest(const struct repo_variant *v)
{
    json_t *j = read_json(v->dir, "manifest.json");

    if (j != NULL)
        json_object_del(j, "files");
    return j;
}

json_t *
repo_report(const struct repo_variant *v)
{
    return read_json(v->dir, "report.json");
}

int
repo_write_report(struct repo *r, const char *model, long version,
                  const json_t *report, struct err *e)
{
    char *dir = NULL, *path = NULL, *text = NULL, name[24];
    int rc;

    snprintf(name, sizeof name, "%ld", version);
    if ((rc = repo_file_to_write(r, model, name, &dir, e)) != 0 ||
        (rc = make_dir(dir, e)) != 0)
        goto out;
    path = mem_printf("%s/report.json", dir);
    text = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    rc = text == NULL ? err_set(e, ERR_INTERNAL, "%s: can't be written", path)
                      : file_write(path, text, strlen(text), e);
out:
    free(text);
    mem_free(path);
    mem_free(dir);
    return rc;
}
