/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions and sinks that api_tbl.h names.
 */
#ifndef SERVER_ENDPOINTS_H
#define SERVER_ENDPOINTS_H

#include "server/http.h"

#define ENDPOINT(methods, pattern, right, flags, run)                          \
    void run(struct daemon *d, struct request *r);
#define UPLOAD(methods, pattern, right, to) extern const struct sink to;
#include "server/api_tbl.h"
#undef ENDPOINT
#undef UPLOAD

#endif
