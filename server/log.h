/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an event on stderr, for people and for journald.
 *
 *     <6>model_load model=r50 version=3 ms=412
 *
 * With format = json the same as one object a line.  Values with spaces or
 * quotes are quoted, control characters escaped, so a name from a request
 * cannot forge a line.  Any thread may log; a line is written whole.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdbool.h>

/* The numbers are syslog's. */
enum log_level {
    LOG_ERROR = 3,   /* the operator has to act */
    LOG_WARNING = 4, /* something is not as it should be, serving goes on */
    LOG_NOTICE = 5,  /* seldom and worth knowing: start, stop, route changes */
    LOG_INFO = 6,    /* normal life, and every bad request */
    LOG_DEBUG = 7,
};

/* At the start: text, LOG_INFO. */
void log_setup(enum log_level most, bool json);

bool log_wants(enum log_level level);

/*
 * One event.
 *
 * verb:    "model_load"; a literal.
 * keys:    "model=%s version=%d": key=format pairs with one space between.
 *          Every value is formatted alone, then quoted as it needs.  Formats
 *          are %s, %d, %u (with l or z before) and %.Nf, no widths.
 */
void log_event(enum log_level level, const char *verb, const char *keys, ...)
    __attribute__((format(printf, 3, 4)));

#endif
