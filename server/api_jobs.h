/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that name a job, or wait for its end.
 */
#ifndef SERVER_API_JOBS_H
#define SERVER_API_JOBS_H

#include "server/daemon.h"
#include "server/http.h"

/* 202 with the job's id and where it is found. */
void api_job_accepted(struct request *r, const char *id, const char *model,
                      long version);

/* Answers when the job has ended: 200 or 422 with the report, or its error. */
void api_job_answer(struct daemon *d, struct request *r, const char *id);

#endif
