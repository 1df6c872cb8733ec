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

/* Boxes kept so far, a column each, so that many are compared at once. */
struct kept {
    int64_t *index;
    float *y0, *x0, *y1, *x1, *area;
};

enum { KEPT_COLUMNS = 5, LANES = 16 };

/* The inputs, and what is found: rows of batch, class, box. */
struct suppress {
    int64_t B, C, N;
    const float *boxes, *scores; /* [B,N,4] [B,C,N] */
    int64_t most;                /* of a class */
    float overlap, least;
    bool has_least, center;
    struct kept kept; /* [N, rounded up to LANES] */
    int64_t *order;   /* [N]: those not looked at yet, best first */
};

struct box {
    float y0, x0, y1, x1;
};

static size_t
rounded(int64_t n)
{
    return ((size_t)n + LANES - 1) / LANES * LANES;
}

/* Bytes that lay_out() takes for n boxes. */
static size_t
work_bytes(int64_t n)
{
    return rounded(n) *
           (2 * sizeof(int64_t) + (size_t)KEPT_COLUMNS * sizeof(float));
}

static void
lay_out(struct suppress *v, void *bytes)
{
    const size_t n = rounded(v->N);
    float *f;

    v->order = bytes;
    v->kept.index = v->order + n;
    f = (float *)(void *)(v->kept.index + n);
    v->kept.y0 = f;
    v->kept.x0 = f + n;
    v->kept.y1 = f + 2 * n;
    v->kept.x1 = f + 3 * n;
    v->kept.area = f + 4 * n;
}

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

static float
area_of(struct box b)
{
    return (b.y1 - b.y0) * (b.x1 - b.x0);
}

/* Is b hidden by one of the LANES boxes from `at` on: intersection over union
 * above the threshold?  No branches, so that it is vector code. */
static bool
hidden_by(const struct kept *k, size_t at, struct box b, float area,
          float threshold)
{
    int hidden = 0;

    for (size_t i = at; i < at + LANES; i++) {
        float y0 = k->y0[i] > b.y0 ? k->y0[i] : b.y0;
        float x0 = k->x0[i] > b.x0 ? k->x0[i] : b.x0;
        float h = (k->y1[i] < b.y1 ? k->y1[i] : b.y1) - y0;
        float w = (k->x1[i] < b.x1 ? k->x1[i] : b.x1) - x0;
        float both = h * w;

        hidden |= (h > 0) & (w > 0) & (k->area[i] > 0) & (area > 0) &
                  (both / (k->area[i] + area - both) > threshold);
    }
    return hidden != 0;
}

static void
keep(struct kept *k, int64_t n, int64_t index, struct box b, float area)
{
    k->index[n] = index;
    k->y0[n] = b.y0;
    k->x0[n] = b.x0;
    k->y1[n] = b.y1;
    k->x1[n] = b.x1;
    k->area[n] = area;
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
suppress_class(struct suppress *v, int64_t batch, int64_t class)
{
    const int64_t n = sort_boxes(v, v->scores + (batch * v->C + class) * v->N);
    int64_t kept = 0;

    /* What is behind the last one kept hides nothing. */
    memset(v->kept.area, 0, rounded(n) * sizeof *v->kept.area);
    for (int64_t i = 0; i < n && kept < v->most; i++) {
        const struct box b = box_of(v, batch, v->order[i]);
        const float area = area_of(b);
        bool hidden = false;

        for (size_t k = 0; !hidden && k < (size_t)kept; k += LANES)
            hidden = hidden_by(&v->kept, k, b, area, v->overlap);
        if (!hidden)
            keep(&v->kept, kept++, v->order[i], b, area);
    }
    return kept;
}

/* All classes; rows go to y unless it is NULL.  Returns how many. */
static int64_t
suppress_all(struct suppress *v, int64_t *y)
{
    int64_t rows = 0;

    for (int64_t i = 0; i < v->B * v->C; i++) {
        int64_t n = suppress_class(v, i / v->C, i % v->C);

        for (int64_t k = 0; y != NULL && k < n; k++) {
            *y++ = i / v->C;
            *y++ = i % v->C;
            *y++ = v->kept.index[k];
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
    void *work;

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
    work = mem_try(1, work_bytes(v.N));
    if (work == NULL)
        return err_set(e, ERR_NO_MEMORY, "%" PRId64 " boxes", v.N);
    lay_out(&v, work);
    rows = suppress_all(&v, NULL);
    mem_free(work);
    return rule_out(g, n, 0, DTYPE_INT64, &SHAPE(rows, 3), e);
}

static int
suppress_prepare(const struct graph *g, const struct node *n, struct step *s,
                 struct weights *w, struct err *e)
{
    (void)w;
    (void)e;
    s->scratch_bytes = work_bytes(node_in(g, n, SCORES)->shape.dim[2]);
    return 0;
}

static int
suppress_run(const struct step *s, void *const *io, void *scratch, void *state,
             struct err *e)
{
    struct suppress v = read_suppress(s->graph, s->node, io);

    (void)state;
    (void)e;
    lay_out(&v, scratch);
    suppress_all(&v, step_io_out(s, io, 0));
    return 0;
}

KERNEL(NON_MAX_SUPPRESSION, "suppress", .prepare = suppress_prepare,
       .run = suppress_run);
