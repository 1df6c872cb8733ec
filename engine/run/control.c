/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source: the operator texts of If, Loop and Scan in ONNX, opsets 11 to 16.
 */
#include "engine/run/control.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "engine/run/session.h"

/* What a run of a body costs besides its nodes, in their measure: about a
 * microsecond of the fastest kernels. */
enum { BODY_WORK = 1 << 16 };

/* Bytes of our own that grow. */
struct buffer {
    void *p;
    size_t room;
};

/*
 * Names that go round: what is carried from one run of the body to the next,
 * or rows gathered from all runs.
 */
struct round {
    struct tensor t; /* t.data is in the buffer */
    struct buffer b;
};

struct control {
    struct model *const *bodies;
    struct quota *quota;
    struct session *sessions[2];
    struct tensor *in; /* what the body gets */
    struct round *rounds;
    int n_rounds;
};

struct control *
control_new(struct model *const *bodies, struct quota *q)
{
    struct control *c = mem_new(1, sizeof *c);

    c->bodies = bodies;
    c->quota = q;
    return c;
}

void
control_free(struct control **c)
{
    if (*c == NULL)
        return;
    for (int i = 0; i < (*c)->n_rounds; i++) {
        mem_free((*c)->rounds[i].b.p);
        quota_give((*c)->quota, (*c)->rounds[i].b.room);
    }
    mem_free((*c)->rounds);
    mem_free((*c)->in);
    for (int i = 0; i < 2; i++)
        session_free(&(*c)->sessions[i]);
    mem_free(*c);
    *c = NULL;
}

const struct session *
control_session(const struct control *c, int k)
{
    return c->sessions[k];
}

static size_t
bytes_of(const struct tensor *t)
{
    return shape_n(&t->shape) * dtype_size(t->dtype);
}

/* Room for `bytes`, the first `keep` of which stay. */
static int
reserve(struct control *c, struct buffer *b, size_t bytes, size_t keep,
        struct err *e)
{
    size_t room = bytes < 2 * keep ? 2 * keep : bytes;
    void *p;

    if (b->p != NULL && bytes <= b->room)
        return 0;
    if (quota_take(c->quota, room, e) != 0)
        return e->code;
    p = mem_try_aligned(room);
    if (p == NULL) {
        quota_give(c->quota, room);
        return err_set(e, ERR_NO_MEMORY, "no memory for %zu bytes", room);
    }
    if (keep > 0)
        memcpy(p, b->p, keep);
    quota_give(c->quota, b->room);
    mem_free(b->p);
    *b = (struct buffer){p, room};
    return 0;
}

/* Makes r a copy of t. */
static int
round_set(struct control *c, struct round *r, const struct tensor *t,
          struct err *e)
{
    size_t bytes = bytes_of(t);

    if (reserve(c, &r->b, bytes, 0, e) != 0)
        return e->code;
    if (bytes > 0)
        memcpy(r->b.p, t->data, bytes);
    r->t = (struct tensor){t->dtype, t->shape, r->b.p};
    return 0;
}

/* Appends t as one more row; of the first row are type and shape of all. */
static int
round_append(struct control *c, struct round *r, int64_t rows,
             const struct tensor *t, struct err *e)
{
    size_t bytes = bytes_of(t), have;
    struct shape s = {.rank = t->shape.rank + 1};
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    size_t count;

    if (s.rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_UNSUPPORTED, "rank %d, at most %d is supported",
                       s.rank, SHAPE_MAX_RANK);
    s.dim[0] = rows;
    memcpy(&s.dim[1], t->shape.dim, (size_t)t->shape.rank * sizeof s.dim[0]);
    if (rows > 0 && (r->t.dtype != t->dtype || !shape_equal(&r->t.shape, &s)))
        return err_set(e, ERR_INVALID,
                       "run %" PRId64 " of the body gives %s rows as %s have "
                       "been gathered",
                       rows, shape_text(&t->shape, a),
                       shape_text(&r->t.shape, b));
    s.dim[0] = rows + 1;
    if (shape_count(&s, &count, e) != 0)
        return e->code;
    have = bytes * (size_t)rows;
    if (reserve(c, &r->b, have + bytes, have, e) != 0)
        return e->code;
    if (bytes > 0)
        memcpy((unsigned char *)r->b.p + have, t->data, bytes);
    r->t = (struct tensor){t->dtype, s, r->b.p};
    return 0;
}

/* Nothing gathered: the shape is the declared one, as far as it goes. */
static int
round_empty(struct control *c, struct round *r, const struct model *body,
            int output, struct err *e)
{
    const struct model_io *io = model_output(body, output);
    struct shape s = {.rank = io->shape.rank + 1};

    if (io->dtype == DTYPE_NONE || io->shape.rank < 0 ||
        s.rank > SHAPE_MAX_RANK)
        return err_set(e, ERR_INVALID,
                       "the body runs zero times, and type and rank of its "
                       "output \"%s\" are not declared",
                       io->name);
    for (int i = 0; i < io->shape.rank; i++)
        s.dim[i + 1] = io->shape.dim[i] > 0 ? io->shape.dim[i] : 0;
    if (reserve(c, &r->b, 1, 0, e) != 0)
        return e->code;
    r->t = (struct tensor){io->dtype, s, r->b.p};
    return 0;
}

/* --- one run of a body --------------------------------------------------- */

static struct session *
session_of(struct control *c, int which)
{
    if (c->sessions[which] == NULL)
        c->sessions[which] = session_of_body(c->bodies[which], c->quota);
    return c->sessions[which];
}

/* The body runs with c->in; what has no data is written by the caller. */
static int
shape_body(struct control *c, struct session *s, struct err *e)
{
    if (quota_work(c->quota, BODY_WORK, e) != 0)
        return e->code;
    return session_shape_as(s, c->in, e);
}

static int
run_body(struct control *c, struct session *s, int n_in, struct err *e)
{
    for (int i = 0; i < n_in; i++)
        if (c->in[i].data != NULL && bytes_of(&c->in[i]) > 0)
            memcpy(session_input(s, i), c->in[i].data, bytes_of(&c->in[i]));
    return session_run(s, e);
}

/* What the node captures are the last inputs of the body. */
static void
set_captured(struct control *c, const struct node *n, const struct tensor *now,
             int formal)
{
    for (int i = n->n_own; i < n->n_in; i++)
        c->in[formal + i - n->n_own] = now[n->in[i]];
}

static int
start(struct control *c, const struct node *n, const struct tensor *now,
      int formal, int n_rounds)
{
    int n_in = formal + n->n_in - n->n_own;

    if (c->in == NULL)
        c->in = mem_new((size_t)n_in, sizeof *c->in);
    if (c->rounds == NULL)
        c->rounds = mem_new((size_t)n_rounds, sizeof *c->rounds);
    c->n_rounds = n_rounds;
    set_captured(c, n, now, formal);
    return n_in;
}

/* --- the operators ------------------------------------------------------- */

/* The one number of a condition or a count. */
static int
one_number(const struct tensor *t, const char *what, enum dtype want,
           int64_t *out, struct err *e)
{
    if (t->dtype != want || shape_n(&t->shape) != 1)
        return err_set(e, ERR_INVALID, "%s must be one %s", what,
                       dtype_name(want));
    *out = want == DTYPE_BOOL ? *(const uint8_t *)t->data != 0
                              : *(const int64_t *)t->data;
    return 0;
}

static int
run_if(struct control *c, const struct node *n, struct tensor *now,
       struct err *e)
{
    struct session *s;
    int64_t yes = 0;
    int n_in;

    if (one_number(&now[n->in[0]], "the condition", DTYPE_BOOL, &yes, e) != 0)
        return e->code;
    n_in = start(c, n, now, 0, 0);
    s = session_of(c, yes ? 0 : 1);
    if (shape_body(c, s, e) != 0 || run_body(c, s, n_in, e) != 0)
        return err_wrap(e, yes ? "then_branch" : "else_branch");
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
            now[n->out[k]] = *session_output(s, k);
    return 0;
}

/* One run of Loop's body: what it gives goes into the rounds and *go. */
static int
run_turn(struct control *c, int carried, int n_in, int64_t turn, int64_t *go,
         struct err *e)
{
    struct session *s = session_of(c, 0);

    for (int k = 0; k < carried; k++)
        c->in[2 + k] = c->rounds[k].t;
    if (shape_body(c, s, e) != 0 || run_body(c, s, n_in, e) != 0 ||
        one_number(session_output(s, 0), "what the body says of going on",
                   DTYPE_BOOL, go, e) != 0)
        return e->code;
    for (int k = 0; k < c->n_rounds; k++) {
        const struct tensor *t = session_output(s, 1 + k);

        if ((k < carried ? round_set(c, &c->rounds[k], t, e)
                         : round_append(c, &c->rounds[k], turn, t, e)) != 0)
            return e->code;
    }
    return 0;
}

static int
run_loop(struct control *c, const struct node *n, struct tensor *now,
         struct err *e)
{
    int carried = n->n_own - 2, n_in = start(c, n, now, n->n_own, n->n_out);
    int64_t most = INT64_MAX, turn = 0, go = 1;
    uint8_t going;

    if ((n->in[0] >= 0 && one_number(&now[n->in[0]], "the trip count",
                                     DTYPE_INT64, &most, e) != 0) ||
        (n->in[1] >= 0 &&
         one_number(&now[n->in[1]], "the condition", DTYPE_BOOL, &go, e) != 0))
        return e->code;
    for (int k = 0; k < carried; k++)
        if (n->in[2 + k] < 0)
            return err_set(e, ERR_INVALID, "input %d is absent", 2 + k);
        else if (round_set(c, &c->rounds[k], &now[n->in[2 + k]], e) != 0)
            return e->code;
    c->in[0] = (struct tensor){DTYPE_INT64, {.rank = 0}, &turn};
    c->in[1] = (struct tensor){DTYPE_BOOL, {.rank = 0}, &going};
    for (; turn < most && go; turn++) {
        going = 1;
        if (run_turn(c, carried, n_in, turn, &go, e) != 0)
            return err_wrap(e, "run %" PRId64 " of the body", turn);
    }
    for (int k = carried; turn == 0 && k < c->n_rounds; k++)
        if (round_empty(c, &c->rounds[k], c->bodies[0], 1 + k, e) != 0)
            return e->code;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
            now[n->out[k]] = c->rounds[k].t;
    return 0;
}

/* --- Scan ---------------------------------------------------------------- */

struct scan {
    const struct node *n;
    int states, scanned, gathered;
    int64_t length;
};

/* Entry i of a list attribute of Scan, 0 where the list is absent. */
static int
list_entry(const struct node *n, const char *name, int i, int want,
           int64_t *out, struct err *e)
{
    int count;
    const int64_t *list = attr_ints(n, name, &count);

    if (list != NULL && count != want)
        return err_set(e, ERR_INVALID, "%s has %d entries, want %d", name,
                       count, want);
    *out = list == NULL ? 0 : list[i];
    return 0;
}

/*
 * Seen as [outer, dim, inner] around its axis, one index along the axis is
 * copied between t (whole) and part (without the axis).
 */
static void
copy_slice(const struct tensor *t, int axis, int64_t at, void *part, bool out)
{
    size_t outer = (size_t)shape_span(&t->shape, 0, axis);
    size_t run = (size_t)shape_span(&t->shape, axis + 1, t->shape.rank) *
                 dtype_size(t->dtype);
    size_t dim = (size_t)t->shape.dim[axis];

    for (size_t o = 0; o < outer && run > 0; o++) {
        unsigned char *whole =
            (unsigned char *)t->data + (o * dim + (size_t)at) * run;
        unsigned char *one = (unsigned char *)part + o * run;

        memcpy(out ? one : whole, out ? whole : one, run);
    }
}

static int
axis_of(const struct scan *s, const char *name, int i, int want, int rank,
        int *axis, struct err *e)
{
    int64_t a = 0;

    if (list_entry(s->n, name, i, want, &a, e) != 0)
        return e->code;
    return shape_axis(a, rank, axis, e);
}

/* Shape of what the body gets of each scanned input; s->length. */
static int
look_at_scanned(struct control *c, struct scan *s, const struct tensor *now,
                struct err *e)
{
    for (int i = 0; i < s->scanned; i++) {
        const struct tensor *t = &now[s->n->in[s->states + i]];
        struct tensor *in = &c->in[s->states + i];
        int axis;

        if (t->shape.rank < 1 || axis_of(s, "scan_input_axes", i, s->scanned,
                                         t->shape.rank, &axis, e) != 0)
            return err_set(e, ERR_INVALID, "input %d can't be scanned",
                           s->states + i);
        if (i > 0 && t->shape.dim[axis] != s->length)
            return err_set(e, ERR_INVALID,
                           "input %d has length %" PRId64 ", others %" PRId64,
                           s->states + i, t->shape.dim[axis], s->length);
        s->length = t->shape.dim[axis];
        *in = (struct tensor){t->dtype, {.rank = t->shape.rank - 1}, NULL};
        for (int k = 0; k < in->shape.rank; k++)
            in->shape.dim[k] = t->shape.dim[k < axis ? k : k + 1];
    }
    return 0;
}

static int
give_slices(const struct scan *s, struct session *body,
            const struct tensor *now, int64_t turn, struct err *e)
{
    for (int i = 0; i < s->scanned; i++) {
        const struct tensor *t = &now[s->n->in[s->states + i]];
        int64_t back = 0;
        int axis;

        if (axis_of(s, "scan_input_axes", i, s->scanned, t->shape.rank, &axis,
                    e) != 0 ||
            list_entry(s->n, "scan_input_directions", i, s->scanned, &back,
                       e) != 0)
            return e->code;
        copy_slice(t, axis, back ? s->length - 1 - turn : turn,
                   session_input(body, s->states + i), true);
    }
    return 0;
}

static int
scan_turn(struct control *c, const struct scan *s, const struct tensor *now,
          int n_in, int64_t turn, struct err *e)
{
    struct session *body = session_of(c, 0);

    for (int k = 0; k < s->states; k++)
        c->in[k] = c->rounds[k].t;
    if (shape_body(c, body, e) != 0 ||
        give_slices(s, body, now, turn, e) != 0 ||
        run_body(c, body, n_in, e) != 0)
        return e->code;
    for (int k = 0; k < s->states + s->gathered; k++) {
        const struct tensor *t = session_output(body, k);

        if ((k < s->states ? round_set(c, &c->rounds[k], t, e)
                           : round_append(c, &c->rounds[k], turn, t, e)) != 0)
            return e->code;
    }
    return 0;
}

/* Rows were gathered first to last along axis 0: puts them where they go. */
static int
arrange(struct control *c, const struct scan *s, int k, struct err *e)
{
    struct round *rows = &c->rounds[s->states + k];
    struct round *to = &c->rounds[s->states + s->gathered + k];
    struct shape shape = rows->t.shape;
    size_t bytes;
    int64_t back = 0;
    int axis;

    if (axis_of(s, "scan_output_axes", k, s->gathered, shape.rank, &axis, e) !=
            0 ||
        list_entry(s->n, "scan_output_directions", k, s->gathered, &back, e) !=
            0)
        return e->code;
    for (int i = 0; i < axis; i++)
        shape.dim[i] = rows->t.shape.dim[i + 1];
    shape.dim[axis] = s->length;
    if (reserve(c, &to->b, bytes_of(&rows->t), 0, e) != 0)
        return e->code;
    to->t = (struct tensor){rows->t.dtype, shape, to->b.p};
    bytes = s->length == 0 ? 0 : bytes_of(&rows->t) / (size_t)s->length;
    for (int64_t i = 0; i < s->length; i++)
        copy_slice(&to->t, axis, back ? s->length - 1 - i : i,
                   (unsigned char *)rows->t.data + (size_t)i * bytes, false);
    return 0;
}

static int
run_scan(struct control *c, const struct node *n, struct tensor *now,
         struct err *e)
{
    struct scan s = {.n = n, .scanned = (int)attr_int(n, "num_scan_inputs", 0)};
    int n_in;

    s.states = n->n_own - s.scanned;
    s.gathered = n->n_out - s.states;
    for (int i = 0; i < n->n_own; i++)
        if (n->in[i] < 0)
            return err_set(e, ERR_INVALID, "input %d is absent", i);
    n_in = start(c, n, now, n->n_own, s.states + 2 * s.gathered);
    if (look_at_scanned(c, &s, now, e) != 0)
        return e->code;
    for (int k = 0; k < s.states; k++)
        if (round_set(c, &c->rounds[k], &now[n->in[k]], e) != 0)
            return e->code;
    for (int64_t turn = 0; turn < s.length; turn++)
        if (scan_turn(c, &s, now, n_in, turn, e) != 0)
            return err_wrap(e, "run %" PRId64 " of the body", turn);
    for (int k = 0; k < s.gathered; k++)
        if ((s.length == 0 &&
             round_empty(c, &c->rounds[s.states + k], c->bodies[0],
                         s.states + k, e) != 0) ||
            arrange(c, &s, k, e) != 0)
            return e->code;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
            now[n->out[k]] = c->rounds[k < s.states ? k : k + s.gathered].t;
    return 0;
}

int
control_run(struct control *c, const struct node *n, struct tensor *now,
            struct err *e)
{
    int rc = n->op == OP_IF     ? run_if(c, n, now, e)
             : n->op == OP_LOOP ? run_loop(c, n, now, e)
                                : run_scan(c, n, now, e);

    return rc == 0 ? 0 : err_wrap(e, "node %s (%s)", n->name, op_name(n->op));
}
