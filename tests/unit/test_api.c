/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of calls: every row can be found, none hides another, and each is
 * in doc/openapi.json.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/api.h"

struct row {
    unsigned methods;
    const char *pattern;
};

static const struct row rows[] = {
#define ENDPOINT(methods, pattern, right, flags, run) {methods, pattern},
#define UPLOAD(methods, pattern, right, sink) {methods, pattern},
#include "server/api_tbl.h"
#undef ENDPOINT
#undef UPLOAD
};

enum { N_ROWS = sizeof rows / sizeof rows[0], SEGMENTS = 16 };

/* Splits in place; {} becomes "word". */
static int
split(char *path, char **segment)
{
    static char word[] = "word";
    char *save, *s = strtok_r(path, "/", &save);
    int n = 0;

    for (; s != NULL; s = strtok_r(NULL, "/", &save))
        segment[n++] = strcmp(s, "{}") == 0 ? word : s;
    return n;
}

static void
every_row_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < N_ROWS; i++)
        for (unsigned m = GET; m <= DELETE; m *= 2) {
            char path[200], *segment[SEGMENTS];
            int captured[SEGMENTS + 1], n, words = 0;
            const struct endpoint *e;
            unsigned allowed;

            if ((rows[i].methods & m) == 0)
                continue;
            snprintf(path, sizeof path, "%s", rows[i].pattern);
            n = split(path, segment);
            e = api_find((enum method)m, segment, n, captured, &allowed);
            if (e == NULL || strcmp(e->pattern, rows[i].pattern) != 0)
                fail_msg("%s is hidden by %s", rows[i].pattern,
                         e == NULL ? "nothing" : e->pattern);
            while (captured[words] >= 0)
                words++;
            for (const char *p = rows[i].pattern; (p = strstr(p, "{}")); p += 2)
                words--;
            assert_int_equal(words, 0);
        }
}

static const struct endpoint *
find(enum method m, char *path, unsigned *allowed)
{
    char *segment[SEGMENTS];
    int captured[SEGMENTS + 1];
    int n = split(path, segment);

    return api_find(m, segment, n, captured, allowed);
}

static void
others_are_not(void **state)
{
    char infer[] = "/v2/models/m/infer", none[] = "/v2/models/m/infer/x";
    char root[] = "/", half[] = "/v2/model";
    unsigned allowed;

    (void)state;
    assert_null(find(GET, infer, &allowed));
    assert_int_equal(allowed, POST);
    assert_null(find(POST, none, &allowed));
    assert_int_equal(allowed, 0);
    assert_null(find(GET, root, &allowed));
    assert_null(find(GET, half, &allowed));
    assert_int_equal(allowed, 0);
}

/* The document's path whose {names} are all {}, or NULL. */
static json_t *
path_of(json_t *paths, const char *pattern)
{
    const char *key;
    json_t *value;

    json_object_foreach(paths, key, value)
    {
        char plain[200];
        size_t n = 0;

        for (const char *p = key; *p != '\0'; p++) {
            plain[n++] = *p;
            if (*p == '{')
                p = strchr(p, '}') - 1;
        }
        plain[n] = '\0';
        if (strcmp(plain, pattern) == 0)
            return value;
    }
    return NULL;
}

static void
every_row_is_documented(void **state)
{
    static const char *const names[] = {"get", "post", "put", "delete"};
    const char *top = getenv("srcdir");
    char path[1024];
    json_error_t why;
    json_t *doc, *paths;

    (void)state;
    snprintf(path, sizeof path, "%s/doc/openapi.json", top ? top : ".");
    doc = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (doc == NULL)
        fail_msg("%s:%d: %s", path, why.line, why.text);
    paths = json_object_get(doc, "paths");
    for (int i = 0; i < N_ROWS; i++) {
        json_t *one = path_of(paths, rows[i].pattern);

        if (one == NULL)
            fail_msg("%s is not in openapi.json", rows[i].pattern);
        for (int m = 0; m < 4; m++)
            if ((rows[i].methods & 1u << m) != 0 &&
                json_object_get(one, names[m]) == NULL)
                fail_msg("%s %s is not in openapi.json", names[m],
                         rows[i].pattern);
    }
    json_decref(doc);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found),
        cmocka_unit_test(others_are_not),
        cmocka_unit_test(every_row_is_documented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
