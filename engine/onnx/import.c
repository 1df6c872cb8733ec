/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ModelProto to graph: opsets, metadata, and the graph within.
 */
#include "engine/onnx/import.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/wire.h"

bool
import_is_default(const char *domain)
{
    return domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

int64_t
import_opset(const Onnx__ModelProto *m, const char *domain)
{
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const char *d = text(m->opset_import[i]->domain);

        if (import_is_default(d) ? import_is_default(domain)
                                 : strcmp(d, domain) == 0)
            return m->opset_import[i]->version;
    }
    return 0;
}

static int
read_opset(const Onnx__ModelProto *m, int *opset, struct err *e)
{
    int64_t version = import_opset(m, "");

    for (size_t i = 0; i < m->n_opset_import; i++)
        if (import_is_default(text(m->opset_import[i]->domain)) &&
            m->opset_import[i]->version != version)
            return err_set(e, ERR_INVALID,
                           "opset %" PRId64 " and %" PRId64
                           " of ai.onnx in one model",
                           version, m->opset_import[i]->version);
    if (version != 0 && (version < ONNX_MIN_OPSET || version > ONNX_MAX_OPSET))
        return err_set(e, ERR_UNSUPPORTED,
                       "opset %" PRId64 " of ai.onnx is not supported: %d to "
                       "%d are",
                       version, ONNX_MIN_OPSET, ONNX_MAX_OPSET);
    *opset = (int)version;
    return 0;
}

static int
read_metas(struct graph *g, const Onnx__ModelProto *m, struct err *e)
{
    if (m->n_metadata_props > ONNX_MAX_IO)
        return err_set(e, ERR_UNSUPPORTED, "%zu metadata entries, at most %d",
                       m->n_metadata_props, ONNX_MAX_IO);
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (m->metadata_props[i]->key != NULL)
            graph_set_meta(g, m->metadata_props[i]->key,
                           text(m->metadata_props[i]->value));
    return 0;
}

static int
read_model(const Onnx__ModelProto *m, const char *folder, struct graph *g,
           struct err *e)
{
    struct import im = {.g = g, .model = m, .pb = m->graph};
    int rc;

    if (m->graph == NULL)
        return err_set(e, ERR_INVALID,
                       "not an ONNX model: there is no graph in it");
    if (read_opset(m, &im.opset, e) != 0)
        return e->code;
    im.ext.folder = folder;
    import_begin(&im);
    if (read_metas(g, m, e) != 0 ||
        name_check(text(m->graph->name), "graph name", e) != 0)
        return e->code;
    g->name = arena_strndup(g->arena, text(m->graph->name),
                            strlen(text(m->graph->name)));
    rc = g->name == NULL ? err_set(e, ERR_NO_MEMORY, "no memory for a name")
                         : import_graph(&im, e);
    import_end(&im);
    return rc;
}

int
onnx_import(const void *p, size_t bytes, const char *folder, struct graph **out,
            struct err *e)
{
    ProtobufCMessage *m = NULL;
    struct graph *g;
    int rc;

    if (wire_parse(&onnx__model_proto__descriptor, p, bytes, &m, e) != 0)
        return e->code;
    g = graph_new();
    rc = read_model((Onnx__ModelProto *)m, folder, g, e);
    wire_free(m);
    if (rc != 0)
        graph_free(&g);
    else
        *out = g;
    return rc;
}

/* The folder that holds path. */
static char *
folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mem_strdup(".");
    return slash == path ? mem_strdup("/")
                         : mem_printf("%.*s", (int)(slash - path), path);
}

int
graph_load(const char *path, struct graph **out, struct err *e)
{
    struct file_map map;
    char *folder;
    int rc;

    if (file_map(path, &map, e) != 0)
        return e->code;
    folder = folder_of(path);
    rc = onnx_import(map.p, map.bytes, folder, out, e);
    mem_free(folder);
    file_unmap(&map);
    return rc;
}
