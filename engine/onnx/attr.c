/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx/attr.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/onnx/tensor.h"

static const char *
type_name(int32_t type)
{
    static const char *const names[] = {
        "undefined",      "float",   "int",    "string",
        "tensor",         "graph",   "floats", "ints",
        "strings",        "tensors", "graphs", "sparse tensor",
        "sparse tensors", "type",    "types",
    };

    return type >= 0 && (size_t)type < sizeof names / sizeof names[0]
               ? names[type]
               : "unknown";
}

/* Some writers leave the type out: then the field that is there tells it. */
static int32_t
type_of(const Onnx__AttributeProto *p, enum attr_type want)
{
    if (p->type != 0)
        return p->type;
    if (p->has_f)
        return ATTR_FLOAT;
    if (p->has_i)
        return ATTR_INT;
    if (p->has_s)
        return ATTR_STRING;
    if (p->t != NULL)
        return ATTR_TENSOR;
    if (p->n_floats > 0)
        return ATTR_FLOATS;
    if (p->n_ints > 0)
        return ATTR_INTS;
    if (p->n_strings > 0)
        return ATTR_STRINGS;
    return want;
}

static const char *
text_of(struct arena *a, ProtobufCBinaryData s, struct err *e)
{
    const char *text;

    if (s.len > 0 && memchr(s.data, '\0', s.len) != NULL) {
        err_set(e, ERR_INVALID, "a string with a NUL in it");
        return NULL;
    }
    text = arena_strndup(a, (const char *)s.data, s.len);
    if (text == NULL)
        err_set(e, ERR_NO_MEMORY, "no memory for %zu bytes", s.len);
    return text;
}

static void *
list_of(struct arena *a, const void *p, size_t n, size_t size, struct err *e)
{
    void *own = n > INT_MAX ? NULL : arena_try(a, n, size);

    if (own == NULL)
        err_set(e, ERR_NO_MEMORY, "no memory for a list of %zu", n);
    else if (n > 0 && p != NULL)
        memcpy(own, p, n * size);
    return own;
}

static const char *const *
strings_of(struct arena *a, const Onnx__AttributeProto *p, struct err *e)
{
    const char **own = list_of(a, NULL, p->n_strings, sizeof *own, e);

    for (size_t i = 0; own != NULL && i < p->n_strings; i++) {
        own[i] = text_of(a, p->strings[i], e);
        if (own[i] == NULL)
            return NULL;
    }
    return own;
}

static int
tensor_of(const Onnx__AttributeProto *p, struct external *x, struct attr *out,
          struct err *e)
{
    struct tensor *t = arena_new_in(x->arena, 1, sizeof *t);

    if (p->t == NULL)
        return err_set(e, ERR_INVALID, "the tensor is missing");
    out->tensor = t;
    return tensor_import(p->t, x, t, e);
}

static int
value_of(const Onnx__AttributeProto *p, struct external *x, struct attr *out,
         struct err *e)
{
    out->n = 1;
    switch (out->type) {
    case ATTR_FLOAT:
        out->f = p->f;
        return 0;
    case ATTR_INT:
        out->i = p->i;
        return 0;
    case ATTR_STRING:
        out->s = text_of(x->arena, p->s, e);
        return out->s == NULL ? e->code : 0;
    case ATTR_TENSOR:
        return tensor_of(p, x, out, e);
    case ATTR_FLOATS:
        out->n = (int)p->n_floats;
        out->floats =
            list_of(x->arena, p->floats, p->n_floats, sizeof *p->floats, e);
        return out->floats == NULL ? e->code : 0;
    case ATTR_INTS:
        out->n = (int)p->n_ints;
        out->ints = list_of(x->arena, p->ints, p->n_ints, sizeof *p->ints, e);
        return out->ints == NULL ? e->code : 0;
    case ATTR_STRINGS:
        out->n = (int)p->n_strings;
        out->strings = strings_of(x->arena, p, e);
        return out->strings == NULL ? e->code : 0;
    default:
        return err_set(e, ERR_UNSUPPORTED, "type %s is not supported here",
                       type_name((int32_t)out->type));
    }
}

int
attr_import(const Onnx__AttributeProto *p, enum attr_type want,
            struct external *x, struct attr *out, struct err *e)
{
    const char *name = p->name == NULL ? "" : p->name;
    int32_t type = type_of(p, want);

    if (name[0] == '\0')
        return err_set(e, ERR_INVALID, "an attribute without a name");
    if (name_check(name, "attribute", e) != 0)
        return e->code;
    if (p->ref_attr_name != NULL && p->ref_attr_name[0] != '\0')
        return err_set(e, ERR_INVALID,
                       "attribute %s refers to %s, but is in no function",
                       label(name).text, label(p->ref_attr_name).text);
    if (want != 0 && type != (int32_t)want)
        return err_set(e, ERR_INVALID, "attribute %s has type %s, must be %s",
                       label(name).text, type_name(type),
                       type_name((int32_t)want));
    *out = (struct attr){.type = (enum attr_type)type};
    out->name = list_of(x->arena, name, strlen(name) + 1, 1, e);
    if (out->name == NULL || value_of(p, x, out, e) != 0)
        return err_wrap(e, "attribute %s", label(name).text);
    return 0;
}
