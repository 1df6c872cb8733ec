/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admit.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/api.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/stats.h"

void
admit_refuse(struct request *r, const struct err *e)
{
    r->phase = REQUEST_DISCARD;
    api_fail(r->daemon, r, e);
}

static void
refuse_status(struct request *r, int status, const char *text)
{
    r->phase = REQUEST_DISCARD;
    api_fail_status(r, status, "%s", text);
}

static enum method
parse_method(const char *name)
{
    static const struct {
        const char *name;
        enum method method;
    } methods[] = {{"GET", GET},
                   {"HEAD", GET},
                   {"POST", POST},
                   {"PUT", PUT},
                   {"DELETE", DELETE}};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    return 0;
}

static void
refuse_method(struct request *r, unsigned allowed)
{
    char allow[40] = "";

    if ((allowed & GET) != 0)
        strcat(allow, ", GET, HEAD");
    if ((allowed & POST) != 0)
        strcat(allow, ", POST");
    if ((allowed & PUT) != 0)
        strcat(allow, ", PUT");
    if ((allowed & DELETE) != 0)
        strcat(allow, ", DELETE");
    request_add_header(r, "Allow", allow + 2);
    refuse_status(r, 405, "this path does not take that method");
}

/* Finds the endpoint; false when the request was refused. */
static bool
route_request(struct request *r)
{
    unsigned allowed;

    if (r->bad_uri != NULL) {
        refuse_status(r, 400, r->bad_uri);
        return false;
    }
    r->endpoint =
        api_find(r->method, r->segment, r->n_segments, r->captured, &allowed);
    if (r->endpoint == NULL && allowed != 0) {
        refuse_method(r, allowed);
        return false;
    }
    if (r->endpoint == NULL ||
        (r->endpoint->right == RIGHT_ADMIN && !r->listener->admin)) {
        struct err e;

        err_set(&e, ERR_NOT_FOUND, "no such path: %s", r->path);
        admit_refuse(r, &e);
        return false;
    }
    return true;
}

static bool
authorize(struct request *r)
{
    struct auth_ask ask = {
        .right = r->endpoint->right,
        .loopback = r->listener->loopback,
        .changes = r->method != GET,
        .authorization = request_header(r, "Authorization"),
        .origin = request_header(r, "Origin"),
        .host = request_header(r, "Host"),
    };
    const char *why = "";

    switch (auth_check(r->daemon->auth, &ask, r->principal, &why)) {
    case AUTH_OK:
        return true;
    case AUTH_WHO:
        stats_reject(r->daemon->stats, REJECT_unauthorized);
        request_add_header(r, "WWW-Authenticate", "Bearer, Basic");
        refuse_status(r, 401, why);
        return false;
    default:
        stats_reject(r->daemon->stats, REJECT_unauthorized);
        refuse_status(r, 403, why);
        return false;
    }
}

/* Where the body ends must be beyond doubt, or a proxy before us could see
 * another end than we do. */
static bool
check_framing(struct request *r, const struct framing *f)
{
    if (f->differ || (f->length != NULL && f->encoded)) {
        request_add_header(r, "Connection", "close");
        refuse_status(r, 400, "more than one header says how long the body is");
        return false;
    }
    if (f->length != NULL)
        r->content_length = strtoull(f->length, NULL, 10);
    else if (!f->encoded)
        r->content_length = 0;
    return true;
}

static bool
check_body(struct request *r)
{
    const struct config *conf = r->daemon->config;
    int64_t most = r->endpoint->sink != NULL ? conf->server.max_upload
                                             : conf->server.max_body;
    struct err e;

    r->coding = coding_parse(request_header(r, "Content-Encoding"));
    if (r->coding == CODING_UNKNOWN) {
        request_add_header(r, "Accept-Encoding", "gzip, deflate");
        refuse_status(r, 501,
                      "the body's Content-Encoding is none of gzip, "
                      "deflate, identity");
        return false;
    }
    if (r->content_length != UINT64_MAX && r->content_length > (uint64_t)most) {
        stats_reject(r->daemon->stats, REJECT_too_large);
        err_set(&e, ERR_TOO_LARGE, "the body has %llu bytes, at most %lld",
                (unsigned long long)r->content_length, (long long)most);
        admit_refuse(r, &e);
        return false;
    }
    return true;
}

void
admit_header(struct framing *f, const char *name, const char *value)
{
    if (strcasecmp(name, "Transfer-Encoding") == 0)
        f->encoded = true;
    if (strcasecmp(name, "Content-Length") != 0)
        return;
    if (f->length != NULL && strcmp(f->length, value) != 0)
        f->differ = true;
    f->length = value;
}

bool
admit(struct request *r, const char *method, const struct framing *f)
{
    r->method = parse_method(method);
    return check_framing(r, f) && route_request(r) && authorize(r) &&
           check_body(r);
}
