/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what.
 *
 * The token file has a line for each token: TOKEN SCOPE[,SCOPE...] NAME, the
 * scopes being infer, read, metrics and admin (which has all).  '#' starts a
 * comment.  Tokens come as "Authorization: Bearer TOKEN" or as the password
 * of Basic.
 *
 * A right needs a token as soon as some token in the file grants it by name;
 * admin always needs one, save on a loopback listener when there is no file.
 * Reading and metrics need none on loopback.
 */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include <stdbool.h>

#include "base/err.h"
#include "server/http.h"

struct auth;

/* path: "" for no file.  Fails: ERR_INVALID with file and line. */
int auth_new(const char *path, struct auth **out, struct err *e);
void auth_free(struct auth **a);

/* Reads the file again; when it is bad, what was known stays. */
int auth_reload(struct auth *a, const char *path, struct err *e);

enum auth_verdict {
    AUTH_OK,
    AUTH_WHO,      /* 401: no token, or one that is not known */
    AUTH_FORBIDDEN /* 403 */
};

/* What a request brings. */
struct auth_ask {
    enum right right;
    bool loopback;             /* the listener's address is a loopback one */
    bool changes;              /* the method changes something */
    const char *authorization; /* headers, NULL when absent */
    const char *origin, *host;
};

/*
 * name: of the token (at most 64 bytes and NUL), "local" or "anonymous".
 * why:  for people, on refusal.
 */
enum auth_verdict auth_check(struct auth *a, const struct auth_ask *ask,
                             char name[65], const char **why);

#endif
