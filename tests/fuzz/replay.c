/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds a fuzz target with each file of its corpus, and with each file that
 * the command line names: what once crashed stays mended.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"

/* A copy that ends where the data end, so that reading on is seen. */
static int
replay(const char *path)
{
    struct err e;
    size_t bytes;
    char *read;
    uint8_t *data;

    if (file_read(path, 64 << 20, &read, &bytes, &e) != 0) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    data = malloc(bytes > 0 ? bytes : 1);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)read[i];
    LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    mem_free(read);
    return 0;
}

int
main(int argc, char **argv)
{
    const char *top = getenv("srcdir");
    char *folder = mem_printf("%s/tests/fuzz/corpus/%s",
                              top == NULL ? "." : top, fuzz_corpus);
    DIR *dir = opendir(folder);
    int failed = 0, files = 0;

    for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
        char *path = mem_printf("%s/%s", folder, d->d_name);

        if (d->d_name[0] != '.') {
            failed |= replay(path);
            files++;
        }
        mem_free(path);
    }
    if (dir != NULL)
        closedir(dir);
    for (int i = 1; i < argc; i++, files++)
        failed |= replay(argv[i]);
    printf("%d files of %s\n", files, folder);
    mem_free(folder);
    return failed || files == 0;
}
