/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder for half-written files that is gone whatever happens: also when the
 * process is told to stop (SIGINT, SIGTERM, SIGHUP).
 */
#ifndef QUANT_SCRATCH_H
#define QUANT_SCRATCH_H

#include "base/err.h"

/*
 * Makes FILE.tmpdirPID beside file, and from now on removes it when one of the
 * signals comes, which then ends the process as it would have.  Once a
 * process, before it starts threads.
 */
int scratch_new(const char *file, struct err *e);

/* A path in it: sub is a folder made on demand.  mem_free() frees it. */
char *scratch_path(const char *sub, const char *name, struct err *e);

/*
 * How the work ends is settled: what is published from now on is published
 * whole, and an error is the work's own; a signal that comes later is too late
 * and changes nothing.  Does not return when one came before.
 */
void scratch_settle(void);

/* Removes it. */
void scratch_free(void);

#endif
