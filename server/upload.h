/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client sends to be published, as it arrives: files go straight to a
 * staging folder, options to a recipe.  A raw body is the model; a form has
 * parts:
 *
 *     model        FOLDER/model.onnx
 *     data         FOLDER/<its file name>: external data of the model, as
 *                  often as needed
 *     labels       FOLDER/labels.txt
 *     calibration  calibration.npz or calibration.tar
 *     validation   validation.npz or validation.tar
 *     (others)     recipe options, as in the query
 */
#ifndef SERVER_UPLOAD_H
#define SERVER_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "server/recipe.h"

struct upload;

/*
 * stage:  the staging folder, absolute; there already.
 * folder: name of the folder in it that model files go to; made when the
 *         first comes.
 * type:   Content-Type, or NULL.
 */
int upload_new(const char *stage, const char *folder, const char *type,
               struct upload **out, struct err *e);
void upload_free(struct upload **u);

/*
 * An option of the query; "wait" is one, too.
 * Fails: ERR_INVALID, naming it.
 */
int upload_option(struct upload *u, const char *name, const char *value,
                  struct err *e);

/* The next bytes of the body.
 * Fails: ERR_INVALID, ERR_NO_SPACE, ERR_IO. */
int upload_write(struct upload *u, const void *p, size_t n, struct err *e);

/* All of it came. */
int upload_end(struct upload *u, struct err *e);

/* What came; valid until upload_free(). */
bool upload_has_model(const struct upload *u);
bool upload_waits(const struct upload *u);
const char *upload_calibration(const struct upload *u); /* name in the stage */
const char *upload_validation(const struct upload *u);  /* or NULL */
unsigned long long upload_bytes(const struct upload *u);
const struct recipe *upload_recipe(const struct upload *u);
struct recipe *upload_take_recipe(struct upload *u);

#endif
