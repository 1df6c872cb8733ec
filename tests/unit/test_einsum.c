/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op/one_node.h"

static const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};

static void
begin(struct one *c, const char *equation, const struct shape *a,
      const struct shape *b)
{
    one_begin(c);
    one_in(c, DTYPE_FLOAT, a, numbers);
    if (b != NULL)
        one_in(c, DTYPE_FLOAT, b, numbers);
    one_node(c, OP_EINSUM, 1);
    attr_set_string(c->g, c->n, "equation", equation);
}

static void
usual_products(void **state)
{
    const struct shape two = SHAPE(2, 2), three = SHAPE(2, 2, 2);
    const struct shape row = SHAPE(2), one = SHAPE(1, 2);
    struct one c;

    (void)state;
    begin(&c, "ij,jk->ik", &two, &two);
    WANT_F(&c, 0, SHAPE(2, 2), 7, 10, 15, 22);
    one_end(&c);
    begin(&c, " i j , j k ", &two, &two);
    WANT_F(&c, 0, SHAPE(2, 2), 7, 10, 15, 22);
    one_end(&c);
    begin(&c, "ba", &two, NULL); /* in order of the alphabet */
    WANT_F(&c, 0, SHAPE(2, 2), 1, 3, 2, 4);
    one_end(&c);
    begin(&c, "ii->i", &two, NULL);
    WANT_F(&c, 0, SHAPE(2), 1, 4);
    one_end(&c);
    begin(&c, "ii", &two, NULL);
    WANT_F(&c, 0, SCALAR, 5);
    one_end(&c);
    begin(&c, "i,j->ij", &row, &row);
    WANT_F(&c, 0, SHAPE(2, 2), 1, 2, 2, 4);
    one_end(&c);
    begin(&c, "...ij,...jk->...ik", &three, &two);
    WANT_F(&c, 0, SHAPE(2, 2, 2), 7, 10, 15, 22, 23, 34, 31, 46);
    one_end(&c);
    begin(&c, "ij,ij->ij", &two, &one); /* an axis of 1 is repeated */
    WANT_F(&c, 0, SHAPE(2, 2), 1, 4, 3, 8);
    one_end(&c);
}

static void
sums_of_nothing(void **state)
{
    struct one c;

    (void)state;
    begin(&c, "ij,jk->ik", &SHAPE(2, 0), &SHAPE(0, 1));
    WANT_F(&c, 0, SHAPE(2, 1), 0, 0);
    one_end(&c);
    begin(&c, "ij->ji", &SHAPE(2, 0), NULL);
    WANT_F(&c, 0, SHAPE(0, 2), 0);
    one_end(&c);
}

static void
integers_wrap(void **state)
{
    struct one c;

    (void)state;
    one_begin(&c);
    IN_I(&c, SHAPE(2), INT64_MAX, 1);
    IN_I(&c, SHAPE(2), 1, 1);
    one_node(&c, OP_EINSUM, 1);
    attr_set_string(c.g, c.n, "equation", "i,i->");
    WANT_I(&c, 0, SCALAR, INT64_MIN);
    one_end(&c);
}

static void
refuses_equations(void **state)
{
    static const struct {
        const char *equation, *says;
    } bad[] = {
        {"", "rank 2"},
        {"ij", "1 inputs, the node 2"},
        {"ij,jk,kl", "3 inputs, the node 2"},
        {"ij,j1->i", "wrong at \"1->i\""},
        {"ij,jk->i->k", "wrong at \"->k\""},
        {"ij,jk->i,k", "wrong at \",k\""},
        {"ij,jk->il", "an axis of no input"},
        {"ij,jk->ii", "names an axis twice"},
        {"ij,jk->...", "an axis of no input"},
        {"ijk,jk", "3 axes for a tensor of rank 2"},
        {"......,jk", "wrong at"},
        {"ij,jj->i", "should be"},
        {"ij,jk-", "wrong at \"-\""},
    };
    struct one c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(&c, bad[i].equation, &SHAPE(2, 2), &SHAPE(2, 3));
        if (i == 0) {
            one_end(&c);
            begin(&c, "", &SHAPE(2, 2), NULL);
        }
        one_fails(&c, ERR_INVALID, bad[i].says);
        one_end(&c);
    }
    begin(&c, "abcdefghij", &SHAPE(1, 1), NULL);
    one_fails(&c, ERR_UNSUPPORTED, "over 8 axes");
    one_end(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_products),
        cmocka_unit_test(sums_of_nothing),
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(refuses_equations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
