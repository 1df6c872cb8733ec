/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics: the Prometheus text format 0.0.4, or OpenMetrics 1.0 when that is
 * asked for, which differs in three things: a counter's family is named
 * without "_total", the content type, and "# EOF" at the end.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/api.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/http.h"
#include "server/job.h"
#include "server/meta.h"
#include "server/registry.h"
#include "server/stats.h"
#include "server/traffic.h"
#include "server/worker.h"

/* A page in the making; the first failure ends all writing. */
struct page {
    struct buf *b;
    struct err e;
    bool open_metrics;
};

static void put(struct page *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
put(struct page *p, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (p->e.code == ERR_OK && n > 0)
        buf_add(p->b, line,
                (size_t)n < sizeof line ? (size_t)n : sizeof line - 1, &p->e);
}

/* The head of a family; name without "_total" for a counter. */
static void
family(struct page *p, const char *name, const char *type, const char *help)
{
    const char *total =
        strcmp(type, "counter") == 0 && !p->open_metrics ? "_total" : "";

    put(p, "# HELP %s%s %s\n", name, total, help);
    put(p, "# TYPE %s%s %s\n", name, total, type);
}

/* --- of each variant --------------------------------------------------- */

/* A loaded variant, read once, so that a page has one state of it. */
struct reading {
    const struct registry_row *row;
    const struct variant *v;
    struct counts c;
    int length, in_flight;
    struct model_memory memory;
    struct model_shapes shapes;
    char labels[3 * ROUTE_NAME + 64]; /* names hold nothing to escape */
};

struct readings {
    struct registry_list list;
    struct reading *at;
    size_t n;
};

static void
read_variants(struct daemon *d, struct readings *out)
{
    out->n = 0;
    registry_list(d->registry, NULL, &out->list);
    out->at = mem_new(out->list.n, sizeof *out->at);
    for (size_t i = 0; i < out->list.n; i++) {
        const struct registry_row *row = &out->list.at[i];
        struct reading *x = &out->at[out->n];

        if (row->live == NULL)
            continue;
        x->row = row;
        x->v = row->live;
        series_read(lane_series(x->v->lane), &x->c);
        x->length = queue_length(lane_queue(x->v->lane));
        x->in_flight = series_in_flight(lane_series(x->v->lane));
        model_memory(x->v->model, &x->memory);
        model_shapes(x->v->model, &x->shapes);
        snprintf(x->labels, sizeof x->labels,
                 "model=\"%s\",version=\"%ld\",variant=\"%s\"", row->model,
                 row->version, row->variant);
        out->n++;
    }
}

static void
put_requests(struct page *p, const struct readings *all)
{
    static const int codes[] = {
#define CODE(n) [STATS_CODE_##n] = n,
        STATS_CODES(CODE)
#undef CODE
    };

    family(p, "quantd_requests", "counter", "Inference requests answered.");
    for (size_t i = 0; i < all->n; i++)
        for (int r = 0; r < N_ROUTED; r++)
            for (int k = 0; k < N_STATS_CODES; k++)
                put(p,
                    "quantd_requests_total{%s,route=\"%s\",code=\"%d\"} "
                    "%lu\n",
                    all->at[i].labels, routed_name((enum routed)r), codes[k],
                    (unsigned long)all->at[i].c.requests[r][k]);
}

static void
put_histogram(struct page *p, const struct readings *all, const char *name,
              const char *help, size_t offset)
{
    family(p, name, "histogram", help);
    for (size_t i = 0; i < all->n; i++) {
        const struct histogram *h =
            (const struct histogram *)((const char *)&all->at[i].c + offset);
        uint64_t sum = 0;

        for (int k = 0; k < STATS_BUCKETS; k++) {
            char le[24] = "+Inf";

            sum += h->bucket[k];
            if (k < STATS_BUCKETS - 1)
                snprintf(le, sizeof le, "%g", (double)stats_bounds_us[k] / 1e6);
            put(p, "%s_bucket{%s,le=\"%s\"} %lu\n", name, all->at[i].labels, le,
                (unsigned long)sum);
        }
        put(p, "%s_sum{%s} %.9f\n", name, all->at[i].labels,
            (double)h->sum_ns / 1e9);
        put(p, "%s_count{%s} %lu\n", name, all->at[i].labels,
            (unsigned long)h->count);
    }
}

static void
put_batches(struct page *p, const struct readings *all)
{
    static const int bounds[] = {1, 2, 4, 8, 16, 32, 64};

    family(p, "quantd_batch_size", "histogram", "Rows of a run.");
    for (size_t i = 0; i < all->n; i++) {
        const struct reading *x = &all->at[i];
        uint64_t runs = 0;
        int size = 1;

        for (size_t k = 0; k < sizeof bounds / sizeof bounds[0]; k++) {
            for (; size <= bounds[k]; size++)
                runs += x->c.batch[size].runs;
            put(p, "quantd_batch_size_bucket{%s,le=\"%d\"} %lu\n", x->labels,
                bounds[k], (unsigned long)runs);
        }
        put(p, "quantd_batch_size_bucket{%s,le=\"+Inf\"} %lu\n", x->labels,
            (unsigned long)x->c.runs);
        put(p, "quantd_batch_size_sum{%s} %lu\n", x->labels,
            (unsigned long)x->c.rows);
        put(p, "quantd_batch_size_count{%s} %lu\n", x->labels,
            (unsigned long)x->c.runs);
    }
}

static void
put_gauges(struct page *p, const struct readings *all)
{
    family(p, "quantd_queue_length", "gauge", "Requests that wait.");
    for (size_t i = 0; i < all->n; i++)
        put(p, "quantd_queue_length{%s} %d\n", all->at[i].labels,
            all->at[i].length);
    family(p, "quantd_requests_in_flight", "gauge",
           "Requests that were read and are not yet answered.");
    for (size_t i = 0; i < all->n; i++)
        put(p, "quantd_requests_in_flight{%s} %d\n", all->at[i].labels,
            all->at[i].in_flight);
    family(p, "quantd_nonfinite_outputs", "counter",
           "Output tensors with a NaN or an infinity.");
    for (size_t i = 0; i < all->n; i++)
        put(p, "quantd_nonfinite_outputs_total{%s} %lu\n", all->at[i].labels,
            (unsigned long)all->at[i].c.nonfinite);
    family(p, "quantd_route_weight", "gauge",
           "Share of the plain name's requests, 0 to 1.");
    for (size_t i = 0; i < all->n; i++)
        put(p, "quantd_route_weight{%s} %g\n", all->at[i].labels,
            all->at[i].row->share);
    family(p, "quantd_variant_accuracy_ratio", "gauge",
           "Accuracy over that of the version's own file, as last judged.");
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].v->accuracy_ratio > 0)
            put(p, "quantd_variant_accuracy_ratio{%s} %g\n", all->at[i].labels,
                all->at[i].v->accuracy_ratio);
    family(p, "quantd_variant_bytes", "gauge",
           "Size of the file, of its weights, of what kernels made of them, "
           "and of prepared plans.");
    for (size_t i = 0; i < all->n; i++) {
        const struct reading *x = &all->at[i];
        const size_t bytes[] = {x->v->file_bytes, x->memory.weights,
                                x->memory.packed, x->memory.plans};
        static const char *const kinds[] = {"file", "weights", "packed",
                                            "plans"};

        for (int k = 0; k < 4; k++)
            put(p, "quantd_variant_bytes{%s,kind=\"%s\"} %zu\n", x->labels,
                kinds[k], bytes[k]);
    }
}

static void
put_shapes(struct page *p, const struct readings *all)
{
    family(p, "quantd_variant_shapes", "gauge",
           "Sets of input shapes that are built and kept.");
    for (size_t i = 0; i < all->n; i++)
        put(p, "quantd_variant_shapes{%s} %d\n", all->at[i].labels,
            all->at[i].shapes.kept);
    family(p, "quantd_variant_shape_lookups", "counter",
           "Runs whose shapes were found built, or had to be built.");
    for (size_t i = 0; i < all->n; i++)
        put(p,
            "quantd_variant_shape_lookups_total{%s,result=\"hit\"} %lu\n"
            "quantd_variant_shape_lookups_total{%s,result=\"miss\"} %lu\n",
            all->at[i].labels, all->at[i].shapes.hits, all->at[i].labels,
            all->at[i].shapes.misses);
}

/* The names that dashboards made for Triton ask for; variants summed. */
static void
put_triton(struct page *p, const struct readings *all)
{
    static const struct {
        const char *name, *help;
    } families[] = {
        {"nv_inference_request_success", "Successful requests."},
        {"nv_inference_request_failure", "Failed requests."},
        {"nv_inference_count", "Rows inferred."},
        {"nv_inference_exec_count", "Runs."},
        {"nv_inference_request_duration_us", "Time of requests."},
        {"nv_inference_queue_duration_us", "Time in queues."},
        {"nv_inference_compute_input_duration_us", "Time for inputs."},
        {"nv_inference_compute_infer_duration_us", "Time of runs."},
        {"nv_inference_compute_output_duration_us", "Time for outputs."},
    };

    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        /* Triton's counters carry no "_total": gauges to OpenMetrics. */
        put(p, "# HELP %s %s\n# TYPE %s %s\n", families[f].name,
            families[f].help, families[f].name,
            p->open_metrics ? "gauge" : "counter");
        for (size_t i = 0; i < all->n;) {
            const struct registry_row *row = all->at[i].row;
            struct counts c = {0};

            for (; i < all->n && all->at[i].row->version == row->version &&
                   strcmp(all->at[i].row->model, row->model) == 0;
                 i++)
                counts_add(&c, &all->at[i].c);
            const uint64_t values[] = {
                c.success.count,
                c.fail.count,
                c.rows,
                c.runs,
                c.success.ns / 1000,
                c.wait.ns / 1000,
                c.input.ns / 1000,
                c.infer.ns / 1000,
                c.output.ns / 1000,
            };

            put(p, "%s{model=\"%s\",version=\"%ld\"} %lu\n", families[f].name,
                row->model, row->version, (unsigned long)values[f]);
        }
    }
}

/* --- of the daemon ----------------------------------------------------- */

static void
put_daemon(struct page *p, struct daemon *d)
{
    static const char *const rejects[] = {
#define REJECT(name) #name,
        STATS_REJECTS(REJECT)
#undef REJECT
    };

    family(p, "quantd_rejected", "counter",
           "Requests refused before a variant ran them.");
    for (int i = 0; i < N_REJECTS; i++)
        put(p, "quantd_rejected_total{reason=\"%s\"} %lu\n", rejects[i],
            (unsigned long)stats_rejected(d->stats, (enum reject)i));
    family(p, "quantd_body_bytes", "gauge",
           "Memory of request and answer bodies.");
    put(p, "quantd_body_bytes %zu\n", buf_in_use());
    family(p, "quantd_build_info", "gauge", "What is running.");
    put(p, "quantd_build_info{version=\"%s\",onednn=\"%s\",isa=\"%s\"} 1\n",
        QUANTD_VERSION, engine_dnn_version(), engine_isa());
}

static void
put_control(struct page *p, struct daemon *d)
{
    struct jobs_stats j;

    jobs_stats(d->jobs, &j);
    family(p, "quantd_jobs", "gauge", "Jobs, ended ones since the start.");
    put(p, "quantd_jobs{state=\"waiting\"} %d\n", j.waiting);
    put(p, "quantd_jobs{state=\"running\"} %d\n", j.running);
    put(p, "quantd_jobs{state=\"done\"} %lu\n", j.done);
    put(p, "quantd_jobs{state=\"rejected\"} %lu\n", j.rejected);
    put(p, "quantd_jobs{state=\"failed\"} %lu\n", j.failed);
    put(p, "quantd_jobs{state=\"cancelled\"} %lu\n", j.cancelled);
    family(p, "quantd_job_duration_seconds", "summary",
           "Time of jobs that have ended.");
    put(p, "quantd_job_duration_seconds_sum %.3f\n", j.seconds);
    put(p, "quantd_job_duration_seconds_count %lu\n",
        j.done + j.rejected + j.failed + j.cancelled);
    family(p, "quantd_rollbacks", "counter", "Rollbacks of routes.");
    put(p, "quantd_rollbacks_total{reason=\"request\"} %lu\n",
        traffic_rollbacks(d->traffic));
}

static int
count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = -3; /* ".", ".." and the folder itself */

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n < 0 ? 0 : n;
}

/* Fields 22 (start, in ticks since boot), 23 and 24 (virtual bytes, resident
 * pages) of /proc/self/stat; see proc(5). */
static void
read_stat(unsigned long long *start, unsigned long *bytes, long *pages)
{
    FILE *f = fopen("/proc/self/stat", "re");
    char text[1024] = "";
    const char *p;

    *start = 0;
    *bytes = 0;
    *pages = 0;
    if (f == NULL)
        return;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    p = strrchr(text, ')'); /* behind the name, which may hold anything */
    for (int field = 2; p != NULL && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (p != NULL)
        sscanf(p, "%llu %lu %ld", start, bytes, pages);
}

/* When the system started, in seconds of the epoch. */
static double
boot_time(void)
{
    struct timespec real, boot;

    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(real.tv_sec - boot.tv_sec) +
           (double)(real.tv_nsec - boot.tv_nsec) / 1e9;
}

static void
put_process(struct page *p)
{
    unsigned long long start;
    unsigned long bytes;
    long pages;
    struct rusage u;
    struct rlimit files;

    read_stat(&start, &bytes, &pages);
    getrusage(RUSAGE_SELF, &u);
    getrlimit(RLIMIT_NOFILE, &files);
    family(p, "process_cpu_seconds", "counter", "CPU time, user and system.");
    put(p, "process_cpu_seconds_total %.3f\n",
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
            (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    family(p, "process_resident_memory_bytes", "gauge", "Resident memory.");
    put(p, "process_resident_memory_bytes %ld\n",
        pages * sysconf(_SC_PAGESIZE));
    family(p, "process_virtual_memory_bytes", "gauge", "Virtual memory.");
    put(p, "process_virtual_memory_bytes %lu\n", bytes);
    family(p, "process_open_fds", "gauge", "Open file descriptors.");
    put(p, "process_open_fds %d\n", count_fds());
    family(p, "process_max_fds", "gauge", "Limit of file descriptors.");
    put(p, "process_max_fds %lu\n", (unsigned long)files.rlim_cur);
    family(p, "process_start_time_seconds", "gauge",
           "When the process started, in seconds of the epoch.");
    put(p, "process_start_time_seconds %.2f\n",
        boot_time() + (double)start / (double)sysconf(_SC_CLK_TCK));
}

/* --- the page ---------------------------------------------------------- */

static void
put_all(struct page *p, struct daemon *d)
{
    struct readings all;

    read_variants(d, &all);
    put_requests(p, &all);
    put_histogram(p, &all, "quantd_request_duration_seconds",
                  "From a request's headers to its answer.",
                  offsetof(struct counts, request));
    put_histogram(p, &all, "quantd_queue_duration_seconds",
                  "Time in the queue.", offsetof(struct counts, queue));
    put_histogram(p, &all, "quantd_compute_duration_seconds",
                  "Time of the runs that a request was part of.",
                  offsetof(struct counts, compute));
    put_batches(p, &all);
    put_gauges(p, &all);
    put_shapes(p, &all);
    if (d->config->server.triton_metric_names)
        put_triton(p, &all);
    mem_free(all.at);
    registry_list_free(&all.list);
    put_daemon(p, d);
    put_control(p, d);
    put_process(p);
    if (p->open_metrics)
        put(p, "# EOF\n");
}

void
metrics_get(struct daemon *d, struct request *r)
{
    const char *accept = request_header(r, "Accept");
    struct page p = {
        .open_metrics = accept != NULL &&
                        strstr(accept, "application/openmetrics-text") != NULL,
    };

    if (buf_new(32 << 10, &p.b, &p.e) == 0)
        put_all(&p, d);
    if (p.e.code != ERR_OK) {
        buf_free(&p.b);
        api_fail(d, r, &p.e);
        return;
    }
    request_reply_bufs(r, 200,
                       p.open_metrics
                           ? "application/openmetrics-text; version=1.0.0; "
                             "charset=utf-8"
                           : "text/plain; version=0.0.4; charset=utf-8",
                       &p.b, 1);
}
