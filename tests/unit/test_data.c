/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sample sets against a model that is only its inputs and outputs: x is
 * float32[?,2], and where a test says so, k is a scalar int64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zip.h>

#include "base/file.h"
#include "base/mem.h"
#include "quant/data.h"

/* --- a model without an engine ------------------------------------------ */

struct model {
    int n_in, max_batch;
};

static struct model one = {1, 8}, two = {2, 8};
static const struct model_io inputs[] = {
    {"x", DTYPE_FLOAT, {2, {SHAPE_DYNAMIC, 2}}},
    {"k", DTYPE_INT64, {0, {0}}},
};
static const struct model_io output = {
    "y", DTYPE_FLOAT, {2, {SHAPE_DYNAMIC, 3}}};

int
model_n_inputs(const struct model *m)
{
    return m->n_in;
}

int
model_n_outputs(const struct model *m)
{
    (void)m;
    return 1;
}

const struct model_io *
model_input(const struct model *m, int i)
{
    (void)m;
    return &inputs[i];
}

const struct model_io *
model_output(const struct model *m, int i)
{
    (void)m;
    (void)i;
    return &output;
}

int
model_max_batch(const struct model *m)
{
    return m->max_batch;
}

int
session_shape(struct session *s, const struct shape *shapes, struct err *e)
{
    (void)s;
    (void)shapes;
    (void)e;
    return 0;
}

void *
session_input(struct session *s, int i)
{
    (void)s;
    (void)i;
    return NULL;
}

/* A tensor file here is text: its one value. */
int
tensor_parse(const void *p, size_t n, struct tensor *out, struct err *e)
{
    float *v = mem_new(2, sizeof *v);
    char text[8] = "";

    (void)e;
    memcpy(text, p, n < 7 ? n : 7);
    v[0] = v[1] = (float)atof(text);
    *out = (struct tensor){DTYPE_FLOAT, SHAPE(1, 2), v};
    return 0;
}

int
tensor_load(const char *path, struct tensor *out, struct err *e)
{
    struct file_map m;
    int rc = file_map(path, &m, e);

    if (rc != 0)
        return rc;
    rc = tensor_parse(m.p, m.bytes, out, e);
    file_unmap(&m);
    return rc;
}

/* --- archives ------------------------------------------------------------ */

struct array {
    const char *name, *type, *shape;
    const void *data;
    size_t bytes;
};

static char folder[64];

static const char *
in_folder(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *
make_npz(const struct array *a, int n, int method)
{
    const char *path = in_folder("set.npz");
    zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    char *kept[8];

    assert_non_null(z);
    for (int i = 0; i < n; i++) {
        char *p = kept[i] = calloc(1, 256 + a[i].bytes);
        int len = snprintf(p + 10, 240,
                           "{'descr': '%s', 'fortran_order': False, "
                           "'shape': %s}\n",
                           a[i].type, a[i].shape);
        zip_source_t *source;
        zip_int64_t at;

        memcpy(p, "\x93NUMPY\x01\x00", 8);
        p[8] = (char)len;
        if (a[i].bytes > 0)
            memcpy(p + 10 + len, a[i].data, a[i].bytes);
        source = zip_source_buffer(z, p, 10 + (size_t)len + a[i].bytes, 0);
        at = zip_file_add(z, a[i].name, source, ZIP_FL_ENC_UTF_8);
        assert_true(at >= 0);
        zip_set_file_compression(z, (zip_uint64_t)at, method, 0);
    }
    assert_int_equal(zip_close(z), 0);
    for (int i = 0; i < n; i++)
        free(kept[i]);
    return path;
}

static int
make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dataXXXXXX");
    return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **state)
{
    struct err e;

    (void)state;
    return file_remove(folder, &e);
}

static const float xs[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
static const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
static const int32_t classes[] = {0, 1, 2, 1, 0};
static const float ys[15] = {0, 1, 2, 3};

#define X                                                                      \
    {                                                                          \
        "x.npy", "<f4", "(5, 2)", xs, sizeof xs                                \
    }
#define LABELS                                                                 \
    {                                                                          \
        "labels.npy", "<i4", "(5,)", classes, sizeof classes                   \
    }
#define Y                                                                      \
    {                                                                          \
        "y.npy", "<f4", "(5, 3)", ys, sizeof ys                                \
    }

/* --- tests ------------------------------------------------------------------
 */

static void
rows_come_in_order_and_again(void **state)
{
    const struct array a[] = {X, LABELS, Y};
    struct data_batch b;
    struct data *d;
    struct err e;

    (void)state;
    for (int method = 0; method < 2; method++) {
        const char *path =
            make_npz(a, 3, method ? ZIP_CM_DEFLATE : ZIP_CM_STORE);

        assert_int_equal(data_open(path, &one, DATA_VALIDATION, &d, &e), 0);
        assert_int_equal(data_n(d), 5);
        assert_true(data_has_labels(d) && data_has_outputs(d));
        for (int pass = 0; pass < 2; pass++) {
            assert_int_equal(data_next(d, 3, &b, &e), 0);
            assert_int_equal(b.rows, 3);
            assert_true(shape_equal(&b.in[0].shape, &SHAPE(3, 2)));
            assert_memory_equal(b.in[0].data, xs, 6 * sizeof *xs);
            assert_int_equal(b.labels[2], 2);
            assert_memory_equal(b.want[0].data, ys, 9 * sizeof *ys);
            assert_int_equal(data_next(d, 3, &b, &e), 0);
            assert_int_equal(b.rows, 2);
            assert_memory_equal(b.in[0].data, xs + 6, 4 * sizeof *xs);
            assert_int_equal(data_next(d, 3, &b, &e), 0);
            assert_int_equal(b.rows, 0);
            assert_int_equal(data_rewind(d, &e), 0);
        }
        assert_int_equal(seen_n(data_seen(d)), 5);
        data_free(&d);
    }
}

static void
integers_become_floats_and_names_do_not_matter(void **state)
{
    const struct array a[] = {
        {"images.npy", "|u1", "(5, 2)", bytes, sizeof bytes}, LABELS};
    struct data_batch b;
    struct data *d;
    struct err e;

    (void)state;
    assert_int_equal(data_open(make_npz(a, 2, ZIP_CM_DEFLATE), &one,
                               DATA_CALIBRATION, &d, &e),
                     0);
    assert_false(data_has_labels(d));
    assert_int_equal(data_next(d, 5, &b, &e), 0);
    assert_memory_equal(b.in[0].data, xs, sizeof xs);
    assert_null(b.labels);
    data_free(&d);
}

static void
whole_inputs_come_one_by_one(void **state)
{
    const int64_t ks[] = {8, 16, 8, 16, 8};
    const struct array a[] = {X, {"k.npy", "<i8", "(5,)", ks, sizeof ks}};
    struct data_batch b;
    struct data *d;
    struct err e;

    (void)state;
    assert_int_equal(
        data_open(make_npz(a, 2, ZIP_CM_STORE), &two, DATA_VALIDATION, &d, &e),
        0);
    assert_int_equal(data_next(d, 4, &b, &e), 0);
    assert_int_equal(b.rows, 1);
    assert_true(shape_equal(&b.in[0].shape, &SHAPE(1, 2)));
    assert_int_equal(b.in[1].shape.rank, 0);
    assert_int_equal(data_next(d, 4, &b, &e), 0);
    assert_int_equal(*(int64_t *)b.in[1].data, 16);
    data_free(&d);
}

static void
a_limit_spreads_over_the_set(void **state)
{
    const struct array a[] = {X};
    struct data_batch b;
    struct data *d;
    struct err e;

    (void)state;
    assert_int_equal(data_open(make_npz(a, 1, ZIP_CM_DEFLATE), &one,
                               DATA_CALIBRATION, &d, &e),
                     0);
    data_limit(d, 2);
    assert_int_equal(data_n(d), 2);
    assert_int_equal(data_next(d, 4, &b, &e), 0);
    assert_int_equal(b.rows, 2);
    assert_true(((float *)b.in[0].data)[0] == 4);
    assert_true(((float *)b.in[0].data)[2] == 8);
    assert_int_equal(data_left(d), 0);
    data_free(&d);
}

static void
duplicates_and_moments_are_seen(void **state)
{
    const float other[] = {2, 3, 100, 100, 8, 9};
    const struct array a[] = {X};
    const struct array c[] = {{"x.npy", "<f4", "(3, 2)", other, sizeof other}};
    struct data *d, *f;
    struct data_batch b;
    struct seen_stats st;
    struct err e;

    (void)state;
    assert_int_equal(
        data_open(make_npz(a, 1, ZIP_CM_STORE), &one, DATA_CALIBRATION, &d, &e),
        0);
    assert_int_equal(data_next(d, 5, &b, &e), 0);
    unlink(in_folder("set.npz"));
    assert_int_equal(
        data_open(make_npz(c, 1, ZIP_CM_STORE), &one, DATA_CALIBRATION, &f, &e),
        0);
    assert_int_equal(data_next(f, 5, &b, &e), 0);
    assert_int_equal(seen_overlap(data_seen(d), data_seen(f)), 2);
    seen_stats(data_seen(d), 0, &st);
    assert_true(st.mean == 4.5 && st.min == 0 && st.max == 9);
    assert_true(st.std > 2.8722 && st.std < 2.8723);
    data_free(&d);
    data_free(&f);
}

/* What is wrong with an archive, and a word of the message. */
static void
misfits_are_named(void **state)
{
    static const struct {
        struct array a[2];
        int n;
        const char *word;
    } cases[] = {
        {{{"x.npy", "<f4", "(2, 5)", xs, sizeof xs}}, 1, "expected [n,2]"},
        {{{"x.npy", "<f4", "(10,)", xs, sizeof xs}}, 1, "expected [n,2]"},
        {{{"x.npy", "<f4", "(5, 3)", xs, sizeof xs}}, 1, "40 bytes"},
        {{{"x.npy", "<f4", "(5, 1)", xs, sizeof xs}}, 1, "40 bytes"},
        {{{"x.npy", "<f4", "(0, 2)", xs, 0}}, 1, "no samples"},
        {{{"x.txt", "<f4", "(5, 2)", xs, sizeof xs}}, 1, "no .npy"},
        {{{".npy", "<f4", "(5, 2)", xs, sizeof xs}}, 1, "no .npy"},
        {{X, {"z.npy", "<f4", "(5, 2)", xs, sizeof xs}}, 2, "both"},
        {{X, {"labels.npy", "<f4", "(10,)", xs, sizeof xs}}, 2, "int64[n]"},
        {{X, {"labels.npy", "<i4", "(4,)", classes, 16}}, 2, "4"},
        {{LABELS}, 1, "no array for input 'x'"},
    };
    struct data *d;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make_npz(cases[i].a, cases[i].n, ZIP_CM_DEFLATE);

        assert_int_equal(data_open(path, &one, DATA_VALIDATION, &d, &e),
                         ERR_INVALID);
        if (strstr(e.msg, cases[i].word) == NULL)
            fail_msg("case %zu: %s", i, e.msg);
    }
    {
        const struct array a[] = {X, {"q.npy", "<f4", "(5, 2)", xs, sizeof xs}};

        assert_int_equal(data_open(make_npz(a, 2, ZIP_CM_STORE), &two,
                                   DATA_VALIDATION, &d, &e),
                         ERR_INVALID);
        assert_non_null(strstr(e.msg, "'q' is neither"));
    }
}

/* Reads a whole set; 0 only when nothing is wrong with it. */
static int
read_all(const char *path)
{
    struct data_batch b;
    struct data *d;
    struct err e;
    int rc = data_open(path, &one, DATA_VALIDATION, &d, &e);

    if (rc != 0)
        return rc;
    do
        rc = data_next(d, 2, &b, &e);
    while (rc == 0 && b.rows > 0);
    data_free(&d);
    return rc;
}

static void
broken_archives_are_errors(void **state)
{
    const struct array a[] = {X, LABELS};
    const char *path = in_folder("broken.npz");
    struct file_map m;
    struct err e;
    char *copy;
    int silent = 0;

    (void)state;
    assert_int_equal(file_map(make_npz(a, 2, ZIP_CM_STORE), &m, &e), 0);
    copy = mem_new(1, m.bytes);
    for (size_t n = 0; n < m.bytes; n++) {
        assert_int_equal(file_write(path, m.p, n, &e), 0);
        assert_int_not_equal(read_all(path), 0);
    }
    /* A changed byte may hide where nobody looks (dates), but elements are
     * under the checksum. */
    for (size_t i = 0; i < m.bytes; i++) {
        memcpy(copy, m.p, m.bytes);
        copy[i] ^= 0x41;
        assert_int_equal(file_write(path, copy, m.bytes, &e), 0);
        silent += read_all(path) == 0;
    }
    assert_true(silent < (int)m.bytes / 2);
    for (size_t i = 0; i + sizeof xs <= m.bytes; i++)
        if (memcmp((const char *)m.p + i, xs, sizeof xs) == 0) {
            memcpy(copy, m.p, m.bytes);
            copy[i + 5] ^= 1;
            assert_int_equal(file_write(path, copy, m.bytes, &e), 0);
            assert_int_equal(read_all(path), ERR_INVALID);
        }
    mem_free(copy);
    file_unmap(&m);
    assert_int_equal(read_all(in_folder("absent.npz")), ERR_NOT_FOUND);
    assert_int_equal(read_all("/dev/null"), ERR_INVALID);
}

static void
memory_that_is_short_is_an_error(void **state)
{
    const struct array a[] = {X, LABELS, Y};
    const char *path = make_npz(a, 3, ZIP_CM_DEFLATE);
    unsigned k = 1;

    (void)state;
    for (;; k++) {
        int rc;

        mem_fail_at(k);
        rc = read_all(path);
        mem_fail_at(0);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_NO_MEMORY);
    }
    assert_true(k >= 4);
}

static void
folders_are_sets_too(void **state)
{
    struct data_batch b;
    struct data *d;
    struct err e;
    char name[64], text[8];

    (void)state;
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "test_data_set_%d", i);
        assert_int_equal(mkdir(in_folder(name), 0755), 0);
        snprintf(name, sizeof name, "test_data_set_%d/input_0.pb", i);
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(file_write(in_folder(name), text, strlen(text), &e),
                         0);
    }
    assert_int_equal(data_open(folder, &one, DATA_VALIDATION, &d, &e), 0);
    assert_int_equal(data_n(d), 11);
    assert_false(data_has_outputs(d));
    for (int i = 0; i < 11; i++) {
        assert_int_equal(data_next(d, 4, &b, &e), 0);
        assert_int_equal(b.rows, 1);
        assert_true(*(float *)b.in[0].data == (float)i);
    }
    assert_int_equal(data_next(d, 4, &b, &e), 0);
    assert_int_equal(b.rows, 0);
    data_free(&d);
    assert_int_equal(data_open(folder, &two, DATA_VALIDATION, &d, &e),
                     ERR_INVALID);
}

/* Archives made by tar itself, in each of its formats. */
static void
archives_are_sets_too(void **state)
{
    static const char *const formats[] = {"ustar", "gnu", "pax", "v7"};
    char name[64], text[256];
    struct data_batch b;
    struct data *d;
    struct err e;

    (void)state;
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "test_data_set_%d", i);
        assert_int_equal(mkdir(in_folder(name), 0755), 0);
        snprintf(name, sizeof name, "test_data_set_%d/input_0.pb", i);
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(file_write(in_folder(name), text, strlen(text), &e),
                         0);
    }
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        const char *path = in_folder("set.tar");

        snprintf(text, sizeof text,
                 "cd %s && tar --format=%s -cf set.tar ./test_data_set_*",
                 folder, formats[k]);
        assert_int_equal(system(text), 0);
        assert_int_equal(data_open(path, &one, DATA_VALIDATION, &d, &e), 0);
        assert_int_equal(data_n(d), 11);
        for (int i = 0; i < 11; i++) {
            assert_int_equal(data_next(d, 4, &b, &e), 0);
            assert_true(*(float *)b.in[0].data == (float)i);
        }
        data_free(&d);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_come_in_order_and_again),
        TEST(integers_become_floats_and_names_do_not_matter),
        TEST(whole_inputs_come_one_by_one),
        TEST(a_limit_spreads_over_the_set),
        TEST(duplicates_and_moments_are_seen),
        TEST(misfits_are_named),
        TEST(broken_archives_are_errors),
        TEST(memory_that_is_short_is_an_error),
        TEST(folders_are_sets_too),
        TEST(archives_are_sets_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
