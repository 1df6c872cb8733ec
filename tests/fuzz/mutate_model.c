/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How libFuzzer changes ONNX files: as messages, so that what comes out can
 * still be parsed and most of it means something.
 *
 * The messages describe themselves (protobuf-c's descriptors), so one walk
 * over fields does for all of them: a number becomes another that is likely
 * to hurt, a string another of the same kind from this file or from the
 * tables of operators and attributes, a list loses, doubles or swaps elements,
 * a message becomes a copy of another of its type.  Tensors are also changed
 * as tensors: elements by type, and dimensions together with the data.  Two
 * files are crossed by copying parts, or by running one behind the other.
 *
 * All memory is an arena that lives for one mutation.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "engine/ir/attr.h"
#include "engine/ir/dtype.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/onnx.pb-c.h"
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
                                 const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t max_size, unsigned int seed);

enum {
    MAX_CHANGES = 4,     /* in one mutation */
    MAX_COUNT = 1 << 12, /* elements of a list that is made longer */
    MAX_BYTES = 1 << 16, /* of data that are made longer */
};

static struct arena *arena;

static void *
take(void *unused, size_t size)
{
    (void)unused;
    return arena_new_in(arena, 1, size > 0 ? size : 1);
}

static void
keep(void *unused, void *p)
{
    (void)unused;
    (void)p;
}

static ProtobufCAllocator memory = {take, keep, NULL};

static uint64_t random_state;

/* 0 <= r < n. Source: Knuth's MMIX generator. */
static size_t
chance(size_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((random_state >> 33) % n);
}

#define PICK(list) (list)[chance(sizeof(list) / sizeof((list)[0]))]

/* --- single values -------------------------------------------------------- */

static int64_t
some_int(int64_t now)
{
    static const int64_t usual[] = {0, 1, 2, 3, 4, 5, 7, 8, 16, -1, -2, -3};
    static const int64_t hostile[] = {INT64_MIN,
                                      INT64_MAX,
                                      INT32_MIN,
                                      INT32_MAX,
                                      INT64_MAX - 1,
                                      INT64_MIN + 1,
                                      (int64_t)1 << 31,
                                      (int64_t)1 << 32,
                                      (int64_t)1 << 40,
                                      (int64_t)1 << 62,
                                      -((int64_t)1 << 40),
                                      65536,
                                      100000,
                                      1 << 24,
                                      255,
                                      256,
                                      128,
                                      -128,
                                      1000};

    switch (chance(8)) {
    case 0:
        return PICK(hostile);
    case 1:
        return (int64_t)((uint64_t)now + 1);
    case 2:
        return (int64_t)((uint64_t)now - 1);
    case 3:
        return (int64_t)((uint64_t)now * 2);
    case 4:
        return (int64_t)(0 - (uint64_t)now);
    default:
        return PICK(usual);
    }
}

static float
some_float(void)
{
    static const float usual[] = {0, 1, -1, 0.5f, 2, -200, 3.25f, 1e-5f};
    static const float hostile[] = {__builtin_nanf(""),
                                    __builtin_inff(),
                                    -__builtin_inff(),
                                    3e38f,
                                    -3e38f,
                                    1e-45f,
                                    -0.0f,
                                    1e30f,
                                    2147483648.f,
                                    -9.3e18f};

    return chance(3) == 0 ? PICK(hostile) : PICK(usual);
}

/* --- strings -------------------------------------------------------------- */

/* Strings of one kind are exchanged with each other only, mostly. */
enum kind { KIND_VALUE, KIND_OP, KIND_ATTR, KIND_DOMAIN, KIND_TEXT, N_KINDS };

static struct pool {
    const char *at[256];
    size_t n;
} pools[N_KINDS];

/* The domains that files name, and one that they don't. */
static const char *const domains[] = {"", "ai.onnx", "com.microsoft",
                                      "ai.onnx.ml", "quantd"};

static const char *const op_names[] = {
#define OP(id, domain, name, since, min, max, out, rule) name,
#include "engine/ir/op_tbl.h"
#undef OP
};

/* What attributes of type string say. */
static const char *const texts[] = {"constant",
                                    "reflect",
                                    "edge",
                                    "wrap",
                                    "nearest",
                                    "linear",
                                    "cubic",
                                    "bilinear",
                                    "half_pixel",
                                    "asymmetric",
                                    "SAME_UPPER",
                                    "SAME_LOWER",
                                    "VALID",
                                    "NOTSET",
                                    "add",
                                    "mul",
                                    "max",
                                    "min",
                                    "none",
                                    "forward",
                                    "reverse",
                                    "bidirectional",
                                    "Tanh",
                                    "Affine",
                                    "ij,jk->ik",
                                    "...i,...j->",
                                    "ii->i",
                                    "align_corners",
                                    "tf_crop_and_resize",
                                    "tf_half_pixel_for_nn",
                                    "DCR",
                                    "CRD",
                                    "tanh",
                                    "border",
                                    "LEFT",
                                    "floor",
                                    "",
                                    "avg",
                                    "\xff\xfe"};

static enum kind
kind_of(const ProtobufCMessageDescriptor *d, const char *field)
{
    if (d == &onnx__node_proto__descriptor && strcmp(field, "op_type") == 0)
        return KIND_OP;
    if (d == &onnx__attribute_proto__descriptor && strcmp(field, "name") == 0)
        return KIND_ATTR;
    if (strcmp(field, "domain") == 0)
        return KIND_DOMAIN;
    if (d == &onnx__node_proto__descriptor ||
        d == &onnx__value_info_proto__descriptor ||
        d == &onnx__tensor_proto__descriptor)
        return KIND_VALUE;
    return KIND_TEXT;
}

static void
pool_add(enum kind k, const char *s)
{
    struct pool *p = &pools[k];

    if (p->n < sizeof p->at / sizeof p->at[0])
        p->at[p->n++] = s;
}

static const char *
some_string(enum kind k)
{
    static const char *const odd[] = {"", "x", "\xc3\xa4/:{\"a\"}", "0"};

    if (k == KIND_OP && chance(2) == 0)
        return PICK(op_names);
    if (k == KIND_DOMAIN && chance(2) == 0)
        return PICK(domains);
    if (k == KIND_TEXT && chance(2) == 0)
        return PICK(texts);
    if (chance(16) == 0 || pools[k].n == 0)
        return PICK(odd);
    return pools[k].at[chance(pools[k].n)];
}

/* --- places in the message tree ------------------------------------------- */

/* A field of some message of the file. */
struct place {
    ProtobufCMessage *m;
    const ProtobufCFieldDescriptor *f;
};

static VEC(struct place) places;
static VEC(ProtobufCMessage *) messages;

static void *
member(const struct place *p)
{
    return (char *)p->m + p->f->offset;
}

static void *
quantifier(const struct place *p)
{
    return (char *)p->m + p->f->quantifier_offset;
}

/* Every message and every field below m that holds something. */
static void
survey(ProtobufCMessage *m)
{
    VEC_PUSH(&messages, m);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        struct place p = {m, &m->descriptor->fields[i]};
        bool list = p.f->label == PROTOBUF_C_LABEL_REPEATED;
        size_t n = list ? *(size_t *)quantifier(&p) : 1;
        void *at = list ? *(void **)member(&p) : member(&p);

        VEC_PUSH(&places, p);
        for (size_t k = 0; k < n; k++) {
            if (p.f->type == PROTOBUF_C_TYPE_MESSAGE &&
                ((ProtobufCMessage **)at)[k] != NULL)
                survey(((ProtobufCMessage **)at)[k]);
            if (p.f->type == PROTOBUF_C_TYPE_STRING && ((char **)at)[k] != NULL)
                pool_add(kind_of(m->descriptor, p.f->name), ((char **)at)[k]);
        }
    }
}

static void
survey_all(Onnx__ModelProto *m)
{
    places.n = messages.n = 0;
    for (int k = 0; k < N_KINDS; k++)
        pools[k].n = 0;
    survey(&m->base);
}

/* Some message of that type, or NULL. */
static ProtobufCMessage *
some_message(const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *found = NULL;
    size_t n = 0;

    for (size_t i = 0; i < messages.n; i++)
        if (messages.at[i]->descriptor == d && chance(++n) == 0)
            found = messages.at[i];
    return found;
}

static ProtobufCMessage *
copy_of(const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = take(NULL, n);

    protobuf_c_message_pack(m, bytes);
    return protobuf_c_message_unpack(m->descriptor, &memory, n, bytes);
}

/* --- one value, whatever its type ----------------------------------------- */

static size_t
size_of(ProtobufCType t)
{
    switch (t) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 8;
    }
}

static void
set_text(ProtobufCBinaryData *b, const char *s)
{
    b->len = strlen(s);
    b->data = take(NULL, b->len);
    memcpy(b->data, s, b->len);
}

static void
change_bytes(ProtobufCBinaryData *b)
{
    size_t room = b->len + 16;
    uint8_t *p = take(NULL, room);

    if (chance(3) == 0) { /* an attribute's text */
        set_text(b, some_string(KIND_TEXT));
        return;
    }
    if (b->len > 0)
        memcpy(p, b->data, b->len);
    b->len = LLVMFuzzerMutate(p, b->len, room);
    b->data = p;
}

static void
change_value(const struct place *p, void *at)
{
    switch (p->f->type) {
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *)at = (int32_t)some_int(*(int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        *(int64_t *)at = some_int(*(int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)at = some_float();
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)at = (double)some_float();
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(const char **)at = some_string(kind_of(p->m->descriptor, p->f->name));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        change_bytes(at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE: {
        ProtobufCMessage *m = some_message(p->f->descriptor);

        if (m != NULL)
            *(ProtobufCMessage **)at = copy_of(m);
        break;
    }
    default:
        break;
    }
}

/* --- fields --------------------------------------------------------------- */

static void
list_insert(const struct place *p, size_t at, bool fresh)
{
    size_t *n = quantifier(p), size = size_of(p->f->type);
    char *old = *(char **)member(p), *list;

    if (*n >= MAX_COUNT || (*n == 0 && !fresh))
        return;
    if (p->f->type == PROTOBUF_C_TYPE_MESSAGE &&
        some_message(p->f->descriptor) == NULL)
        return;
    list = take(NULL, (*n + 1) * size);
    if (*n > 0) {
        memcpy(list, old, at * size);
        memcpy(list + (at + 1) * size, old + at * size, (*n - at) * size);
    }
    if (!fresh)
        memcpy(list + at * size, old + chance(*n) * size, size);
    else if (p->f->type == PROTOBUF_C_TYPE_STRING)
        *(const char **)(void *)(list + at * size) = "";
    if (fresh)
        change_value(p, list + at * size);
    *(char **)member(p) = list;
    ++*n;
}

static void
list_swap(char *list, size_t a, size_t b, size_t size)
{
    char t[sizeof(ProtobufCBinaryData)];

    memcpy(t, list + a * size, size);
    memmove(list + a * size, list + b * size, size);
    memcpy(list + b * size, t, size);
}

static void
change_list(const struct place *p)
{
    size_t *n = quantifier(p), size = size_of(p->f->type);
    char *list = *(char **)member(p);
    size_t at = *n > 0 ? chance(*n) : 0;
    size_t what = chance(8);

    if (*n == 0) {
        if (what < 3)
            list_insert(p, 0, true);
        return;
    }
    switch (what) {
    case 0:
        list_insert(p, at, true);
        break;
    case 1:
        list_insert(p, at, false);
        break;
    case 2:
        memmove(list + at * size, list + (at + 1) * size, (*n - at - 1) * size);
        --*n;
        break;
    case 3:
        list_swap(list, at, chance(*n), size);
        break;
    case 4:
        if (chance(4) == 0)
            *n = at;
        break;
    default:
        change_value(p, list + at * size);
    }
}

static void
change_field(const struct place *p)
{
    bool pointer = p->f->type == PROTOBUF_C_TYPE_MESSAGE ||
                   p->f->type == PROTOBUF_C_TYPE_STRING;

    if (p->f->label == PROTOBUF_C_LABEL_REPEATED) {
        change_list(p);
    } else if (pointer && chance(8) == 0) {
        *(void **)member(p) = NULL;
    } else if (pointer) {
        /* Whole messages are changed by their own fields, mostly. */
        if (p->f->type == PROTOBUF_C_TYPE_STRING || chance(4) == 0)
            change_value(p, member(p));
    } else {
        protobuf_c_boolean *has = quantifier(p);

        *has = chance(16) != 0;
        change_value(p, member(p));
    }
}

/* --- tensors -------------------------------------------------------------- */

/* One element of raw data, by type. */
static void
change_element(Onnx__TensorProto *t)
{
    size_t size = dtype_size((enum dtype)t->data_type), at;
    int64_t v;
    float f = some_float();
    double d = (double)f;

    if (size == 0 || t->raw_data.len < size)
        return;
    at = chance(t->raw_data.len / size) * size;
    v = t->raw_data.data[at];
    if (size == 8)
        memcpy(&v, t->raw_data.data + at, 8);
    v = some_int(v);
    switch (t->data_type) {
    case DTYPE_FLOAT:
        memcpy(t->raw_data.data + at, &f, size);
        break;
    case DTYPE_DOUBLE:
        memcpy(t->raw_data.data + at, &d, size);
        break;
    default:
        memcpy(t->raw_data.data + at, &v, size);
    }
}

/* Other dimensions or another type, and data that fit them. */
static void
change_size(Onnx__TensorProto *t)
{
    static const int32_t types[] = {1, 1, 1, 2,  3,  4,  5,  6,
                                    7, 7, 9, 10, 11, 12, 13, 16};
    size_t bytes;
    uint8_t *data;

    if (chance(3) == 0) {
        t->has_data_type = 1;
        t->data_type = PICK(types);
    } else if (t->n_dims > 0) {
        t->dims[chance(t->n_dims)] = (int64_t)chance(chance(8) == 0 ? 65 : 5);
    }
    bytes = dtype_size((enum dtype)t->data_type);
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0 || t->dims[i] > MAX_BYTES)
            return;
        bytes *= (size_t)t->dims[i];
        if (bytes > MAX_BYTES)
            return;
    }
    data = take(NULL, bytes);
    for (size_t i = 0; i < bytes && t->raw_data.len > 0; i++)
        data[i] = t->raw_data.data[i % t->raw_data.len];
    t->has_raw_data = 1;
    t->raw_data.data = data;
    t->raw_data.len = bytes;
    t->n_float_data = t->n_int32_data = t->n_int64_data = 0;
    t->n_double_data = t->n_uint64_data = 0;
}

static void
change_tensor(void)
{
    ProtobufCMessage *m = some_message(&onnx__tensor_proto__descriptor);
    Onnx__TensorProto *t = (Onnx__TensorProto *)m;

    if (t == NULL)
        return;
    if (chance(2) == 0)
        change_element(t);
    else
        change_size(t);
}

/* --- nodes ---------------------------------------------------------------- */

/* An attribute of a known name, with a value of the type it must have. */
static void
change_attribute(void)
{
    ProtobufCMessage *m = some_message(&onnx__attribute_proto__descriptor);
    Onnx__AttributeProto *a = (Onnx__AttributeProto *)m;

    if (a == NULL || a->name == NULL)
        return;
    a->has_type = 1;
    switch (attr_type_of(a->name)) {
    case ATTR_INT:
        a->type = ATTR_INT;
        a->has_i = 1;
        a->i = some_int(a->i);
        break;
    case ATTR_FLOAT:
        a->type = ATTR_FLOAT;
        a->has_f = 1;
        a->f = some_float();
        break;
    case ATTR_INTS:
        a->type = ATTR_INTS;
        if (a->n_ints > 0)
            a->ints[chance(a->n_ints)] = some_int(1);
        break;
    case ATTR_STRING:
        a->type = ATTR_STRING;
        a->has_s = 1;
        set_text(&a->s, some_string(KIND_TEXT));
        break;
    default:
        break;
    }
}

/* An input becomes an initializer of the same name, or another shape. */
static void
change_input(void)
{
    ProtobufCMessage *m = some_message(&onnx__graph_proto__descriptor);
    Onnx__GraphProto *g = (Onnx__GraphProto *)m;
    Onnx__ValueInfoProto *v;
    Onnx__TensorProto *t, **list;
    Onnx__TypeProto__Tensor *type;

    if (g == NULL || g->n_input == 0)
        return;
    v = g->input[chance(g->n_input)];
    type = v->type == NULL ? NULL : v->type->tensor_type;
    if (type == NULL || type->shape == NULL || type->shape->n_dim > 8)
        return;
    t = take(NULL, sizeof *t);
    onnx__tensor_proto__init(t);
    t->name = v->name;
    t->has_data_type = 1;
    t->data_type = type->elem_type;
    t->dims = take(NULL, 8 * sizeof *t->dims);
    for (size_t i = 0; i < type->shape->n_dim; i++)
        t->dims[t->n_dims++] = type->shape->dim[i]->dim_value;
    t->has_raw_data = 1;
    t->raw_data.data = take(NULL, 64);
    for (t->raw_data.len = 0; t->raw_data.len < 64; t->raw_data.len++)
        t->raw_data.data[t->raw_data.len] = (uint8_t)chance(3);
    change_size(t);
    list = take(NULL, (g->n_initializer + 1) * sizeof *list);
    if (g->n_initializer > 0)
        memcpy(list, g->initializer, g->n_initializer * sizeof *list);
    list[g->n_initializer++] = t;
    g->initializer = list;
}

/* --- crossing --------------------------------------------------------------
 */

static char *
renamed(const char *s)
{
    char *t;

    if (s == NULL || s[0] == '\0')
        return take(NULL, 1);
    t = take(NULL, strlen(s) + 3);
    memcpy(t, s, strlen(s));
    memcpy(t + strlen(s), "_b", 3);
    return t;
}

static void
rename_all(Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *n = g->node[i];

        n->name = renamed(n->name);
        for (size_t k = 0; k < n->n_input; k++)
            n->input[k] = renamed(n->input[k]);
        for (size_t k = 0; k < n->n_output; k++)
            n->output[k] = renamed(n->output[k]);
        for (size_t k = 0; k < n->n_attribute; k++)
            if (n->attribute[k]->g != NULL)
                rename_all(n->attribute[k]->g);
    }
    for (size_t i = 0; i < g->n_initializer; i++)
        g->initializer[i]->name = renamed(g->initializer[i]->name);
    for (size_t i = 0; i < g->n_input; i++)
        g->input[i]->name = renamed(g->input[i]->name);
    for (size_t i = 0; i < g->n_output; i++)
        g->output[i]->name = renamed(g->output[i]->name);
}

static void
read_instead(Onnx__GraphProto *g, const char *from, char *to)
{
    if (from == NULL || to == NULL)
        return;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_input; k++)
            if (strcmp(g->node[i]->input[k], from) == 0)
                g->node[i]->input[k] = to;
}

/* b's list behind a's. */
static void
append(size_t *n, void *list, size_t n_more, void *more)
{
    void **all = take(NULL, (*n + n_more + 1) * sizeof *all);

    if (*n > 0)
        memcpy(all, *(void **)list, *n * sizeof *all);
    if (n_more > 0)
        memcpy(all + *n, more, n_more * sizeof *all);
    *(void **)list = all;
    *n += n_more;
}

/* b reads what a answers, where it read its inputs. */
static void
run_behind(Onnx__GraphProto *a, Onnx__GraphProto *b)
{
    rename_all(b);
    for (size_t i = 0; i < b->n_input && a->n_output > 0; i++)
        if (i == 0 || chance(2) == 0)
            read_instead(b, b->input[i]->name,
                         a->output[chance(a->n_output)]->name);
    append(&a->n_node, &a->node, b->n_node, b->node);
    append(&a->n_initializer, &a->initializer, b->n_initializer,
           b->initializer);
    append(&a->n_input, &a->input, b->n_input, b->input);
    if (chance(2) == 0)
        a->n_output = 0;
    append(&a->n_output, &a->output, b->n_output, b->output);
}

/* Some messages of b take the place of a's of the same type. */
static void
exchange(Onnx__ModelProto *a, Onnx__ModelProto *b)
{
    VEC(struct place) mine = {0};

    survey_all(a);
    for (size_t i = 0; i < places.n; i++)
        if (places.at[i].f->type == PROTOBUF_C_TYPE_MESSAGE)
            VEC_PUSH(&mine, places.at[i]);
    survey_all(b);
    for (size_t k = 1 + chance(MAX_CHANGES); mine.n > 0 && k-- > 0;) {
        struct place *p = &mine.at[chance(mine.n)];

        if (p->f->label == PROTOBUF_C_LABEL_REPEATED)
            list_insert(p, chance(*(size_t *)quantifier(p) + 1), true);
        else if (chance(4) == 0)
            change_value(p, member(p));
    }
    mem_free(mine.at);
}

/* --- the door --------------------------------------------------------------
 */

static void
change(Onnx__ModelProto *m)
{
    survey_all(m);
    switch (chance(8)) {
    case 0:
    case 1:
        change_tensor();
        break;
    case 2:
        change_attribute();
        break;
    case 3:
        change_input();
        break;
    default:
        change_field(&places.at[chance(places.n)]);
    }
}

/* The packed message, or 0 when it is too large. */
static size_t
pack(const Onnx__ModelProto *m, uint8_t *out, size_t max_size)
{
    size_t n = onnx__model_proto__get_packed_size(m);

    return n <= max_size ? onnx__model_proto__pack(m, out) : 0;
}

static void
begin(unsigned seed)
{
    arena_free(&arena);
    arena = arena_new();
    random_state = seed;
    chance(1);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                        unsigned int seed)
{
    Onnx__ModelProto *m;
    size_t n = 0;

    begin(seed);
    m = onnx__model_proto__unpack(&memory, size, data);
    if (m == NULL || chance(20) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (size_t k = 1 + chance(MAX_CHANGES); k-- > 0;)
        change(m);
    n = pack(m, data, max_size);
    return n > 0 ? n : LLVMFuzzerMutate(data, size, max_size);
}

size_t
LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b,
                          size_t b_size, uint8_t *out, size_t max_size,
                          unsigned int seed)
{
    Onnx__ModelProto *x, *y;

    begin(seed);
    x = onnx__model_proto__unpack(&memory, a_size, a);
    y = onnx__model_proto__unpack(&memory, b_size, b);
    if (x == NULL || y == NULL || x->graph == NULL || y->graph == NULL)
        return 0;
    if (chance(2) == 0)
        run_behind(x->graph, y->graph);
    else
        exchange(x, y);
    return pack(x, out, max_size);
}
