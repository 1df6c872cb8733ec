/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What control flow needs of a session beyond engine.h.
 */
#ifndef ENGINE_RUN_SESSION_H
#define ENGINE_RUN_SESSION_H

#include "engine/run/model.h"
#include "engine/run/runner.h"

/*
 * A session of a body; memory and runs count in q, that of the session around.
 */
struct session *session_of_body(struct model *m, struct quota *q);

/* session_shape() for inputs whose types the body does not tell. */
int session_shape_as(struct session *s, const struct tensor *in, struct err *e);

/* A session that has bound nothing yet. */
struct session *session_bare(struct model *m);

/* What it runs. */
const struct model *session_model(const struct session *s);

/* The session of body k of control flow node `node`; NULL: it never ran. */
const struct session *session_body(const struct session *s, int node, int k);

/* The plan that stage k was shaped for last, or NULL. */
const struct plan *session_plan(const struct session *s, int k);

/* What value id was in the last run of a staged model; no shape: not made. */
const struct tensor *session_value(const struct session *s, int id);

#endif
