/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams to the service manager ($NOTIFY_SOCKET, sd_notify(3)), without its
 * library; and the sockets it hands over ($LISTEN_FDS, sd_listen_fds(3)).
 */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

/* "READY=1", "STATUS=...", lines as in sd_notify(3); nothing without a
 * manager. */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Seconds between "WATCHDOG=1" messages that the manager asks for; 0: none. */
double notify_watchdog_s(void);

/* Listening sockets handed over start at descriptor 3; how many. */
int notify_sockets(void);

#endif
