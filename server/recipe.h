/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipe options of an upload: read from the query or the form, checked
 * before anything is accepted, and handed on to quantctl as arguments.
 */
#ifndef SERVER_RECIPE_H
#define SERVER_RECIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct recipe;

struct recipe *recipe_new(void);
void recipe_free(struct recipe **r);

/*
 * One option by name and value.
 * Fails: ERR_INVALID, naming the option, its value and what it may be.
 */
int recipe_set(struct recipe *r, const char *name, const char *value,
               struct err *e);

/* True for the name of an option. */
bool recipe_knows(const char *name);

/* The value given, or NULL. */
const char *recipe_get(const struct recipe *r, const char *name);

/*
 * Calls each(arg, name, value) for every option that was given, in the order
 * of the table.
 */
void recipe_each(const struct recipe *r,
                 void (*each)(void *arg, const char *name, const char *value),
                 void *arg);

/*
 * What can be said before the data are read: calibration samples for recipes
 * that need them, contradictions.
 * Fails: ERR_INVALID.
 */
int recipe_check(const struct recipe *r, bool has_calibration, struct err *e);

#endif
