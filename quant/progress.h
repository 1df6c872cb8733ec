/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far long work is: a bar on stderr where that is a terminal, lines of
 * JSON on stdout for a program, else nothing.
 *
 *     {"phase":"calibrate","fraction":0.4,"message":"120 of 300 samples"}
 */
#ifndef QUANT_PROGRESS_H
#define QUANT_PROGRESS_H

#include <stdbool.h>

#include "quant/quant.h"

struct progress;

struct progress *progress_new(bool json);

/* Ends the bar's line. */
void progress_free(struct progress **p);

/* Begins a phase (text that stays): parse, calibrate, quantize ... */
void progress_phase(struct progress *p, const char *phase, const char *message);

/* What is handed to long work: shows the share of the phase that is done. */
struct quant_progress progress_hook(struct progress *p);

#endif
