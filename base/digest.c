/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <unistd.h>

#include "base/mem.h"

struct digest {
    struct sha256_ctx ctx;
};

struct digest *
digest_new(void)
{
    struct digest *d = mem_new(1, sizeof *d);

    sha256_init(&d->ctx);
    return d;
}

void
digest_add(struct digest *d, const void *p, size_t n)
{
    sha256_update(&d->ctx, n, p);
}

void
digest_end(struct digest **d, char hex[DIGEST_HEX + 1])
{
    static const char digit[] = "0123456789abcdef";
    unsigned char raw[SHA256_DIGEST_SIZE];

    sha256_digest(&(*d)->ctx, sizeof raw, raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        hex[2 * i] = digit[raw[i] >> 4];
        hex[2 * i + 1] = digit[raw[i] & 15];
    }
    hex[DIGEST_HEX] = '\0';
    mem_free(*d);
    *d = NULL;
}

void
digest_bytes(const void *p, size_t n, char hex[DIGEST_HEX + 1])
{
    struct digest *d = digest_new();

    digest_add(d, p, n);
    digest_end(&d, hex);
}

int
digest_file(const char *path, char hex[DIGEST_HEX + 1], struct err *e)
{
    unsigned char buf[65536];
    struct digest *d;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(e, "%s", path);
    d = digest_new();
    while ((n = read(fd, buf, sizeof buf)) > 0)
        digest_add(d, buf, (size_t)n);
    digest_end(&d, hex);
    if (n < 0) {
        int rc = err_errno(e, "%s", path);

        close(fd);
        return rc;
    }
    close(fd);
    return 0;
}
