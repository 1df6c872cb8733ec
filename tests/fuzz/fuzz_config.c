/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file. */
#define _GNU_SOURCE /* mkstemp */
#include <stdlib.h>
#include <unistd.h>

#include "server/config.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_corpus = "config";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "fuzz_config.XXXXXX";
    int fd = mkstemp(path);
    struct config *c = config_new();
    struct err e;

    if (fd >= 0) {
        if (write(fd, data, size) == (ssize_t)size)
            config_read(c, path, &e);
        close(fd);
        unlink(path);
    }
    config_free(&c);
    return 0;
}
