/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ir/attr.h"

#include <assert.h>
#include <string.h>

#include "engine/ir/graph.h"

static const struct {
    const char *name;
    enum attr_type type;
} types[] = {
    {"K", ATTR_INT},
    {"N", ATTR_INT},
    {"accuracy_level", ATTR_INT},
    {"activation", ATTR_STRING},
    {"activation_alpha", ATTR_FLOATS},
    {"activation_beta", ATTR_FLOATS},
    {"activation_params", ATTR_FLOATS},
    {"activations", ATTR_STRINGS},
    {"align_corners", ATTR_INT},
    {"allowzero", ATTR_INT},
    {"alpha", ATTR_FLOAT},
    {"antialias", ATTR_INT},
    {"approximate", ATTR_STRING},
    {"auto_pad", ATTR_STRING},
    {"axes", ATTR_INTS},
    {"axis", ATTR_INT},
    {"batch_axis", ATTR_INT},
    {"batch_dims", ATTR_INT},
    {"beta", ATTR_FLOAT},
    {"bias", ATTR_FLOAT},
    {"bits", ATTR_INT},
    {"block_size", ATTR_INT},
    {"blocksize", ATTR_INT},
    {"body", ATTR_GRAPH},
    {"broadcast", ATTR_INT},
    {"causal", ATTR_INT},
    {"ceil_mode", ATTR_INT},
    {"center_point_box", ATTR_INT},
    {"channels_last", ATTR_INT},
    {"clip", ATTR_FLOAT},
    {"coordinate_transformation_mode", ATTR_STRING},
    {"count_include_pad", ATTR_INT},
    {"cubic_coeff_a", ATTR_FLOAT},
    {"detect_negative", ATTR_INT},
    {"detect_positive", ATTR_INT},
    {"dilations", ATTR_INTS},
    {"direction", ATTR_STRING},
    {"do_rotary", ATTR_INT},
    {"dtype", ATTR_INT},
    {"else_branch", ATTR_GRAPH},
    {"end", ATTR_INT},
    {"ends", ATTR_INTS},
    {"epsilon", ATTR_FLOAT},
    {"equation", ATTR_STRING},
    {"exclude_outside", ATTR_INT},
    {"exclusive", ATTR_INT},
    {"extrapolation_value", ATTR_FLOAT},
    {"fmod", ATTR_INT},
    {"gamma", ATTR_FLOAT},
    {"gather_axis", ATTR_INT},
    {"group", ATTR_INT},
    {"hidden_size", ATTR_INT},
    {"high", ATTR_FLOAT},
    {"ignore_index", ATTR_INT},
    {"input_forget", ATTR_INT},
    {"interleaved", ATTR_INT},
    {"inverse", ATTR_INT},
    {"is_causal", ATTR_INT},
    {"is_packed_batching", ATTR_INT},
    {"k", ATTR_INT},
    {"keep_aspect_ratio_policy", ATTR_STRING},
    {"keepdims", ATTR_INT},
    {"kernel_shape", ATTR_INTS},
    {"kv_num_heads", ATTR_INT},
    {"lambd", ATTR_FLOAT},
    {"largest", ATTR_INT},
    {"layout", ATTR_INT},
    {"left_window_size", ATTR_INT},
    {"linear_before_reset", ATTR_INT},
    {"local_window_size", ATTR_INT},
    {"low", ATTR_FLOAT},
    {"mask_filter_value", ATTR_FLOAT},
    {"max", ATTR_FLOAT},
    {"max_gram_length", ATTR_INT},
    {"max_skip_count", ATTR_INT},
    {"mean", ATTR_FLOAT},
    {"min", ATTR_FLOAT},
    {"min_gram_length", ATTR_INT},
    {"mode", ATTR_STRING},
    {"momentum", ATTR_FLOAT},
    {"nearest_mode", ATTR_STRING},
    {"ngram_counts", ATTR_INTS},
    {"ngram_indexes", ATTR_INTS},
    {"noop_with_empty_axes", ATTR_INT},
    {"num_groups", ATTR_INT},
    {"num_heads", ATTR_INT},
    {"num_outputs", ATTR_INT},
    {"num_scan_inputs", ATTR_INT},
    {"offset_group", ATTR_INT},
    {"onesided", ATTR_INT},
    {"opset", ATTR_INT},
    {"output_datatype", ATTR_INT},
    {"output_dtype", ATTR_INT},
    {"output_height", ATTR_INT},
    {"output_padding", ATTR_INTS},
    {"output_shape", ATTR_INTS},
    {"output_width", ATTR_INT},
    {"p", ATTR_INT},
    {"padding_mode", ATTR_STRING},
    {"pads", ATTR_INTS},
    {"past_present_share_buffer", ATTR_INT},
    {"periodic", ATTR_INT},
    {"perm", ATTR_INTS},
    {"pool_int64s", ATTR_INTS},
    {"pool_strings", ATTR_STRINGS},
    {"precision", ATTR_INT},
    {"q_num_heads", ATTR_INT},
    {"qk_matmul_output_mode", ATTR_INT},
    {"qk_output", ATTR_INT},
    {"qkv_hidden_sizes", ATTR_INTS},
    {"quantize_axis", ATTR_INT},
    {"ratio", ATTR_FLOAT},
    {"reduction", ATTR_STRING},
    {"reverse", ATTR_INT},
    {"right_window_size", ATTR_INT},
    {"rotary_embedding_dim", ATTR_INT},
    {"rotary_interleaved", ATTR_INT},
    {"sample_size", ATTR_INT},
    {"sampling_ratio", ATTR_INT},
    {"saturate", ATTR_INT},
    {"scale", ATTR_FLOAT},
    {"scales", ATTR_FLOATS},
    {"scan_input_axes", ATTR_INTS},
    {"scan_input_directions", ATTR_INTS},
    {"scan_output_axes", ATTR_INTS},
    {"scan_output_directions", ATTR_INTS},
    {"seed", ATTR_FLOAT},
    {"select_last_index", ATTR_INT},
    {"shape", ATTR_INTS},
    {"size", ATTR_INT},
    {"sliding_window_cache", ATTR_INT},
    {"smooth_softmax", ATTR_INT},
    {"softcap", ATTR_FLOAT},
    {"softmax_precision", ATTR_INT},
    {"sorted", ATTR_INT},
    {"spatial", ATTR_INT},
    {"spatial_scale", ATTR_FLOAT},
    {"split", ATTR_INTS},
    {"start", ATTR_INT},
    {"starts", ATTR_INTS},
    {"stash_type", ATTR_INT},
    {"storage_order", ATTR_INT},
    {"strides", ATTR_INTS},
    {"then_branch", ATTR_GRAPH},
    {"time_axis", ATTR_INT},
    {"to", ATTR_INT},
    {"training_mode", ATTR_INT},
    {"transA", ATTR_INT},
    {"transB", ATTR_INT},
    {"transBatchA", ATTR_INT},
    {"transBatchB", ATTR_INT},
    {"unidirectional", ATTR_INT},
    {"update_rule", ATTR_STRING},
    {"upper", ATTR_INT},
    {"value", ATTR_TENSOR},
    {"weight_prepacked", ATTR_INT},
    {"weights", ATTR_FLOATS},
};

enum attr_type
attr_type_of(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    return 0;
}

const struct attr *
attr_find(const struct node *n, const char *name)
{
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

static const struct attr *
find_typed(const struct node *n, const char *name, enum attr_type type)
{
    const struct attr *a = attr_find(n, name);

    /* What is read must be in the table: the import checks only those. */
    assert(attr_type_of(name) == type);
    assert(a == NULL || a->type == type);
    return a;
}

int64_t
attr_int(const struct node *n, const char *name, int64_t dflt)
{
    const struct attr *a = find_typed(n, name, ATTR_INT);

    return a == NULL ? dflt : a->i;
}

float
attr_float(const struct node *n, const char *name, float dflt)
{
    const struct attr *a = find_typed(n, name, ATTR_FLOAT);

    return a == NULL ? dflt : a->f;
}

const char *
attr_string(const struct node *n, const char *name, const char *dflt)
{
    const struct attr *a = find_typed(n, name, ATTR_STRING);

    return a == NULL ? dflt : a->s;
}

struct graph *
attr_graph(const struct node *n, const char *name)
{
    const struct attr *a = find_typed(n, name, ATTR_GRAPH);

    return a == NULL ? NULL : a->graph;
}

const int64_t *
attr_ints(const struct node *n, const char *name, int *count)
{
    const struct attr *a = find_typed(n, name, ATTR_INTS);

    *count = a == NULL ? 0 : a->n;
    return a == NULL ? NULL : a->ints;
}

const float *
attr_floats(const struct node *n, const char *name, int *count)
{
    const struct attr *a = find_typed(n, name, ATTR_FLOATS);

    *count = a == NULL ? 0 : a->n;
    return a == NULL ? NULL : a->floats;
}

const char *const *
attr_strings(const struct node *n, const char *name, int *count)
{
    const struct attr *a = find_typed(n, name, ATTR_STRINGS);

    *count = a == NULL ? 0 : a->n;
    return a == NULL ? NULL : a->strings;
}

static struct attr *
set(struct graph *g, struct node *n, const char *name, enum attr_type type)
{
    struct attr *more;
    int at = 0;

    while (at < n->n_attrs && strcmp(n->attrs[at].name, name) != 0)
        at++;
    if (at == n->n_attrs) {
        more = arena_new_in(g->arena, (size_t)n->n_attrs + 1, sizeof *more);
        if (n->n_attrs > 0)
            memcpy(more, n->attrs, (size_t)n->n_attrs * sizeof *more);
        n->attrs = more;
        n->n_attrs++;
        n->attrs[at].name = arena_strndup(g->arena, name, strlen(name));
        assert(n->attrs[at].name != NULL);
    }
    n->attrs[at].type = type;
    n->attrs[at].n = 1;
    return &n->attrs[at];
}

void
attr_set_int(struct graph *g, struct node *n, const char *name, int64_t v)
{
    set(g, n, name, ATTR_INT)->i = v;
}

void
attr_set_float(struct graph *g, struct node *n, const char *name, float v)
{
    set(g, n, name, ATTR_FLOAT)->f = v;
}

void
attr_set_string(struct graph *g, struct node *n, const char *name,
                const char *v)
{
    char *s = arena_strndup(g->arena, v, strlen(v));

    assert(s != NULL);
    set(g, n, name, ATTR_STRING)->s = s;
}

void
attr_set_ints(struct graph *g, struct node *n, const char *name,
              const int64_t *v, int count)
{
    int64_t *own = arena_new_in(g->arena, (size_t)count, sizeof *own);
    struct attr *a = set(g, n, name, ATTR_INTS);

    if (count > 0)
        memcpy(own, v, (size_t)count * sizeof *own);
    a->ints = own;
    a->n = count;
}

void
attr_remove(struct node *n, const char *name)
{
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0) {
            n->attrs[i] = n->attrs[--n->n_attrs];
            return;
        }
}
