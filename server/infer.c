/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One inference request, from its body to its answer:
 *
 *     HTTP thread    take the body; read it here when its JSON is small,
 *     decode thread  otherwise here; find the variant, put it into its queue
 *     worker         run, write the answer, wake the connection
 *
 * A request holds a reference to its variant from the moment it was found
 * until the answer is written: a change of routes or versions meanwhile
 * touches it not at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/api.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/log.h"
#include "server/meta.h"
#include "server/oip.h"
#include "server/registry.h"
#include "server/stats.h"
#include "server/tasks.h"
#include "server/thread.h"
#include "server/unpack.h"
#include "server/worker.h"

enum { READ_AT_ONCE = 16 << 10 }; /* bytes of JSON; about 50 us */

struct infer {
    struct run run; /* first, so that a work's address is its infer's */
    struct daemon *daemon;
    struct request *request;
    struct oip_request *q;
    struct pick pick;
    const struct oip_output **out; /* of each model output */
    bool running;                  /* run was set up */
};

static void
free_infer(struct infer *x)
{
    if (x->running)
        run_clear(&x->run);
    oip_free(&x->q);
    if (x->pick.variant != NULL)
        variant_unref(&x->pick.variant);
    mem_free(x->out);
    mem_free(x);
}

/* --- counting ---------------------------------------------------------- */

static void
count_refusal(const struct daemon *d, enum err_code code)
{
    bool draining = atomic_load(&d->state) == DAEMON_DRAINING;
    struct stats *s = d->stats;

    switch (code) {
    case ERR_BUSY:
        stats_reject(s, REJECT_queue_full);
        break;
    case ERR_TIMEOUT:
        stats_reject(s, REJECT_deadline);
        break;
    case ERR_UNAVAILABLE:
        stats_reject(s, draining ? REJECT_draining : REJECT_not_ready);
        break;
    case ERR_NOT_FOUND:
        stats_reject(s, REJECT_unknown);
        break;
    case ERR_TOO_LARGE:
        stats_reject(s, REJECT_too_large);
        break;
    case ERR_NO_MEMORY:
        stats_reject(s, REJECT_memory_full);
        break;
    case ERR_INVALID:
    case ERR_UNSUPPORTED:
        stats_reject(s, REJECT_malformed);
        break;
    default:
        break;
    }
}

static void
count_answer(struct infer *x, int status, uint64_t output_ns)
{
    const struct run *r = &x->run;
    struct answered a = {
        .route = x->pick.routed,
        .status = status,
        .total = thread_now_ns() - request_since_ns(x->request),
    };

    if (status == 200) {
        a.wait = r->work.taken_ns - r->work.put_ns;
        a.input = r->input_ns;
        a.infer = r->infer_ns;
        a.output = r->output_ns + output_ns;
    }
    series_answered(lane_series(x->pick.variant->lane), &a);
}

/* --- answers ----------------------------------------------------------- */

static void
say_who(const struct infer *x)
{
    const struct variant *v = x->pick.variant;
    char version[24];

    snprintf(version, sizeof version, "%ld", v->version);
    request_add_header(x->request, "Quantd-Model-Version", version);
    request_add_header(x->request, "Quantd-Variant", v->name);
    request_add_header(x->request, "Quantd-Route", routed_name(x->pick.routed));
}

/* Ends a request with an error. */
static void
refuse(struct infer *x, const struct err *e)
{
    struct daemon *d = x->daemon;
    struct request *r = x->request;

    count_refusal(d, e->code);
    if (x->pick.variant != NULL) {
        say_who(x);
        count_answer(x, api_status(d, e->code), 0);
    }
    if (api_status(d, e->code) == 500)
        log_event(LOG_ERROR, "infer_failed", "path=%s error=%s",
                  request_path(r), e->msg);
    free_infer(x);
    api_fail(d, r, e);
}

/* Exponent bits all set: an infinity or a NaN. */
static bool
has_nonfinite(const struct tensor *t)
{
    const char *p = t->data;
    size_t n = shape_n(&t->shape);
    uint32_t any = 0;

    if (t->dtype != DTYPE_FLOAT)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t u;

        memcpy(&u, p + i * 4, 4);
        any |= (u & 0x7f800000) == 0x7f800000;
    }
    return any != 0;
}

static const char *
label_of(const void *arg, const char *output, size_t index)
{
    return modelconf_label(arg, output, index);
}

/* The parts of the answer, of which the first is JSON. */
struct answer {
    struct buf **parts;
    int n;
    size_t json_bytes, bytes;
    bool binary;
};

static int
write_answer(struct infer *x, struct answer *a, struct err *e)
{
    const struct variant *v = x->pick.variant;
    struct run *r = &x->run;
    int n_out = model_n_outputs(v->model);
    struct buf **classes = mem_new((size_t)n_out, sizeof(*classes));
    struct oip_answer says = {
        .model_name = request_segment(x->request, 0),
        .version = v->version,
        .variant = v->name,
        .out = x->out,
        .tensors = r->out,
        .batched = lane_max_batch(v->lane) > 0,
        .label = label_of,
        .arg = &v->conf,
    };
    int rc;

    a->parts = mem_new((size_t)n_out + 1, sizeof(*a->parts));
    rc = oip_write(x->q, v->model, &says, &a->parts[0], classes, &a->binary, e);
    if (rc == 0) {
        a->json_bytes = a->bytes = a->parts[0]->n;
        a->n = 1;
    }
    for (int i = 0; i < n_out; i++) {
        const struct oip_output *o = x->out[i];
        struct buf **from = classes[i] != NULL ? &classes[i] : &r->out_buf[i];

        if (rc == 0 && o != NULL &&
            (o->binary < 0 ? x->q->binary_output : o->binary)) {
            a->bytes += (*from)->n;
            a->parts[a->n++] = *from;
            *from = NULL;
        }
        buf_free(&classes[i]);
    }
    mem_free(classes);
    return rc;
}

/* Makes one compressed part of them where the client and the configuration
 * want it; when that fails the parts go as they are. */
static void
compress_answer(struct infer *x, struct answer *a)
{
    int64_t from = x->daemon->config->server.compress_from;
    struct buf *packed = NULL;
    enum coding c;
    struct err e;

    if (from == 0 || a->bytes < (size_t)from)
        return;
    c = coding_accepted(request_header(x->request, "Accept-Encoding"));
    if (c == CODING_IDENTITY || buf_new(a->bytes / 2, &packed, &e) != 0)
        return;
    if (pack_add(c, (const struct buf *const *)a->parts, a->n, packed, &e) !=
        0) {
        buf_free(&packed);
        return;
    }
    for (int i = 0; i < a->n; i++)
        buf_free(&a->parts[i]);
    a->parts[0] = packed;
    a->n = 1;
    request_add_header(x->request, "Content-Encoding", coding_name(c));
    request_add_header(x->request, "Vary", "Accept-Encoding");
}

static void
answer(struct infer *x, uint64_t t0)
{
    struct request *r = x->request;
    struct answer a = {0};
    struct err e;
    int nonfinite = 0;
    char length[24];

    if (write_answer(x, &a, &e) != 0) {
        mem_free(a.parts);
        refuse(x, &e);
        return;
    }
    for (int i = 0; i < model_n_outputs(x->pick.variant->model); i++)
        nonfinite += x->out[i] != NULL && has_nonfinite(&x->run.out[i]);
    if (nonfinite > 0)
        series_nonfinite(lane_series(x->pick.variant->lane), nonfinite);
    compress_answer(x, &a);
    say_who(x);
    if (a.binary) {
        snprintf(length, sizeof length, "%zu", a.json_bytes);
        request_add_header(r, "Inference-Header-Content-Length", length);
    }
    count_answer(x, 200, thread_now_ns() - t0);
    free_infer(x);
    request_reply_bufs(
        r, 200, a.binary ? "application/octet-stream" : "application/json",
        a.parts, a.n);
    mem_free(a.parts);
}

/* On a worker, or on whoever found that the deadline has passed. */
static void
done(struct work *w, const struct err *e)
{
    struct infer *x = (struct infer *)w;
    uint64_t t0 = thread_now_ns();

    if (e == NULL && x->run.err.code != ERR_OK)
        e = &x->run.err;
    if (e != NULL) {
        struct err copy = *e; /* it lies in what refuse() frees */

        refuse(x, &copy);
        return;
    }
    answer(x, t0);
}

/* --- requests ---------------------------------------------------------- */

static const char *
sticky_key(void *arg, const char *header, const char *parameter)
{
    const struct infer *x = arg;
    const char *key = NULL;

    if (header[0] != '\0')
        key = request_header(x->request, header);
    if (key == NULL && parameter[0] != '\0')
        key = oip_parameter(x->q, parameter);
    return key;
}

static int
find_variant(struct infer *x, struct err *e)
{
    const char *variant = oip_parameter(x->q, "variant");
    struct ask ask = {
        .model = request_segment(x->request, 0),
        .version = request_segment(x->request, 1),
        .variant =
            variant != NULL ? variant : request_query(x->request, "variant"),
        .key = sticky_key,
        .arg = x,
    };

    if (registry_find(x->daemon->registry, &ask, &x->pick, e) != 0)
        return e->code;
    series_enter(lane_series(x->pick.variant->lane));
    return 0;
}

/* What schedule_policy says: when it is too late, and who goes first. */
static int
set_schedule(struct infer *x, struct err *e)
{
    int64_t limit = x->daemon->config->server.request_timeout;
    int64_t timeout, priority;

    if (oip_integer(x->q, "timeout", 0, INT64_MAX / 1000, 0, &timeout, e) !=
            0 ||
        oip_integer(x->q, "priority", 0, 255, 0, &priority, e) != 0)
        return e->code;
    if (timeout == 0 || timeout > limit)
        timeout = limit;
    x->run.work.deadline =
        request_since_ns(x->request) + (uint64_t)timeout * 1000;
    x->run.work.priority =
        priority == 0 ? QUEUE_DEFAULT_PRIORITY : (int)priority;
    return 0;
}

static int
set_up_run(struct infer *x, struct err *e)
{
    struct variant *v = x->pick.variant;
    int n_in = model_n_inputs(v->model), n_out = model_n_outputs(v->model);
    const struct oip_input **in = mem_new((size_t)n_in, sizeof(*in));
    int rc;

    x->out = mem_new((size_t)n_out, sizeof(*x->out));
    run_init(&x->run, v->lane);
    x->running = true;
    rc = oip_bind(x->q, v->model, lane_max_batch(v->lane) > 0, in, x->out, e);
    for (int i = 0; rc == 0 && i < n_in; i++) {
        x->run.in_shapes[i] = in[i]->shape;
        x->run.in[i] = in[i]->data;
    }
    for (int i = 0; rc == 0 && i < n_out; i++)
        x->run.want[i] = x->out[i] != NULL;
    mem_free(in);
    if (rc == 0)
        rc = set_schedule(x, e);
    return rc;
}

/* On the HTTP thread or on a decode thread. */
static void
start(void *arg)
{
    struct infer *x = arg;
    struct buf *body = request_take_body(x->request);
    const char *header =
        request_header(x->request, "Inference-Header-Content-Length");
    struct err e;

    if (oip_read(&body, header, &x->q, &e) != 0 || find_variant(x, &e) != 0 ||
        set_up_run(x, &e) != 0) {
        refuse(x, &e);
        return;
    }
    x->run.work.done = done;
    if (run_put(&x->run, &e) != 0)
        refuse(x, &e);
}

void
infer_post(struct daemon *d, struct request *r)
{
    struct infer *x = mem_new(1, sizeof *x);
    const char *header = request_header(r, "Inference-Header-Content-Length");
    size_t json_bytes = request_body(r)->n;

    x->daemon = d;
    x->request = r;
    if (header != NULL && strtoull(header, NULL, 10) < json_bytes)
        json_bytes = (size_t)strtoull(header, NULL, 10);
    if (json_bytes <= READ_AT_ONCE)
        start(x);
    else
        tasks_post(d->decode, start, x);
}
