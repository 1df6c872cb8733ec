/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operators that attend have in common: heads, masks, and the
 * product of three.
 */
#ifndef ENGINE_ONNX_ATTEND_H
#define ENGINE_ONNX_ATTEND_H

#include "engine/onnx/expand.h"

/*
 * softmax(q * k' * scale + mask) * v; values are -1 where there are none.
 * B is the batch, N the heads, S and T the lengths of what asks and of what is
 * looked at (T: with the past), H the size of a head.
 */
struct attend {
    struct expand x;
    int64_t heads;
    int64_t kv_heads; /* heads of k and v, each for as many of q */
    float scale;      /* 0: by the root of the size of a head */
    float softcap;    /* 0: none; the limit of scaled scores */
    float filter;     /* what masks */
    bool causal;      /* no place looks at later ones */
    int q, k, v;      /* [B,N,S,H] [B,N,T,H] [B,N,T,H] */
    int mask;         /* [B or 2*B], [B,T], [B,S,T] or [B,1,M,M]: 0 masks */
    int bias;         /* what else is added, [B or 1,N or 1,S,T] */
};

/*
 * Begins with the attributes that all of them have.
 * Fails: ERR_INVALID, with the attribute named.
 */
int attend_begin(struct attend *a, struct upgrade *u, int node, struct err *e);

/* [B,S,heads*H] as [B,heads,S,H] */
int attend_by_head(struct attend *a, int value, int64_t heads);

/* k or v of the past, then the new one. */
int attend_behind(struct attend *a, int past, int value);

/* The number that is added where nothing may be seen. */
float attend_lowest(enum dtype t);

/* The file's node becomes the end of it all. */
int attend_end(struct attend *a, struct err *e);

#endif
