/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's parts, in the order they start (main.c): each may use those
 * above it.
 */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <stdatomic.h>

struct auth;
struct config;
struct http;
struct jobs;
struct loop;
struct registry;
struct repo;
struct scheduler;
struct stats;
struct tasks;
struct traffic;
struct watch;
struct workers;

enum daemon_state { DAEMON_STARTING, DAEMON_READY, DAEMON_DRAINING };

struct daemon {
    /* The one in force; SIGHUP puts another in its place, and the old one
     * stays until the end, for those who are reading it. */
    const struct config *_Atomic config;
    struct loop *loop;
    struct stats *stats;
    struct tasks *control; /* one thread: what may wait for a disk */
    struct tasks *spool;   /* one thread: upload bodies */
    struct tasks *decode;  /* large JSON and compressed bodies */
    struct scheduler *scheduler;
    struct workers *workers;
    struct repo *repo;
    struct registry *registry;
    struct traffic *traffic;
    struct jobs *jobs;
    struct watch *watch;
    struct auth *auth;
    struct http *http;
    _Atomic int state; /* enum daemon_state */
};

#endif
