/* SPDX-License-Identifier: Apache-2.0 */
#include "server/route.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define DEFAULT_HEADER "Quantd-Sticky-Key"

const char *
routed_name(enum routed r)
{
    static const char *const name[N_ROUTED] = {"primary", "canary", "pinned"};

    return name[r];
}

bool
route_name_ok(const char *name)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789_";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t n = strlen(name);

    return n > 0 && n <= ROUTE_NAME && strspn(name, first) > 0 &&
           strspn(name, more) == n;
}

long
route_version(const char *text)
{
    char *end;
    long v;

    if (text[0] < '1' || text[0] > '9' ||
        strspn(text, "0123456789") != strlen(text))
        return 0;
    errno = 0;
    v = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' ? v : 0;
}

void
route_single(struct route *r, long version, const char *variant)
{
    *r = (struct route){.n_arms = 1, .sticky_header = DEFAULT_HEADER};
    r->arms[0].version = version;
    r->arms[0].weight = 1;
    snprintf(r->arms[0].variant, sizeof r->arms[0].variant, "%s", variant);
}

/* A header or parameter name: printable, no spaces, no separators. */
static int
parse_sticky_name(const json_t *sticky, const char *member, char *out,
                  struct err *e)
{
    const json_t *j = json_object_get(sticky, member);
    const char *s = json_string_value(j);

    if (j == NULL)
        return 0;
    if (s == NULL || s[0] == '\0' || strlen(s) > ROUTE_NAME)
        return err_set(e, ERR_INVALID, "sticky.%s: 1 to %d letters wanted",
                       member, ROUTE_NAME);
    for (const char *c = s; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"(),/:;<=>?@[\\]{}", *c))
            return err_set(e, ERR_INVALID,
                           "sticky.%s: '%s' is no header or parameter name",
                           member, s);
    memcpy(out, s, strlen(s) + 1);
    return 0;
}

static int
parse_sticky(const json_t *sticky, struct route *r, struct err *e)
{
    const char *key;
    const json_t *j;

    if (sticky == NULL) {
        memcpy(r->sticky_header, DEFAULT_HEADER, sizeof DEFAULT_HEADER);
        return 0;
    }
    if (json_is_null(sticky))
        return 0;
    if (!json_is_object(sticky))
        return err_set(e, ERR_INVALID, "sticky: an object or null wanted");
    json_object_foreach((json_t *)sticky, key, j) if (
        strcmp(key, "header") != 0 &&
        strcmp(key, "parameter") !=
            0) return err_set(e, ERR_INVALID,
                              "sticky: unknown member '%s' (header, parameter)",
                              key);
    if (parse_sticky_name(sticky, "header", r->sticky_header, e) != 0 ||
        parse_sticky_name(sticky, "parameter", r->sticky_parameter, e) != 0)
        return e->code;
    return 0;
}

static int
parse_version(const json_t *j, int i, long *out, struct err *e)
{
    json_int_t v = 0;

    if (json_is_integer(j))
        v = json_integer_value(j);
    if (json_is_string(j))
        v = route_version(json_string_value(j));
    if (v < 1 || v > LONG_MAX)
        return err_set(e, ERR_INVALID,
                       "arms[%d].version: a positive number wanted", i);
    *out = (long)v;
    return 0;
}

static int
parse_arm(const json_t *arm, int i, struct route *r, struct err *e)
{
    struct route_arm *a = &r->arms[i];
    const json_t *weight = json_object_get(arm, "weight");
    const char *variant = json_string_value(json_object_get(arm, "variant"));
    const char *key;
    const json_t *j;

    if (!json_is_object(arm))
        return err_set(e, ERR_INVALID, "arms[%d]: an object wanted", i);
    json_object_foreach(
        (json_t *)arm, key,
        j) if (strcmp(key, "version") != 0 && strcmp(key, "variant") != 0 &&
               strcmp(key, "weight") !=
                   0) return err_set(e, ERR_INVALID,
                                     "arms[%d]: unknown member '%s' (version, "
                                     "variant, weight)",
                                     i, key);
    if (parse_version(json_object_get(arm, "version"), i, &a->version, e) != 0)
        return e->code;
    if (variant == NULL || !route_name_ok(variant))
        return err_set(e, ERR_INVALID,
                       "arms[%d].variant: a variant's name wanted", i);
    memcpy(a->variant, variant, strlen(variant) + 1);
    a->weight = json_number_value(weight);
    if (!json_is_number(weight) || !isfinite(a->weight) || a->weight < 0)
        return err_set(e, ERR_INVALID,
                       "arms[%d].weight: a number of at least 0 wanted", i);
    for (int k = 0; k < i; k++)
        if (r->arms[k].version == a->version &&
            strcmp(r->arms[k].variant, variant) == 0)
            return err_set(e, ERR_INVALID,
                           "arms[%d]: version %ld, variant %s is already "
                           "arms[%d]",
                           i, a->version, variant, k);
    return 0;
}

static double
weight_sum(const struct route *r)
{
    double sum = 0;

    for (int i = 0; i < r->n_arms; i++)
        sum += r->arms[i].weight;
    return sum;
}

int
route_parse(const json_t *body, struct route *out, struct err *e)
{
    static const char *const known[] = {"arms", "sticky", "force", "reason",
                                        "seq"};
    struct route r = {0};
    const json_t *arms = json_object_get(body, "arms"), *j;
    const char *key;

    if (!json_is_object(body))
        return err_set(e, ERR_INVALID, "a JSON object with \"arms\" wanted");
    json_object_foreach((json_t *)body, key, j)
    {
        size_t k = 0;

        while (k < sizeof known / sizeof known[0] && strcmp(key, known[k]) != 0)
            k++;
        if (k == sizeof known / sizeof known[0])
            return err_set(e, ERR_INVALID, "unknown member '%s'", key);
    }
    if (!json_is_array(arms) || json_array_size(arms) == 0 ||
        json_array_size(arms) > ROUTE_ARMS)
        return err_set(e, ERR_INVALID, "arms: an array of 1 to %d arms wanted",
                       ROUTE_ARMS);
    r.n_arms = (int)json_array_size(arms);
    for (int i = 0; i < r.n_arms; i++)
        if (parse_arm(json_array_get(arms, (size_t)i), i, &r, e) != 0)
            return e->code;
    if (parse_sticky(json_object_get(body, "sticky"), &r, e) != 0)
        return e->code;
    if (!(weight_sum(&r) > 0) || !isfinite(weight_sum(&r)))
        return err_set(e, ERR_INVALID,
                       "arms: the weights must have a positive, finite sum");
    *out = r;
    return 0;
}

json_t *
route_json(const struct route *r)
{
    json_t *arms = json_array(), *sticky = json_object();

    for (int i = 0; i < r->n_arms; i++)
        json_array_append_new(arms, json_pack("{s:I, s:s, s:f}", "version",
                                              (json_int_t)r->arms[i].version,
                                              "variant", r->arms[i].variant,
                                              "weight", r->arms[i].weight));
    if (r->sticky_header[0] != '\0')
        json_object_set_new(sticky, "header", json_string(r->sticky_header));
    if (r->sticky_parameter[0] != '\0')
        json_object_set_new(sticky, "parameter",
                            json_string(r->sticky_parameter));
    return json_pack("{s:o, s:o}", "arms", arms, "sticky", sticky);
}

bool
route_equal(const struct route *a, const struct route *b)
{
    if (a->n_arms != b->n_arms ||
        strcmp(a->sticky_header, b->sticky_header) != 0 ||
        strcmp(a->sticky_parameter, b->sticky_parameter) != 0)
        return false;
    for (int i = 0; i < a->n_arms; i++)
        if (a->arms[i].version != b->arms[i].version ||
            strcmp(a->arms[i].variant, b->arms[i].variant) != 0 ||
            fabs(route_share(a, i) - route_share(b, i)) > 1e-12)
            return false;
    return true;
}

double
route_share(const struct route *r, int i)
{
    return r->arms[i].weight / weight_sum(r);
}

/* --- choosing ---------------------------------------------------------- */

static uint64_t
fnv1a(uint64_t h, const char *s)
{
    do
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    while (*s++ != '\0'); /* the NUL too: "a","bc" is not "ab","c" */
    return h;
}

/* FNV's high bits are weak; this spreads every bit (murmur3's finalizer). */
static uint64_t
avalanche(uint64_t h)
{
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

/* Strictly between 0 and 1. */
static double
unit(uint64_t h)
{
    return ((double)(h >> 11) + 0.5) * 0x1p-53;
}

/* splitmix64, a stream for each thread. */
static double
draw(void)
{
    static _Thread_local uint64_t state;
    static _Thread_local bool seeded;

    if (!seeded) {
        if (getrandom(&state, sizeof state, GRND_NONBLOCK) != sizeof state)
            state = (uint64_t)time(NULL) ^ (uint64_t)(uintptr_t)&state;
        seeded = true;
    }
    state += UINT64_C(0x9e3779b97f4a7c15);
    return unit(avalanche(state));
}

static int
choose_random(const struct route *r)
{
    double x = draw() * weight_sum(r);
    int last = 0;

    for (int i = 0; i < r->n_arms; i++) {
        if (!(r->arms[i].weight > 0))
            continue;
        last = i;
        x -= r->arms[i].weight;
        if (x < 0)
            break;
    }
    return last;
}

int
route_choose(const struct route *r, const char *salt, const char *key)
{
    double best = -1;
    int at = 0;
    uint64_t seed;

    if (key == NULL)
        return choose_random(r);
    seed = fnv1a(fnv1a(UINT64_C(0xcbf29ce484222325), salt), key);
    for (int i = 0; i < r->n_arms; i++) {
        char version[24];
        double score;

        if (!(r->arms[i].weight > 0))
            continue;
        snprintf(version, sizeof version, "%ld", r->arms[i].version);
        score = r->arms[i].weight /
                -log(unit(avalanche(
                    fnv1a(fnv1a(seed, version), r->arms[i].variant))));
        if (score > best) {
            best = score;
            at = i;
        }
    }
    return at;
}
