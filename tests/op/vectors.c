/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ONNX project's own test vectors (Debian: libonnx-testdata), each loaded
 * and run as a client would, first by the plain kernels alone, then by all.
 * Passed, refused as unsupported, or failed: nothing may fail, and what has
 * passed once must not be refused.
 *
 *     vectors [-v] [part of a folder's name]
 *
 * -v prints by name why a vector did not pass.  ONNX_TESTDATA names another
 * folder of such vectors: how many of them must pass is the caller's to say.
 *
 * Many vectors give a shape (or axes, or a scale) as a graph input, where
 * real models have a constant; so each is run as it stands, and once more with
 * its other inputs than the first made constants.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/ir/graph.h"
#include "tests/op/compare.h"

enum { MAX_IO = 16, SKIPPED = 77 };

/* As of onnx 1.12: a number that only grows. */
enum { MIN_PASSED = 975 };

/* Of each suite's vectors on tensors. */
static const double MIN_SHARE = 0.95;

/*
 * OUTSIDE: about something that quantd does not set out to do.
 * NARROW: of an element type of 2, 4 or 6 bits, or a float of 8, which quantd
 * holds at most as constants.
 */
enum outcome { PASSED, REFUSED, OUTSIDE, NARROW, FLAWED, FAILED, OUTCOMES };

/* What a refusal says when it is for such a reason. */
static const char *const outside[] = {
    "element type string",
    "no tensor (sequences, maps, optional",
    "operator Optional",
    "operator Sequence",
    "operator SplitToSequence",
    "operator ai.onnx.ml.",      /* trees and the like, mostly on strings */
    "operator ai.onnx.preview.", /* training, and what may still change */
    "attribute training_mode",
    "training is not supported",
};

/* Vectors that are wrong themselves; they are run, the answer isn't held. */
static const struct {
    const char *name, *why;
} flawed[] = {
    {"test_cast_FLOAT_to_BFLOAT16", "its bfloat16 output is stored as uint16"},
    {"test_castlike_BFLOAT16_to_FLOAT", "its data contradict its shapes"},
    {"test_castlike_BFLOAT16_to_FLOAT_expanded",
     "its data contradict its shapes"},
    {"test_castlike_FLOAT_to_BFLOAT16", "its data contradict its shapes"},
    {"test_castlike_FLOAT_to_BFLOAT16_expanded",
     "its data contradict its shapes"},
    {"test_blackmanwindow", "its angles are those of 3.1415"},
    {"test_blackmanwindow_symmetric", "its angles are those of 3.1415"},
    {"test_hammingwindow", "its angles are those of 3.1415"},
    {"test_hammingwindow_symmetric", "its angles are those of 3.1415"},
    {"test_hannwindow", "its angles are those of 3.1415"},
    {"test_hannwindow_symmetric", "its angles are those of 3.1415"},
    {"test_averagepool_2d_ceil_last_window_starts_on_pad",
     "its answer is cut to four digits"},
    /* Counted in an output of inferred shape, other than ONNX Runtime does. */
    {"test_maxunpool_export_with_output_shape", "its places are of another"},
    {"test_bernoulli", "its answer is drawn by lot"},
    {"test_bernoulli_double", "its answer is drawn by lot"},
    {"test_bernoulli_double_expanded", "its answer is drawn by lot"},
    {"test_bernoulli_expanded", "its answer is drawn by lot"},
    {"test_bernoulli_seed", "its answer is drawn by lot"},
    {"test_bernoulli_seed_expanded", "its answer is drawn by lot"},
    {"test_gridsample_bicubic", "its answer is cut to four digits"},
    {"test_roialign_aligned_false", "its answer is cut to four digits"},
    {"test_roialign_aligned_true", "its answer is cut to four digits"},
    {"test_blackmanwindow_expanded", "its angles are those of 3.1415"},
    {"test_blackmanwindow_symmetric_expanded",
     "its angles are those of 3.1415"},
    {"test_hammingwindow_expanded", "its angles are those of 3.1415"},
    {"test_hammingwindow_symmetric_expanded", "its angles are those of 3.1415"},
    {"test_hannwindow_expanded", "its angles are those of 3.1415"},
    {"test_hannwindow_symmetric_expanded", "its angles are those of 3.1415"},
    /* Corners are aligned to in * scale before it is cut to whole places;
     * ONNX's text, ONNX Runtime and PyTorch take the output's length. */
    {"test_resize_downsample_scales_cubic_align_corners",
     "its corners are not aligned"},
    {"test_resize_downsample_scales_linear_align_corners",
     "its corners are not aligned"},
};

static const char *
flaw_of(const char *name)
{
    for (size_t i = 0; i < sizeof flawed / sizeof flawed[0]; i++)
        if (strcmp(flawed[i].name, name) == 0)
            return flawed[i].why;
    return NULL;
}

struct vector {
    struct tensor in[MAX_IO], want[MAX_IO];
    int n_in, n_want;
};

static bool
exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* dir/test_data_set_0/KIND_i.pb for i = 0, 1, ... */
static int
load_tensors(const char *dir, const char *kind, struct tensor *out, int *n,
             struct err *e)
{
    char *path;
    int rc = 0;

    for (*n = 0; *n < MAX_IO && rc == 0; *n += rc == 0) {
        path = mem_printf("%s/test_data_set_0/%s_%d.pb", dir, kind, *n);
        if (!exists(path)) {
            mem_free(path);
            break;
        }
        rc = tensor_load(path, &out[*n], e);
        mem_free(path);
    }
    return rc;
}

static void
vector_free(struct vector *v)
{
    for (int i = 0; i < v->n_in; i++)
        mem_free(v->in[i].data);
    for (int i = 0; i < v->n_want; i++)
        mem_free(v->want[i].data);
}

/*
 * Makes graph inputs from `first` on constants; in[] keeps the others.
 * Sparse names ("optional inputs") shift nothing: vectors number the inputs
 * in the order of the graph.
 */
static void
bake_inputs(struct graph *g, const struct vector *v, int first)
{
    for (size_t i = (size_t)first; i < g->inputs.n && i < (size_t)v->n_in;
         i++) {
        struct value *x = graph_value(g, g->inputs.at[i]);

        x->data = v->in[i].data;
        x->shape = v->in[i].shape;
        x->dtype = v->in[i].dtype;
    }
    if (g->inputs.n > (size_t)first)
        g->inputs.n = (size_t)first;
}

static int
run_session(struct session *s, const struct vector *v, int n_in, struct err *e)
{
    struct shape shapes[MAX_IO];

    for (int i = 0; i < n_in; i++)
        shapes[i] = v->in[i].shape;
    if (session_shape(s, shapes, e) != 0)
        return e->code;
    for (int i = 0; i < n_in; i++)
        if (shape_n(&v->in[i].shape) > 0)
            memcpy(session_input(s, i), v->in[i].data,
                   shape_n(&v->in[i].shape) * dtype_size(v->in[i].dtype));
    return session_run(s, e);
}

static int
check_outputs(const struct session *s, const struct model *m,
              const struct vector *v, struct err *e)
{
    char text[300];

    if (model_n_outputs(m) != v->n_want)
        return err_set(e, ERR_INTERNAL, "%d outputs, want %d",
                       model_n_outputs(m), v->n_want);
    for (int i = 0; i < v->n_want; i++)
        if (!tensor_close(session_output(s, i), &v->want[i],
                          tolerance_of(v->want[i].dtype), text, sizeof text))
            return err_set(e, ERR_INTERNAL, "output %d %s", i, text);
    return 0;
}

/* Builds, runs and compares, inputs from `first` on as constants. */
static int
attempt(struct graph **g, const struct vector *v, int first, struct err *e)
{
    struct model *m = NULL;
    struct session *s = NULL;
    int rc, n_in;

    bake_inputs(*g, v, first);
    rc = model_build(g, NULL, &m, e);
    if (rc != 0)
        return rc;
    n_in = model_n_inputs(m);
    if (n_in > v->n_in)
        rc = err_set(e, ERR_INTERNAL, "%d inputs, %d given", n_in, v->n_in);
    if (rc == 0)
        rc = session_new(m, &s, e);
    if (rc == 0)
        rc = run_session(s, v, n_in, e);
    if (rc == 0)
        rc = check_outputs(s, m, v, e);
    session_free(&s);
    model_unref(&m);
    return rc;
}

/* Its tensors are looked at only when its graph can be read: they may be of
 * kinds that have no tensor. */
static int
load_and_attempt(const char *dir, int first, struct err *e)
{
    char *path = mem_printf("%s/model.onnx", dir);
    struct vector v = {.n_in = 0};
    struct graph *g = NULL;
    int rc = graph_load(path, &g, e);

    if (rc == 0)
        rc = load_tensors(dir, "input", v.in, &v.n_in, e);
    if (rc == 0)
        rc = load_tensors(dir, "output", v.want, &v.n_want, e);
    if (rc == 0)
        rc = attempt(&g, &v, first, e);
    graph_free(&g);
    vector_free(&v);
    mem_free(path);
    return rc;
}

static bool
is_narrow(const char *reason)
{
    static const char *const types[] = {"float8", "float6", "float4", "int4 (",
                                        "int2 ("};
    const char *p = strstr(reason, "element type ");

    for (size_t i = 0; p != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strstr(p, types[i]) != NULL)
            return true;
    return false;
}

static bool
is_outside(const char *reason)
{
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        if (strstr(reason, outside[i]) != NULL)
            return true;
    return false;
}

static enum outcome
run_vector(const char *dir, const char *name, struct err *e)
{
    int rc = load_and_attempt(dir, MAX_IO, e);

    if (rc == 0)
        rc = load_and_attempt(dir, 1, e);
    if (rc == 0)
        return PASSED;
    if (rc == ERR_UNSUPPORTED)
        return is_outside(e->msg)  ? OUTSIDE
               : is_narrow(e->msg) ? NARROW
                                   : REFUSED;
    return flaw_of(name) != NULL ? FLAWED : FAILED;
}

static int
is_test(const struct dirent *d)
{
    return strncmp(d->d_name, "test_", 5) == 0;
}

struct options {
    bool verbose;
    int min_passed;
    double min_share;
    const char *part;
};

static void
run_suite(const char *root, const char *suite, const struct options *o,
          int count[OUTCOMES])
{
    static const char *const word[] = {"passed", "refused", "outside",
                                       "narrow", "flawed",  "FAILED"};
    char *path = mem_printf("%s/%s", root, suite);
    struct dirent **list = NULL;
    int n = scandir(path, &list, is_test, alphasort);

    for (int i = 0; i < n; i++) {
        char *dir = mem_printf("%s/%s", path, list[i]->d_name);
        struct err e = {0};

        if (o->part == NULL || strstr(list[i]->d_name, o->part) != NULL) {
            enum outcome r = run_vector(dir, list[i]->d_name, &e);

            count[r]++;
            if (r == FAILED || o->verbose)
                printf("%s %s/%s%s%s\n", word[r], suite, list[i]->d_name,
                       r == PASSED ? "" : ": ", r == PASSED ? "" : e.msg);
        }
        mem_free(dir);
        free(list[i]);
    }
    free(list);
    mem_free(path);
}

/* All suites; true when nothing failed and enough passed. */
static bool
run_all(const char *root, const struct options *o, const char *kernels)
{
    static const char *const suites[] = {"node", "pytorch-operator",
                                         "pytorch-converted", "simple"};
    int sum[OUTCOMES] = {0}, held;
    bool enough = true;

    setenv("QUANTD_KERNELS", kernels, 1);
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        int count[OUTCOMES] = {0};

        run_suite(root, suites[i], o, count);
        for (int k = 0; k < OUTCOMES; k++)
            sum[k] += count[k];
        held = count[PASSED] + count[REFUSED] + count[FAILED];
        if (held > 0)
            printf("%s %s: %d of %d pass, %.1f %%\n", kernels, suites[i],
                   count[PASSED], held, 100.0 * count[PASSED] / held);
        enough &= count[PASSED] >= o->min_share * held;
    }
    printf("%s kernels: %d passed, %d refused, %d of narrow types, %d outside, "
           "%d flawed, %d failed\n",
           kernels, sum[PASSED], sum[REFUSED], sum[NARROW], sum[OUTSIDE],
           sum[FLAWED], sum[FAILED]);
    if (o->part != NULL)
        return sum[FAILED] == 0;
    if (sum[PASSED] < o->min_passed)
        printf("at least %d passed before\n", o->min_passed);
    return sum[FAILED] == 0 && enough && sum[PASSED] >= o->min_passed;
}

int
main(int argc, char **argv)
{
    const char *root = getenv("ONNX_TESTDATA");
    struct options o = {.min_passed = root == NULL ? MIN_PASSED : 0,
                        .min_share = root == NULL ? MIN_SHARE : 0};
    bool plain, all;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-v") == 0)
            o.verbose = true;
        else
            o.part = argv[i];
    if (root == NULL)
        root = "/usr/share/libonnx-testdata/data";
    if (!exists(root)) {
        printf("no test vectors at %s (Debian: libonnx-testdata)\n", root);
        return SKIPPED;
    }
    plain = run_all(root, &o, "plain");
    all = run_all(root, &o, "all");
    return plain && all ? 0 : 1;
}
