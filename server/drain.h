/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a daemon, so that nobody's request fails because of it:
 *
 *     SIGTERM            not ready any more; everything is still served
 *     + drain_delay      no new connections; what is in flight goes on
 *     nothing in flight  the loop stops, and the parts behind it
 *     + drain_timeout    what still waits is answered with 503, who still
 *                        sends or reads is cut off
 *     + some seconds     what still runs is left where it is: exit 1
 *
 * A second signal takes the shortest way.
 */
#ifndef SERVER_DRAIN_H
#define SERVER_DRAIN_H

struct daemon;

/* On the loop's thread. */
void drain_start(struct daemon *d);

#endif
