/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patience with the other ends of connections.
 *
 * The HTTP library times silent connections out.  It cannot see one that sends
 * or takes a byte now and then, and, waiting for edges of epoll, it misses an
 * end that came together with the last bytes.  peers_check() ends both.
 */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <stdint.h>

struct peer;
struct peers;

/* patience_ns: what a whole request may take to arrive, and its answer to be
 * taken. */
struct peers *peers_new(uint64_t patience_ns);
void peers_free(struct peers **p); /* all peers have gone */

/* A connection; fd is lent until peer_free(). */
struct peer *peer_new(struct peers *home, int fd);
void peer_free(struct peer **p);

/* Whose turn it is from now on. */
enum turn {
    TURN_PEER_SENDS,
    TURN_PEER_UPLOADS, /* sends, as long as it needs */
    TURN_PEER_READS,
    TURN_OURS,
};
void peer_turn(struct peer *p, enum turn turn);

/* Every second or so, from any thread. */
void peers_check(struct peers *p);

/* Ends all connections where it is the peer's turn. */
void peers_end(struct peers *p);

#endif
