/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer as JSON, and the classification extension.
 *
 * An output in JSON form never gets a "parameters" member: the C++ client
 * takes any output that has one for binary.  What quantd adds is said in the
 * answer's own parameters.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/emit.h"
#include "server/oip.h"

/* --- classification ---------------------------------------------------- */

struct rank {
    double value;
    size_t index;
};

/* Descending; NaN behind all numbers; equal values by index. */
static int
compare(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    bool x_nan = isnan(x->value), y_nan = isnan(y->value);

    if (x_nan != y_nan)
        return x_nan ? 1 : -1;
    if (!x_nan && x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* heap[0] is the last of the n by compare(); heap[i] may be before those below
 * it: puts it where it belongs. */
static void
sift_down(struct rank *heap, size_t n, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        struct rank x = heap[i];

        if (child + 1 < n && compare(&heap[child + 1], &heap[child]) > 0)
            child++;
        if (compare(&x, &heap[child]) >= 0)
            return;
        heap[i] = heap[child];
        heap[child] = x;
    }
}

static double
value_at(const struct tensor *t, size_t i)
{
    const char *p = (const char *)t->data + i * dtype_size(t->dtype);
    uint16_t half;
    float f;
    char text[EMIT_NUMBER];

    switch (t->dtype) {
    case DTYPE_FLOAT:
        memcpy(&f, p, sizeof f);
        return f;
    case DTYPE_FLOAT16:
        memcpy(&half, p, sizeof half);
        return dtype_half_to_float(half);
    case DTYPE_BFLOAT16:
        memcpy(&half, p, sizeof half);
        return dtype_bf16_to_float(half);
    default:
        emit_element(text, t, i);
        return strtod(text, NULL);
    }
}

/* "0.98:3:three" of one class. */
static int
class_text(const struct oip_answer *a, const char *output,
           const struct rank *rank, struct buf *b, struct err *e)
{
    const char *label = a->label(a->arg, output, rank->index);
    char value[EMIT_NUMBER];
    float f = (float)rank->value;

    if (f == rank->value)
        emit_float(value, f);
    else
        emit_double(value, rank->value);
    if (!isfinite(rank->value))
        strcpy(value, isnan(rank->value) ? "nan"
                      : rank->value > 0  ? "inf"
                                         : "-inf");
    if (emit_text(b, value, e) != 0 || emit_text(b, ":", e) != 0 ||
        emit_int(b, (int64_t)rank->index, e) != 0)
        return e->code;
    if (label == NULL)
        return 0;
    if (emit_text(b, ":", e) != 0)
        return e->code;
    return emit_text(b, label, e);
}

/* As an element of the JSON array, or with its length before it. */
static int
put_class(struct buf *text, bool binary, bool first, struct buf *out,
          struct err *e)
{
    uint32_t n = (uint32_t)text->n;

    text->p[n] = '\0';
    if (!binary) {
        if (!first && emit_text(out, ",", e) != 0)
            return e->code;
        return emit_string(out, text->p, e);
    }
    if (buf_add(out, &n, sizeof n, e) != 0) /* little-endian */
        return e->code;
    return buf_add(out, text->p, n, e);
}

/* The k first of the n values from element at on, by compare(). */
static void
best_of(const struct tensor *t, size_t at, size_t n, struct rank *best,
        size_t k)
{
    for (size_t i = 0; i < k; i++)
        best[i] = (struct rank){value_at(t, at + i), i};
    for (size_t i = k / 2; i-- > 0;)
        sift_down(best, k, i);
    for (size_t i = k; i < n; i++) {
        struct rank x = {value_at(t, at + i), i};

        if (compare(&x, &best[0]) < 0) {
            best[0] = x;
            sift_down(best, k, 0);
        }
    }
    qsort(best, k, sizeof *best, compare);
}

/* The k best of each row, as strings. */
static int
classify(const struct oip_answer *a, const char *name, const struct tensor *t,
         int64_t k, bool binary, struct buf *out, struct err *e)
{
    size_t rows = a->batched ? (size_t)t->shape.dim[0] : 1;
    size_t n = shape_n(&t->shape) / rows;
    struct rank *best = mem_try((size_t)k, sizeof *best);
    struct buf *text = NULL;
    int rc = 0;

    if (best == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory to rank %zu classes", n);
    if (buf_new(256, &text, e) != 0) {
        mem_free(best);
        return e->code;
    }
    for (size_t r = 0; r < rows && rc == 0 && k > 0; r++) {
        best_of(t, r * n, n, best, (size_t)k);
        for (size_t i = 0; i < (size_t)k && rc == 0; i++) {
            text->n = 0;
            rc = class_text(a, name, &best[i], text, e);
            if (rc == 0)
                rc = put_class(text, binary, r == 0 && i == 0, out, e);
        }
    }
    buf_free(&text);
    mem_free(best);
    return rc;
}

static struct shape
classes_shape(const struct oip_answer *a, const struct tensor *t, int64_t *k)
{
    int64_t rows = a->batched ? t->shape.dim[0] : 1;
    int64_t n = rows > 0 ? (int64_t)shape_n(&t->shape) / rows : 0;

    if (*k > n)
        *k = n;
    return a->batched ? SHAPE(rows, *k) : SHAPE(*k);
}

/* --- the JSON ---------------------------------------------------------- */

static int
put_shape(struct buf *b, const struct shape *s, struct err *e)
{
    if (emit_text(b, ",\"shape\":[", e) != 0)
        return e->code;
    for (int i = 0; i < s->rank; i++)
        if ((i > 0 && emit_text(b, ",", e) != 0) ||
            emit_int(b, s->dim[i], e) != 0)
            return e->code;
    return emit_text(b, "]", e);
}

/* {"name":...,"datatype":...,"shape":[...] with nothing behind it yet. */
static int
begin_output(struct buf *b, const char *name, const char *datatype,
             const struct shape *shape, struct err *e)
{
    if (emit_text(b, "{\"name\":", e) != 0 || emit_string(b, name, e) != 0 ||
        emit_text(b, ",\"datatype\":\"", e) != 0 ||
        emit_text(b, datatype, e) != 0 || emit_text(b, "\"", e) != 0)
        return e->code;
    return put_shape(b, shape, e);
}

static int
say_binary(struct buf *b, size_t bytes, struct err *e)
{
    if (emit_text(b, ",\"parameters\":{\"binary_data_size\":", e) != 0 ||
        emit_int(b, (int64_t)bytes, e) != 0)
        return e->code;
    return emit_text(b, "}", e);
}

static int
put_classes(const struct oip_answer *a, const char *name,
            const struct tensor *t, int64_t k, bool binary, struct buf *b,
            struct buf **classes, struct err *e)
{
    struct shape shape = classes_shape(a, t, &k);

    if (begin_output(b, name, "BYTES", &shape, e) != 0)
        return e->code;
    if (binary) {
        if (buf_new(0, classes, e) != 0 ||
            classify(a, name, t, k, true, *classes, e) != 0)
            return e->code;
        return say_binary(b, (*classes)->n, e);
    }
    if (emit_text(b, ",\"data\":[", e) != 0 ||
        classify(a, name, t, k, false, b, e) != 0)
        return e->code;
    return emit_text(b, "]", e);
}

static int
put_output(const struct oip_request *q, const struct model_io *io,
           const struct oip_answer *a, int i, struct buf *b,
           struct buf **classes, bool *binary, struct err *e)
{
    const struct oip_output *o = a->out[i];
    const struct tensor *t = &a->tensors[i];
    bool is_binary = o->binary < 0 ? q->binary_output : o->binary;

    *binary |= is_binary;
    if (o->classes > 0) {
        if (put_classes(a, io->name, t, o->classes, is_binary, b, classes, e) !=
            0)
            return e->code;
        return emit_text(b, "}", e);
    }
    if (begin_output(b, io->name, oip_datatype(t->dtype), &t->shape, e) != 0)
        return e->code;
    if (is_binary) {
        if (say_binary(b, shape_n(&t->shape) * dtype_size(t->dtype), e) != 0)
            return e->code;
    } else if (emit_text(b, ",\"data\":", e) != 0 || emit_tensor(b, t, e) != 0)
        return e->code;
    return emit_text(b, "}", e);
}

static int
put_head(const struct oip_request *q, const struct oip_answer *a, struct buf *b,
         struct err *e)
{
    if (emit_text(b, "{\"model_name\":", e) != 0 ||
        emit_string(b, a->model_name, e) != 0 ||
        emit_text(b, ",\"model_version\":\"", e) != 0 ||
        emit_int(b, a->version, e) != 0 || emit_text(b, "\"", e) != 0)
        return e->code;
    if (q->id != NULL &&
        (emit_text(b, ",\"id\":", e) != 0 || emit_string(b, q->id, e) != 0))
        return e->code;
    if (emit_text(b, ",\"parameters\":{\"variant\":", e) != 0 ||
        emit_string(b, a->variant, e) != 0)
        return e->code;
    return emit_text(b, "},\"outputs\":[", e);
}

int
oip_write(const struct oip_request *q, const struct model *m,
          const struct oip_answer *a, struct buf **head, struct buf **classes,
          bool *binary, struct err *e)
{
    struct buf *b;
    bool first = true;
    int rc;

    *binary = false;
    if (buf_new(1024, &b, e) != 0)
        return e->code;
    rc = put_head(q, a, b, e);
    for (int i = 0; rc == 0 && i < model_n_outputs(m); i++) {
        if (a->out[i] == NULL)
            continue;
        if (!first)
            rc = emit_text(b, ",", e);
        first = false;
        if (rc == 0)
            rc = put_output(q, model_output(m, i), a, i, b, &classes[i], binary,
                            e);
    }
    if (rc == 0)
        rc = emit_text(b, "]}", e);
    if (rc != 0) {
        buf_free(&b);
        return rc;
    }
    *head = b;
    return 0;
}
