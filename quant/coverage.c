/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/coverage.h"

#include <stdio.h>
#include <string.h>

bool
coverage_is_layer(const char *op)
{
    static const char *const layers[COVERAGE_OPS] = {
        "Conv", "ConvTranspose", "ConvInteger",   "ConvIntegerToFloat",
        "Gemm", "MatMul",        "MatMulInteger", "MatMulIntegerToFloat"};

    for (int i = 0; i < COVERAGE_OPS && layers[i] != NULL; i++)
        if (strcmp(op, layers[i]) == 0)
            return true;
    return false;
}

bool
coverage_is_int8(const struct model_step *s)
{
    return strstr(s->precision, "int8") != NULL;
}

void
coverage_add(struct coverage *c, const struct model_step *s)
{
    int i = 0;

    c->n_steps++;
    c->n_ref += strncmp(s->impl, "ref", 3) == 0;
    c->n_plain += strncmp(s->kernel, "ops.", 4) == 0 &&
                  strcmp(s->kernel, "ops.view") != 0;
    if (!coverage_is_layer(s->op))
        return;
    while (i < c->n_ops && strcmp(c->ops[i].op, s->op) != 0)
        i++;
    if (i == c->n_ops)
        snprintf(c->ops[c->n_ops++].op, sizeof c->ops[0].op, "%s", s->op);
    c->ops[i].n++;
    c->n_layers++;
    if (coverage_is_int8(s)) {
        c->ops[i].n_int8++;
        c->n_int8++;
    }
}

const char *
coverage_text(const struct coverage *c, char *text, size_t size)
{
    size_t n = 0;

    snprintf(text, size, "no layers with weights");
    for (int i = 0; i < c->n_ops && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%d of %d %s in int8",
                              i > 0 ? "; " : "", c->ops[i].n_int8, c->ops[i].n,
                              c->ops[i].op);
    return text;
}
