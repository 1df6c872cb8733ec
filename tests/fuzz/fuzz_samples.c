/* SPDX-License-Identifier: Apache-2.0 */
/* Files of samples: .npy, .npz and .tar, each as if the bytes were one. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "quant/npy.h"
#include "quant/npz.h"
#include "quant/tar.h"

const char *const fuzz_corpus = "samples";

/* A small archive can unpack to a lot: enough is enough. */
enum { CHUNK = 4096, MAX_CHUNKS = 64 };

static void
read_npz(const char *path)
{
    char chunk[CHUNK];
    struct npz *z;
    struct err e;

    if (npz_open(path, &z, &e) != 0)
        return;
    for (int i = 0; i < npz_n(z); i++) {
        size_t left = npz_array(z, i)->npy.data_bytes;

        for (int k = 0; k < MAX_CHUNKS && left > 0; k++) {
            size_t n = left < CHUNK ? left : CHUNK;

            if (npz_read(z, i, chunk, n, &e) != 0)
                break;
            left -= n;
        }
    }
    npz_rewind(z, &e);
    npz_free(&z);
}

static void
read_npy(const uint8_t *data, size_t size, const char *path)
{
    struct tensor t;
    struct npy a;
    struct err e;

    if (npy_parse(data, size, &a, &e) == 0 && a.data_bytes <= size &&
        npy_load(path, &t, &e) == 0)
        mem_free(t.data);
}

static void
read_tar(const char *path)
{
    volatile uint8_t byte = 0;
    struct tar *t;
    struct err e;

    if (tar_open(path, &t, &e) != 0)
        return;
    for (size_t i = 0; i < tar_n(t); i++) {
        const struct tar_file *f = tar_find(t, tar_at(t, i)->name);

        if (f->bytes > 0)
            byte ^= ((const uint8_t *)f->p)[f->bytes - 1];
    }
    (void)byte;
    tar_free(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/tmp/fuzz_samplesXXXXXX";
    int fd = mkstemp(path);

    if (fd < 0)
        abort();
    if (size == 0 || write(fd, data, size) == (ssize_t)size) {
        read_npz(path);
        read_npy(data, size, path);
        read_tar(path);
    }
    close(fd);
    unlink(path);
    return 0;
}
