/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens are kept as their SHA-256 and every one of them is compared in full,
 * so that the time of an answer says nothing about a guess.
 */
#include "server/auth.h"

#include <ctype.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"

enum { MAX_TOKEN = 1024, NAME = 64, FILE_MAX = 1 << 20 };

struct token {
    char digest[DIGEST_HEX + 1];
    char name[NAME + 1];
    unsigned rights; /* 1 << enum right */
};

struct table {
    VEC(struct token) tokens;
    unsigned guarded; /* rights that some token grants by name */
    bool file;        /* there is a token file, empty or not */
};

struct auth {
    pthread_mutex_t lock;
    struct table table;
};

static const struct {
    const char *name;
    enum right right;
} scopes[] = {
    {"infer", RIGHT_INFER},
    {"read", RIGHT_READ},
    {"metrics", RIGHT_METRICS},
    {"admin", RIGHT_ADMIN},
};

static unsigned
bit(enum right r)
{
    return 1u << r;
}

/* --- the file ---------------------------------------------------------- */

static int
parse_scopes(char *text, unsigned *out, struct err *e)
{
    char *save, *word = strtok_r(text, ",", &save);

    *out = 0;
    for (; word != NULL; word = strtok_r(NULL, ",", &save)) {
        size_t i = 0, n = sizeof scopes / sizeof scopes[0];

        while (i < n && strcmp(scopes[i].name, word) != 0)
            i++;
        if (i == n)
            return err_set(e, ERR_INVALID,
                           "scope '%.40s' is none of infer, read, metrics, "
                           "admin",
                           word);
        *out |= bit(scopes[i].right);
    }
    return 0;
}

static int
parse_line(struct table *t, char *line, struct err *e)
{
    struct token token = {.rights = 0};
    char *save, *secret, *scope, *name;

    line[strcspn(line, "#")] = '\0';
    secret = strtok_r(line, " \t\r", &save);
    if (secret == NULL)
        return 0;
    scope = strtok_r(NULL, " \t\r", &save);
    name = strtok_r(NULL, " \t\r", &save);
    if (name == NULL || strtok_r(NULL, " \t\r", &save) != NULL)
        return err_set(e, ERR_INVALID, "want: TOKEN SCOPE[,SCOPE] NAME");
    if (strlen(secret) > MAX_TOKEN)
        return err_set(e, ERR_INVALID, "the token is over %d bytes", MAX_TOKEN);
    if (strlen(name) > NAME)
        return err_set(e, ERR_INVALID, "the name is over %d bytes", NAME);
    if (parse_scopes(scope, &token.rights, e) != 0)
        return e->code;
    digest_bytes(secret, strlen(secret), token.digest);
    snprintf(token.name, sizeof token.name, "%s", name);
    t->guarded |= token.rights;
    VEC_PUSH(&t->tokens, token);
    return 0;
}

static int
read_table(const char *path, struct table *out, struct err *e)
{
    struct table t = {.guarded = bit(RIGHT_ADMIN)};
    char *text, *save, *line;
    int number = 0, rc = 0;

    if (path[0] == '\0') {
        *out = t;
        return 0;
    }
    t.file = true;
    if (file_read(path, FILE_MAX, &text, NULL, e) != 0)
        return e->code;
    /* Lines by hand: strtok would skip empty ones and lose count. */
    for (line = text; line != NULL && rc == 0; line = save) {
        save = strchr(line, '\n');
        if (save != NULL)
            *save++ = '\0';
        number++;
        if (parse_line(&t, line, e) != 0)
            rc = err_wrap(e, "%s:%d", path, number);
    }
    mem_free(text);
    if (rc != 0) {
        mem_free(t.tokens.at);
        return rc;
    }
    *out = t;
    return 0;
}

int
auth_new(const char *path, struct auth **out, struct err *e)
{
    struct auth *a = mem_new(1, sizeof *a);

    if (read_table(path, &a->table, e) != 0) {
        mem_free(a);
        return e->code;
    }
    pthread_mutex_init(&a->lock, NULL);
    *out = a;
    return 0;
}

void
auth_free(struct auth **a)
{
    if (*a == NULL)
        return;
    mem_free((*a)->table.tokens.at);
    pthread_mutex_destroy(&(*a)->lock);
    mem_free(*a);
    *a = NULL;
}

int
auth_reload(struct auth *a, const char *path, struct err *e)
{
    struct table fresh, old;

    if (read_table(path, &fresh, e) != 0)
        return e->code;
    pthread_mutex_lock(&a->lock);
    old = a->table;
    a->table = fresh;
    pthread_mutex_unlock(&a->lock);
    mem_free(old.tokens.at);
    return 0;
}

/* --- a request --------------------------------------------------------- */

/* RFC 4648; out has room for 3/4 of the text.  -1: malformed. */
static int
decode_base64(const char *s, char *out, size_t room)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0;

    for (; *s != '\0' && *s != '='; s++) {
        const char *at = strchr(letters, *s);

        if (at == NULL)
            return -1;
        bits = bits << 6 | (uint32_t)(at - letters);
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (n == room)
                return -1;
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    return s[strspn(s, "=")] == '\0' ? (int)n : -1;
}

/* The secret that the header carries; false when it carries none. */
static bool
secret_of(const char *header, char out[MAX_TOKEN + 1])
{
    char pair[MAX_TOKEN + NAME + 4];
    const char *colon;
    int n;

    if (header == NULL)
        return false;
    if (strncasecmp(header, "Bearer ", 7) == 0) {
        header += 7 + strspn(header + 7, " ");
        n = (int)strcspn(header, " \t");
        if (n == 0 || n > MAX_TOKEN)
            return false;
        snprintf(out, MAX_TOKEN + 1, "%.*s", n, header);
        return true;
    }
    if (strncasecmp(header, "Basic ", 6) != 0)
        return false;
    header += 6 + strspn(header + 6, " ");
    n = decode_base64(header, pair, sizeof pair - 1);
    if (n < 0)
        return false;
    pair[n] = '\0';
    colon = strchr(pair, ':');
    if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) > MAX_TOKEN)
        return false;
    snprintf(out, MAX_TOKEN + 1, "%s", colon + 1);
    return true;
}

static bool
equal_digests(const char *a, const char *b)
{
    unsigned char differ = 0;

    for (int i = 0; i < DIGEST_HEX; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

static const struct token *
find_token(const struct table *t, const char *secret)
{
    const struct token *found = NULL;
    char digest[DIGEST_HEX + 1];

    digest_bytes(secret, strlen(secret), digest);
    for (size_t i = 0; i < t->tokens.n; i++)
        if (equal_digests(t->tokens.at[i].digest, digest))
            found = &t->tokens.at[i];
    return found;
}

/* A name that only this machine resolves, or a number: what a page of another
 * site cannot have in its address bar. */
static bool
host_is_local(const char *host)
{
    size_t n = strcspn(host, ":");

    if (host[0] == '[')
        return true;
    if (n == strlen("localhost") && strncasecmp(host, "localhost", n) == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)host[i]) && host[i] != '.')
            return false;
    return n > 0;
}

/*
 * Without tokens a loopback listener trusts whoever reaches it, and a browser
 * on the machine reaches it for any page: a change that a page of another
 * site asks for, or one under a name that was made to point here, is refused.
 */
static bool
from_elsewhere(const struct auth_ask *ask)
{
    const char *origin = ask->origin, *host = ask->host;

    if (host != NULL && !host_is_local(host))
        return true;
    if (origin == NULL)
        return false;
    if (host == NULL)
        return true;
    origin = strstr(origin, "://");
    return origin == NULL || strcasecmp(origin + 3, host) != 0;
}

static enum auth_verdict
check(const struct table *t, const struct auth_ask *ask, char name[NAME + 1],
      const char **why)
{
    char secret[MAX_TOKEN + 1];
    bool has = secret_of(ask->authorization, secret);
    const struct token *token = has ? find_token(t, secret) : NULL;
    bool reads = ask->right == RIGHT_READ || ask->right == RIGHT_METRICS;

    snprintf(name, NAME + 1, "%s",
             token != NULL   ? token->name
             : ask->loopback ? "local"
                             : "anonymous");
    if (ask->right == RIGHT_NONE)
        return AUTH_OK;
    if (token != NULL &&
        (token->rights & (bit(ask->right) | bit(RIGHT_ADMIN))) != 0)
        return AUTH_OK;
    if (!t->file && ask->right == RIGHT_ADMIN) {
        if (!ask->loopback)
            *why = "changes need a token here (server.token_file), or a "
                   "listener on loopback";
        else if (ask->changes && from_elsewhere(ask))
            *why = "this change was asked for by a page of another site";
        else
            return AUTH_OK;
        return AUTH_FORBIDDEN;
    }
    if ((t->guarded & bit(ask->right)) == 0 || (reads && ask->loopback))
        return AUTH_OK;
    if (token != NULL) {
        *why = "the token does not have the right for this";
        return AUTH_FORBIDDEN;
    }
    *why = ask->authorization == NULL ? "this needs a token"
                                      : "the token is not known";
    return AUTH_WHO;
}

enum auth_verdict
auth_check(struct auth *a, const struct auth_ask *ask, char name[NAME + 1],
           const char **why)
{
    enum auth_verdict v;

    pthread_mutex_lock(&a->lock);
    v = check(&a->table, ask, name, why);
    pthread_mutex_unlock(&a->lock);
    return v;
}
