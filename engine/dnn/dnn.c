/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnn/dnn.h"
