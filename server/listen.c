/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/notify.h"

enum { FIRST_PASSED = 3, BACKLOG = 511 };

/* "ADDR:PORT" as socket addresses; freeaddrinfo(). */
static int
resolve(const char *text, struct addrinfo **out, struct err *e)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(text, ':');
    char host[256];
    size_t n = colon == NULL ? 0 : (size_t)(colon - text);
    int rc;

    if (n == 0 || n >= sizeof host || colon[1] == '\0')
        return err_set(e, ERR_INVALID, "'%s' is not ADDR:PORT", text);
    memcpy(host, text, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        memmove(host, host + 1, n - 2);
        host[n - 2] = '\0';
    }
    rc = getaddrinfo(host, colon + 1, &hints, out);
    if (rc != 0)
        return err_set(e, ERR_INVALID, "'%s': %s", text, gai_strerror(rc));
    return 0;
}

int
listen_check(const char *text, struct err *e)
{
    struct addrinfo *list;

    if (resolve(text, &list, e) != 0)
        return e->code;
    freeaddrinfo(list);
    return 0;
}

static int
bind_one(const char *text, const struct addrinfo *a, struct err *e)
{
    int on = 1;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        err_errno(e, "%s", text);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        err_errno(e, "%s", text);
        close(fd);
        return -1;
    }
    return fd;
}

/* Says where fd listens. */
static int
describe(int fd, char address[LISTEN_ADDRESS], bool *loopback, struct err *e)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } a;
    socklen_t len = sizeof a;
    char text[INET6_ADDRSTRLEN] = "?";

    if (getsockname(fd, &a.any, &len) != 0)
        return err_errno(e, "descriptor %d", fd);
    switch (a.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof text);
        snprintf(address, LISTEN_ADDRESS, "%s:%d", text, ntohs(a.v4.sin_port));
        *loopback = ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
        return 0;
    case AF_INET6:
        inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof text);
        snprintf(address, LISTEN_ADDRESS, "[%s]:%d", text,
                 ntohs(a.v6.sin6_port));
        *loopback = IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
        return 0;
    case AF_UNIX: /* a path is for those who may open it */
        snprintf(address, LISTEN_ADDRESS, "unix:%d", fd);
        *loopback = true;
        return 0;
    default:
        return err_set(e, ERR_INVALID, "descriptor %d is no socket", fd);
    }
}

int
listen_open(const char *want, int index, int *fd, char address[LISTEN_ADDRESS],
            bool *loopback, struct err *e)
{
    struct addrinfo *list;

    if (index < notify_sockets()) {
        *fd = FIRST_PASSED + index;
        return describe(*fd, address, loopback, e);
    }
    if (resolve(want, &list, e) != 0)
        return e->code;
    *fd = -1;
    for (const struct addrinfo *a = list; a != NULL && *fd < 0; a = a->ai_next)
        *fd = bind_one(want, a, e);
    freeaddrinfo(list);
    if (*fd < 0)
        return e->code;
    return describe(*fd, address, loopback, e);
}
