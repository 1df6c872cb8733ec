/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rule an operator has: one a change of an operator, as the ONNX change
 * log tells them (docs/Changelog.md).  Most are of one kind: what was an
 * attribute became an input, or the other way round.  The rules themselves are
 * in files of their own, by theme.
 */
#include "engine/onnx/upgrade.h"

#include <string.h>

#include "engine/onnx/contrib.h"
#include "engine/onnx/rewrite.h"

/* In a file of an older opset only what has not changed since is known. */
enum { RULES_FROM = 6 };

static const struct {
    const char *domain;
    const struct rule *rules;
} tables[] = {
    {"", rules_expand},
    {"", rules_inputs},
    {"", rules_norm},
    {"", rules_place},
    {"", rules_type},
    {"", rules_qlinear},
    {"com.microsoft", rules_qlinear_ms},
    {"", rules_simplified},
    {"com.microsoft", rules_contrib},
    {"com.microsoft", rules_contrib_norm},
    {"com.microsoft", rules_contrib_attention},
    {"com.microsoft", rules_contrib_grouped},
    {"com.microsoft", rules_contrib_lstm},
    {"com.microsoft", rules_contrib_nbits},
};

static bool
rule_find(const char *domain, const char *op_type, int opset, struct form *out)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strcmp(tables[i].domain, domain) != 0)
            continue;
        for (const struct rule *r = tables[i].rules; r->name != NULL; r++)
            if (opset >= r->first && opset <= r->last &&
                strcmp(r->name, op_type) == 0) {
                *out = r->form;
                return true;
            }
    }
    return false;
}

bool
form_find(const char *domain, const char *op_type, int opset, struct form *out)
{
    const struct op_info *info;
    enum op op;

    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    if (rule_find(domain, op_type, opset, out))
        return true;
    if (domain[0] != '\0') /* also "quantd", which is for use in memory only */
        return false;
    op = op_find("", op_type);
    if (op == OP_COUNT)
        return false;
    if (op == OP_SCAN && opset < 9) /* it had a batch axis then */
        return false;
    info = op_info(op);
    if (opset < RULES_FROM && info->since > opset)
        return false;
    *out = (struct form){op, info->in_min, info->in_max, info->out_max, NULL};
    return true;
}

int
upgrade_node(struct upgrade *u, const struct form *f, int node, struct err *e)
{
    int added = (int)u->g->nodes.n;

    if (f->up != NULL && f->up(u, node, e) != 0)
        return e->code;
    facts_follow(&u->facts, u->g, rewrite_node(u, node));
    for (int i = added; i < (int)u->g->nodes.n; i++)
        facts_follow(&u->facts, u->g, rewrite_node(u, i));
    return 0;
}
