/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets: bound here, or handed over by systemd.
 */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stdbool.h>

#include "base/err.h"

enum { LISTEN_ADDRESS = 80 };

/*
 * Opens "ADDR:PORT" ("127.0.0.1:0", "[::1]:8080", "localhost:8080"), or takes
 * the index-th socket of the service manager when there is one.
 *
 * address:  where it listens in the end, with the real port.
 * loopback: only this machine reaches it.
 * Fails:    ERR_INVALID for an address that is none, ERR_IO.
 */
int listen_open(const char *want, int index, int *fd,
                char address[LISTEN_ADDRESS], bool *loopback, struct err *e);

/* Whether text can be read as an address: for --check-config. */
int listen_check(const char *text, struct err *e);

#endif
