/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.json: what a published folder holds.
 *
 *     {"files": {"model.onnx": {"bytes": 123, "sha256": "..."}}, ...}
 *
 * with whatever else the publisher wants kept.  It is written last, so a
 * folder that has one was complete; files that it does not name are none of
 * its business.
 */
#ifndef SERVER_MANIFEST_H
#define SERVER_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * Hashes and syncs every regular file of dir and writes its manifest, then
 * syncs dir.
 * info: further members; lent.  NULL for none.
 */
int manifest_make(const char *dir, const json_t *info, struct err *e);

/*
 * Reads the manifest of dir and compares the files with it.
 *
 * deep: compare contents (reads every file), otherwise only sizes.
 * out:  the manifest, or NULL where dir has none (which is no failure);
 *       json_decref().  May be NULL.
 * Fails: ERR_INVALID, naming the file and how it differs; ERR_IO.
 */
int manifest_check(const char *dir, bool deep, json_t **out, struct err *e);

#endif
