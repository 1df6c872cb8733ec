/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the domain com.microsoft, for what ONNX Runtime's optimizer writes
 * that is not quantized (qlinear.c has the rest).
 * Source: docs/ContribOperators.md of ONNX Runtime, and what it answers.
 */
#ifndef ENGINE_ONNX_CONTRIB_H
#define ENGINE_ONNX_CONTRIB_H

#include "engine/onnx/expand.h"

extern const struct rule rules_contrib[];
extern const struct rule rules_contrib_norm[];
extern const struct rule rules_contrib_attention[];
extern const struct rule rules_contrib_grouped[];
extern const struct rule rules_contrib_lstm[];
extern const struct rule rules_contrib_nbits[];

/* SimplifiedLayerNormalization, which ONNX Runtime puts into ONNX's domain. */
extern const struct rule rules_simplified[];

#endif
