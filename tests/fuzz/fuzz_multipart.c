/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forms: whatever the bytes are and however they are cut, the parser tells the
 * same of them.  The first two bytes say where the body is cut.
 */
#include <assert.h>
#include <string.h>

#include "base/digest.h"
#include "server/multipart.h"
#include "tests/fuzz/fuzz.h"

const char *const fuzz_corpus = "multipart";

static int
begin(void *arg, const char *name, const char *filename, struct err *e)
{
    (void)e;
    digest_add(arg, name, strlen(name) + 1);
    if (filename != NULL)
        digest_add(arg, filename, strlen(filename) + 1);
    return 0;
}

static int
data(void *arg, const void *p, size_t n, struct err *e)
{
    (void)e;
    assert(n > 0);
    digest_add(arg, p, n);
    return 0;
}

static int
end(void *arg, struct err *e)
{
    (void)e;
    digest_add(arg, "end", 4);
    return 0;
}

/* What was told, and how it ended. */
static int
parse(const uint8_t *p, size_t n, size_t cut, char hex[DIGEST_HEX + 1])
{
    static const char type[] = "multipart/form-data; boundary=b-b";
    const struct multipart_events events = {begin, data, end};
    struct digest *told = digest_new();
    struct multipart *m;
    struct err e;
    int rc = multipart_new(type, &events, told, &m, &e);

    assert(rc == 0);
    rc = multipart_feed(m, p, cut, &e);
    if (rc == 0)
        rc = multipart_feed(m, p + cut, n - cut, &e);
    if (rc == 0)
        rc = multipart_end(m, &e);
    multipart_free(&m);
    digest_end(&told, hex);
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char whole[DIGEST_HEX + 1], cut[DIGEST_HEX + 1];
    size_t at;
    int rc;

    if (n < 2)
        return 0;
    at = (size_t)(p[0] << 8 | p[1]);
    p += 2;
    n -= 2;
    at = n > 0 ? at % n : 0;
    rc = parse(p, n, 0, whole);
    assert(parse(p, n, at, cut) == rc);
    assert(rc != 0 || strcmp(whole, cut) == 0);
    return 0;
}
