/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_ONNX_ONNX_H
#define ENGINE_ONNX_ONNX_H
#endif
