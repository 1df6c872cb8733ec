/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon says of itself and of its models: health, metadata,
 * configuration, statistics.
 *
 * A pinned name, "resnet50.int8", is answered as if it were a model of its
 * own: clients look the name they asked for up in what they get.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server/api.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/meta.h"
#include "server/oip.h"
#include "server/registry.h"
#include "server/stats.h"
#include "server/worker.h"

/* --- the server -------------------------------------------------------- */

void
meta_server(struct daemon *d, struct request *r)
{
    /* Only what works: perf_analyzer acts on "statistics" being here. */
    (void)d;
    api_reply(r, 200,
              json_pack("{s:s, s:s, s:[s,s,s,s,s,s,s]}", "name", "quantd",
                        "version", QUANTD_VERSION, "extensions",
                        "classification", "model_repository", "schedule_policy",
                        "model_configuration", "binary_tensor_data",
                        "parameters", "statistics"));
}

void
meta_live(struct daemon *d, struct request *r)
{
    (void)d;
    api_reply(r, 200, json_pack("{s:b}", "live", 1));
}

void
meta_ready(struct daemon *d, struct request *r)
{
    int state = atomic_load(&d->state);
    const char *why =
        state == DAEMON_DRAINING ? "going down" : "models are being loaded";

    if (state == DAEMON_READY && registry_ready(d->registry)) {
        api_reply(r, 200, json_pack("{s:b}", "ready", 1));
        return;
    }
    request_add_header(r, "Retry-After", "1");
    api_reply(r, 503, json_pack("{s:b, s:s}", "ready", 0, "error", why));
}

void
meta_openapi(struct daemon *d, struct request *r)
{
    (void)d;
    request_reply(r, 200, "application/json", meta_openapi_text,
                  strlen(meta_openapi_text));
}

/* --- models ------------------------------------------------------------ */

/* The variant that the path names; answers the request when there is none. */
static bool
find(struct daemon *d, struct request *r, struct pick *pick)
{
    struct ask ask = {
        .model = request_segment(r, 0),
        .version = request_segment(r, 1),
        .variant = request_query(r, "variant"),
    };
    struct err e;

    if (registry_find(d->registry, &ask, pick, &e) == 0)
        return true;
    api_fail(d, r, &e);
    return false;
}

/* True when name is "MODEL.VARIANT" of v. */
static bool
is_pinned_name(const char *name, const struct variant *v)
{
    return strcmp(name, v->model_name) != 0;
}

void
meta_models(struct daemon *d, struct request *r)
{
    json_t *names = json_array();
    struct registry_list list;

    registry_list(d->registry, NULL, &list);
    for (size_t i = 0; i < list.n; i++)
        if (i == 0 || strcmp(list.at[i].model, list.at[i - 1].model) != 0)
            json_array_append_new(names, json_string(list.at[i].model));
    registry_list_free(&list);
    api_reply(r, 200, json_pack("{s:o}", "models", names));
}

/* The versions of v's model that serve, ascending; only those that have the
 * variant when the name pins it. */
static json_t *
versions_json(struct daemon *d, const struct variant *v, bool pinned)
{
    json_t *versions = json_array();
    struct registry_list list;
    long last = 0;

    registry_list(d->registry, v->model_name, &list);
    for (size_t i = 0; i < list.n; i++) {
        const struct registry_row *row = &list.at[i];
        char text[24];

        if (row->live == NULL || row->version == last ||
            (pinned && strcmp(row->variant, v->name) != 0))
            continue;
        last = row->version;
        snprintf(text, sizeof text, "%ld", row->version);
        json_array_insert_new(versions, 0, json_string(text));
    }
    registry_list_free(&list);
    return versions;
}

static json_t *
dims_json(const struct shape *s, int from)
{
    json_t *dims = json_array();

    for (int i = from; i < s->rank; i++)
        json_array_append_new(dims, json_integer(s->dim[i]));
    return dims;
}

static json_t *
tensors_json(const struct model *m, int n,
             const struct model_io *(*io)(const struct model *m, int i))
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++) {
        const struct model_io *t = io(m, i);

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o}", "name", t->name,
                                        "datatype", oip_datatype(t->dtype),
                                        "shape", dims_json(&t->shape, 0)));
    }
    return list;
}

void
meta_model(struct daemon *d, struct request *r)
{
    const char *name = request_segment(r, 0);
    struct pick pick;
    const struct model *m;
    json_t *body;

    if (!find(d, r, &pick))
        return;
    m = pick.variant->model;
    body = json_pack(
        "{s:s, s:o, s:s, s:o, s:o}", "name", name, "versions",
        versions_json(d, pick.variant, is_pinned_name(name, pick.variant)),
        "platform", "onnx_onnxv1", "inputs",
        tensors_json(m, model_n_inputs(m), model_input), "outputs",
        tensors_json(m, model_n_outputs(m), model_output));
    variant_unref(&pick.variant);
    api_reply(r, 200, body);
}

void
meta_model_ready(struct daemon *d, struct request *r)
{
    const char *name = request_segment(r, 0);
    struct ask ask = {.model = name, .version = request_segment(r, 1)};
    struct pick pick;
    struct err e;

    if (registry_find(d->registry, &ask, &pick, &e) == 0) {
        variant_unref(&pick.variant);
        api_reply(r, 200, json_pack("{s:s, s:b}", "name", name, "ready", 1));
    } else if (e.code == ERR_UNAVAILABLE) {
        request_add_header(r, "Retry-After", "1");
        api_reply(r, 503,
                  json_pack("{s:s, s:b, s:s}", "name", name, "ready", 0,
                            "error", e.msg));
    } else {
        api_fail(d, r, &e);
    }
}

/* --- configuration ----------------------------------------------------- */

/* Triton's name of a type in a model configuration. */
static const char *
config_type(enum dtype t, char room[16])
{
    snprintf(room, 16, "TYPE_%s", oip_datatype(t));
    return room;
}

static json_t *
config_tensors(const struct model *m, int n, bool batched,
               const struct model_io *(*io)(const struct model *m, int i))
{
    json_t *list = json_array();
    char type[16];

    for (int i = 0; i < n; i++) {
        const struct model_io *t = io(m, i);

        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:o}", "name", t->name, "data_type",
                      config_type(t->dtype, type), "dims",
                      dims_json(&t->shape, batched && t->shape.rank > 0)));
    }
    return list;
}

static json_t *
batching_json(struct daemon *d, const struct variant *v)
{
    const struct config *c = d->config;
    long delay = v->conf.max_queue_delay_us >= 0
                     ? v->conf.max_queue_delay_us
                     : (long)c->scheduler.max_queue_delay;
    long length = v->conf.max_queue_length >= 0
                      ? v->conf.max_queue_length
                      : (long)c->scheduler.max_queue_length;

    return json_pack(
        "{s:[], s:I, s:b, s:I, s:I, s:{s:s, s:I, s:b, s:I}}",
        "preferred_batch_size", "max_queue_delay_microseconds",
        (json_int_t)delay, "preserve_ordering", 0, "priority_levels",
        (json_int_t)255, "default_priority_level",
        (json_int_t)QUEUE_DEFAULT_PRIORITY, "default_queue_policy",
        "timeout_action", "REJECT", "default_timeout_microseconds",
        (json_int_t)c->server.request_timeout, "allow_timeout_override", 1,
        "max_queue_size", (json_int_t)length);
}

void
meta_config(struct daemon *d, struct request *r)
{
    const char *name = request_segment(r, 0);
    struct pick pick;
    const struct model *m;
    int max_batch;
    json_t *body;

    if (!find(d, r, &pick))
        return;
    m = pick.variant->model;
    max_batch = lane_max_batch(pick.variant->lane);
    body = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:[{s:s, s:s, s:i}]}", "name",
        name, "platform", "onnx_onnxv1", "backend", "quantd",
        "default_model_filename", "model.onnx", "max_batch_size", max_batch,
        "input",
        config_tensors(m, model_n_inputs(m), max_batch > 0, model_input),
        "output",
        config_tensors(m, model_n_outputs(m), max_batch > 0, model_output),
        "instance_group", "name", name, "kind", "KIND_CPU", "count",
        workers_wanted(d->config));
    if (max_batch > 0)
        json_object_set_new(body, "dynamic_batching",
                            batching_json(d, pick.variant));
    variant_unref(&pick.variant);
    api_reply(r, 200, body);
}

/* --- statistics -------------------------------------------------------- */

static json_t *
duration_json(uint64_t count, uint64_t ns)
{
    return json_pack("{s:I, s:I}", "count", (json_int_t)count, "ns",
                     (json_int_t)ns);
}

static json_t *
inference_json(const struct counts *c)
{
    /* Each client reads every member without looking whether it is there. */
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "success",
        duration_json(c->success.count, c->success.ns), "fail",
        duration_json(c->fail.count, c->fail.ns), "queue",
        duration_json(c->wait.count, c->wait.ns), "compute_input",
        duration_json(c->input.count, c->input.ns), "compute_infer",
        duration_json(c->infer.count, c->infer.ns), "compute_output",
        duration_json(c->output.count, c->output.ns), "cache_hit",
        duration_json(0, 0), "cache_miss", duration_json(0, 0));
}

static json_t *
batches_json(const struct counts *c)
{
    json_t *list = json_array();

    for (int i = 1; i <= STATS_BATCHES; i++) {
        uint64_t n = c->batch[i].runs;

        if (n == 0)
            continue;
        json_array_append_new(
            list,
            json_pack("{s:i, s:o, s:o, s:o}", "batch_size", i, "compute_input",
                      duration_json(n, c->batch[i].input_ns), "compute_infer",
                      duration_json(n, c->batch[i].infer_ns), "compute_output",
                      duration_json(n, c->batch[i].output_ns)));
    }
    return list;
}

static json_t *
counts_json(const struct counts *c)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:{}, s:o}", "last_inference",
                     (json_int_t)c->last_ms, "inference_count",
                     (json_int_t)c->rows, "execution_count",
                     (json_int_t)c->runs, "inference_stats", inference_json(c),
                     "response_stats", "batch_stats", batches_json(c));
}

/*
 * One version: rows [from, to) of the list, its loaded variants summed.
 * name: as the client asked, or the model's.
 */
static json_t *
version_json(const struct registry_list *list, size_t from, size_t to,
             const char *name)
{
    struct counts sum = {0};
    json_t *variants = json_array(), *body;
    char version[24];
    size_t bytes = 0;

    for (size_t i = from; i < to; i++) {
        const struct variant *v = list->at[i].live;
        struct counts one;
        struct model_memory memory;
        json_t *part;

        if (v == NULL)
            continue;
        series_read(lane_series(v->lane), &one);
        counts_add(&sum, &one);
        model_memory(v->model, &memory);
        bytes += memory.weights + memory.packed + memory.plans;
        part = counts_json(&one);
        json_object_set_new(part, "variant", json_string(v->name));
        json_array_append_new(variants, part);
    }
    snprintf(version, sizeof version, "%ld", list->at[from].version);
    body = counts_json(&sum);
    json_object_set_new(body, "name", json_string(name));
    json_object_set_new(body, "version", json_string(version));
    json_object_set_new(body, "memory_usage",
                        json_pack("[{s:s, s:i, s:I}]", "type", "CPU", "id", 0,
                                  "byte_size", (json_int_t)bytes));
    json_object_set_new(body, "variants", variants);
    return body;
}

/* Behind the last row of the version that row i belongs to. */
static size_t
end_of_version(const struct registry_list *list, size_t i)
{
    size_t k = i;

    while (k < list->n && list->at[k].version == list->at[i].version &&
           strcmp(list->at[k].model, list->at[i].model) == 0)
        k++;
    return k;
}

static bool
any_live(const struct registry_list *list, size_t from, size_t to)
{
    while (from < to && list->at[from].live == NULL)
        from++;
    return from < to;
}

/* Keeps the rows that match; the order stays. */
static void
keep_rows(struct registry_list *list, long version, const char *variant)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        struct registry_row *row = &list->at[i];

        if ((version == 0 || row->version == version) &&
            (variant == NULL || strcmp(row->variant, variant) == 0))
            list->at[n++] = *row;
        else if (row->live != NULL)
            variant_unref(&row->live);
    }
    list->n = n;
}

void
meta_stats(struct daemon *d, struct request *r)
{
    const char *name = request_segment(r, 0);
    json_t *all = json_array();
    struct registry_list list;
    struct pick pick = {0};

    if (name != NULL && !find(d, r, &pick)) {
        json_decref(all);
        return;
    }
    registry_list(d->registry,
                  pick.variant != NULL ? pick.variant->model_name : NULL,
                  &list);
    if (pick.variant != NULL)
        keep_rows(
            &list, request_segment(r, 1) != NULL ? pick.variant->version : 0,
            is_pinned_name(name, pick.variant) ? pick.variant->name : NULL);
    for (size_t i = 0, end; i < list.n; i = end) {
        end = end_of_version(&list, i);
        if (any_live(&list, i, end))
            json_array_append_new(
                all, version_json(&list, i, end,
                                  name != NULL ? name : list.at[i].model));
    }
    registry_list_free(&list);
    if (pick.variant != NULL)
        variant_unref(&pick.variant);
    api_reply(r, 200, json_pack("{s:o}", "model_stats", all));
}
