/* SPDX-License-Identifier: Apache-2.0 */
/* An ONNX file, up to the graph. */
#include "tests/fuzz/fuzz.h"

#include "engine/onnx/onnx.h"

const char *const fuzz_corpus = "onnx";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct graph *g;
    struct err e;

    if (onnx_import(data, size, NULL, &g, &e) == 0)
        graph_free(&g);
    return 0;
}
