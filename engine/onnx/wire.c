/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format of protobuf, as far as it must be known to check it: a
 * message is a list of fields, each a tag (number << 3 | wire type) and then
 * a varint, four bytes, eight bytes, or a length and that many bytes.
 */
#include "engine/onnx/wire.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

enum {
    /*
     * Messages within messages: a graph within an attribute of a node takes
     * three, so this is eight control flow operators within one another.
     * protobuf-c takes some kilobytes of stack for each.
     */
    MAX_DEPTH = 32,

    /*
     * Memory a file may take: so many bytes for each of its own, and a base.
     * One-byte varints that become int64 take 8; an ordinary node takes 5.
     */
    BYTES_PER_BYTE = 12,
    BYTES_BASE = 64 << 20,

    TAG_BYTES = 5, /* 32 bits, 7 a byte */
    VARINT_BYTES = 10,
};

/* --- the check --------------------------------------------------------- */

struct reader {
    const uint8_t *begin, *at, *end;
    struct err *e;
};

static int
broken(const struct reader *r, const char *what,
       const ProtobufCMessageDescriptor *d, unsigned field)
{
    return err_set(r->e, ERR_INVALID,
                   "not a valid ONNX file: byte %zu: %s (%s, field %u)",
                   (size_t)(r->at - r->begin), what, d->short_name, field);
}

/* False when the bytes end within it or it has more than max bytes. */
static bool
varint(struct reader *r, const uint8_t *end, int max, uint64_t *out)
{
    uint64_t v = 0;

    for (int i = 0; i < max && r->at + i < end; i++) {
        uint8_t b = r->at[i];

        v |= (uint64_t)(b & 0x7f) << 7 * i;
        if (b < 0x80) {
            r->at += i + 1;
            *out = v;
            return true;
        }
    }
    return false;
}

static ProtobufCWireType
wire_type_of(ProtobufCType t)
{
    switch (t) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* A list of numbers may come in one piece, whether declared so or not. */
static bool
wire_fits(const ProtobufCFieldDescriptor *f, unsigned wire)
{
    return wire == wire_type_of(f->type) ||
           (wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
            f->label == PROTOBUF_C_LABEL_REPEATED);
}

static const ProtobufCFieldDescriptor *
field_of(const ProtobufCMessageDescriptor *d, unsigned id)
{
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].id == id)
            return &d->fields[i];
    return NULL;
}

/* Numbers in one piece: whole ones, up to its end. */
static bool
check_packed(struct reader *r, const uint8_t *end, ProtobufCType type)
{
    uint64_t skipped;
    size_t n = (size_t)(end - r->at);

    switch (wire_type_of(type)) {
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        r->at = end;
        return n % 4 == 0;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        r->at = end;
        return n % 8 == 0;
    default:
        while (r->at < end)
            if (!varint(r, end, VARINT_BYTES, &skipped))
                return false;
        return true;
    }
}

static int check(struct reader *r, const uint8_t *end,
                 const ProtobufCMessageDescriptor *d, int depth);

static int
check_bytes(struct reader *r, const uint8_t *end,
            const ProtobufCMessageDescriptor *d, unsigned id, int depth)
{
    const ProtobufCFieldDescriptor *f = field_of(d, id);
    uint64_t n;

    if (!varint(r, end, VARINT_BYTES, &n))
        return broken(r, "a length is cut short", d, id);
    if (n > (uint64_t)(end - r->at))
        return broken(r, "the file ends before this does", d, id);
    if (f != NULL && f->type == PROTOBUF_C_TYPE_MESSAGE)
        return check(r, r->at + n, f->descriptor, depth + 1);
    if (f == NULL || f->type == PROTOBUF_C_TYPE_STRING ||
        f->type == PROTOBUF_C_TYPE_BYTES)
        r->at += n;
    else if (!check_packed(r, r->at + n, f->type))
        return broken(r, "a list of numbers is cut short", d, id);
    return 0;
}

static int
check(struct reader *r, const uint8_t *end, const ProtobufCMessageDescriptor *d,
      int depth)
{
    if (depth > MAX_DEPTH)
        return broken(r, "nested too deeply", d, 0);
    while (r->at < end) {
        const ProtobufCFieldDescriptor *f;
        uint64_t tag, skipped;
        unsigned id, wire;

        if (!varint(r, end, TAG_BYTES, &tag) || tag >> 3 == 0 ||
            tag > UINT32_MAX)
            return broken(r, "no field begins here", d, 0);
        id = (unsigned)(tag >> 3);
        wire = tag & 7;
        f = field_of(d, id);
        if (f != NULL && !wire_fits(f, wire))
            return broken(r, "a field of the wrong kind", d, id);
        if (wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            if (check_bytes(r, end, d, id, depth) != 0)
                return r->e->code;
        } else if (wire == PROTOBUF_C_WIRE_TYPE_VARINT) {
            if (!varint(r, end, VARINT_BYTES, &skipped))
                return broken(r, "a number is cut short", d, id);
        } else if (wire == PROTOBUF_C_WIRE_TYPE_32BIT ||
                   wire == PROTOBUF_C_WIRE_TYPE_64BIT) {
            size_t n = wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;

            if (n > (size_t)(end - r->at))
                return broken(r, "a number is cut short", d, id);
            r->at += n;
        } else {
            return broken(r, "a field of no known kind", d, id);
        }
    }
    return 0;
}

/* --- memory ------------------------------------------------------------ */

struct budget {
    size_t left;
    bool over;
};

static void *
take(void *arg, size_t size)
{
    struct budget *b = arg;

    if (size > b->left) {
        b->over = true;
        return NULL;
    }
    b->left -= size;
    return mem_try(1, size);
}

static void
give_back(void *arg, void *p)
{
    (void)arg;
    mem_free(p);
}

int
wire_parse(const ProtobufCMessageDescriptor *d, const void *p, size_t bytes,
           ProtobufCMessage **out, struct err *e)
{
    struct reader r = {p, p, (const uint8_t *)p + bytes, e};
    struct budget b = {0};
    ProtobufCAllocator memory = {take, give_back, &b};
    ProtobufCMessage *m;

    if (bytes == 0)
        return err_set(e, ERR_INVALID, "the file is empty");
    if (bytes > INT_MAX)
        return err_set(e, ERR_INVALID,
                       "%zu bytes: a protobuf file ends at 2 GB, larger "
                       "models keep their tensors in external data",
                       bytes);
    if (check(&r, r.end, d, 0) != 0)
        return e->code;
    b.left = BYTES_BASE + bytes * (size_t)BYTES_PER_BYTE;
    m = protobuf_c_message_unpack(d, &memory, bytes, p);
    if (m == NULL && b.over)
        return err_set(e, ERR_TOO_LARGE,
                       "%zu bytes of file would take over %zu MB of memory",
                       bytes,
                       (BYTES_BASE + bytes * (size_t)BYTES_PER_BYTE) >> 20);
    if (m == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for a file of %zu bytes",
                       bytes);
    *out = m;
    return 0;
}

void
wire_free(ProtobufCMessage *m)
{
    ProtobufCAllocator memory = {take, give_back, NULL};

    if (m != NULL)
        protobuf_c_message_free_unpacked(m, &memory);
}
