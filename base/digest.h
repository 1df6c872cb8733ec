/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of bytes and files, as lower-case hexadecimal text.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>

#include "base/err.h"

enum { DIGEST_HEX = 64 };

void digest_bytes(const void *p, size_t n, char hex[DIGEST_HEX + 1]);

/* Fails: as open(2) and read(2) do. */
int digest_file(const char *path, char hex[DIGEST_HEX + 1], struct err *e);

/* In pieces: new, any number of adds, then end (which frees it). */
struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *p, size_t n);
void digest_end(struct digest **d, char hex[DIGEST_HEX + 1]);

#endif
