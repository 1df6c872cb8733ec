/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repository: Triton's index, load and unload; variants and reports.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/api.h"
#include "server/daemon.h"
#include "server/endpoints.h"
#include "server/registry.h"
#include "server/repo.h"
#include "server/report.h"
#include "server/tasks.h"
#include "server/watch.h"

/* --- index, load, unload ----------------------------------------------- */

static const char *
state_text(const struct registry_row *row)
{
    if (row->live != NULL)
        return "READY";
    return row->state == LOAD_WAITING ? "LOADING" : "UNAVAILABLE";
}

/* One entry a version: clients know no variants, its own file speaks for it. */
void
repository_index(struct daemon *d, struct request *r)
{
    json_t *index = json_array(), *body, *entry;
    struct registry_list rows;
    bool only_ready;
    struct err e;

    if (api_body(r, &body, &e) != 0) {
        json_decref(index);
        api_fail(d, r, &e);
        return;
    }
    only_ready = json_is_true(json_object_get(body, "ready"));
    json_decref(body);
    registry_list(d->registry, NULL, &rows);
    for (size_t i = 0; i < rows.n; i++) {
        const struct registry_row *row = &rows.at[i];
        char version[24];

        if (!row->base || (only_ready && row->live == NULL))
            continue;
        snprintf(version, sizeof version, "%ld", row->version);
        entry =
            json_pack("{s:s, s:s, s:s, s:s}", "name", row->model, "version",
                      version, "state", state_text(row), "reason", row->reason);
        if (entry == NULL) /* a reason that is no UTF-8 */
            entry = json_pack("{s:s, s:s, s:s, s:s}", "name", row->model,
                              "version", version, "state", state_text(row),
                              "reason", "see the log");
        json_array_append_new(index, entry);
    }
    registry_list_free(&rows);
    api_reply(r, 200, index);
}

struct loading {
    struct daemon *d;
    struct request *r;
    char model[ROUTE_NAME + 1];
};

/* On the loader's thread.  The newest version decides, as it does in
 * Triton. */
static void
loaded(void *arg)
{
    struct loading *l = arg;
    struct registry_list rows;
    char reason[256] = "";
    bool ready = false;

    registry_list(l->d->registry, l->model, &rows);
    for (size_t i = 0; i < rows.n; i++)
        if (rows.at[i].base) {
            ready = rows.at[i].state == LOAD_READY;
            memcpy(reason, rows.at[i].reason, sizeof reason);
            break;
        }
    registry_list_free(&rows);
    if (ready)
        api_reply(l->r, 200,
                  json_pack("{s:s, s:b}", "name", l->model, "load", 1));
    else
        api_fail_status(l->r, 400, "model %s can't be loaded: %s", l->model,
                        reason);
    mem_free(l);
}

void
repository_load(struct daemon *d, struct request *r)
{
    const char *model = request_segment(r, 0);
    const json_t *parameters;
    struct loading *l;
    json_t *body;
    struct err e;

    if (api_body(r, &body, &e) != 0) {
        api_fail(d, r, &e);
        return;
    }
    parameters = json_object_get(body, "parameters");
    if (json_object_get(parameters, "config") != NULL) {
        json_decref(body);
        api_fail_status(r, 400,
                        "parameters.config is not taken: put a config.pbtxt "
                        "or model.conf beside the model");
        return;
    }
    json_decref(body);
    l = mem_new(1, sizeof *l);
    l->d = d;
    l->r = r;
    snprintf(l->model, sizeof l->model, "%s", model);
    if (watch_load(d->watch, model, loaded, l, &e) != 0) {
        mem_free(l);
        api_fail(d, r, &e);
    }
}

void
repository_unload(struct daemon *d, struct request *r)
{
    const char *model = request_segment(r, 0);
    struct registry_list rows;
    size_t n;

    registry_list(d->registry, model, &rows);
    n = rows.n;
    for (size_t i = 0; i < rows.n; i++)
        registry_drop(d->registry, model, rows.at[i].version,
                      rows.at[i].variant, false, "unloaded");
    registry_list_free(&rows);
    if (n == 0)
        api_fail_status(r, 404, "no model '%s'", model);
    else
        api_reply(r, 200, json_pack("{s:s, s:b}", "name", model, "unload", 1));
}

/* --- variants ---------------------------------------------------------- */

static const json_t *
report_entry(const json_t *report, const char *variant)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(report, "variants"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "variant"));

        if (name != NULL && strcmp(name, variant) == 0)
            return entry;
    }
    return NULL;
}

/* What the registry, the disk and the report have to say of a variant. */
static json_t *
describe(const struct registry_row *row, const struct repo_list *files,
         const json_t *report)
{
    json_t *j = json_pack(
        "{s:s, s:I, s:b, s:s, s:s, s:f}", "variant", row->variant, "version",
        (json_int_t)row->version, "base", row->base, "state", state_text(row),
        "verdict", verdict_name(row->verdict), "share", row->share);
    const json_t *entry = report_entry(report, row->variant);

    if (row->reason[0] != '\0')
        json_object_set_new(j, "state_reason", json_string(row->reason));
    for (size_t i = 0; i < files->n; i++) {
        const struct repo_variant *v = &files->at[i];
        json_t *facts;

        if (v->version != row->version ||
            strcmp(v->variant, row->variant) != 0 ||
            strcmp(v->model, row->model) != 0)
            continue;
        json_object_set_new(j, "bytes", json_integer((json_int_t)v->bytes));
        facts = repo_manifest(v);
        json_object_update_missing(j, facts);
        json_decref(facts);
    }
    if (entry != NULL)
        json_object_set(j, "report", (json_t *)entry);
    return j;
}

/* The model and version of the path. */
static int
version_of(struct request *r, const char **model, long *version, struct err *e)
{
    *model = request_segment(r, 0);
    return api_version(request_segment(r, 1), version, e);
}

void
variants_list(struct daemon *d, struct request *r)
{
    json_t *list = json_array(), *report = NULL;
    struct registry_list rows = {0};
    struct repo_list files = {0};
    const char *model;
    long version;
    struct err e;
    int rc;

    if ((rc = version_of(r, &model, &version, &e)) == 0 &&
        (rc = report_read(d->repo, model, version, &report, &e)) == 0)
        rc = repo_scan(d->repo, model, &files, &e);
    if (rc == 0)
        registry_list(d->registry, model, &rows);
    for (size_t i = 0; i < rows.n; i++)
        if (rows.at[i].version == version)
            json_array_append_new(list, describe(&rows.at[i], &files, report));
    registry_list_free(&rows);
    repo_list_free(&files);
    json_decref(report);
    if (rc == 0)
        api_reply(r, 200,
                  json_pack("{s:s, s:I, s:o}", "model", model, "version",
                            (json_int_t)version, "variants", list));
    else {
        json_decref(list);
        api_fail(d, r, &e);
    }
}

void
variant_download(struct daemon *d, struct request *r)
{
    struct repo_variant v;
    struct stat st;
    const char *model, *variant = request_segment(r, 2);
    long version;
    struct err e;
    char *disposition;
    int fd;

    if (version_of(r, &model, &version, &e) != 0 ||
        repo_lookup(d->repo, model, version, variant, &v, &e) != 0) {
        api_fail(d, r, &e);
        return;
    }
    fd = open(v.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        err_errno(&e, "model.onnx");
        if (fd >= 0)
            close(fd);
        api_fail(d, r, &e);
    } else {
        disposition = mem_printf("attachment; filename=\"%s.%ld.%s.onnx\"",
                                 v.model, v.version, v.variant);
        request_add_header(r, "Content-Disposition", disposition);
        mem_free(disposition);
        request_reply_file(r, 200, "application/octet-stream", fd,
                           (uint64_t)st.st_size);
    }
    repo_variant_free(&v);
}

/* Whether the route that was asked for, or the one in force, names it. */
static bool
takes_traffic(struct daemon *d, const char *model, long version,
              const char *variant)
{
    struct registry_list rows;
    struct route route;
    bool follows, takes = false;
    struct err e;

    registry_list(d->registry, model, &rows);
    for (size_t i = 0; i < rows.n; i++)
        takes |= rows.at[i].version == version && rows.at[i].share > 0 &&
                 strcmp(rows.at[i].variant, variant) == 0;
    registry_list_free(&rows);
    if (registry_route(d->registry, model, &route, &follows, &e) == 0)
        for (int i = 0; i < route.n_arms; i++)
            takes |= route.arms[i].version == version &&
                     route.arms[i].weight > 0 &&
                     strcmp(route.arms[i].variant, variant) == 0;
    return takes;
}

void
variant_delete(struct daemon *d, struct request *r)
{
    const char *model, *variant = request_segment(r, 2);
    long version;
    struct err e;
    int rc = version_of(r, &model, &version, &e);

    if (rc == 0 && takes_traffic(d, model, version, variant))
        rc = err_set(&e, ERR_CONFLICT,
                     "version %ld, variant %s takes traffic: change the route "
                     "first",
                     version, variant);
    if (rc == 0)
        rc = repo_remove_variant(d->repo, model, version, variant, &e);
    if (rc != 0) {
        api_fail(d, r, &e);
        return;
    }
    registry_drop(d->registry, model, version, variant, true, "");
    api_reply(r, 200,
              json_pack("{s:s, s:I, s:s, s:b}", "model", model, "version",
                        (json_int_t)version, "variant", variant, "deleted", 1));
}

void
version_report(struct daemon *d, struct request *r)
{
    const char *model;
    json_t *report;
    long version;
    struct err e;

    if (version_of(r, &model, &version, &e) != 0 ||
        report_read(d->repo, model, version, &report, &e) != 0)
        api_fail(d, r, &e);
    else
        api_reply(r, 200, report);
}
