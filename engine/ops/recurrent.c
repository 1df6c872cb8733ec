/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM, GRU and RNN: one row of the batch at a time walks through its
 * sequence, forward, backward or both.  Sums and states are kept in double
 * precision.
 * Source: ONNX LSTM, GRU, RNN, opset 14; their letters are kept here.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "engine/ops/floats.h"
#include "engine/ops/rule.h"

enum { MAX_GATES = 4, MAX_FUNCTIONS = 3, MAX_DIRECTIONS = 2 };

/* Inputs of all three, then those of LSTM alone. */
enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

struct function {
    unary_fn *fn;
    double alpha, beta;
};

struct recurrent {
    enum op op;
    int64_t T, B, I, H; /* steps, batch, inputs, hidden */
    int D;              /* directions */
    int gates, functions;
    bool backward; /* the first direction is */
    bool batch_first, input_forget, linear_before_reset;
    double clip;
    struct function f[MAX_DIRECTIONS][MAX_FUNCTIONS];
};

/* --- activation functions ---------------------------------------------------
 */

static double
affine(double x, double alpha, double beta)
{
    return alpha * x + beta;
}

static double
scaled_tanh(double x, double alpha, double beta)
{
    return alpha * tanh(beta * x);
}

/* `fn` NULL: that of the operator; alpha and beta are what is taken when the
 * node does not say, NAN for one that the function has not.  Where ONNX leaves
 * them open, and for ThresholdedRelu, they are what ONNX Runtime takes. */
static const struct {
    const char *name;
    enum op op;
    unary_fn *fn;
    double alpha, beta;
} known[] = {
    {"Affine", OP_IDENTITY, affine, 0, 0},
    {"Elu", OP_ELU, NULL, 1, NAN},
    {"HardSigmoid", OP_HARD_SIGMOID, NULL, 0.2f, 0.5f},
    {"LeakyRelu", OP_LEAKY_RELU, NULL, 0.01f, NAN},
    {"Relu", OP_RELU, NULL, NAN, NAN},
    {"ScaledTanh", OP_TANH, scaled_tanh, 0, 0},
    {"Sigmoid", OP_SIGMOID, NULL, NAN, NAN},
    {"Softplus", OP_SOFTPLUS, NULL, NAN, NAN},
    {"Softsign", OP_SOFTSIGN, NULL, NAN, NAN},
    {"Tanh", OP_TANH, NULL, NAN, NAN},
    {"ThresholdedRelu", OP_THRESHOLDED_RELU, NULL, 0, NAN},
};

/* Numbers of a list, taken in order by the functions that have one. */
struct numbers {
    const float *at;
    int n, taken;
};

static double
take(struct numbers *list, double dflt)
{
    if (isnan(dflt) || list->taken >= list->n)
        return dflt;
    return list->at[list->taken++];
}

static int
read_function(const char *name, struct numbers *alpha, struct numbers *beta,
              struct function *f, struct err *e)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcasecmp(known[i].name, name) == 0) {
            f->fn = known[i].fn != NULL ? known[i].fn : unary_find(known[i].op);
            f->alpha = take(alpha, known[i].alpha);
            f->beta = take(beta, known[i].beta);
            return 0;
        }
    return err_set(e, ERR_UNSUPPORTED, "activation \"%s\" is not supported",
                   name);
}

static int
read_functions(const struct node *n, struct recurrent *v, struct err *e)
{
    static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
    struct numbers alpha = {0}, beta = {0};
    int count;
    const char *const *names = attr_strings(n, "activations", &count);

    alpha.at = attr_floats(n, "activation_alpha", &alpha.n);
    beta.at = attr_floats(n, "activation_beta", &beta.n);
    if (names != NULL && count != v->D * v->functions)
        return err_set(e, ERR_INVALID, "%d activations, want %d", count,
                       v->D * v->functions);
    for (int i = 0; i < v->D * v->functions; i++) {
        int k = i % v->functions;
        const char *name = names != NULL     ? names[i]
                           : n->op == OP_RNN ? "Tanh"
                                             : usual[k];

        if (read_function(name, &alpha, &beta, &v->f[i / v->functions][k], e) !=
            0)
            return e->code;
    }
    return 0;
}

/* --- rule -------------------------------------------------------------------
 */

static int
read_direction(const struct node *n, struct recurrent *v, struct err *e)
{
    const char *said = attr_string(n, "direction", "forward");

    v->D = strcmp(said, "bidirectional") == 0 ? 2 : 1;
    v->backward = strcmp(said, "reverse") == 0;
    if (v->D == 1 && !v->backward && strcmp(said, "forward") != 0)
        return err_set(e, ERR_INVALID, "direction is \"%s\"", said);
    return 0;
}

static int
check_shapes(const struct graph *g, const struct node *n,
             const struct recurrent *v, struct err *e)
{
    const int64_t rows = v->gates * v->H;
    const struct shape state =
        v->batch_first ? SHAPE(v->B, v->D, v->H) : SHAPE(v->D, v->B, v->H);

    if (v->H < 1 || attr_int(n, "hidden_size", v->H) != v->H)
        return err_set(e, ERR_INVALID,
                       "hidden_size is %" PRId64 ", the weights have %" PRId64,
                       attr_int(n, "hidden_size", v->H), v->H);
    if (rule_shape(g, n, IN_W, &SHAPE(v->D, rows, v->I), e) != 0 ||
        rule_shape(g, n, IN_R, &SHAPE(v->D, rows, v->H), e) != 0 ||
        rule_shape(g, n, IN_B, &SHAPE(v->D, 2 * rows), e) != 0 ||
        rule_shape(g, n, IN_LENGTHS, &SHAPE(v->B), e) != 0 ||
        rule_shape(g, n, IN_H, &state, e) != 0 ||
        rule_shape(g, n, IN_C, &state, e) != 0 ||
        rule_shape(g, n, IN_P, &SHAPE(v->D, 3 * v->H), e) != 0)
        return e->code;
    return 0;
}

static int
check_types(const struct graph *g, const struct node *n, struct err *e)
{
    for (int i = 0; i < n->n_own; i++)
        if (rule_type(g, n, i, i == IN_LENGTHS ? TYPE(INT32) : TYPES_REAL, e) !=
                0 ||
            (i != IN_LENGTHS && rule_same_type(g, n, i, e) != 0))
            return e->code;
    return 0;
}

static int
read_recurrent(const struct graph *g, const struct node *n, struct recurrent *v,
               struct err *e)
{
    const struct shape *x = &node_in(g, n, IN_X)->shape;
    const struct shape *r = &node_in(g, n, IN_R)->shape;
    char xt[SHAPE_TEXT], rt[SHAPE_TEXT];

    *v = (struct recurrent){
        .op = n->op,
        .gates = n->op == OP_LSTM  ? 4
                 : n->op == OP_GRU ? 3
                                   : 1,
        .functions = n->op == OP_LSTM  ? 3
                     : n->op == OP_GRU ? 2
                                       : 1,
        .batch_first = attr_int(n, "layout", 0) != 0,
        .input_forget = attr_int(n, "input_forget", 0) != 0,
        .linear_before_reset = attr_int(n, "linear_before_reset", 0) != 0,
        .clip = attr_float(n, "clip", INFINITY),
    };
    if (x->rank != 3 || r->rank != 3)
        return err_set(e, ERR_INVALID, "X is %s and R %s, want rank 3",
                       shape_text(x, xt), shape_text(r, rt));
    v->T = x->dim[v->batch_first];
    v->B = x->dim[!v->batch_first];
    v->I = x->dim[2];
    v->H = r->dim[2];
    if (check_types(g, n, e) != 0 || read_direction(n, v, e) != 0 ||
        check_shapes(g, n, v, e) != 0)
        return e->code;
    return read_functions(n, v, e);
}

int
recurrent_infer(struct graph *g, struct node *n, struct err *e)
{
    struct shape all, last;
    struct recurrent v;

    if (read_recurrent(g, n, &v, e) != 0)
        return e->code;
    all = v.batch_first ? SHAPE(v.B, v.T, v.D, v.H) : SHAPE(v.T, v.D, v.B, v.H);
    last = v.batch_first ? SHAPE(v.B, v.D, v.H) : SHAPE(v.D, v.B, v.H);
    if (rule_out(g, n, 1, node_in(g, n, IN_X)->dtype, &last, e) != 0 ||
        rule_out(g, n, 2, node_in(g, n, IN_X)->dtype, &last, e) != 0)
        return e->code;
    return rule_out(g, n, 0, node_in(g, n, IN_X)->dtype, &all, e);
}

/* --- one step ---------------------------------------------------------------
 */

/* One row of the batch in one direction. */
struct lane {
    const struct recurrent *v;
    const struct function *f;
    const float *W, *R, *B, *P; /* B, P may be NULL */
    double *x, *h, *c;          /* [I], [H], [H] */
    double *gate;               /* [gates,H] */
    double *reset;              /* [H]: the state that GRU lets through */
};

static double
dot(const float *w, const double *v, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)w[i] * v[i];
    return sum;
}

/* Row k of W times x, with its bias. */
static double
of_input(const struct lane *l, int64_t k)
{
    double b = l->B == NULL ? 0 : l->B[k];

    return b + dot(l->W + k * l->v->I, l->x, l->v->I);
}

/* Row k of R times a state, with its bias. */
static double
of_state(const struct lane *l, int64_t k, const double *h)
{
    double b = l->B == NULL ? 0 : l->B[l->v->gates * l->v->H + k];

    return b + dot(l->R + k * l->v->H, h, l->v->H);
}

static double
apply(const struct lane *l, int which, double x)
{
    const struct function *f = &l->f[which];
    const double clip = l->v->clip;

    x = x > clip ? clip : x < -clip ? -clip : x;
    return f->fn(x, f->alpha, f->beta);
}

static double
peephole(const struct lane *l, int64_t k, double c)
{
    return l->P == NULL ? 0 : l->P[k] * c;
}

/* Gates in the order i, o, f, c. */
static void
lstm_step(const struct lane *l)
{
    const int64_t H = l->v->H;
    const struct function *out = &l->f[2];

    for (int64_t k = 0; k < 4 * H; k++)
        l->gate[k] = of_input(l, k) + of_state(l, k, l->h);
    for (int64_t k = 0; k < H; k++) {
        const double was = l->c[k];
        double i = apply(l, 0, l->gate[k] + peephole(l, k, was)), f, c, o;

        f = l->v->input_forget
                ? 1 - i
                : apply(l, 0, l->gate[2 * H + k] + peephole(l, 2 * H + k, was));
        c = f * was + i * apply(l, 1, l->gate[3 * H + k]);
        o = apply(l, 0, l->gate[H + k] + peephole(l, H + k, c));
        l->c[k] = c;
        l->h[k] = o * out->fn(c, out->alpha, out->beta);
    }
}

/* Gates in the order z, r, h. */
static void
gru_step(const struct lane *l)
{
    const int64_t H = l->v->H;
    double *z = l->gate, *r = z + H, *h = r + H;

    for (int64_t k = 0; k < 2 * H; k++)
        z[k] = apply(l, 0, of_input(l, k) + of_state(l, k, l->h));
    for (int64_t k = 0; k < H; k++)
        l->reset[k] = r[k] * l->h[k];
    for (int64_t k = 0; k < H; k++) {
        double state = l->v->linear_before_reset
                           ? r[k] * of_state(l, 2 * H + k, l->h)
                           : of_state(l, 2 * H + k, l->reset);

        h[k] = apply(l, 1, of_input(l, 2 * H + k) + state);
    }
    for (int64_t k = 0; k < H; k++)
        l->h[k] = (1 - z[k]) * h[k] + z[k] * l->h[k];
}

static void
rnn_step(const struct lane *l)
{
    const int64_t H = l->v->H;

    for (int64_t k = 0; k < H; k++)
        l->gate[k] = apply(l, 0, of_input(l, k) + of_state(l, k, l->h));
    memcpy(l->h, l->gate, (size_t)H * sizeof *l->h);
}

/* --- kernel -----------------------------------------------------------------
 */

static int
recurrent_prepare(const struct graph *g, const struct node *n, struct step *s,
                  struct weights *w, struct err *e)
{
    struct recurrent v;

    (void)w;
    if (read_recurrent(g, n, &v, e) != 0 || step_own(s, sizeof v, e) != 0)
        return e->code;
    memcpy(s->own, &v, sizeof v);
    s->scratch_bytes = (size_t)(v.I + (v.gates + 3) * v.H) * sizeof(double);
    return 0;
}

/* Input or output i as floats, or NULL. */
static const float *
input(const struct step *s, void *const *io, int i)
{
    return step_in(s, i) == NULL ? NULL : io[i];
}

static float *
output(const struct step *s, void *const *io, int i)
{
    return step_out(s, i) == NULL ? NULL : step_io_out(s, io, i);
}

static struct lane
lane_of(const struct step *s, void *const *io, int d, double *scratch)
{
    const struct recurrent *v = s->own;
    const int64_t rows = v->gates * v->H;
    struct lane l = {.v = v, .f = v->f[d], .x = scratch};

    l.W = input(s, io, IN_W) + d * rows * v->I;
    l.R = input(s, io, IN_R) + d * rows * v->H;
    l.B = input(s, io, IN_B);
    l.B = l.B == NULL ? NULL : l.B + d * 2 * rows;
    l.P = input(s, io, IN_P);
    l.P = l.P == NULL ? NULL : l.P + d * 3 * v->H;
    l.h = l.x + v->I;
    l.c = l.h + v->H;
    l.reset = l.c + v->H;
    l.gate = l.reset + v->H;
    return l;
}

static void
to_double(double *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = from == NULL ? 0 : from[i];
}

static void
to_float(float *to, const double *from, int64_t n)
{
    for (int64_t i = 0; to != NULL && i < n; i++)
        to[i] = (float)from[i];
}

static const float *
state_at(const float *p, int64_t at)
{
    return p == NULL ? NULL : p + at;
}

/* Row b in direction d: `length` of the T steps; the rest of Y is 0. */
static void
run_lane(const struct step *s, void *const *io, const struct lane *l, int64_t b,
         int d, int64_t length)
{
    const struct recurrent *v = s->own;
    const bool back = d == 1 || v->backward;
    const int64_t H = v->H;
    const int64_t state = (v->batch_first ? b * v->D + d : d * v->B + b) * H;
    float *y = output(s, io, 0), *last = output(s, io, 1);
    float *cell = output(s, io, 2);

    to_double(l->h, state_at(input(s, io, IN_H), state), H);
    to_double(l->c, state_at(input(s, io, IN_C), state), H);
    for (int64_t i = 0; i < v->T; i++) {
        const int64_t t = back && i < length ? length - 1 - i : i;
        const int64_t x = v->batch_first ? b * v->T + t : t * v->B + b;
        float *to =
            y + (v->batch_first ? x * v->D + d : (t * v->D + d) * v->B + b) * H;

        if (i >= length) {
            memset(to, 0, (size_t)H * sizeof *to);
            continue;
        }
        to_double(l->x, input(s, io, IN_X) + x * v->I, v->I);
        if (v->op == OP_LSTM)
            lstm_step(l);
        else if (v->op == OP_GRU)
            gru_step(l);
        else
            rnn_step(l);
        to_float(to, l->h, H);
    }
    to_float(last == NULL ? NULL : last + state, l->h, H);
    to_float(cell == NULL ? NULL : cell + state, l->c, H);
}

static int
recurrent_run(const struct step *s, void *const *io, void *scratch, void *state,
              struct err *e)
{
    const struct recurrent *v = s->own;
    const int32_t *lengths =
        step_in(s, IN_LENGTHS) == NULL ? NULL : io[IN_LENGTHS];

    (void)state;
    for (int64_t b = 0; lengths != NULL && b < v->B; b++)
        if (lengths[b] < 0 || lengths[b] > v->T)
            return err_set(e, ERR_INVALID,
                           "length %" PRId32 " in %s is outside 0..%" PRId64,
                           lengths[b], step_in(s, IN_LENGTHS)->name, v->T);
    for (int d = 0; d < v->D; d++) {
        const struct lane l = lane_of(s, io, d, scratch);

        for (int64_t b = 0; b < v->B; b++)
            run_lane(s, io, &l, b, d, lengths == NULL ? v->T : lengths[b]);
    }
    return 0;
}

#define RECURRENT(id)                                                          \
    KERNEL_FLOATS(id, "recurrent", recurrent_prepare, recurrent_run);
RECURRENT(GRU)
RECURRENT(LSTM)
RECURRENT(RNN)
