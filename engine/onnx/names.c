/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/onnx/onnx.h"

void
names_add(struct names *n, const char *text, int id)
{
    VEC_PUSH(&n->all, (struct name){text, id});
}

static int
compare(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int by_text = strcmp(x->text, y->text);

    return by_text != 0 ? by_text : (x->id > y->id) - (x->id < y->id);
}

void
names_sort(struct names *n)
{
    if (n->all.n > 0)
        qsort(n->all.at, n->all.n, sizeof *n->all.at, compare);
    n->n_sorted = n->all.n;
}

int
names_find(const struct names *n, const char *text)
{
    size_t low = 0, high = n->n_sorted;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(n->all.at[mid].text, text) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n->n_sorted && strcmp(n->all.at[low].text, text) == 0
               ? n->all.at[low].id
               : -1;
}

const char *
names_twice(const struct names *n)
{
    for (size_t i = 1; i < n->n_sorted; i++)
        if (strcmp(n->all.at[i - 1].text, n->all.at[i].text) == 0)
            return n->all.at[i].text;
    return NULL;
}

const char *
names_fresh(struct names *n, struct arena *a, const char *base)
{
    size_t len = strlen(base) + sizeof "_q4294967295";
    char *text = arena_new_in(a, len, 1);

    /* The number tells two made-up names apart, whatever their bases. */
    do
        snprintf(text, len, "%s_q%u", base, n->fresh++);
    while (names_find(n, text) >= 0);
    return text;
}

void
names_free(struct names *n)
{
    mem_free(n->all.at);
    *n = (struct names){0};
}

/* Bytes of the UTF-8 character at s, or 0 when there is none (RFC 3629). */
static int
character(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || (s[1] & 0xc0) != 0x80)
        return 0;
    if (s[0] < 0xe0)
        return 2;
    if ((s[2] & 0xc0) != 0x80 || (s[0] == 0xe0 && s[1] < 0xa0) ||
        (s[0] == 0xed && s[1] > 0x9f))
        return 0;
    if (s[0] < 0xf0)
        return 3;
    if ((s[3] & 0xc0) != 0x80 || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return 4;
}

int
name_check(const char *name, const char *what, struct err *e)
{
    size_t len = 0;

    while (name[len] != '\0') {
        int n = character((const unsigned char *)name + len);

        if (n == 0)
            return err_set(e, ERR_INVALID, "%s \"%s\" is not UTF-8", what,
                           label(name).text);
        len += (size_t)n;
        if (len > ONNX_MAX_NAME)
            return err_set(e, ERR_INVALID, "%s \"%s\" is longer than %d bytes",
                           what, label(name).text, ONNX_MAX_NAME);
    }
    return 0;
}

struct label
label(const char *name)
{
    struct label l = {""};
    size_t at = 0, room = sizeof l.text - sizeof "...";

    while (name[at] != '\0') {
        int n = character((const unsigned char *)name + at);

        if (n == 0 || at + (size_t)n > room) {
            strcpy(l.text + at, "...");
            break;
        }
        memcpy(l.text + at, name + at, (size_t)n);
        at += (size_t)n;
    }
    return l;
}
