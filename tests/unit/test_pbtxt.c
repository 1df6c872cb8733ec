/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/pbtxt.h"

static const char triton[] =
    "# a comment\n"
    "name: \"densenet_onnx\"\n"
    "platform: 'onnxruntime_onnx'\n"
    "max_batch_size : 8;\n"
    "input [\n"
    "  { name: \"data_0\" data_type: TYPE_FP32 format: FORMAT_NCHW\n"
    "    dims: [ 3, 224, 224 ] }\n"
    "]\n"
    "output { name: \"fc6_1\", dims: [ 1000 ] # another\n"
    "  label_filename: \"densenet\" \"_labels\\x2etxt\" }\n"
    "output < name: \"second\" dims: [] >\n"
    "dynamic_batching { preferred_batch_size: [ 4, 8 ]\n"
    "  max_queue_delay_microseconds: 100 }\n"
    "parameters: { key: \"k\" value: { string_value: \"a\\n\\101\" } }\n";

static void
a_triton_file_is_read(void **state)
{
    struct pbtxt *p;
    const struct pbtxt *f;
    struct err e = {0};
    long v;

    (void)state;
    if (pbtxt_parse(triton, sizeof triton - 1, &p, &e) != 0)
        fail_msg("%s", e.msg);
    assert_string_equal(pbtxt_get(p, "name")->value, "densenet_onnx");
    assert_string_equal(pbtxt_get(p, "platform")->value, "onnxruntime_onnx");
    assert_int_equal(pbtxt_int(pbtxt_get(p, "max_batch_size"), 0, 99, &v, &e),
                     0);
    assert_int_equal(v, 8);
    assert_int_equal(pbtxt_int(pbtxt_get(p, "max_batch_size"), 0, 7, &v, &e),
                     ERR_INVALID);
    assert_string_equal(e.msg, "line 4: max_batch_size: 0 to 7 wanted");
    f = pbtxt_get(p, "input");
    assert_int_equal(f->n_fields, 6);
    assert_string_equal(f->fields[5].value, "224");
    assert_string_equal(pbtxt_get(p, "output")->fields[0].value, "second");
    for (size_t i = 0; i < p->n_fields; i++)
        if (strcmp(p->fields[i].name, "output") == 0) {
            f = pbtxt_get(&p->fields[i], "label_filename");
            assert_string_equal(f->value, "densenet_labels.txt");
            break;
        }
    f = pbtxt_get(pbtxt_get(p, "dynamic_batching"), "preferred_batch_size");
    assert_string_equal(f->value, "8");
    f = pbtxt_get(pbtxt_get(p, "parameters"), "value");
    assert_string_equal(pbtxt_get(f, "string_value")->value, "a\nA");
    assert_null(pbtxt_get(p, "nothing"));
    pbtxt_free(&p);
    assert_null(p);
}

/* Every beginning of a good text is either good or refused, never a crash. */
static void
cut_anywhere(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof triton; n++) {
        char *cut = malloc(n + 1); /* exact: the sanitizer sees overruns */
        struct pbtxt *p = NULL;
        struct err e;

        assert_non_null(cut);
        memcpy(cut, triton, n);
        if (pbtxt_parse(cut, n, &p, &e) == 0)
            pbtxt_free(&p);
        free(cut);
    }
}

static void
nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "name \"x\"", "name: ",   "a { b: 1",   "a: [1, 2", "a: [1 2]",
        "}",          "a: \"x",   "a: \"x\n\"", ": 1",      "a: \"\\000\"",
        "a { b: 1 >", "\"a\": 1", "a: [,]",     "a::1",
    };
    char deep[1001];
    struct pbtxt *p;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pbtxt_parse(bad[i], strlen(bad[i]), &p, &e) != ERR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
    for (size_t i = 0; i < 1000; i += 2)
        memcpy(deep + i, "a{", 2);
    assert_int_equal(pbtxt_parse(deep, 1000, &p, &e), ERR_INVALID);
    assert_string_equal(e.msg, "line 1: nested too deep");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_triton_file_is_read),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
