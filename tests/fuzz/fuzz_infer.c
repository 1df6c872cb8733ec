/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An infer request.  Data up to the first byte 0 are the JSON, told by the
 * header; what follows is binary data.  Without a 0 there is no header.
 */
#include <stdio.h>
#include <string.h>

#include "server/oip.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_corpus = "infer";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t head = zero != NULL ? (size_t)(zero - data) : size;
    struct oip_request *q;
    struct buf *b;
    char length[24];
    struct err e;

    if (buf_new(size, &b, &e) != 0)
        return 0;
    buf_add(b, data, head, &e);
    if (zero != NULL)
        buf_add(b, zero + 1, size - head - 1, &e);
    snprintf(length, sizeof length, "%zu", head);
    if (oip_read(&b, zero != NULL ? length : NULL, &q, &e) == 0)
        oip_free(&q);
    buf_trim();
    return 0;
}
