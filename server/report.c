/* SPDX-License-Identifier: Apache-2.0 */
#include "server/report.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum { REPORT_MAX = 64 << 20 };

/* NULL when it is not there or no report. */
static json_t *
read_report(const char *path)
{
    struct err e;
    json_t *j;
    char *text;
    size_t bytes;

    if (file_read(path, REPORT_MAX, &text, &bytes, &e) != 0)
        return NULL;
    j = json_loadb(text, bytes, 0, NULL);
    mem_free(text);
    if (json_is_object(j))
        return j;
    json_decref(j);
    return NULL;
}

static char *
version_report(struct repo *r, const char *model, long version)
{
    char name[64];

    snprintf(name, sizeof name, "%ld/report.json", version);
    return repo_file_to_read(r, model, name);
}

static const char *
name_of(const json_t *variant)
{
    const char *name = json_string_value(json_object_get(variant, "variant"));

    return name != NULL ? name : "";
}

static bool
has_variant(const json_t *variants, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(variants, i,
                       v) if (strcmp(name_of(v), name) == 0) return true;
    return false;
}

/* Variants that only the older report has come behind the newer ones. */
static void
merge(json_t *fresh, const json_t *old)
{
    json_t *variants = json_object_get(fresh, "variants"), *v;
    size_t i;

    json_array_foreach(json_object_get(old, "variants"), i,
                       v) if (!has_variant(variants, name_of(v)))
        json_array_append(variants, v);
}

int
report_keep(struct repo *r, const char *model, long version, const char *dir,
            struct err *e)
{
    char *path = mem_printf("%s/report.json", dir);
    json_t *fresh = read_report(path), *old;
    char *old_path;
    int rc;

    mem_free(path);
    if (!json_is_array(json_object_get(fresh, "variants"))) {
        json_decref(fresh);
        return err_set(e, ERR_INTERNAL, "quantctl wrote no report");
    }
    old_path = version_report(r, model, version);
    old = read_report(old_path);
    mem_free(old_path);
    merge(fresh, old);
    rc = repo_write_report(r, model, version, fresh, e);
    json_decref(old);
    json_decref(fresh);
    return rc;
}

double
report_accuracy_ratio(const char *dir, const char *variant)
{
    char *path = mem_printf("%s/report.json", dir);
    json_t *report = read_report(path), *v;
    double base, ratio = 0;
    size_t i;

    mem_free(path);
    json_array_foreach(json_object_get(report, "variants"), i, v)
    {
        const json_t *a = json_object_get(v, "accuracy");

        base = json_number_value(json_object_get(a, "baseline"));
        if (strcmp(name_of(v), variant) == 0 && base > 0)
            ratio = json_number_value(json_object_get(a, "variant")) / base;
    }
    json_decref(report);
    return ratio;
}

int
report_read(struct repo *r, const char *model, long version, json_t **out,
            struct err *e)
{
    char *path = version_report(r, model, version);
    struct repo_list l;
    int rc = repo_scan(r, model, &l, e);

    if (rc == 0)
        rc = err_set(e, ERR_NOT_FOUND, "model %s has no version %ld", model,
                     version);
    else
        l = (struct repo_list){0};
    for (size_t i = 0; i < l.n && rc != 0; i++) {
        const struct repo_variant *v = &l.at[i];

        if (!v->base || v->version != version || strcmp(v->model, model) != 0)
            continue;
        *out = read_report(path);
        if (*out == NULL)
            *out = json_pack("{s:s, s:I, s:[{s:s, s:I, s:b}]}", "model", model,
                             "version", (json_int_t)version, "variants",
                             "variant", v->variant, "file_bytes",
                             (json_int_t)v->bytes, "baseline", 1);
        rc = 0;
    }
    repo_list_free(&l);
    mem_free(path);
    return rc;
}
