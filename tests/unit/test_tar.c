/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "quant/tar.h"

static char folder[64], path[96];

static int
make_archive(void **state)
{
    char command[512];

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tarXXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/a.tar", folder);
    snprintf(command, sizeof command,
             "cd %s && n=$(printf '%%0150d' 7) && mkdir -p d/$n && "
             "echo one >d/one && echo long >d/$n/long && : >d/empty && "
             "ln -s one d/link && tar --format=gnu -cf a.tar ./d",
             folder);
    return system(command);
}

static int
remove_folder(void **state)
{
    struct err e;

    (void)state;
    return file_remove(folder, &e);
}

static void
files_are_listed(void **state)
{
    const struct tar_file *f;
    struct tar *t;
    struct err e;

    (void)state;
    assert_true(tar_is(path));
    assert_int_equal(tar_open(path, &t, &e), 0);
    assert_int_equal(tar_n(t), 3); /* no folders, no links */
    f = tar_find(t, "d/one");
    assert_non_null(f);
    assert_int_equal(f->bytes, 4);
    assert_memory_equal(f->p, "one\n", 4);
    assert_int_equal(tar_find(t, "d/empty")->bytes, 0);
    assert_null(tar_find(t, "d/link"));
    for (size_t i = 0; i < tar_n(t); i++)
        if (strlen(tar_at(t, i)->name) > 150)
            assert_memory_equal(tar_at(t, i)->p, "long\n", 5);
    tar_free(&t);
}

/* Cut off or changed anywhere: an error or fewer files, never a crash. */
static void
broken_archives_do_no_harm(void **state)
{
    struct file_map m;
    struct tar *t;
    struct err e;
    char *copy;

    (void)state;
    assert_int_equal(file_map(path, &m, &e), 0);
    copy = malloc(m.bytes);
    for (size_t n = 0; n < m.bytes; n += 97) {
        assert_int_equal(file_write(path, m.p, n, &e), 0);
        if (tar_open(path, &t, &e) == 0)
            tar_free(&t);
    }
    for (size_t i = 0; i < m.bytes; i += 3) {
        memcpy(copy, m.p, m.bytes);
        copy[i] = (char)(copy[i] ^ 0x35);
        assert_int_equal(file_write(path, copy, m.bytes, &e), 0);
        if (tar_open(path, &t, &e) == 0)
            tar_free(&t);
    }
    free(copy);
    file_unmap(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_listed, make_archive,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(broken_archives_do_no_harm,
                                        make_archive, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
