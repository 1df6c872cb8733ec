/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to files: protobuf-c hands their bytes over piece by piece.
 *
 * A message must know its length before it is written, and ends at 2 GB.  So
 * the weights of larger models go into a file of their own.
 */
#include "engine/onnx/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/onnx/onnx.h"

enum {
    MIN_OPSET = 13,

    /* Leaves room for the graph itself below the 2 GB of a message. */
    MAX_INLINE = 1500 << 20,
};

static size_t
const_bytes(const struct value *v)
{
    return shape_n(&v->shape) * dtype_size(v->dtype);
}

/* The oldest IR version whose release had that opset (docs/Versioning.md). */
static int
ir_version(int opset)
{
    static const struct {
        int opset, ir;
    } from[] = {{21, 10}, {19, 9}, {15, 8}};

    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        if (opset >= from[i].opset)
            return from[i].ir;
    return 7;
}

/* --- files -------------------------------------------------------------- */

struct sink {
    ProtobufCBuffer base;
    FILE *f;
};

/* Errors stay with the FILE: close_synced() looks. */
static void
append(ProtobufCBuffer *b, size_t n, const uint8_t *p)
{
    fwrite(p, 1, n, ((struct sink *)b)->f);
}

static int
open_new(const char *path, FILE **out, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct stat st;

    if (fd < 0)
        return err_errno(e, "%s", path);
    /* What fails is removed: that must never be /dev/null. */
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, ERR_INVALID, "%s: not a regular file", path);
    }
    *out = fdopen(fd, "w");
    if (*out == NULL) {
        close(fd);
        return err_set(e, ERR_NO_MEMORY, "%s: no memory to write it", path);
    }
    return 0;
}

static int
close_synced(FILE *f, const char *path, struct err *e)
{
    int rc = 0;

    if (fflush(f) != 0 || ferror(f) || fsync(fileno(f)) != 0)
        rc = err_errno(e, "%s", path);
    if (fclose(f) != 0 && rc == 0)
        rc = err_errno(e, "%s", path);
    if (rc != 0)
        unlink(path);
    return rc;
}

static int
write_model(const Onnx__ModelProto *m, const char *path, struct err *e)
{
    struct sink sink = {{append}, NULL};

    if (open_new(path, &sink.f, e) != 0)
        return e->code;
    protobuf_c_message_pack_to_buffer(&m->base, &sink.base);
    return close_synced(sink.f, path, e);
}

/* In the order in which move_out() gave them their places. */
static int
write_external(const struct save *s, const char *path, struct err *e)
{
    FILE *f;
    size_t at = 0;

    if (open_new(path, &f, e) != 0)
        return e->code;
    for (size_t i = 0; i < s->g->values.n; i++) {
        const struct value *v = &s->g->values.at[i];
        size_t n;

        if (!save_is_written(s, i) || (n = const_bytes(v)) < SAVE_SMALL)
            continue;
        at = (at + SAVE_EXTERNAL_ALIGN - 1) / SAVE_EXTERNAL_ALIGN *
             SAVE_EXTERNAL_ALIGN;
        if (fseeko(f, (off_t)at, SEEK_SET) != 0 ||
            fwrite(v->data, 1, n, f) != n)
            break; /* close_synced() tells */
        at += n;
    }
    return close_synced(f, path, e);
}

static int
write_all(struct save *s, const Onnx__ModelProto *m, const char *path,
          struct err *e)
{
    char *beside = NULL;
    int rc = 0;

    if (s->location != NULL) {
        beside = mem_printf("%s.data", path);
        rc = write_external(s, beside, e);
    }
    if (rc == 0) {
        rc = write_model(m, path, e);
        if (rc != 0 && beside != NULL)
            unlink(beside);
    }
    mem_free(beside);
    return rc;
}

/* The name of the file beside path, when the constants are too large. */
static const char *
location_for(struct save *s, const char *path, size_t max_inline)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash == NULL ? path : slash + 1;
    size_t bytes = 0, n = strlen(file) + sizeof ".data";
    char *text;

    for (size_t i = 0; i < s->g->values.n; i++)
        if (save_is_written(s, i))
            bytes += const_bytes(&s->g->values.at[i]);
    if (bytes <= max_inline)
        return NULL;
    text = arena_new_in(s->arena, n, 1);
    snprintf(text, n, "%s.data", file);
    return text;
}

static int
save_model(struct save *s, const char *path, size_t max_inline, struct err *e)
{
    Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto pb;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[] = {&opset};

    s->pb = &pb;
    s->location = location_for(s, path, max_inline);
    if (save_graph(s, e) != 0)
        return e->code;
    opset.domain = (char *)"";
    opset.has_version = 1;
    opset.version = s->opset;
    m.has_ir_version = 1;
    m.ir_version = ir_version(s->opset);
    m.producer_name = (char *)"quantd";
    m.producer_version = (char *)QUANTD_VERSION;
    m.graph = &pb;
    m.n_opset_import = 1;
    m.opset_import = opsets;
    m.metadata_props = arena_new_in(s->arena, s->g->metas.n, sizeof(void *));
    for (; m.n_metadata_props < s->g->metas.n; m.n_metadata_props++) {
        const struct meta *meta = &s->g->metas.at[m.n_metadata_props];

        m.metadata_props[m.n_metadata_props] =
            save_entry(s, meta->key, meta->text);
    }
    return write_all(s, &m, path, e);
}

int
onnx_save(const struct graph *g, const char *path, size_t max_inline,
          struct err *e)
{
    struct save s = {.g = g, .opset = MIN_OPSET};
    int rc = save_opset(g, &s.opset, e);

    if (rc != 0)
        return rc;
    s.arena = arena_new();
    save_begin(&s);
    rc = save_model(&s, path, max_inline, e);
    save_end(&s);
    arena_free(&s.arena);
    return rc;
}

int
graph_save(const struct graph *g, const char *path, struct err *e)
{
    return onnx_save(g, path, MAX_INLINE, e);
}
