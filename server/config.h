/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: every option is one row of config_tbl.h, read from an
 * INI file, and constant once it is parsed.
 *
 * Values: numbers plain; bytes with K, M, G (powers of 1024); times with us,
 * ms, s or plain in the option's own unit; yes or no; words.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

typedef const char *config_text;
typedef const char *config_choice;
typedef int64_t config_integer;
typedef int64_t config_bytes;
typedef int64_t config_seconds; /* in microseconds; a plain number is seconds */
typedef int64_t config_micros;  /* in microseconds; so is a plain number */
typedef double config_real;
typedef bool config_flag;

struct config {
#define SECTION(name) struct {
#define OPT(section, name, kind, dflt, min, max, reload, help)                 \
    config_##kind name;
#define END(name)                                                              \
    }                                                                          \
    name;
#include "server/config_tbl.h"
#undef SECTION
#undef OPT
#undef END
    char *texts[128]; /* what the words point to */
    int n_texts;
};

/* Every option at its default. */
struct config *config_new(void);
void config_free(struct config **c);

/*
 * Reads a file over what c has.
 * Fails: ERR_INVALID ("FILE:LINE: section.key: why"), ERR_NOT_FOUND, ERR_IO.
 */
int config_read(struct config *c, const char *path, struct err *e);

/* One option by name, as from a file: for flags and tests. */
int config_set(struct config *c, const char *section, const char *key,
               const char *value, struct err *e);

/*
 * A new configuration: from fresh what may change while the daemon runs, the
 * rest from running.
 *
 * say: called for each other option that differs, which needs a restart.
 */
struct config *
config_reload(const struct config *running, const struct config *fresh,
              void (*say)(void *arg, const char *section, const char *key),
              void *arg);

/* All options with help and default, as the example file has them. */
void config_print(FILE *out);

#endif
