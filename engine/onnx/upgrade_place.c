/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that go to places between or around elements: Resize in its many
 * forms, RoiAlign, DFT.
 */
#include "engine/onnx/rewrite.h"

#include <math.h>
#include <string.h>

#include "engine/onnx/onnx.h"

/* --- resize ------------------------------------------------------------- */

static bool
empty_const(const struct value *v)
{
    return v != NULL && v->data != NULL && shape_n(&v->shape) == 0;
}

static const char *
text_attr(struct upgrade *u, int node, const char *name, const char *dflt)
{
    return attr_string(rewrite_node(u, node), name, dflt);
}

static int
resize(struct upgrade *u, int node, struct err *e)
{
    const char *where =
        text_attr(u, node, "coordinate_transformation_mode", "half_pixel");

    /* Exporters name inputs they don't mean: no elements, or a roi unread. */
    if (rewrite_has_input(u, node, 1) &&
        strcmp(where, "tf_crop_and_resize") != 0)
        rewrite_set_input(u, node, 1, -1);
    for (int i = 1; i < 4; i++)
        if (empty_const(node_in(u->g, rewrite_node(u, node), i)))
            rewrite_set_input(u, node, i, -1);
    if (!rewrite_has_input(u, node, 2) && !rewrite_has_input(u, node, 3))
        return err_set(e, ERR_INVALID, "neither scales nor sizes are given");
    return 0;
}

/*
 * Upsample and Resize before 11 count from the corner.  To shrink, nearest
 * rounded up, which is what the reference runtime did; to grow, down.
 */
static int
corner_mode(struct upgrade *u, int node, const float *scales, size_t n,
            struct err *e)
{
    bool grows = false, shrinks = false;

    for (size_t i = 0; i < n; i++) {
        if (!(scales[i] > 0) || !isfinite(scales[i]))
            return err_set(e, ERR_INVALID, "scale %g", (double)scales[i]);
        grows |= scales[i] > 1;
        shrinks |= scales[i] < 1;
    }
    if (grows && shrinks &&
        strcmp(text_attr(u, node, "mode", "nearest"), "nearest") == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "nearest that grows one axis and shrinks another is "
                       "not supported before opset 11");
    attr_set_string(u->g, rewrite_node(u, node),
                    "coordinate_transformation_mode", "asymmetric");
    attr_set_string(u->g, rewrite_node(u, node), "nearest_mode",
                    shrinks ? "ceil" : "floor");
    return 0;
}

static int
resize_10(struct upgrade *u, int node, struct err *e)
{
    int scales = rewrite_node(u, node)->in[1];
    const struct value *v = graph_value(u->g, scales);
    bool known = v->data != NULL && v->dtype == DTYPE_FLOAT;

    rewrite_set_input(u, node, 2, scales);
    rewrite_set_input(u, node, 1, -1);
    return corner_mode(u, node, known ? v->data : NULL,
                       known ? shape_n(&v->shape) : 0, e);
}

static int
upsample_7(struct upgrade *u, int node, struct err *e)
{
    int n;
    const float *scales = attr_floats(rewrite_node(u, node), "scales", &n);

    if (rewrite_need_attr(u, node, "scales", e) != 0 ||
        corner_mode(u, node, scales, (size_t)n, e) != 0)
        return e->code;
    attr_remove(rewrite_node(u, node), "scales");
    return rewrite_set_const(u, node, 2, "scales", DTYPE_FLOAT, &SHAPE(n),
                             scales, e);
}

/* Before 16 regions were not moved by half a pixel. */
static int
roi_align_10(struct upgrade *u, int node, struct err *e)
{
    (void)e;
    attr_set_string(u->g, rewrite_node(u, node),
                    "coordinate_transformation_mode", "output_half_pixel");
    return 0;
}

/* --- spectra ------------------------------------------------------------ */

/* From 20 on the axis is an input with another default. */
static int
dft_17(struct upgrade *u, int node, struct err *e)
{
    (void)e;
    attr_set_int(u->g, rewrite_node(u, node), "axis",
                 attr_int(rewrite_node(u, node), "axis", 1));
    return 0;
}

const struct rule rules_place[] = {
    {"DFT", 17, 19, {OP_DFT, 1, 2, 1, dft_17}},
    {"Resize", 6, 10, {OP_RESIZE, 2, 2, 1, resize_10}},
    {"Resize", 11, OPSET_LAST, {OP_RESIZE, 1, 4, 1, resize}},
    {"RoiAlign", 10, 15, {OP_ROI_ALIGN, 3, 3, 1, roi_align_10}},
    {"Upsample", 7, 8, {OP_RESIZE, 1, 1, 1, upsample_7}},
    {"Upsample", 9, OPSET_LAST, {OP_RESIZE, 2, 2, 1, resize_10}},
    {NULL, 0, 0, {0}},
};
