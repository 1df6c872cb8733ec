/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How requests for a model's plain name are shared out among variants.
 *
 * A route is a list of arms, each a version and variant with a weight.  With
 * a sticky key the choice is a weighted rendezvous: every arm draws a number
 * from the hash of (salt, key, arm) and the best draw, scaled by weight, wins.
 * So a key keeps its arm as long as the weights stand, and a change of weights
 * moves keys only towards arms that gained.  Without a key each call draws at
 * random.  Pure: nothing here knows what is loaded.
 *
 * Source: rendezvous hashing, Thaler and Ravishankar 1998; weights after
 *         Schindelhauer and Schomaker 2005 (the "logarithmic method").
 */
#ifndef SERVER_ROUTE_H
#define SERVER_ROUTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    ROUTE_NAME = 128, /* bytes of the longest model or variant name */
    ROUTE_ARMS = 64,  /* arms a route may have */
};

/* How a request found its variant. */
enum routed { ROUTED_PRIMARY, ROUTED_CANARY, ROUTED_PINNED, N_ROUTED };
const char *routed_name(enum routed r); /* "primary", "canary", "pinned" */

struct route_arm {
    long version;
    char variant[ROUTE_NAME + 1];
    double weight; /* finite, not negative; what counts is its share */
};

/* Its own one mem_new() block: copied by assignment of the whole. */
struct route {
    int n_arms; /* at least 1, and some weight is positive */
    struct route_arm arms[ROUTE_ARMS];
    char sticky_header[ROUTE_NAME + 1];    /* "" when not by header */
    char sticky_parameter[ROUTE_NAME + 1]; /* "" when not by parameter */
};

/* All traffic to one variant, sticky by the default header. */
void route_single(struct route *r, long version, const char *variant);

/*
 * Reads {"arms":[{"version":3,"variant":"int8","weight":10}],"sticky":
 * {"header":NAME,"parameter":NAME}}; version may be a decimal string too.
 * "force", "reason" and "seq" are left to the caller; other members are
 * refused.
 * Fails: ERR_INVALID, naming the arm and the member.
 */
int route_parse(const json_t *body, struct route *out, struct err *e);

/* The same JSON form; the caller's, json_decref(). */
json_t *route_json(const struct route *r);

bool route_equal(const struct route *a, const struct route *b);

/* Share of arm i, 0 to 1. */
double route_share(const struct route *r, int i);

/*
 * Index of the arm that answers.
 *
 * salt: what sets this route's draws apart from those of others: the model.
 * key:  the sticky key, or NULL for a random draw.
 */
int route_choose(const struct route *r, const char *salt, const char *key);

/* "fp32" or "int8-dynamic": [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}. */
bool route_name_ok(const char *name);

/* A positive decimal number without sign or leading zeros; 0 when it isn't. */
long route_version(const char *text);

#endif
