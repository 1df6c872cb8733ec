/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deployment report of a version: quantctl writes one for each variant it
 * makes, and here they become one document, <version>/report.json.
 */
#ifndef SERVER_REPORT_H
#define SERVER_REPORT_H

#include <jansson.h>

#include "base/err.h"
#include "server/repo.h"

/*
 * Takes what dir/report.json says of its variants into the version's report:
 * the newest run gives the head, of each variant the newest run counts.
 */
int report_keep(struct repo *r, const char *model, long version,
                const char *dir, struct err *e);

/*
 * Accuracy of a variant as a ratio of the baseline's, by dir/report.json; 0
 * when it was not measured.
 */
double report_accuracy_ratio(const char *dir, const char *variant);

/*
 * The version's report; where no variant was made, what there is to say of its
 * own file.  json_decref().
 * Fails: ERR_NOT_FOUND.
 */
int report_read(struct repo *r, const char *model, long version, json_t **out,
                struct err *e);

#endif
