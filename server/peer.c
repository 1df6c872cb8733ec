/* SPDX-License-Identifier: Apache-2.0 */
#include "server/peer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "server/thread.h"

struct peer {
    struct peers *home;
    struct peer *prev, *next;
    int fd;
    _Atomic int turn;          /* enum turn */
    _Atomic uint64_t since_ns; /* since when */
};

struct peers {
    pthread_mutex_t lock; /* of the list: while it is held no fd is closed */
    struct peer *first;
    uint64_t patience_ns;
};

struct peers *
peers_new(uint64_t patience_ns)
{
    struct peers *p = mem_new(1, sizeof *p);

    pthread_mutex_init(&p->lock, NULL);
    p->patience_ns = patience_ns;
    return p;
}

void
peers_free(struct peers **p)
{
    if (*p == NULL)
        return;
    pthread_mutex_destroy(&(*p)->lock);
    mem_free(*p);
    *p = NULL;
}

struct peer *
peer_new(struct peers *home, int fd)
{
    struct peer *p = mem_new(1, sizeof *p);

    p->home = home;
    p->fd = fd;
    peer_turn(p, TURN_PEER_SENDS);
    pthread_mutex_lock(&home->lock);
    p->next = home->first;
    if (p->next != NULL)
        p->next->prev = p;
    home->first = p;
    pthread_mutex_unlock(&home->lock);
    return p;
}

void
peer_free(struct peer **pp)
{
    struct peer *p = *pp;

    if (p == NULL)
        return;
    pthread_mutex_lock(&p->home->lock);
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        p->home->first = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    pthread_mutex_unlock(&p->home->lock);
    mem_free(p);
    *pp = NULL;
}

void
peer_turn(struct peer *p, enum turn turn)
{
    p->since_ns = thread_now_ns();
    p->turn = turn;
}

/* It owes us bytes and will send none. */
static bool
has_left(const struct peer *p)
{
    char c;

    return (p->turn == TURN_PEER_SENDS || p->turn == TURN_PEER_UPLOADS) &&
           recv(p->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool
is_late(const struct peer *p, uint64_t now)
{
    uint64_t since = p->since_ns;

    return (p->turn == TURN_PEER_SENDS || p->turn == TURN_PEER_READS) &&
           now > since && now - since > p->home->patience_ns;
}

void
peers_check(struct peers *peers)
{
    uint64_t now = thread_now_ns();

    pthread_mutex_lock(&peers->lock);
    for (struct peer *p = peers->first; p != NULL; p = p->next)
        if (is_late(p, now) || has_left(p))
            shutdown(p->fd, SHUT_RDWR); /* an edge: the library looks */
    pthread_mutex_unlock(&peers->lock);
}

void
peers_end(struct peers *peers)
{
    pthread_mutex_lock(&peers->lock);
    for (struct peer *p = peers->first; p != NULL; p = p->next)
        if (p->turn != TURN_OURS)
            shutdown(p->fd, SHUT_RDWR);
    pthread_mutex_unlock(&peers->lock);
}
