/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of quantctl share: options, errors, exit codes, models.
 */
#ifndef QUANT_CMD_H
#define QUANT_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/engine.h"
#include "quant/option.h"

/* What quantctl exits with. */
enum {
    CMD_DONE = 0,
    CMD_REJECTED = 1, /* by policy; or a mismatch */
    CMD_USAGE = 2,
    CMD_BAD_INPUT = 3,
    CMD_UNSUPPORTED = 4,
    CMD_INTERNAL = 5,
};

struct cmd {
    const char *name;
    const char *synopsis; /* behind the name */
    const char *summary;
    int (*run)(const struct cmd *c, int argc, char **argv);
};

/* Options that every command has. */
struct cmd_common {
    bool json, help;
    int threads;
};

/* clang-format off */
#define CMD_COMMON_OPTIONS(common)                                             \
    {"threads", 't', OPTION_INT, "N", "threads of the engine, 0: all cores",   \
     &(common)->threads, 0, 1024},                                             \
    {"json", 'j', OPTION_FLAG, NULL, "machine-readable output",                \
     &(common)->json, 0, 0},                                                   \
    {"help", 'h', OPTION_FLAG, NULL, "this text", &(common)->help, 0, 0},      \
    {NULL, 0, OPTION_FLAG, NULL, NULL, NULL, 0, 0}
/* clang-format on */

/*
 * Parses a command's options, handles --help and wrong usage, and sets the
 * threads of the engine.
 *
 * min, max: words (files) wanted.
 * Returns true when the command is to go on, else *exit_code is set.
 */
bool cmd_parse(const struct cmd *c, const struct option *table,
               struct cmd_common *common, int argc, char **argv, size_t min,
               size_t max, struct texts *words, int *exit_code);

/* Says what was wrong with the options; returns CMD_USAGE. */
int cmd_usage(const struct cmd *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Says what went wrong: on stderr, and with json as a line
 * {"error":{"code":...,"message":...}} on stdout too.  Returns the exit code.
 */
int cmd_fail(bool json, const struct err *e);

/* Puts "PATH: " before the message unless it names the file already; returns
 * the code. */
int cmd_name_file(struct err *e, const char *path);

/* "invalid", "unsupported" ... */
const char *cmd_code_name(enum err_code code);

/* "1.2 MB" into text; returns text. */
const char *cmd_bytes(double bytes, char text[32]);

/*
 * Shapes of a run with `rows` rows: declared ones with the batch axis set, or
 * those of `given` ("name=1,3,224,224").
 *
 * shapes: out, one a model input.
 * Fails:  ERR_INVALID when an axis stays unknown, with the option that would
 *         tell; or a text is malformed.
 */
int cmd_shapes(const struct model *m, int rows, const struct texts *given,
               struct shape *shapes, struct err *e);

/* "NAME=REST": the length of NAME, or 0.  Names may hold '=' themselves: the
 * last one counts. */
size_t cmd_split(const char *text);

/* --- JSON: struct json_t is jansson's ----------------------------------- */

struct json_t;

/* A string; bytes that are no UTF-8 become '?'.  NULL becomes null. */
struct json_t *cmd_text(const char *s);

/* A number, or null when it is not finite: JSON has no other. */
struct json_t *cmd_real(double v);

struct json_t *cmd_shape(const struct shape *s);

/* Prints and frees it; returns exit_code, or CMD_INTERNAL when stdout broke. */
int cmd_print(struct json_t *j, int exit_code);

/* The same in one line, for a program that reads line by line. */
int cmd_print_line(struct json_t *j, int exit_code);

/* The commands. */
int cmd_bench(const struct cmd *c, int argc, char **argv);
int cmd_check(const struct cmd *c, int argc, char **argv);
int cmd_compare(const struct cmd *c, int argc, char **argv);
int cmd_inspect(const struct cmd *c, int argc, char **argv);
int cmd_quantize(const struct cmd *c, int argc, char **argv);
int cmd_run(const struct cmd *c, int argc, char **argv);
int cmd_verify(const struct cmd *c, int argc, char **argv);

#endif
