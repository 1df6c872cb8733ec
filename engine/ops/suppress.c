/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NonMaxSuppression: of boxes that overlap, the one with the highest score.
 * How many are left depends on the boxes, so all inputs must be constants.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ops/rule.h"

enum { BOXES, SCORES, MOST, OVERLAP, LEAST };

/* The inputs, and what is found: rows of batch, class, box. */
struct suppress {
    int64_t B, C, N;
    const float *boxes, *scores; /* [B,N,4] [B,C,N] */
    int64_t most;                /* of a class */
    float overlap, least;
    bool has_least, center;
    int64_t *kept;  /* [N]: indices of boxes of a class */
    int64_t *order; /* [N]: those not looked at yet, best first */
};

struct box {
    float y0, x0, y1, x1;
};

static struct box
box_of(const struct suppress *v, int64_t batch, int64_t i)
{
    const float *p = v->boxes + (batch * v->N + i) * 4;

    if (v->center) /* x, y, width, height */
        return (struct box){p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2,
                            p[0] + p[2] / 2};
    return (struct box){p[0] < p[2] ? p[0] : p[2], p[1] < p[3] ? p[1] : p[3],
                        p[0] < p[2] ? p[2] : p[0], p[1] < p[3] ? p[3] : p[1]};
}

/* Intersection over union is above the threshold. */
static bool
overlap(const struct suppress *v, struct box a, struct box b)
{
    const float y0 = a.y0 > b.y0 ? a.y0 : b.y0;
    const float x0 = a.x0 > b.x0 ? a.x0 : b.x0;
    const float h = (a.y1 < b.y1 ? a.y1 : b.y1) - y0;
    const float w = (a.x1 < b.x1 ? a.x1 : b.x1) - x0;
    const float area_a = (a.y1 - a.y0) * (a.x1 - a.x0);
    const float area_b = (b.y1 - b.y0) * (b.x1 - b.x0);

    if (!(h > 0 && w > 0 && area_a > 0 && area_b > 0))
        return false;
    return h * w / (area_a + area_b - h * w) > v->overlap;
}

/* Does box a come before b?  Of equal scores the first does. */
static bool
before(const float *score, int64_t a, int64_t b)
{
    return score[a] > score[b] || (!(score[a] < score[b]) && a < b);
}

/* Heap sort, the last to come at the top. */
static void
sift(const float *score, int64_t *heap, int64_t n, int64_t at)
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        int64_t t = heap[at];

        if (child + 1 < n && before(score, heap[child], heap[child + 1]))
            child++;
        if (before(score, heap[child], t))
            return;
        heap[at] = heap[child];
        heap[child] = t;
    }
}

static int64_t
sort_boxes(const struct suppress *v, const float *score)
{
    int64_t n = 0;

    for (int64_t i = 0; i < v->N; i++)
        if (!v->has_least || score[i] > v->least)
            v->order[n++] = i;
    for (int64_t i = n / 2; i-- > 0;)
        sift(score, v->order, n, i);
    for (int64_t i = n; i-- > 1;) {
        int64_t last = v->order[0];

        v->order[0] = v->order[i];
        v->order[i] = last;
        sift(score, v->order, i, 0);
    }
    return n;
}

/* Boxes of one class into kept; returns how many. */
static int64_t
suppress_class(const struct suppress *v, int64_t batch, int64_t class)
{
    const int64_t n = sort_boxes(v, v->scores + (batch * v->C + class) * v->N);
    int64_t kept = 0;

    for (int64_t i = 0; i < n && kept < v->most; i++) {
        const struct box b = box_of(v, batch, v->order[i]);
        bool hidden = false;

        for (int64_t k = 0; !hidden && k < kept; k++)
            hidden = overlap(v, box_of(v, batch, v->kept[k]), b);
        if (!hidden)
            v->kept[kept++] = v->order[i];
    }
    return kept;
}

/* All classes; rows go to y unless it is NULL.  Returns how many. */
static int64_t
suppress_all(const struct suppress *v, int64_t *y)
{
    int64_t rows = 0;

    for (int64_t i = 0; i < v->B * v->C; i++) {
        int64_t n = suppress_class(v, i / v->C, i % v->C);

        for (int64_t k = 0; y != NULL && k < n; k++) {
            *y++ = i / v->C;
            *y++ = i % v->C;
            *y++ = v->kept[k];
        }
        rows += n;
    }
    return rows;
}

/* --- rule -------------------------------------------------------------------
 */

static int
check_inputs(const struct graph *g, const struct node *n, struct err *e)
{
    const struct shape *b = &node_in(g, n, BOXES)->shape;
    const struct shape *s = &node_in(g, n, SCORES)->shape;
    char bt[SHAPE_TEXT], st[SHAPE_TEXT];

    for (int i = 0; i < n->n_own; i++) {
        const struct value *v = node_in(g, n, i);

        if (rule_type(g, n, i, i == MOST ? TYPE(INT64) : TYPE(FLOAT), e) != 0)
            return e->code;
        if (v != NULL && i >= MOST && shape_n(&v->shape) != 1)
            return err_set(e, ERR_INVALID, "input %s is no scalar", v->name);
    }
    if (b->rank != 3 || s->rank != 3 || b->dim[2] != 4 ||
        b->dim[0] != s->dim[0] || b->dim[1] != s->dim[2])
        return err_set(e, ERR_INVALID, "boxes %s do not fit to scores %s",
                       shape_text(b, bt), shape_text(s, st));
    return 0;
}

static struct suppress
read_suppress(const struct graph *g, const struct node *n, void *const *in)
{
    const struct shape *scores = &node_in(g, n, SCORES)->shape;
    struct suppress v = {
        .B = scores->dim[0],
        .C = scores->dim[1],
        .N = scores->dim[2],
        .boxes = in[BOXES],
        .scores = in[SCORES],
        .center = attr_int(n, "center_point_box", 0) != 0,
        .has_least = node_in(g, n, LEAST) != NULL,
    };

    if (node_in(g, n, MOST) != NULL)
        v.most = *(const int64_t *)in[MOST];
    if (node_in(g, n, OVERLAP) != NULL)
        v.overlap = *(const float *)in[OVERLAP];
    if (v.has_least)
        v.least = *(const float *)in[LEAST];
    return v;
}

int
suppress_infer(struct graph *g, struct node *n, struct err *e)
{
    void *in[LEAST + 1] = {NULL};
    struct suppress v;
    int64_t rows;

    if (check_inputs(g, n, e) != 0)
        return e->code;
    for (int i = 0; i < n->n_own; i++) {
        const struct value *x = node_in(g, n, i);

        if (x != NULL && x->data == NULL)
            return err_set(e, ERR_UNSUPPORTED,
                           "the number of boxes depends on data: input %s is "
                           "no constant",
                           x->name);
        in[i] = x == NULL ? NULL : (void *)x->data;
    }
    v = read_suppress(g, n, in);
    v.kept = mem_try((size_t)v.N, 2 * sizeof *v.kept);
    if (v.kept == NULL)
        return err_set(e, ERR_NO_MEMORY, "%" PRId64 " boxes", v.N);
    v.order = v.kept + v.N;
    rows = suppress_all(&v, NULL);
    mem_free(v.kept);
    return rule_out(g, n, 0, DTYPE_INT64, &SHAPE(rows, 3), e);
}

static int
suppress_prepare(const struct graph *g, const struct node *n, struct step *s,
                 struct weights *w, struct err *e)
{
    (void)w;
    (void)e;
    s->scratch_bytes =
        (size_t)node_in(g, n, SCORES)->shape.dim[2] * 2 * sizeof(int64_t);
    return 0;
}

static int
suppress_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    struct suppress v = read_suppress(s->graph, s->node, io);

    (void)state;
    (void)e;
    v.kept = scratch;
    v.order = v.kept + v.N;
    suppress_all(&v, step_io_out(s, io, 0));
    return 0;
}

KERNEL(NON_MAX_SUPPRESSION, "suppress", .prepare = suppress_prepare,
       .run = suppress_run);
