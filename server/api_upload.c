/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads: a new version of a model, or one more variant of a version.  The
 * body streams into a staging folder; when all of it is there a job takes
 * over, and the answer names it or waits for its end.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server/api.h"
#include "server/api_jobs.h"
#include "server/daemon.h"
#include "server/endpoints.h"
#include "server/job.h"
#include "server/registry.h"
#include "server/repo.h"
#include "server/thread.h"
#include "server/upload.h"

struct incoming {
    struct daemon *d;
    struct request *r;
    struct upload *upload;
    enum job_kind kind;
    char id[JOB_ID + 1];
    char *stage;
    char model[ROUTE_NAME + 1];
    long version;
    bool reserved;
    char base[ROUTE_NAME + 1]; /* name of the version's own variant, or "" */
};

static void
incoming_free(struct incoming *in)
{
    upload_free(&in->upload);
    if (in->stage != NULL)
        repo_unstage(in->d->repo, in->id);
    if (in->reserved)
        repo_release(in->d->repo, in->model, in->version);
    mem_free(in->stage);
    mem_free(in);
}

static int
read_query(struct incoming *in, struct err *e)
{
    const char *name, *value;

    for (int i = 0; request_query_at(in->r, i, &name, &value); i++)
        if (upload_option(in->upload, name, value, e) != 0)
            return e->code;
    return 0;
}

static int
begin(struct incoming *in, const char *folder, struct err *e)
{
    const char *model = request_segment(in->r, 0);

    if (!route_name_ok(model))
        return err_set(e, ERR_INVALID,
                       "'%.140s' is no model name: [A-Za-z0-9_] and then up to "
                       "%d of [A-Za-z0-9_.-]",
                       model, ROUTE_NAME - 1);
    snprintf(in->model, sizeof in->model, "%s", model);
    job_new_id(in->id);
    if (repo_stage(in->d->repo, in->id, &in->stage, e) != 0)
        return e->code;
    if (upload_new(in->stage, folder, request_header(in->r, "Content-Type"),
                   &in->upload, e) != 0)
        return e->code;
    return read_query(in, e);
}

static struct incoming *
incoming_new(struct daemon *d, struct request *r)
{
    struct incoming *in = mem_new(1, sizeof *in);

    in->d = d;
    in->r = r;
    return in;
}

static int
version_open(struct daemon *d, struct request *r, void **state, struct err *e)
{
    struct incoming *in = incoming_new(d, r);
    const char *version = request_segment(r, 1);
    long want = 0;
    int rc;

    in->kind = JOB_UPLOAD;
    if ((rc = begin(in, "base", e)) == 0 && version != NULL)
        rc = api_version(version, &want, e);
    if (rc == 0)
        rc = repo_reserve(d->repo, in->model, want, &in->version, e);
    if (rc != 0) {
        incoming_free(in);
        return rc;
    }
    in->reserved = true;
    *state = in;
    return 0;
}

/* The version must be there, and be served. */
static int
variant_open(struct daemon *d, struct request *r, void **state, struct err *e)
{
    struct incoming *in = incoming_new(d, r);
    struct ask ask = {.model = request_segment(r, 0),
                      .version = request_segment(r, 1)};
    struct pick base;
    int rc = registry_find(d->registry, &ask, &base, e);

    if (rc == 0) {
        in->version = base.variant->version;
        memcpy(in->base, base.variant->name, sizeof in->base);
        variant_unref(&base.variant);
        in->kind = JOB_VARIANT;
        rc = begin(in, "variant", e);
    }
    if (rc != 0) {
        incoming_free(in);
        return rc;
    }
    *state = in;
    return 0;
}

static int
take(void *state, const void *p, size_t n, struct err *e)
{
    struct incoming *in = state;

    return upload_write(in->upload, p, n, e);
}

/* What must be there for the kind of job. */
static int
check_parts(struct incoming *in, struct err *e)
{
    bool has_model = upload_has_model(in->upload);
    const char *variant = recipe_get(upload_recipe(in->upload), "variant");

    if (in->kind == JOB_UPLOAD && !has_model)
        return err_set(e, ERR_INVALID,
                       "no model came: send the ONNX file as the body, or as "
                       "the part \"model\" of a form");
    if (in->kind != JOB_UPLOAD && has_model) {
        in->kind = JOB_ADD;
        if (variant == NULL)
            return err_set(e, ERR_INVALID,
                           "variant: a ready-made variant needs a name");
    }
    if (variant != NULL && strcmp(variant, in->base) == 0)
        return err_set(e, ERR_CONFLICT,
                       "%s is what was uploaded as version %ld: it stays",
                       variant, in->version);
    return 0;
}

static int
submit(struct incoming *in, struct err *e)
{
    struct recipe *recipe;
    struct job_request rq = {
        .kind = in->kind,
        .id = in->id,
        .stage = in->stage,
        .model = in->model,
        .version = in->version,
        .who = request_principal(in->r),
        .receive_s = (double)(thread_now_ns() - request_since_ns(in->r)) * 1e-9,
        .recipe = &recipe,
    };
    int rc;

    if ((rc = upload_end(in->upload, e)) != 0 || (rc = check_parts(in, e)) != 0)
        return rc;
    rq.kind = in->kind;
    rq.calibration = upload_calibration(in->upload);
    rq.validation = upload_validation(in->upload);
    recipe = upload_take_recipe(in->upload);
    rc = job_submit(in->d->jobs, &rq, e);
    recipe_free(&recipe);
    if (rc == 0) { /* they are the job's now */
        mem_free(in->stage);
        in->stage = NULL;
        in->reserved = false;
    }
    return rc;
}

static void
finish(void *state, bool complete)
{
    struct incoming *in = state;
    struct daemon *d = in->d;
    struct request *r = in->r;
    struct err e;

    if (!complete)
        incoming_free(in);
    else if (submit(in, &e) != 0) {
        incoming_free(in); /* first: who is told may look */
        api_fail(d, r, &e);
    } else {
        if (upload_waits(in->upload))
            api_job_answer(d, r, in->id);
        else
            api_job_accepted(r, in->id, in->model, in->version);
        incoming_free(in);
    }
}

const struct sink upload_version = {version_open, take, finish};
const struct sink upload_variant = {variant_open, take, finish};
