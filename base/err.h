/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why something failed, in words an HTTP client may read.
 *
 * A function that can fail returns 0 or an enum err_code and fills *e only on
 * failure.  Each caller on the way up may add where it happened (err_wrap).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* The codes only choose an HTTP status and an exit code: the table is api.c. */
enum err_code {
    ERR_OK = 0,
    ERR_INVALID,     /* malformed file or request */
    ERR_NOT_FOUND,   /* no such model, version, variant, file */
    ERR_UNSUPPORTED, /* well-formed, but quantd can't do it */
    ERR_CONFLICT,    /* contradicts what is served now */
    ERR_TOO_LARGE,   /* over a configured limit */
    ERR_BUSY,        /* full; worth trying again */
    ERR_UNAVAILABLE, /* known, but not ready: loading, unloaded, going down */
    ERR_TIMEOUT,     /* a deadline passed */
    ERR_NO_MEMORY,   /* memory sized by a file or request could not be had */
    ERR_NO_SPACE,    /* the disk is full */
    ERR_IO,          /* the operating system said no */
    ERR_INTERNAL,    /* a fault of quantd or of a library */
};

struct err {
    enum err_code code;
    char msg[480];
};

/* Sets *e and returns the code, so that `return err_set(...)` reads well. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " before the message; returns the code it has. */
int err_wrap(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Sets *e from errno: ENOENT is ERR_NOT_FOUND, ENOSPC and EDQUOT are
 * ERR_NO_SPACE, ENOMEM is ERR_NO_MEMORY, the rest ERR_IO.
 */
int err_errno(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
