/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/progress.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { BAR = 30, MESSAGE = 120 };

/* Seconds between two lines: for eyes, and not to flood a pipe. */
static const double pause_s = 0.2;

struct progress {
    bool json, terminal;
    const char *phase;
    char message[MESSAGE];
    double fraction, shown; /* shown: when, in seconds */
};

struct progress *
progress_new(bool json)
{
    struct progress *p = mem_new(1, sizeof *p);

    p->json = json;
    p->terminal = !json && isatty(STDERR_FILENO) == 1;
    return p;
}

void
progress_free(struct progress **p)
{
    if (*p != NULL && (*p)->terminal)
        fputs("\r\033[K", stderr);
    mem_free(*p);
    *p = NULL;
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
show_json(const struct progress *p)
{
    json_t *text = json_string(p->message);
    json_t *j =
        json_pack("{s:s, s:f, s:o}", "phase", p->phase, "fraction", p->fraction,
                  "message", text != NULL ? text : json_string(""));

    json_dumpf(j, stdout, JSON_COMPACT | JSON_REAL_PRECISION(4));
    putchar('\n');
    fflush(stdout);
    json_decref(j);
}

static void
show_bar(const struct progress *p)
{
    int full = (int)(p->fraction * BAR);

    fprintf(stderr, "\r\033[K%-9s [%.*s%.*s] %3.0f %%  %.60s", p->phase, full,
            "##############################", BAR - full,
            "                              ", 100 * p->fraction, p->message);
    fflush(stderr);
}

static void
show(struct progress *p)
{
    p->shown = now();
    if (p->json)
        show_json(p);
    else if (p->terminal)
        show_bar(p);
}

void
progress_phase(struct progress *p, const char *phase, const char *message)
{
    p->phase = phase;
    p->fraction = 0;
    snprintf(p->message, sizeof p->message, "%s",
             message != NULL ? message : "");
    show(p);
}

static void
advance(void *arg, double fraction, const char *message)
{
    struct progress *p = arg;

    p->fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    if (message != NULL)
        snprintf(p->message, sizeof p->message, "%s", message);
    if (now() - p->shown >= pause_s)
        show(p);
}

struct quant_progress
progress_hook(struct progress *p)
{
    return (struct quant_progress){advance, p};
}
