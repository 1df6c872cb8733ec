/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target: one parser, fed with bytes.  It is built twice: with libFuzzer
 * (make fuzz), and with replay.c, which `make check` runs over the corpus.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Its folder below tests/fuzz/corpus. */
extern const char *const fuzz_corpus;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
