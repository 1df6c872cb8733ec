/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs and expected outputs as the ONNX backend tests keep them:
 *
 *     DIR/test_data_set_0/input_0.pb ... output_0.pb ...
 *
 * or one set whose files lie in DIR itself; in a folder or in a .tar archive.
 */
#ifndef QUANT_TESTSET_H
#define QUANT_TESTSET_H

#include "base/digest.h"
#include "base/err.h"
#include "engine/ir/shape.h"

struct testset;

/*
 * Lists the sets of a folder or archive, in the order of their numbers.
 * Fails: ERR_NOT_FOUND when there is none of these or no tensor in it;
 *        ERR_IO; as tar_open() does.
 */
int testset_open(const char *path, struct testset **out, struct err *e);
void testset_free(struct testset **t);

int testset_n(const struct testset *t);
const char *testset_name(const struct testset *t, int set); /* its folder */

/* Inputs and expected outputs a set has. */
int testset_n_in(const struct testset *t, int set);
int testset_n_out(const struct testset *t, int set);

/* Input or output i of a set; out->data is the caller's: mem_free(). */
int testset_in(const struct testset *t, int set, int i, struct tensor *out,
               struct err *e);
int testset_out(const struct testset *t, int set, int i, struct tensor *out,
                struct err *e);

/* SHA-256 of the archive, or of all the folder's files one after another. */
int testset_digest(const struct testset *t, char hex[DIGEST_HEX + 1],
                   struct err *e);

#endif
