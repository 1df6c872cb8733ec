/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from the numbers: warnings, and the checklist that a model
 * should pass before it serves, each point with its evidence.
 */
#ifndef QUANT_ADVICE_H
#define QUANT_ADVICE_H

#include "quant/report.h"

enum { ADVICE_TEXT = 320 };

/* Calls each(arg, text) for every warning. */
void advice_warnings(const struct report *r,
                     void (*each)(void *arg, const char *text), void *arg);

enum advice_result { ADVICE_PASS, ADVICE_FAIL, ADVICE_NOT_MEASURED };

struct advice_item {
    const char *section, *item;
    enum advice_result result;
    char evidence[ADVICE_TEXT];
};

/* "pass", "fail", "not-measured" */
const char *advice_result_name(enum advice_result r);

/* Calls each(arg, item) for every point of the checklist. */
void advice_checklist(const struct report *r,
                      void (*each)(void *arg, const struct advice_item *i),
                      void *arg);

#endif
