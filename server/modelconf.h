/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files beside a model say about serving it: <model>/config.pbtxt
 * (Triton's: max_batch_size, dynamic_batching, version_policy, label files),
 * then <model>/model.conf (quantd's own INI, which wins), and
 * <version>/labels.txt.
 */
#ifndef SERVER_MODELCONF_H
#define SERVER_MODELCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct modelconf_output {
    char *name;    /* of the model's output, or NULL: any other output */
    char **labels; /* class names by index */
    size_t n_labels;
};

struct modelconf {
    int max_batch_size;               /* -1: not said; 0: no batching */
    long max_queue_delay_us;          /* -1: not said */
    int max_queue_length;             /* -1: not said */
    struct modelconf_output *outputs; /* those that have labels */
    size_t n_outputs;
};

/*
 * model_dir:   the model's folder; version_dir: the version's.  Missing files
 *              say nothing.
 * Fails: ERR_INVALID with file and line.
 */
int modelconf_load(const char *model_dir, const char *version_dir,
                   struct modelconf *out, struct err *e);
void modelconf_free(struct modelconf *c);

/* Name of a class of an output, or NULL. */
const char *modelconf_label(const struct modelconf *c, const char *output,
                            size_t index);

#endif
