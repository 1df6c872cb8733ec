/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's side of the store that kernel.h describes.
 */
#ifndef ENGINE_IR_WEIGHTS_H
#define ENGINE_IR_WEIGHTS_H

#include <stddef.h>

struct weights;

struct weights *weights_new(void);
void weights_free(struct weights **w);

/* Bytes of all entries. */
size_t weights_bytes(struct weights *w);

#endif
