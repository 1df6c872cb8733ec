/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading.  The JSON is walked once, in place.  An input's numbers are parsed
 * when its end is reached, since "data" may come before "shape"; binary data
 * are handed out in the order of the inputs when all of the JSON was read.
 */
#include "server/oip.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/scan.h"

static const struct {
    const char *name;
    enum dtype dtype;
} datatypes[] = {
    {"FP32", DTYPE_FLOAT},    {"INT64", DTYPE_INT64},
    {"INT32", DTYPE_INT32},   {"UINT8", DTYPE_UINT8},
    {"INT8", DTYPE_INT8},     {"BOOL", DTYPE_BOOL},
    {"FP16", DTYPE_FLOAT16},  {"BF16", DTYPE_BFLOAT16},
    {"FP64", DTYPE_DOUBLE},   {"INT16", DTYPE_INT16},
    {"UINT16", DTYPE_UINT16}, {"UINT32", DTYPE_UINT32},
    {"UINT64", DTYPE_UINT64},
};

enum { N_DATATYPES = sizeof datatypes / sizeof datatypes[0] };

const char *
oip_datatype(enum dtype t)
{
    for (int i = 0; i < N_DATATYPES; i++)
        if (datatypes[i].dtype == t)
            return datatypes[i].name;
    return NULL;
}

/* --- reading: the walk ------------------------------------------------- */

/* An input while the JSON is read. */
struct reading {
    struct oip_input *in;
    bool has_shape, has_binary;
    const char *datatype;
    char *data; /* where the array of numbers begins */
    int data_depth;
    int64_t binary_bytes;
};

struct walk {
    struct oip_request *q;
    struct scan s;
    struct reading *inputs; /* as many as q->inputs */
};

/* Each member may come once: *seen has a bit for each that came. */
static int
once(unsigned *seen, int bit, const char *key, struct err *e)
{
    if ((*seen & 1u << bit) != 0)
        return err_set(e, ERR_INVALID, "member '%s' is given twice", key);
    *seen |= 1u << bit;
    return 0;
}

static int
index_of(const char *key, const char *const *keys)
{
    int i = 0;

    while (keys[i] != NULL && strcmp(keys[i], key) != 0)
        i++;
    return keys[i] == NULL ? -1 : i;
}

static int
read_shape(struct scan *s, struct shape *out, struct err *e)
{
    bool more;

    out->rank = 0;
    if (scan_array(s, e) != 0)
        return e->code;
    for (;;) {
        if (scan_item(s, &more, e) != 0)
            return e->code;
        if (!more)
            return 0;
        if (out->rank == SHAPE_MAX_RANK)
            return err_set(e, ERR_INVALID, "more than %d dimensions",
                           SHAPE_MAX_RANK);
        if (scan_int64(s, &out->dim[out->rank], e) != 0)
            return e->code;
        if (out->dim[out->rank] < 0)
            return err_set(e, ERR_INVALID, "dimension %lld is negative",
                           (long long)out->dim[out->rank]);
        out->rank++;
    }
}

static int
refuse_shared_memory(const char *key, struct err *e)
{
    if (strncmp(key, "shared_memory", strlen("shared_memory")) == 0)
        return err_set(e, ERR_INVALID, "shared memory is not supported");
    return 0;
}

static int
read_input_parameters(struct scan *s, struct reading *r, struct err *e)
{
    const char *key;

    if (scan_object(s, e) != 0)
        return e->code;
    for (;;) {
        if (scan_key(s, &key, e) != 0)
            return e->code;
        if (key == NULL)
            return 0;
        if (refuse_shared_memory(key, e) != 0)
            return e->code;
        if (strcmp(key, "binary_data_size") != 0) {
            if (scan_skip(s, e) != 0)
                return e->code;
            continue;
        }
        if (scan_int64(s, &r->binary_bytes, e) != 0)
            return e->code;
        if (r->binary_bytes < 0)
            return err_set(e, ERR_INVALID, "binary_data_size is negative");
        r->has_binary = true;
    }
}

static int
check_datatype(struct reading *r, struct err *e)
{
    int i = 0;

    if (r->datatype == NULL)
        return err_set(e, ERR_INVALID, "it has no datatype");
    if (strcmp(r->datatype, "BYTES") == 0)
        return err_set(e, ERR_INVALID,
                       "BYTES inputs are not supported: no model here has "
                       "string inputs");
    while (i < N_DATATYPES && strcmp(datatypes[i].name, r->datatype) != 0)
        i++;
    if (i == N_DATATYPES)
        return err_set(e, ERR_INVALID, "'%.40s' is no datatype", r->datatype);
    r->in->dtype = datatypes[i].dtype;
    return 0;
}

/* Shape and type must be known by now: the bytes that the data will have. */
static int
size_input(struct reading *r, size_t *count, struct err *e)
{
    if (check_datatype(r, e) != 0)
        return e->code;
    if (!r->has_shape)
        return err_set(e, ERR_INVALID, "it has no shape");
    if (shape_count(&r->in->shape, count, e) != 0)
        return e->code;
    r->in->bytes = *count * dtype_size(r->in->dtype);
    return 0;
}

/* Parses the array of numbers that s stands before. */
static int
take_numbers(struct walk *w, struct reading *r, struct scan *s, struct err *e)
{
    struct oip_input *in = r->in;
    size_t count;

    if (size_input(r, &count, e) != 0)
        return e->code;
    if (in->dtype == DTYPE_FLOAT16 || in->dtype == DTYPE_BFLOAT16)
        return err_set(e, ERR_INVALID,
                       "%s has no JSON form: send it as binary data",
                       r->datatype);
    /* Every element takes two bytes of text, its own and the one behind. */
    if (count > w->q->body->n / 2)
        return err_set(e, ERR_INVALID,
                       "data has fewer elements than the %zu of its shape",
                       count);
    if (buf_new(in->bytes, &in->own, e) != 0)
        return e->code;
    in->own->n = in->bytes;
    in->data = in->own->p;
    return scan_tensor(s, in->dtype, count, in->own->p, e);
}

/*
 * Most clients say name, shape and datatype before data: then the numbers are
 * parsed at once, otherwise passed over until the object ends.
 */
static int
read_data(struct walk *w, struct reading *r, struct err *e)
{
    struct scan *s = &w->s;

    if (scan_peek(s) != '[')
        return err_set(e, ERR_INVALID, "data is not an array");
    r->data = s->p;
    r->data_depth = s->depth;
    if (r->has_shape && r->datatype != NULL)
        return take_numbers(w, r, s, e);
    return scan_skip(s, e);
}

/* At the end of an input's object: what there must be. */
static int
finish_input(struct walk *w, struct reading *r, struct err *e)
{
    struct scan at = w->s;
    size_t count;

    if (r->in->name == NULL)
        return err_set(e, ERR_INVALID, "it has no name");
    if (size_input(r, &count, e) != 0)
        return e->code;
    if (r->has_binary == (r->data != NULL))
        return err_set(e, ERR_INVALID,
                       r->has_binary
                           ? "it has both data and binary_data_size"
                           : "it has neither data nor binary_data_size");
    if (r->has_binary || r->in->data != NULL)
        return 0;
    at.p = r->data;
    at.depth = r->data_depth;
    return take_numbers(w, r, &at, e);
}

static int
read_input(struct walk *w, struct reading *r, struct err *e)
{
    static const char *const keys[] = {"name",       "shape", "datatype",
                                       "parameters", "data",  NULL};
    struct scan *s = &w->s;
    unsigned seen = 0;
    const char *key;

    if (scan_object(s, e) != 0)
        return e->code;
    for (;;) {
        int rc, k;

        if (scan_key(s, &key, e) != 0)
            return e->code;
        if (key == NULL)
            return finish_input(w, r, e);
        k = index_of(key, keys);
        if (k >= 0 && once(&seen, k, key, e) != 0)
            return e->code;
        switch (k) {
        case 0:
            rc = scan_string(s, &r->in->name, e);
            break;
        case 1:
            r->has_shape = true;
            rc = read_shape(s, &r->in->shape, e);
            break;
        case 2:
            rc = scan_string(s, &r->datatype, e);
            break;
        case 3:
            rc = read_input_parameters(s, r, e);
            break;
        case 4:
            rc = read_data(w, r, e);
            break;
        default:
            rc = scan_skip(s, e);
        }
        if (rc != 0)
            return rc;
    }
}

static int
name_input(const struct oip_input *in, int i, struct err *e)
{
    return in->name != NULL ? err_wrap(e, "input '%.120s'", in->name)
                            : err_wrap(e, "input %d", i);
}

static int
read_inputs(struct walk *w, struct err *e)
{
    struct oip_request *q = w->q;
    bool more;

    if (scan_array(&w->s, e) != 0)
        return err_wrap(e, "inputs");
    q->inputs = mem_new(OIP_TENSORS, sizeof *q->inputs);
    w->inputs = mem_new(OIP_TENSORS, sizeof *w->inputs);
    for (;;) {
        struct reading *r = &w->inputs[q->n_inputs];

        if (scan_item(&w->s, &more, e) != 0)
            return err_wrap(e, "inputs");
        if (!more)
            return 0;
        if (q->n_inputs == OIP_TENSORS)
            return err_set(e, ERR_INVALID, "more than %d inputs", OIP_TENSORS);
        r->in = &q->inputs[q->n_inputs];
        q->n_inputs++; /* now, for what it may own already */
        if (read_input(w, r, e) != 0)
            return name_input(r->in, q->n_inputs - 1, e);
    }
}

static int
read_output_parameters(struct scan *s, struct oip_output *o, struct err *e)
{
    const char *key;
    bool yes;

    if (scan_object(s, e) != 0)
        return e->code;
    for (;;) {
        if (scan_key(s, &key, e) != 0)
            return e->code;
        if (key == NULL)
            return 0;
        if (refuse_shared_memory(key, e) != 0)
            return e->code;
        if (strcmp(key, "binary_data") == 0) {
            if (scan_bool(s, &yes, e) != 0)
                return err_wrap(e, "binary_data");
            o->binary = yes;
        } else if (strcmp(key, "classification") == 0) {
            if (scan_int64(s, &o->classes, e) != 0)
                return err_wrap(e, "classification");
            if (o->classes < 0)
                return err_set(e, ERR_INVALID, "classification is negative");
        } else if (scan_skip(s, e) != 0) {
            return e->code;
        }
    }
}

static int
read_output(struct scan *s, struct oip_output *o, struct err *e)
{
    static const char *const keys[] = {"name", "parameters", NULL};
    unsigned seen = 0;
    const char *key;

    o->binary = -1;
    if (scan_object(s, e) != 0)
        return e->code;
    for (;;) {
        int rc, k;

        if (scan_key(s, &key, e) != 0)
            return e->code;
        if (key == NULL)
            break;
        k = index_of(key, keys);
        if (k >= 0 && once(&seen, k, key, e) != 0)
            return e->code;
        rc = k == 0   ? scan_string(s, &o->name, e)
             : k == 1 ? read_output_parameters(s, o, e)
                      : scan_skip(s, e);
        if (rc != 0)
            return rc;
    }
    if (o->name == NULL)
        return err_set(e, ERR_INVALID, "it has no name");
    return 0;
}

static int
read_outputs(struct walk *w, struct err *e)
{
    struct oip_request *q = w->q;
    bool more;

    if (scan_array(&w->s, e) != 0)
        return err_wrap(e, "outputs");
    q->outputs = mem_new(OIP_TENSORS, sizeof *q->outputs);
    for (;;) {
        struct oip_output *o = &q->outputs[q->n_outputs];

        if (scan_item(&w->s, &more, e) != 0)
            return err_wrap(e, "outputs");
        if (!more)
            return 0;
        if (q->n_outputs == OIP_TENSORS)
            return err_set(e, ERR_INVALID, "more than %d outputs", OIP_TENSORS);
        if (read_output(&w->s, o, e) != 0)
            return o->name != NULL ? err_wrap(e, "output '%.120s'", o->name)
                                   : err_wrap(e, "output %d", q->n_outputs);
        q->n_outputs++;
    }
}

/* One value of the request's parameters: a string, a number or a boolean. */
static int
read_parameter(struct scan *s, struct oip_parameter *p, struct err *e)
{
    const char *text;
    char *start;
    size_t n;

    switch (scan_peek(s)) {
    case '"':
        p->kind = 's';
        if (scan_string(s, &text, e) != 0)
            return e->code;
        p->text = mem_strdup(text);
        return 0;
    case '{':
    case '[':
    case 'n':
        return err_set(e, ERR_INVALID,
                       "it is neither a string nor a number nor a boolean");
    default:
        start = s->p;
        p->kind = *start == 't' || *start == 'f' ? 'b' : 'n';
        if (scan_skip(s, e) != 0)
            return e->code;
        n = (size_t)(s->p - start);
        p->text = mem_new(n + 1, 1);
        memcpy(p->text, start, n);
        return 0;
    }
}

static int
read_parameters(struct walk *w, struct err *e)
{
    struct oip_request *q = w->q;
    const char *key;

    if (scan_object(&w->s, e) != 0)
        return err_wrap(e, "parameters");
    q->parameters = mem_new(OIP_PARAMETERS, sizeof *q->parameters);
    for (;;) {
        struct oip_parameter *p;

        if (scan_key(&w->s, &key, e) != 0)
            return err_wrap(e, "parameters");
        if (key == NULL)
            return 0;
        if (q->n_parameters == OIP_PARAMETERS)
            return err_set(e, ERR_INVALID, "more than %d parameters",
                           OIP_PARAMETERS);
        if (oip_parameter(q, key) != NULL)
            return err_set(e, ERR_INVALID, "parameter '%.120s' is given twice",
                           key);
        p = &q->parameters[q->n_parameters++];
        p->name = key;
        if (read_parameter(&w->s, p, e) != 0)
            return err_wrap(e, "parameter '%.120s'", key);
        if (strcmp(key, "binary_data_output") == 0) {
            if (p->kind != 'b')
                return err_set(e, ERR_INVALID,
                               "parameter 'binary_data_output' is no boolean");
            q->binary_output = p->text[0] == 't';
        }
    }
}

static int
read_root(struct walk *w, struct err *e)
{
    static const char *const keys[] = {"id", "inputs", "outputs", "parameters",
                                       NULL};
    struct scan *s = &w->s;
    unsigned seen = 0;
    const char *key;

    if (scan_object(s, e) != 0)
        return e->code;
    for (;;) {
        int rc, k;

        if (scan_key(s, &key, e) != 0)
            return e->code;
        if (key == NULL)
            break;
        k = index_of(key, keys);
        if (k >= 0 && once(&seen, k, key, e) != 0)
            return e->code;
        switch (k) {
        case 0:
            rc = scan_string(s, &w->q->id, e);
            if (rc != 0)
                err_wrap(e, "id");
            break;
        case 1:
            rc = read_inputs(w, e);
            break;
        case 2:
            rc = read_outputs(w, e);
            break;
        case 3:
            rc = read_parameters(w, e);
            break;
        default:
            rc = scan_skip(s, e); /* KServe's client sends model_name */
        }
        if (rc != 0)
            return rc;
    }
    if (w->q->n_inputs == 0)
        return err_set(e, ERR_INVALID, "the request has no inputs");
    return scan_end(s, e);
}

/* --- reading: binary data ---------------------------------------------- */

static int
share_out_binary(struct walk *w, size_t json_bytes, struct err *e)
{
    struct oip_request *q = w->q;
    size_t left = q->body->n - json_bytes;
    const char *p = q->body->p + json_bytes;

    for (int i = 0; i < q->n_inputs; i++) {
        struct reading *r = &w->inputs[i];
        struct oip_input *in = &q->inputs[i];

        if (!r->has_binary)
            continue;
        if ((uint64_t)r->binary_bytes != in->bytes)
            return err_set(e, ERR_INVALID,
                           "input '%.120s': binary_data_size is %lld, its "
                           "shape and datatype make %zu bytes",
                           in->name, (long long)r->binary_bytes, in->bytes);
        if (in->bytes > left)
            return err_set(e, ERR_INVALID,
                           "input '%.120s': wants %zu bytes of binary data, "
                           "the body has %zu left",
                           in->name, in->bytes, left);
        in->data = p;
        p += in->bytes;
        left -= in->bytes;
    }
    if (left > 0)
        return err_set(e, ERR_INVALID,
                       "unexpected additional input data: %zu bytes behind "
                       "the last input",
                       left);
    return 0;
}

/* Inference-Header-Content-Length: the bytes of JSON in a body of n. */
static int
json_length(const char *header, size_t n, size_t *out, struct err *e)
{
    size_t digits;
    unsigned long long x;

    *out = n;
    if (header == NULL)
        return 0;
    digits = strspn(header, "0123456789");
    x = strtoull(header, NULL, 10);
    if (digits == 0 || header[digits] != '\0' || digits > 18)
        return err_set(e, ERR_INVALID,
                       "Inference-Header-Content-Length is no number");
    if (x > n)
        return err_set(e, ERR_INVALID,
                       "Inference-Header-Content-Length is %llu, the body has "
                       "%zu bytes",
                       x, n);
    *out = (size_t)x;
    return 0;
}

static int
read_json(struct oip_request *q, size_t json_bytes, struct err *e)
{
    struct walk w = {.q = q};
    char *end = q->body->p + json_bytes, kept = *end;
    int rc;

    *end = '\0'; /* what the scanner stops at; binary data go on here */
    scan_init(&w.s, q->body->p, json_bytes);
    rc = read_root(&w, e);
    *end = kept;
    if (rc == 0)
        rc = share_out_binary(&w, json_bytes, e);
    mem_free(w.inputs);
    return rc;
}

int
oip_read(struct buf **body, const char *header, struct oip_request **out,
         struct err *e)
{
    struct oip_request *q = mem_new(1, sizeof *q);
    size_t json_bytes;
    int rc;

    q->body = *body;
    *body = NULL;
    rc = json_length(header, q->body->n, &json_bytes, e);
    if (rc == 0 && header != NULL && json_bytes == 0) {
        q->raw = true;
        q->binary_output = true;
    } else if (rc == 0) {
        rc = read_json(q, json_bytes, e);
    }
    if (rc != 0) {
        oip_free(&q);
        return rc;
    }
    *out = q;
    return 0;
}

void
oip_free(struct oip_request **qp)
{
    struct oip_request *q = *qp;

    if (q == NULL)
        return;
    for (int i = 0; i < q->n_inputs; i++)
        buf_free(&q->inputs[i].own);
    for (int i = 0; i < q->n_parameters; i++)
        mem_free(q->parameters[i].text);
    mem_free(q->inputs);
    mem_free(q->outputs);
    mem_free(q->parameters);
    buf_free(&q->body);
    mem_free(q);
    *qp = NULL;
}

/* --- parameters -------------------------------------------------------- */

static const struct oip_parameter *
find_parameter(const struct oip_request *q, const char *name)
{
    for (int i = 0; i < q->n_parameters; i++)
        if (strcmp(q->parameters[i].name, name) == 0)
            return &q->parameters[i];
    return NULL;
}

const char *
oip_parameter(const struct oip_request *q, const char *name)
{
    const struct oip_parameter *p = find_parameter(q, name);

    return p == NULL ? NULL : p->text;
}

int
oip_integer(const struct oip_request *q, const char *name, int64_t min,
            int64_t max, int64_t dflt, int64_t *out, struct err *e)
{
    const struct oip_parameter *p = find_parameter(q, name);
    struct scan s;

    *out = dflt;
    if (p == NULL)
        return 0;
    scan_init(&s, p->text, strlen(p->text));
    if (p->kind != 'n' || scan_int64(&s, out, e) != 0 || scan_end(&s, e) != 0 ||
        *out < min || *out > max)
        return err_set(e, ERR_INVALID,
                       "parameter '%s' is no integer from %lld to %lld", name,
                       (long long)min, (long long)max);
    return 0;
}
