/* SPDX-License-Identifier: Apache-2.0 */
/*
 * If, Loop and Scan, run: each of their bodies is a model of its own.
 */
#ifndef ENGINE_RUN_CONTROL_H
#define ENGINE_RUN_CONTROL_H

#include "engine/run/model.h"
#include "engine/run/runner.h"

struct control;

/* bodies: of the node (see struct model), borrowed. */
struct control *control_new(struct model *const *bodies, struct quota *q);
void control_free(struct control **c);

/* The session of body k, or NULL when it has not run yet. */
const struct session *control_session(const struct control *c, int k);

/*
 * Runs node n with now[], tensors by value id, and sets those of its outputs;
 * their bytes are those of c until the next call.
 * Fails: as a session of the body does; ERR_INVALID when what the body gives
 *        out does not fit the node; ERR_TOO_LARGE when it runs too often or
 *        gathers too much.
 */
int control_run(struct control *c, const struct node *n, struct tensor *now,
                struct err *e);

#endif
