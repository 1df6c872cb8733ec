/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolutions of bytes, channels last, with AVX512-VNNI: oneDNN's
 * are no faster than those of floats.
 *
 * VNNI adds four products of neighbouring bytes, but the taps of a depthwise
 * window belong to as many pixels.  So four taps are woven together, byte by
 * byte, for 64 channels at a time; weights are woven alike when they are
 * packed.  Weaving works within 128 bits, which leaves the sums in an order of
 * its own; packing them to bytes at the end undoes it, and what meets the sums
 * in between (start, scale, bias) is kept in that order.
 *
 * With at least as many channels, what has been woven of four columns serves
 * all outputs whose windows lie in them: two of a window of 3, four of one of
 * 5 in eight columns.  These groups have weights of their own, with zeros for
 * the columns that are another output's.
 *
 * Of fewer channels, pixels beside each other make one long run, as their taps
 * do when the stride is 1: narrow images fill the vectors, too.  Tables are as
 * long as `tile` pixels.
 */
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/mem.h"
#include "engine/dnn/desc.h"
#include "engine/dnn/grid.h"
#include "engine/dnn/kernels.h"
#include "engine/dnn/variants.h"
#include "engine/ir/window.h"

#if defined(__x86_64__)

enum {
    LANES = 64,      /* channels in a block */
    QUAD = 4,        /* taps woven together */
    MAX_TAPS = 64,   /* 8 x 8 */
    RUN_BYTES = 512, /* a tile has at least so many channels */
};

struct depthwise {
    struct window w; /* two axes: those of rank 3 are [1, length] */
    int64_t images, channels;
    int n_taps, n_quads;
    int64_t tile; /* pixels */
    uint8_t flip; /* 128: input is int8, made uint8 by it */

    /* By block of the tile, woven. */
    int8_t *weights; /* [blocks, quads, 4, LANES] */
    int32_t *start;  /* what the zero point takes away */
    float *scale, *bias;

    /* Groups of outputs: none when group is 0. */
    int quads, group;     /* of columns; outputs */
    int8_t *wide_weights; /* [blocks, kernel rows, quads, group, 4, LANES] */

    uint8_t *outside; /* `tile` pixels of the zero point */
    bool hard_swish;
    float factor;     /* of hard-swish: to units of the output */
    float zero;       /* of the output, made uint8 */
    float low, high;  /* what it may be */
    bool clips;       /* packing would not do that by itself */
    uint8_t out_flip; /* output is int8 */
};

/* --- does it fit? -------------------------------------------------------- */

/* [N,C,L] is [N,C,1,L]. */
static bool
read_window(const struct graph *g, const struct node *n, struct window *w)
{
    int64_t *lists[] = {w->in,       w->out,   w->kernel, w->stride,
                        w->dilation, w->begin, w->end};
    struct err e;

    if (window_of(g, n, w, &e) != 0 || w->n > 2)
        return false;
    for (size_t i = 0; w->n == 1 && i < sizeof lists / sizeof *lists; i++) {
        bool pads = lists[i] == w->begin || lists[i] == w->end;

        lists[i][1] = lists[i][0];
        lists[i][0] = pads ? 0 : 1;
    }
    w->n = 2;
    return true;
}

static bool
posts_fit(const struct node *n)
{
    if (n->n_posts == 0)
        return true;
    return n->n_posts == 1 &&
           (n->posts[0].op == OP_RELU || n->posts[0].op == OP_CLIP ||
            n->posts[0].op == OP_HARD_SWISH);
}

static bool
types_fit(const struct graph *g, const struct node *n)
{
    const struct value *x = node_in(g, n, 0), *w = node_in(g, n, 1);
    const struct value *y = node_out(g, n, 0);
    const struct qparam *xq = node_in_q(n, 0), *wq = node_in_q(n, 1);

    return dtype_is_8bit(x->dtype) && dtype_is_8bit(y->dtype) &&
           w->data != NULL && xq != NULL && xq->n == 1 && wq != NULL &&
           n->out_q != NULL && n->out_q->n == 1 &&
           desc_weights_fault(w, wq, 0, NULL) == NULL;
}

static bool
fits(const struct graph *g, const struct node *n)
{
    const struct shape *x = &node_in(g, n, 0)->shape;
    const struct shape *w = &node_in(g, n, 1)->shape;
    struct window window;

    return prim_has_vnni() && HAS_512 && types_fit(g, n) && posts_fit(n) &&
           (x->rank == 3 || x->rank == 4) && w->dim[1] == 1 &&
           w->dim[0] == x->dim[1] && attr_int(n, "group", 1) == x->dim[1] &&
           desc_nonempty(node_in(g, n, 0)) &&
           desc_nonempty(node_out(g, n, 0)) &&
           shape_span(w, 2, w->rank) <= MAX_TAPS && x->dim[1] <= 1 << 16 &&
           read_window(g, n, &window);
}

/* --- what is made when the plan is --------------------------------------- */

/* Which channel stands at place i of the woven order. */
static int64_t
channel_at(const struct depthwise *d, int64_t i)
{
    int64_t block = i / LANES * LANES, k = i % LANES / 16, lane = i % 16 / 4;

    return (block + 16 * lane + 4 * k + i % 4) % d->channels;
}

/* As few pixels as fill whole blocks, as often as makes a run long. */
static int64_t
tile_of(int64_t channels)
{
    int64_t pixels = 1, bytes;

    while (pixels < LANES && pixels * channels % LANES != 0)
        pixels *= 2;
    bytes = pixels * channels;
    return pixels * ((RUN_BYTES + bytes - 1) / bytes);
}

static int64_t
tile_places(const struct depthwise *d)
{
    return (d->tile * d->channels + LANES - 1) / LANES * LANES;
}

static void
weave(struct depthwise *d, const struct value *w, int32_t zero)
{
    const int shift = w->dtype == DTYPE_UINT8 ? 128 : 0;
    const int64_t places = tile_places(d);

    for (int64_t i = 0; i < places; i++) {
        const int64_t c = channel_at(d, i);
        const uint8_t *from = (const uint8_t *)w->data + c * d->n_taps;
        int8_t *to = d->weights + i / LANES * d->n_quads * QUAD * LANES +
                     i % LANES * QUAD;
        int32_t sum = 0;

        for (int t = 0; t < d->n_taps; t++) {
            int8_t v = (int8_t)(from[t] - shift);

            to[t / QUAD * QUAD * LANES + t % QUAD] = v;
            sum += v;
        }
        d->start[i] = -zero * sum;
    }
}

/* Outputs that one weaving of columns serves; 0 where runs are better. */
static void
plan_groups(struct depthwise *d)
{
    const int64_t k = d->w.kernel[1];

    if (d->channels < LANES || d->w.stride[1] != 1 || d->w.dilation[1] != 1 ||
        (k != 3 && k != 5 && k != 7))
        return;
    d->quads = k == 3 ? 1 : 2;
    d->group = (int)(QUAD * d->quads - k + 1);
}

static size_t
wide_bytes(const struct depthwise *d)
{
    return (size_t)((d->channels + LANES - 1) / LANES * d->w.kernel[0]) *
           (size_t)(d->quads * d->group * QUAD * LANES);
}

static void
weave_wide(struct depthwise *d, const struct value *w)
{
    const int shift = w->dtype == DTYPE_UINT8 ? 128 : 0;
    const int64_t k = d->w.kernel[1];
    int8_t *to = d->wide_weights;

    for (int64_t block = 0; block < d->channels; block += LANES)
        for (int64_t row = 0; row < d->w.kernel[0]; row++)
            for (int64_t i = 0; i < (int64_t)d->quads * d->group; i++)
                for (int64_t at = 0; at < QUAD * LANES; at++) {
                    const int64_t quad = i / d->group, output = i % d->group;
                    const int64_t col = quad * QUAD + at % QUAD - output;
                    const int64_t c = channel_at(d, block + at / QUAD);
                    const uint8_t *from =
                        (const uint8_t *)w->data + c * d->n_taps;

                    *to++ = col < 0 || col >= k
                                ? 0
                                : (int8_t)(from[row * k + col] - shift);
                }
}

static void
set_output(struct depthwise *d, const struct node *n, enum dtype t)
{
    const struct post *p = n->n_posts > 0 ? &n->posts[0] : NULL;
    const float unit = 1 / n->out_q->scale[0];

    d->out_flip = t == DTYPE_INT8 ? 128 : 0;
    d->zero = (float)(n->out_q->zero[0] + d->out_flip);
    d->low = 0;
    d->high = 255;
    d->factor = unit;
    d->hard_swish = p != NULL && p->op == OP_HARD_SWISH;
    if (p != NULL && p->op == OP_RELU)
        d->low = d->zero;
    if (p != NULL && p->op == OP_CLIP) {
        d->low = fmaxf(d->low, p->alpha * unit + d->zero);
        d->high = fminf(d->high, p->beta * unit + d->zero);
    }
}

static int
set_scales(struct depthwise *d, const struct graph *g, const struct node *n,
           struct err *e)
{
    const struct value *b = n->n_own > 2 ? node_in(g, n, 2) : NULL;
    const struct qparam *xq = node_in_q(n, 0), *wq = node_in_q(n, 1);
    const float unit = d->hard_swish ? 1 : d->factor;
    float *bias = NULL;

    if (b != NULL &&
        desc_bias(b, node_in_q(n, 2), (int)d->channels, 1, &bias, e) != 0)
        return e->code;
    d->clips = d->low > 0 || d->high < 255;
    for (int64_t i = 0; i < tile_places(d); i++) {
        int64_t c = channel_at(d, i);

        d->scale[i] = xq->scale[0] * wq->scale[wq->n == 1 ? 0 : c] * unit;
        d->bias[i] = bias == NULL ? 0 : bias[c] * unit;
        /* Beyond 31 bits a sum would come back as the least integer. */
        if (!(fabsf(d->scale[i]) * (float)d->n_taps * 255 * 128 +
                  fabsf(d->bias[i]) <
              1e9f))
            d->clips = true;
        if (!d->hard_swish)
            d->bias[i] += d->zero;
    }
    d->clips |= d->hard_swish;
    mem_free(bias);
    return 0;
}

static void
done(struct step *s)
{
    struct depthwise *d = s->own;

    if (d == NULL)
        return;
    mem_free(d->weights);
    mem_free(d->wide_weights);
    mem_free(d->start);
    mem_free(d->scale);
    mem_free(d->bias);
    mem_free(d->outside);
    mem_free(d);
}

static int
prepare(const struct graph *g, const struct node *n, struct step *s,
        struct weights *w, struct err *e)
{
    const struct value *x = node_in(g, n, 0);
    struct depthwise *d = mem_new(1, sizeof *d);
    size_t places;
    int32_t zero;

    (void)w;
    s->own = d;
    s->impl = "own:avx512_vnni";
    read_window(g, n, &d->w);
    d->images = x->shape.dim[0];
    d->channels = x->shape.dim[1];
    d->n_taps = (int)(d->w.kernel[0] * d->w.kernel[1]);
    d->n_quads = (d->n_taps + QUAD - 1) / QUAD;
    d->tile = tile_of(d->channels);
    d->flip = x->dtype == DTYPE_INT8 ? 128 : 0;
    zero = node_in_q(n, 0)->zero[0] + d->flip;
    places = (size_t)tile_places(d);
    d->weights = mem_try_aligned(places * (size_t)d->n_quads * QUAD);
    d->start = mem_try_aligned(places * sizeof *d->start);
    d->scale = mem_try_aligned(places * sizeof *d->scale);
    d->bias = mem_try_aligned(places * sizeof *d->bias);
    d->outside = mem_try_aligned(places);
    plan_groups(d);
    if (d->group > 0)
        d->wide_weights = mem_try_aligned(wide_bytes(d));
    if ((d->group > 0 && d->wide_weights == NULL) || d->weights == NULL ||
        d->start == NULL || d->scale == NULL || d->bias == NULL ||
        d->outside == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for %d weights",
                       d->n_taps * (int)d->channels);
    weave(d, node_in(g, n, 1), zero);
    if (d->group > 0)
        weave_wide(d, node_in(g, n, 1));
    memset(d->outside, zero ^ d->flip, places);
    set_output(d, n, node_out(g, n, 0)->dtype);
    return set_scales(d, g, n, e);
}

/* --- the sums ------------------------------------------------------------ */

#define TARGET                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,"     \
                          "fma"))) UNALIGNED_STACK

/* 16 sums to units of the output. */
TARGET INLINE __m512i
to_units(const struct depthwise *d, __m512i sum, int64_t at)
{
    __m512 v =
        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_load_ps(d->scale + at),
                        _mm512_load_ps(d->bias + at));

    if (d->hard_swish) {
        __m512 gate =
            _mm512_fmadd_ps(v, _mm512_set1_ps(1.0f / 6), _mm512_set1_ps(0.5f));

        gate = _mm512_max_ps(gate, _mm512_setzero_ps());
        gate = _mm512_min_ps(gate, _mm512_set1_ps(1));
        v = _mm512_fmadd_ps(_mm512_mul_ps(v, gate), _mm512_set1_ps(d->factor),
                            _mm512_set1_ps(d->zero));
    }
    if (d->clips) {
        v = _mm512_max_ps(v, _mm512_set1_ps(d->low));
        v = _mm512_min_ps(v, _mm512_set1_ps(d->high));
    }
    return _mm512_cvtps_epi32(v);
}

/* The sums of a block to its bytes. */
TARGET INLINE void
put(const struct depthwise *d, __m512i sum[QUAD], int64_t at, uint8_t *y,
    __mmask64 m)
{
    __m512i v;

#pragma GCC unroll 4
    for (int k = 0; k < QUAD; k++)
        sum[k] = to_units(d, sum[k], at + 16 * k);
    v = _mm512_packus_epi16(_mm512_packs_epi32(sum[0], sum[1]),
                            _mm512_packs_epi32(sum[2], sum[3]));
    v = _mm512_xor_si512(v, _mm512_set1_epi8((char)d->out_flip));
    if (m == ~0ull) /* a masked store costs far more on some machines */
        _mm512_storeu_si512(y, v);
    else
        _mm512_mask_storeu_epi8(y, m, v);
}

TARGET INLINE void
start(const struct depthwise *d, __m512i sum[QUAD], int64_t at)
{
#pragma GCC unroll 4
    for (int k = 0; k < QUAD; k++)
        sum[k] = _mm512_load_si512(d->start + at + 16 * k);
}

/* Four taps of a block, woven. */
TARGET INLINE void
weave_taps(__m512i v[QUAD], const uint8_t *a, const uint8_t *b,
           const uint8_t *c, const uint8_t *d, __mmask64 m, bool flip)
{
    __m512i x = _mm512_maskz_loadu_epi8(m, a), low, high;
    __m512i y = _mm512_maskz_loadu_epi8(m, b);
    __m512i ab_low = _mm512_unpacklo_epi8(x, y);
    __m512i ab_high = _mm512_unpackhi_epi8(x, y);

    x = _mm512_maskz_loadu_epi8(m, c);
    y = _mm512_maskz_loadu_epi8(m, d);
    low = _mm512_unpacklo_epi8(x, y);
    high = _mm512_unpackhi_epi8(x, y);
    v[0] = _mm512_unpacklo_epi16(ab_low, low);
    v[1] = _mm512_unpackhi_epi16(ab_low, low);
    v[2] = _mm512_unpacklo_epi16(ab_high, high);
    v[3] = _mm512_unpackhi_epi16(ab_high, high);
#pragma GCC unroll 4
    for (int k = 0; flip && k < QUAD; k++)
        v[k] = _mm512_xor_si512(v[k], _mm512_set1_epi8((char)128));
}

TARGET INLINE void
add_products(__m512i sum[QUAD], const __m512i v[QUAD], const int8_t *w)
{
#pragma GCC unroll 4
    for (int k = 0; k < QUAD; k++)
        sum[k] =
            _mm512_dpbusd_epi32(sum[k], v[k], _mm512_load_si512(w + k * LANES));
}

/*
 * n neighbouring bytes of output: channels of one pixel, or of several.  tap:
 * where the first of each tap is, QUAD for each quad.
 */
TARGET INLINE void
run_of(const struct depthwise *d, const uint8_t *const *tap, uint8_t *y,
       int64_t n, bool flip)
{
    const int8_t *w = d->weights;

    for (int64_t at = 0; at < n; at += LANES) {
        __mmask64 m = n - at >= LANES ? ~0ull : (1ull << (n - at)) - 1;
        __m512i sum[QUAD], v[QUAD];

        start(d, sum, at);
        for (int q = 0; q < d->n_quads; q++, w += QUAD * LANES) {
            const uint8_t *const *t = tap + QUAD * q;

            weave_taps(v, t[0] + at, t[1] + at, t[2] + at, t[3] + at, m, flip);
            add_products(sum, v, w);
        }
        put(d, sum, at, y + at, m);
    }
}

TARGET static void
run_bytes(const struct depthwise *d, const uint8_t *const *tap, uint8_t *y,
          int64_t n)
{
    if (d->flip)
        run_of(d, tap, y, n, true);
    else
        run_of(d, tap, y, n, false);
}

/*
 * `group` neighbouring pixels of output, one block of channels.  row: the
 * first column of each row of taps; step: to the next, 0 outside the image.
 */
TARGET INLINE void
group_of(const struct depthwise *d, const uint8_t *const *row,
         const int64_t *step, int64_t at, uint8_t *y, __mmask64 m, int quads,
         int group, bool flip)
{
    const int8_t *w = d->wide_weights + at / LANES * d->w.kernel[0] * quads *
                                            group * QUAD * LANES;
    __m512i sum[QUAD][QUAD], v[QUAD];

#pragma GCC unroll 4
    for (int g = 0; g < group; g++)
        start(d, sum[g], at);
    for (int64_t i = 0; i < d->w.kernel[0]; i++) {
        const uint8_t *x = row[i] + at;

#pragma GCC unroll 2
        for (int q = 0; q < quads; q++, x += QUAD * step[i]) {
            weave_taps(v, x, x + step[i], x + 2 * step[i], x + 3 * step[i], m,
                       flip);
#pragma GCC unroll 4
            for (int g = 0; g < group; g++, w += QUAD * LANES)
                add_products(sum[g], v, w);
        }
    }
#pragma GCC unroll 4
    for (int g = 0; g < group; g++)
        put(d, sum[g], at, y + at + g * d->channels, m);
}

TARGET static void
group_bytes(const struct depthwise *d, const uint8_t *const *row,
            const int64_t *step, int64_t at, uint8_t *y, __mmask64 m)
{
    switch (d->quads * 100 + d->group * 10 + (d->flip != 0)) {
    case 120:
        group_of(d, row, step, at, y, m, 1, 2, false);
        break;
    case 121:
        group_of(d, row, step, at, y, m, 1, 2, true);
        break;
    case 240:
        group_of(d, row, step, at, y, m, 2, 4, false);
        break;
    case 241:
        group_of(d, row, step, at, y, m, 2, 4, true);
        break;
    case 220:
        group_of(d, row, step, at, y, m, 2, 2, false);
        break;
    default:
        group_of(d, row, step, at, y, m, 2, 2, true);
        break;
    }
}

/* --- rows ---------------------------------------------------------------- */

struct rows {
    const struct depthwise *d;
    const uint8_t *x; /* [N,H,W,C] */
    uint8_t *y;
};

/* One row of output. */
struct line {
    const struct depthwise *d;
    const uint8_t *row[MAX_TAPS]; /* of input, by tap row; NULL: outside */
    uint8_t *y;
};

/* `pixels` pixels of output from `from` on; with several of them, none has a
 * tap beside the image. */
static void
some_pixels(const struct line *l, int64_t from, int64_t pixels)
{
    const struct depthwise *d = l->d;
    const uint8_t *tap[MAX_TAPS + QUAD];
    int n = 0;

    for (int64_t i = 0; i < d->w.kernel[0]; i++)
        for (int64_t k = 0; k < d->w.kernel[1]; k++) {
            int64_t at =
                from * d->w.stride[1] + k * d->w.dilation[1] - d->w.begin[1];
            bool in = l->row[i] != NULL && at >= 0 && at < d->w.in[1];

            tap[n++] = in ? l->row[i] + at * d->channels : d->outside;
        }
    while (n % QUAD != 0)
        tap[n++] = d->outside; /* their weights are 0 */
    run_bytes(d, tap, l->y + from * d->channels, pixels * d->channels);
}

/* Pixels [from, to), none of which has a tap beside the image, in groups; the
 * last may overlap the one before. */
static void
grouped_pixels(const struct line *l, int64_t from, int64_t to)
{
    const struct depthwise *d = l->d;
    const uint8_t *row[MAX_TAPS];
    int64_t step[MAX_TAPS];

    for (int64_t i = 0; i < d->w.kernel[0]; i++)
        step[i] = l->row[i] != NULL ? d->channels : 0;
    for (int64_t c = 0; c < d->channels; c += LANES) {
        const int64_t left = d->channels - c;
        const __mmask64 m = left >= LANES ? ~0ull : (1ull << left) - 1;

        for (int64_t at = from; at < to; at += d->group) {
            int64_t p = at + d->group <= to ? at : to - d->group;

            for (int64_t i = 0; i < d->w.kernel[0]; i++)
                row[i] = l->row[i] == NULL
                             ? d->outside
                             : l->row[i] + (p - d->w.begin[1]) * d->channels;
            group_bytes(d, row, step, c, l->y + p * d->channels, m);
        }
    }
}

/* Pixels of output whose taps all lie between the sides: [*from, *to). */
static void
between_sides(const struct window *w, int64_t *from, int64_t *to)
{
    int64_t reach = (w->kernel[1] - 1) * w->dilation[1] - w->begin[1];

    *from = (w->begin[1] + w->stride[1] - 1) / w->stride[1];
    *from = *from < w->out[1] ? *from : w->out[1];
    *to = w->in[1] > reach ? (w->in[1] - 1 - reach) / w->stride[1] + 1 : 0;
    *to = *to < w->out[1] ? *to : w->out[1];
    *to = *to > *from ? *to : *from;
}

static void
one_row(void *arg, int64_t i)
{
    const struct rows *r = arg;
    const struct depthwise *d = r->d;
    const struct window *w = &d->w;
    const int64_t image = i / w->out[0], row = i % w->out[0];
    const int64_t run = w->stride[1] == 1 ? d->tile : 1;
    struct line l = {.d = d, .y = r->y + i * w->out[1] * d->channels};
    int64_t from, to, at = 0;

    for (int64_t k = 0; k < w->kernel[0]; k++) {
        int64_t in = row * w->stride[0] + k * w->dilation[0] - w->begin[0];

        l.row[k] = in < 0 || in >= w->in[0] ? NULL
                                            : r->x + (image * w->in[0] + in) *
                                                         w->in[1] * d->channels;
    }
    between_sides(w, &from, &to);
    for (; at < from; at++)
        some_pixels(&l, at, 1);
    if (d->group > 0 && to - from >= d->group) {
        grouped_pixels(&l, from, to);
        at = to;
    }
    for (; at < to; at += run)
        some_pixels(&l, at, to - at < run ? to - at : run);
    for (at = to; at < w->out[1]; at++)
        some_pixels(&l, at, 1);
}

static int
run(const struct step *s, void *const *io, void *scratch, void *state,
    struct err *e)
{
    const struct depthwise *d = s->own;
    struct rows r = {d, io[0], io[s->node->n_in]};

    (void)scratch;
    (void)state;
    (void)e;
    grid_split(d->images * d->w.out[0],
               d->w.out[1] * d->channels * d->n_quads / 8 + 1, one_row, &r);
    return 0;
}

#else

static bool
fits(const struct graph *g, const struct node *n)
{
    (void)g;
    (void)n;
    return false;
}

#define prepare NULL
#define run NULL
#define done NULL

#endif

const struct kernel dnn_depthwise = {
    .op = OP_CONV,
    .name = "dnn.depthwise",
    .layout = KERNEL_NXC,
    .fits = fits,
    .prepare = prepare,
    .run = run,
    .done = done,
};
