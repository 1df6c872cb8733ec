# SPDX-License-Identifier: Apache-2.0
"""Operators of ONNX Runtime's domain com.microsoft, in each of their forms.

A case is a model of one node with its inputs and what must come out, computed
here with numpy as docs/ContribOperators.md of ONNX Runtime tells it.  Weights
are constants; the sizes of everything else are left open, so that nothing but
the tensors themselves says how long they are.
"""

import itertools
import math
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 14
FILTER = -10000.0
LOWEST = float(np.finfo(np.float32).min)

TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32,
         "int64": TensorProto.INT64, "uint8": TensorProto.UINT8,
         "int8": TensorProto.INT8,
         "bool": TensorProto.BOOL}

rng = np.random.default_rng(7)
cases = {}


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def case(name, op, inputs, outputs, consts=(), domain="com.microsoft",
         sizes="open", **attrs):
    """Adds one.

    inputs: name -> array, None where it is absent; outputs: arrays, None for
    one that is there but not looked at; consts: names of those that are
    initializers; sizes: what is declared of them, where "open" says the rank.
    """
    names = ["" if v is None else k for k, v in inputs.items()]
    wanted = [f"out{i}" if v is not None else "" for i, v in
              enumerate(outputs)]
    node = helper.make_node(op, names, wanted, name=f"the_{op}",
                            domain=domain, **attrs)
    given = {k: v for k, v in inputs.items() if v is not None}

    def info(k, v):
        dims = {"open": [f"{k}_{i}" for i in range(v.ndim)],
                "known": v.shape, "unknown": None}[sizes]
        return helper.make_tensor_value_info(
            k, TYPES[v.dtype.name], dims)

    feeds = {k: v for k, v in given.items() if k not in consts}
    results = {k: v for k, v in zip(wanted, outputs) if v is not None}
    graph = helper.make_graph(
        [node], name, [info(k, v) for k, v in feeds.items()],
        [info(k, v) for k, v in results.items()],
        [numpy_helper.from_array(v, k) for k, v in given.items()
         if k in consts])
    model = helper.make_model(
        graph, ir_version=8,
        opset_imports=[helper.make_opsetid("", OPSET),
                       helper.make_opsetid("com.microsoft", 1)])
    assert name not in cases
    cases[name] = model, feeds, results


def write(root):
    """All cases as the ONNX project writes its test vectors."""
    for name, (model, feeds, results) in cases.items():
        data = pathlib.Path(root) / "node" / f"test_{name}" / "test_data_set_0"
        data.mkdir(parents=True)
        (data.parent / "model.onnx").write_bytes(model.SerializeToString())
        for kind, tensors in (("input", feeds), ("output", results)):
            for i, (k, v) in enumerate(tensors.items()):
                (data / f"{kind}_{i}.pb").write_bytes(
                    numpy_helper.from_array(v, k).SerializeToString())


# --- activations -----------------------------------------------------------

erf = np.vectorize(math.erf)


def f32(v):
    return np.asarray(v, np.float32)


def sigmoid(v):
    return 1 / (1 + np.exp(-np.asarray(v, np.float64)))


def gelu(v):
    return f32(v * (1 + erf(np.asarray(v, np.float64) / math.sqrt(2))) / 2)


def fast_gelu(v):
    v = np.asarray(v, np.float64)
    return f32(v / 2 * (1 + np.tanh(math.sqrt(2 / math.pi)
                                    * (v + 0.044715 * v ** 3))))


def softmax(v):
    v = np.exp(np.asarray(v, np.float64) - np.max(v, -1, keepdims=True))
    return v / v.sum(-1, keepdims=True)


ACTIVATIONS = {  # name: (parameters, function)
    "Relu": ((), lambda v: np.maximum(v, 0)),
    "Sigmoid": ((), sigmoid),
    "Tanh": ((), np.tanh),
    "LeakyRelu": ((0.2,), lambda v: np.where(v < 0, 0.2 * v, v)),
    "Clip": ((-0.5, 0.7), lambda v: np.clip(v, -0.5, 0.7)),
    "HardSigmoid": ((0.3, 0.4), lambda v: np.clip(0.3 * v + 0.4, 0, 1)),
}


def elementwise():
    x, b = normal(2, 3, 8), normal(8)
    case("gelu", "Gelu", {"x": x}, [gelu(x)])
    case("bias_gelu", "BiasGelu", {"x": x, "b": b}, [gelu(x + b)], "b")
    case("fast_gelu", "FastGelu", {"x": x}, [fast_gelu(x)])
    case("fast_gelu_bias", "FastGelu", {"x": x, "b": b}, [fast_gelu(x + b)],
         "b")
    for alpha in (1.0, 1.702):
        case(f"quick_gelu_{alpha}", "QuickGelu", {"x": x},
             [f32(x * sigmoid(alpha * x))], alpha=alpha)
    case("quick_gelu_default", "QuickGelu", {"x": x},
         [f32(x * sigmoid(1.702 * x))])
    skip = normal(2, 3, 8)
    # Made for GPUs: ONNX Runtime has no kernel of BiasAdd for CPUs.
    case("bias_add", "BiasAdd", {"x": x, "b": b, "skip": skip},
         [x + b + skip], "b")
    case("bias_dropout", "BiasDropout", {"x": x, "b": b}, [x + b], "b")
    case("bias_dropout_residual", "BiasDropout",
         {"x": x, "b": b, "skip": skip, "ratio": f32(0.5),
          "training": np.array(False)}, [x + b + skip],
         ("b", "ratio", "training"))
    x = normal(2, 3, 4, 5)
    bias = normal(2, 1, 1, 5)
    case("bias_softmax", "BiasSoftmax", {"x": x, "b": bias},
         [f32(softmax(x + bias))], axis=3, is_inner_broadcast=1)
    bias = normal(1, 1, 4, 5)
    case("bias_softmax_outer", "BiasSoftmax", {"x": x, "b": bias},
         [f32(softmax((x + bias).reshape(2, 3, 20)).reshape(x.shape))],
         axis=2, is_inner_broadcast=0)
    x, bias = normal(2, 3), normal(1, 3)
    case("bias_softmax_rank_unknown", "BiasSoftmax", {"x": x, "b": bias},
         [f32(softmax(x + bias))], axis=1, is_inner_broadcast=0,
         sizes="unknown")


def conv(x, w, b=None, pad=0, stride=1, group=1):
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (0, 0)) + 2 * ((pad, pad),))
    n, c, h, k = x.shape[0], x.shape[1], x.shape[2], w.shape[2]
    size = (h - k) // stride + 1
    y = np.zeros((n, w.shape[0], size, size))
    per, out = c // group, w.shape[0] // group
    for o in range(w.shape[0]):
        part = x[:, o // out * per:(o // out + 1) * per]
        for i in range(size):
            for j in range(size):
                at = part[:, :, i * stride:i * stride + k,
                          j * stride:j * stride + k]
                y[:, o, i, j] = (at * w[o]).sum((1, 2, 3))
    return y if b is None else y + b[:, None, None]


def fused():
    x, w, b = normal(2, 4, 6, 6), normal(6, 4, 3, 3) / 3, normal(6)
    y = conv(x, w, b, 1)
    for name, (params, f) in ACTIVATIONS.items():
        more = {"activation_params": params} if params else {}
        case(f"fused_conv_{name}", "FusedConv", {"x": x, "w": w, "b": b},
             [f32(f(y))], ("w", "b"), activation=name, pads=[1] * 4,
             kernel_shape=[3, 3], **more)
    z = normal(*y.shape)
    case("fused_conv_sum", "FusedConv", {"x": x, "w": w, "b": b, "z": z},
         [f32(np.maximum(y + z, 0))], ("w", "b"), activation="Relu",
         pads=[1] * 4)
    w = normal(6, 2, 3, 3)
    z = normal(2, 6, 2, 2)
    case("fused_conv_sum_no_bias", "FusedConv",
         {"x": x, "w": w, "b": None, "z": z},
         [f32(conv(x, w, stride=2, group=2) + z)], "w", strides=[2, 2],
         group=2)
    case("fused_conv_alone", "FusedConv", {"x": x, "w": w},
         [f32(conv(x, w, group=2))], "w", group=2)
    a, m, c = normal(3, 4), normal(5, 4), normal(5)
    y = 0.5 * a.astype(np.float64) @ m.T + 2.0 * c
    for name, (params, f) in ACTIVATIONS.items():
        if name == "Clip":  # ONNX Runtime's Gemm does not take it
            continue
        more = dict(zip(("activation_alpha", "activation_beta"), params))
        case(f"fused_gemm_{name}", "FusedGemm", {"a": a, "m": m, "c": c},
             [f32(f(y))], ("m", "c"), activation=name, alpha=0.5, beta=2.0,
             transB=1, **more)


def swapped(v, trans, batch):
    if batch:
        v = np.moveaxis(v, 0, -2)
    return np.swapaxes(v, -1, -2) if trans else v


def products():
    for name in ("FusedMatMul", "TransposeMatMul"):
        a, b = normal(2, 3, 5, 4), normal(2, 3, 5, 6)
        case(f"{name}_transA", name, {"a": a, "b": b},
             [swapped(a, 1, 0) @ b], transA=1)
        b = normal(6, 4)
        case(f"{name}_transB", name, {"a": a, "b": b},
             [f32(0.25) * (a @ b.T)], "b", transB=1, alpha=0.25)
    for ta, ba, tb, bb in itertools.product((0, 1), repeat=4):
        a = normal(*((4, 2, 3, 5) if ba else (2, 3, 4, 5)))
        b = normal(*((5, 2, 3, 6) if bb else (2, 3, 5, 6)))
        if ta:  # rows and columns change places
            a = np.swapaxes(a, 0 if ba else -2, -1)
        if tb:
            b = np.swapaxes(b, 0 if bb else -2, -1)
        alpha = 1.0 if ta else 0.5
        y = alpha * (swapped(a, ta, ba).astype(np.float64)
                     @ swapped(b, tb, bb))
        for sizes in ("open", "unknown"):
            case(f"fused_matmul_{ta}{ba}{tb}{bb}_{sizes}",
                 "FusedMatMul", {"a": a, "b": b}, [f32(y)], sizes=sizes,
                 transA=ta, transBatchA=ba, transB=tb, transBatchB=bb,
                 alpha=alpha)
    a, b = normal(5), normal(2, 5, 3)
    case("fused_matmul_list", "FusedMatMul", {"a": a, "b": b}, [a @ b],
         sizes="known", transA=1)


# --- normalization ---------------------------------------------------------

def layer_norm(x, scale, bias=0, epsilon=1e-12):
    x = np.asarray(x, np.float64)
    d = x - x.mean(-1, keepdims=True)
    return f32(d / np.sqrt((d * d).mean(-1, keepdims=True) + epsilon) * scale
               + bias)


def rms_norm(x, scale, epsilon=1e-12):
    x = np.asarray(x, np.float64)
    return f32(x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * scale)


def norms():
    x, skip = normal(2, 3, 16), normal(2, 3, 16)
    g, b, bias = normal(16), normal(16), normal(16)
    const = ("g", "b", "bias")
    sums = x + skip
    case("skip_layer_norm", "SkipLayerNormalization",
         {"x": x, "skip": skip, "g": g, "b": b}, [layer_norm(sums, g, b)],
         const)
    case("skip_layer_norm_no_beta", "SkipLayerNormalization",
         {"x": x, "skip": skip, "g": g}, [layer_norm(sums, g, 0, 0.01)], const,
         epsilon=0.01)
    case("skip_layer_norm_sum", "SkipLayerNormalization",
         {"x": x, "skip": skip, "g": g, "b": b, "bias": bias},
         [layer_norm(sums + bias, g, b, 1e-5), None, None, sums + bias], const,
         epsilon=1e-5)
    case("skip_layer_norm_no_beta_bias", "SkipLayerNormalization",
         {"x": x, "skip": skip, "g": g, "b": None, "bias": bias},
         [layer_norm(sums + bias, g), None, None, sums + bias], const)
    for shape in ((1, 3, 16), (3, 16)):
        s = normal(*shape)
        case(f"skip_layer_norm_broadcast_{len(shape)}",
             "SkipLayerNormalization", {"x": x, "skip": s, "g": g, "b": b},
             [layer_norm(x + s, g, b)], const)
    case("skip_simplified", "SkipSimplifiedLayerNormalization",
         {"x": x, "skip": skip, "g": g}, [rms_norm(sums, g, 1e-6)], const,
         epsilon=1e-6)
    case("skip_simplified_sum", "SkipSimplifiedLayerNormalization",
         {"x": x, "skip": skip, "g": g, "bias": bias},
         [rms_norm(sums + bias, g), None, None, sums + bias], const)
    # These two ONNX Runtime puts into ONNX's own domain, below opset 17 too.
    case("simplified", "SimplifiedLayerNormalization", {"x": x, "g": g},
         [rms_norm(x, g, 1e-5)], const, domain="", stash_type=1)
    case("simplified_axis", "SimplifiedLayerNormalization", {"x": x, "g": g},
         [rms_norm(x, g, 1e-3)], const, domain="", axis=2, epsilon=1e-3)
    case("layer_norm_old", "LayerNormalization", {"x": x, "g": g, "b": b},
         [layer_norm(x, g, b, 1e-5)], const, domain="", axis=-1)


def embeddings():
    ids = rng.integers(0, 20, (2, 5)).astype(np.int32)
    segments = rng.integers(0, 2, (2, 5)).astype(np.int32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
    word, pos, seg = normal(20, 16), normal(9, 16), normal(2, 16)
    g, b = normal(16), normal(16)
    tables = {"word": word, "pos": pos}
    end = {"g": g, "b": b}
    const = ("word", "pos", "seg", "g", "b")
    sums = word[ids] + pos[:5]
    full = sums + seg[segments]
    lengths = np.array([5, 3], np.int32)
    both = {"ids": ids, "segments": segments, **tables, "seg": seg, **end}
    none = {"ids": ids, "segments": None, **tables, "seg": None, **end}
    op = "EmbedLayerNormalization"
    zeros = np.zeros(2, np.int32)  # ONNX Runtime wants two outputs
    case("embed", op, both, [layer_norm(full, g, b), zeros], const)
    case("embed_mask", op, {**both, "mask": mask},
         [layer_norm(full, g, b), lengths], const)
    case("embed_no_segments", op, {**none, "mask": mask},
         [layer_norm(sums, g, b, 1e-3), lengths, sums], const, epsilon=1e-3)
    case("embed_sum_only", op, none, [layer_norm(sums, g, b), None, sums],
         const)
    for rows in (1, 2):
        at = rng.integers(0, 9, (rows, 5)).astype(np.int32)
        case(f"embed_position_ids_{rows}", op,
             {**both, "mask": None, "at": at},
             [layer_norm(word[ids] + pos[at] + seg[segments], g, b), zeros],
             const)


# --- attention -------------------------------------------------------------

def heads(x, n):
    return x.reshape(x.shape[0], x.shape[1], n, -1).transpose(0, 2, 1, 3)


def attend(q, k, v, mask=None, bias=None, causal=False, scale=None,
           filter=FILTER):
    """q, k, v by head; mask: true where valid, [B,S or 1,T]."""
    q, k, v = (np.asarray(t, np.float64) for t in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores + np.where(mask, 0, filter)[:, None]
    if causal:
        s, t = scores.shape[-2:]
        scores = scores + np.where(np.tri(s, t, t - s), 0, LOWEST)
    y = softmax(scores) @ v
    y = y.transpose(0, 2, 1, 3)
    return f32(y.reshape(y.shape[0], y.shape[1], -1))


def masks(b, s, t):
    """Each form of mask, and what it means: [B,S or 1,T]."""
    ends = np.arange(t - b + 1, t + 1)[::-1].astype(np.int32)
    starts = (np.arange(b) % 2).astype(np.int32)
    at = np.arange(t)
    till = at < ends[:, None]
    raw = rng.integers(0, 2, (b, s, t)).astype(np.int32)
    raw[:, :, 0] = 1
    square = rng.integers(0, 2, (b, 1, t + 2, t + 2)).astype(np.int32)
    square[..., 0] = 1
    return {
        "ends": (ends, till[:, None]),
        "ends_starts": (np.concatenate([ends, starts]),
                        (till & (at >= starts[:, None]))[:, None]),
        "2d": (till.astype(np.int32), till[:, None]),
        "3d": (raw, raw > 0),
        "4d": (square, square[:, 0, t - s:t, :t] > 0),
    }


def attention():
    b, s, n, h = 3, 4, 2, 8
    x, w, bias = normal(b, s, 12), normal(12, 3 * n * h) / 3, normal(3 * n * h)
    qkv = x @ w + bias
    q, k, v = (heads(t, n) for t in np.split(qkv, 3, -1))
    base = {"x": x, "w": w, "bias": bias}
    const = ("w", "bias")
    op = "Attention"
    case("attention", op, base, [attend(q, k, v)], const, num_heads=n)
    case("attention_open_weights", op, base, [attend(q, k, v)], num_heads=n)
    case("attention_scale", op, base, [attend(q, k, v, scale=0.5)], const,
         num_heads=n, scale=0.5)
    case("attention_no_bias", op, {"x": x, "w": w},
         [attend(*(heads(t, n) for t in np.split(x @ w, 3, -1)))], const,
         num_heads=n)
    case("attention_causal", op, base, [attend(q, k, v, causal=True)], const,
         num_heads=n, unidirectional=1)
    for name, (mask, means) in masks(b, s, s).items():
        for causal in (False, True):
            case(f"attention_mask_{name}{'_causal' if causal else ''}", op,
                 {**base, "mask": mask},
                 [attend(q, k, v, means, causal=causal)], const, num_heads=n,
                 unidirectional=int(causal))
    mask, means = masks(b, s, s)["2d"]
    case("attention_filter", op, {**base, "mask": mask},
         [attend(q, k, v, means, filter=-2.0)], const, num_heads=n,
         mask_filter_value=-2.0)
    for shape in ((b, n), (1, n), (b, 1), (1, 1)):
        more = normal(*shape, s, s)
        case(f"attention_bias_{shape[0]}_{shape[1]}", op,
             {**base, "mask": mask, "past": None, "more": more},
             [attend(q, k, v, means, more)], const, num_heads=n)
    # v of another size
    w2, b2 = normal(12, 2 * 16 + 6) / 3, normal(2 * 16 + 6)
    t = x @ w2 + b2
    case("attention_sizes", op, {"x": x, "w": w2, "bias": b2},
         [attend(heads(t[..., :16], n), heads(t[..., 16:32], n),
                 heads(t[..., 32:], n))], ("w", "bias"), num_heads=n,
         qkv_hidden_sizes=[16, 16, 6])
    case("attention_present", op, base,
         [attend(q, k, v), np.stack([k, v])], const, num_heads=n)
    for p in (0, 5):
        past = normal(2, b, n, p, h)
        kk, vv = (np.concatenate([past[i], t], 2) for i, t in ((0, k), (1, v)))
        for causal in (False, True):
            case(f"attention_past_{p}{'_causal' if causal else ''}", op,
                 {**base, "mask": None, "past": past},
                 [attend(q, kk, vv, causal=causal), np.stack([kk, vv])], const,
                 num_heads=n, unidirectional=int(causal))
    for name, (mask, means) in masks(b, s, s + 5).items():
        case(f"attention_past_mask_{name}", op,
             {**base, "mask": mask, "past": past},
             [attend(q, kk, vv, means, causal=True), np.stack([kk, vv])],
             const, num_heads=n, unidirectional=1)


def multi_head():
    b, s, t, n, h = 3, 4, 6, 2, 8
    q, k, v = normal(b, s, n * h), normal(b, t, n * h), normal(b, t, n * 5)
    base = {"q": q, "k": k, "v": v}
    by = [heads(i, n) for i in (q, k, v)]
    op = "MultiHeadAttention"
    case("mha", op, base, [attend(*by)], num_heads=n)
    case("mha_unknown", op, base, [attend(*by)], sizes="unknown", num_heads=n)
    case("mha_scale", op, base, [attend(*by, scale=0.3)], num_heads=n,
         scale=0.3)
    bias = normal(n * (h + h + 5))
    moved = [heads(i + j, n) for i, j in
             zip((q, k, v), np.split(bias, [n * h, 2 * n * h]))]
    case("mha_bias", op, {**base, "bias": bias}, [attend(*moved)], "bias",
         num_heads=n)
    for name, (mask, means) in masks(b, s, t).items():
        if name in ("ends", "2d", "3d"):
            case(f"mha_mask_{name}", op, {**base, "bias": None, "mask": mask},
                 [attend(*by, means)], num_heads=n)
    mask, means = masks(b, s, t)["2d"]
    for shape in ((b, n), (1, n), (b, 1), (1, 1)):
        more = normal(*shape, s, t)
        case(f"mha_attention_bias_{shape[0]}_{shape[1]}", op,
             {**base, "bias": bias, "mask": mask, "more": more},
             [attend(*moved, means, more)], "bias", num_heads=n)
    case("mha_causal", op, {"q": q, "k": q, "v": q},
         [attend(by[0], by[0], by[0], causal=True)], num_heads=n,
         unidirectional=1)
    v = normal(b, t, n * h)
    case("mha_by_head", op, {"q": q, "k": heads(k, n), "v": heads(v, n)},
         [attend(by[0], by[1], heads(v, n))], num_heads=n)
    # ONNX Runtime takes packed query, key and value on GPUs only.
    for sizes in ("open", "unknown"):
        packed = normal(b, s, n, 3, h)
        parts = [packed[:, :, :, i].transpose(0, 2, 1, 3) for i in range(3)]
        case(f"mha_packed_qkv_{sizes}", op, {"q": packed}, [attend(*parts)],
             sizes=sizes, num_heads=n)
        packed = normal(b, t, n, 2, h)
        parts = [packed[:, :, :, i].transpose(0, 2, 1, 3) for i in range(2)]
        case(f"mha_packed_kv_{sizes}", op, {"q": q, "kv": packed},
             [attend(by[0], *parts)], sizes=sizes, num_heads=n)
    new = [heads(i, n) for i in (q, normal(b, s, n * h), normal(b, s, n * h))]
    flat = [i.transpose(0, 2, 1, 3).reshape(b, s, -1) for i in new]
    for p in (0, 5):
        past = [normal(b, n, p, h) for _ in range(2)]
        kk, vv = (np.concatenate([past[i], new[1 + i]], 2) for i in (0, 1))
        for causal in (0, 1):
            case(f"mha_past_{p}_{causal}", op,
                 {"q": flat[0], "k": flat[1], "v": flat[2], "bias": None,
                  "mask": None, "more": None, "pk": past[0], "pv": past[1]},
                 [attend(new[0], kk, vv, causal=causal), kk, vv],
                 num_heads=n, unidirectional=causal)


# --- of integers -------------------------------------------------------------

def quantized(*shape, dtype=np.uint8, columns=None):
    """Integers, scale and zero point, and what they mean."""
    low = np.iinfo(dtype).min
    q = rng.integers(low, low + 256, shape).astype(dtype)
    many = () if columns is None else (columns,)
    scale = f32(rng.uniform(0.005, 0.02, many))
    zero = rng.integers(low + 100, low + 156, many).astype(dtype)
    return q, scale, zero, (q.astype(np.float64) - zero) * scale


def integers():
    b, s, n, h = 3, 4, 2, 8
    bias, names = normal(3 * n * h), ("w", "bias", "ws", "wz")
    mask, means = masks(b, s, s)["2d"]
    for name, columns, const in (("", None, names),
                                 ("_columns", 3 * n * h, names),
                                 ("_static", None, names + ("xs", "xz"))):
        xq, xs, xz, x = quantized(b, s, 12)
        wq, ws, wz, w = quantized(12, 3 * n * h, dtype=np.int8,
                                  columns=columns)
        q, k, v = (heads(t, n) for t in np.split(x @ w + bias, 3, -1))
        inputs = {"x": xq, "w": wq, "bias": bias, "xs": xs, "ws": ws,
                  "mask": mask, "xz": xz, "wz": wz}
        case(f"q_attention{name}", "QAttention", inputs,
             [attend(q, k, v, means)], const, num_heads=n)
    past = normal(2, b, n, 5, h)
    kk, vv = (np.concatenate([past[i], f32(t)], 2) for i, t in ((0, k), (1, v)))
    inputs.update(mask=None, past=past)
    case("q_attention_past", "QAttention", inputs,
         [attend(q, kk, vv, causal=True), np.stack([kk, vv])], const,
         num_heads=n, unidirectional=1)
    tables = [quantized(*shape) for shape in
              ((20, 16), (9, 16), (2, 16), (16,), (16,))]
    ids = rng.integers(0, 20, (2, 5)).astype(np.int32)
    segments = rng.integers(0, 2, (2, 5)).astype(np.int32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
    word, place, segment, gamma, beta = (t[3] for t in tables)
    inputs = {"ids": ids, "segments": segments}
    for what, at in (("t", 0), ("mask", None), ("s", 1), ("z", 2)):
        if at is None:
            inputs["mask"] = mask
            continue
        inputs.update({f"{what}{i}": t[at] for i, t in enumerate(tables)})
    case("q_embed", "QEmbedLayerNormalization", inputs,
         [layer_norm(word[ids] + place[:5] + segment[segments], gamma, beta),
          np.array([5, 3], np.int32)],
         [k for k in inputs if k[0] in "tsz" and k[1:].isdigit()])


# --- weights in a few bits ---------------------------------------------------

def pack(q, bits):
    """Integers [...,n] as bytes, from the lowest bits up."""
    each = 8 // bits
    pad = -q.shape[-1] % each
    q = np.concatenate([q, np.zeros((*q.shape[:-1], pad), q.dtype)], -1)
    q = q.reshape(*q.shape[:-1], -1, each).astype(np.uint32)
    return (q << np.arange(0, 8, bits)).sum(-1).astype(np.uint8)


def nbits():
    const = ("b", "scales", "zeros", "bias")
    for bits, block, k, zeros, bias in (
            (4, 16, 64, False, False), (4, 32, 96, True, False),
            (4, 32, 80, True, True), (4, 256, 256, False, True),
            (8, 32, 64, True, False), (8, 16, 40, False, False),
            (2, 16, 80, True, False)):
        n, blocks = 5, -(-k // block)
        q = rng.integers(0, 1 << bits, (n, blocks * block)).astype(np.uint8)
        scales = np.abs(normal(n, blocks)) / 8
        zero = (rng.integers(0, 1 << bits, (n, blocks)) if zeros else
                np.full((n, blocks), 1 << (bits - 1)))
        w = ((q.astype(np.float64) - np.repeat(zero, block, 1))
             * np.repeat(scales, block, 1))[:, :k]
        x, b = normal(2, 3, k), normal(n)
        inputs = {"x": x, "b": pack(q.reshape(n, blocks, block), bits),
                  "scales": scales}
        if zeros or bias:
            inputs["zeros"] = pack(zero, bits) if zeros else None
        if bias:
            inputs.update(groups=None, bias=b)
        case(f"nbits_{bits}_{block}_{k}", "MatMulNBits", inputs,
             [f32(x @ w.T + (b if bias else 0))], const, K=k, N=n, bits=bits,
             block_size=block)


def tables_in_blocks():
    """Two look-ups: a table of bytes, packed along its last axis."""
    at = rng.integers(0, 7, (2, 3))
    for bits, zeros in ((4, True), (4, False), (8, True), (8, False)):
        q = rng.integers(0, 1 << bits, (7, 64)).astype(np.uint8)
        scales = np.abs(normal(7, 2))
        zero = (rng.integers(0, 1 << bits, (7, 2)).astype(np.uint8) if zeros
                else np.full((7, 2), 1 << (bits - 1), np.uint8))
        w = ((q - np.repeat(zero, 32, 1).astype(np.float64))
             * np.repeat(scales, 32, 1))
        inputs = {"data": pack(q, bits), "at": at, "scales": scales}
        if zeros:
            inputs["zeros"] = pack(zero, bits)
        case(f"gather_block_{bits}_{'zeros' if zeros else 'middle'}",
             "GatherBlockQuantized", inputs, [f32(w[at])],
             ("data", "scales", "zeros"), bits=bits, block_size=32,
             gather_axis=0, quantize_axis=1)


# --- others ------------------------------------------------------------------

def lstm(x, w, r, b):
    """w [D,I,4H], r [D,H,4H], b [D,8H]: Y [S,D,B,H], forward and back."""
    hidden, ys = r.shape[1], []
    for d in range(len(w)):
        h = c = np.zeros((x.shape[1], hidden))
        y = []
        for t in x if d == 0 else x[::-1]:
            gates = t @ w[d] + h @ r[d] + b[d, :4 * hidden] + b[d, 4 * hidden:]
            i, o, f, g = np.split(gates, 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            y.append(h)
        ys.append(np.stack(y if d == 0 else y[::-1]))
    return f32(np.stack(ys, 1))


def others():
    x = normal(2, 4, 5)
    case("trilu", "Trilu", {"x": x, "k": np.array(1)}, [np.triu(x, 1)], "k")
    case("tril", "Trilu", {"x": x}, [np.tril(x)], upper=0)
    x = normal(1, 1, 4, 4)
    at = f32(np.stack(np.meshgrid([-1 / 3, 1 / 3, 1], [-1, 1 / 3]), -1))[None]
    case("grid_sample", "GridSample", {"x": x, "at": at},
         [x[:, :, [[0], [2]], [1, 2, 3]]], align_corners=1)
    const = ("w", "r", "b", "ws", "wz", "rs", "rz")
    for name, per_column in (("", False), ("_columns", True)):
        x, b = normal(3, 2, 5) / 4, normal(2, 32) / 4
        inputs, real = {"x": x}, {}
        for k, shape in (("w", (2, 5, 16)), ("r", (2, 4, 16))):
            q = rng.integers(-128, 128, shape).astype(np.int8)
            many = (2, 16) if per_column else (2,)
            scale = f32(rng.uniform(0.002, 0.005, many))
            zero = np.zeros(many, np.int8)
            inputs.update({k: q, f"{k}s": scale, f"{k}z": zero})
            real[k] = q * scale.reshape(2, 1, -1)
        inputs = {k: inputs.get(k) for k in ("x", "w", "r")} | {
            "b": b, "lengths": None, "h": None, "c": None, "p": None} | {
            k: inputs[k] for k in ("ws", "wz", "rs", "rz")}
        # ONNX Runtime rounds what goes into the products to 8 bits.
        case(f"rounded_lstm{name}", "DynamicQuantizeLSTM", inputs,
             [lstm(x, real["w"], real["r"], b)], const, hidden_size=4,
             direction="bidirectional")


# --- decoders ----------------------------------------------------------------

def rotate(x, cos, sin, at, interleaved=False):
    """x [B,N,S,H], tables [M,R/2], places [B,S]."""
    y = x.astype(np.float64)
    half = cos.shape[1]
    a, b = ((slice(0, 2 * half, 2), slice(1, 2 * half, 2)) if interleaved
            else (slice(0, half), slice(half, 2 * half)))
    c, s = cos[at][:, None], sin[at][:, None]
    y[..., a] = x[..., a] * c - x[..., b] * s
    y[..., b] = x[..., b] * c + x[..., a] * s
    return f32(y)


def flat(x):
    """[B,N,S,H] as [B,S,N*H]."""
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def tables(rows, half):
    angle = np.arange(rows)[:, None] / 10 ** np.linspace(0, 2, half)
    return f32(np.cos(angle)), f32(np.sin(angle))


def rotary():
    b, n, s, h = 2, 3, 4, 8
    x = normal(b, n, s, h)
    at = rng.integers(0, 10, (b, s))
    cos, sin = tables(10, h // 2)
    op, const = "RotaryEmbedding", ("cos", "sin")
    for inter in (0, 1):
        y = rotate(x, cos, sin, at, inter)
        more = {"at": at, "cos": cos, "sin": sin}
        case(f"rotary_4d_{inter}", op, {"x": x, **more}, [y], const,
             interleaved=inter)
        for name, attrs in (("", {}), ("_heads", {"num_heads": n})):
            case(f"rotary_3d_{inter}{name}", op, {"x": flat(x), **more},
                 [flat(y)], const, interleaved=inter, **attrs)
        first = np.array([3])
        y = rotate(x, cos, sin, np.tile(np.arange(3, 3 + s), (b, 1)), inter)
        case(f"rotary_first_{inter}", op,
             {"x": x, "at": first, "cos": cos, "sin": sin}, [y], const,
             interleaved=inter)
        less = tables(10, 2)
        y = rotate(x, *less, at, inter)
        case(f"rotary_part_{inter}", op,
             {"x": flat(x), "at": at, "cos": less[0], "sin": less[1]},
             [flat(y)], const, interleaved=inter, num_heads=n,
             rotary_embedding_dim=4)


def grouped(name, n, kv, s, p, lengths, packed=False, turn=False, inter=0,
            window=-1, cap=0.0, biased=False, total=None):
    """One GroupQueryAttention: p places of past (None: no past)."""
    b, h = len(lengths), 16
    q, k, v = normal(b, n, s, h), normal(b, kv, s, h), normal(b, kv, s, h)
    inputs = {"q": flat(q), "k": flat(k), "v": flat(v), "pk": None, "pv": None}
    if packed:
        inputs.update(q=np.concatenate([flat(q), flat(k), flat(v)], -1),
                      k=None, v=None)
    start = np.maximum(np.array(lengths) - s, 0)
    longest = max(lengths) if total is None else total
    t = s
    past = [np.zeros((b, kv, 0, h), np.float32)] * 2
    if p is not None:
        past = [normal(b, kv, p, h) for _ in range(2)]
        inputs.update(pk=past[0], pv=past[1])
        t = max(p, longest)
    inputs.update(lengths=np.array(lengths, np.int32) - 1,
                  total=np.array(longest, np.int32))
    attrs = {"num_heads": n, "kv_num_heads": kv}
    if turn:
        cos, sin = tables(32, h // 2)
        inputs.update(cos=cos, sin=sin)
        at = start[:, None] + np.arange(s)
        q, k = (rotate(i, cos, sin, at, inter) for i in (q, k))
        attrs.update(do_rotary=1, rotary_interleaved=inter)
    kk, vv = (np.zeros((b, kv, t, h), np.float32) for _ in range(2))
    for i in range(b):
        for to, old, new in ((kk, past[0], k), (vv, past[1], v)):
            to[i, :, :start[i]] = old[i, :, :start[i]]
            to[i, :, start[i]:start[i] + s] = new[i]
    scores = q.astype(np.float64) @ np.repeat(kk, n // kv, 1).swapaxes(-1, -2)
    scores /= math.sqrt(h)
    if cap:
        scores = np.tanh(scores / cap) * cap
        attrs.update(softcap=cap)
    if biased:
        bias = normal(b, 1, s, t)
        inputs.update({i: inputs.get(i) for i in ("cos", "sin")}, at=None,
                      bias=bias)
        scores = scores + bias
    i = (start[:, None] + np.arange(s))[:, None, :, None]
    seen = np.arange(t) <= i
    if window > 0:
        seen &= np.arange(t) > i - window
        attrs.update(local_window_size=window)
    y = softmax(np.where(seen, scores, -np.inf)) @ np.repeat(vv, n // kv, 1)
    case(f"gqa_{name}", "GroupQueryAttention", inputs, [f32(flat(y)), kk, vv],
         ("cos", "sin"), **attrs)


def decoders():
    grouped("prompt", 4, 2, 5, None, [5, 5])
    grouped("prompt_empty_past", 4, 2, 5, 0, [5, 5])
    grouped("prompt_turned", 4, 2, 5, 0, [5, 5], turn=True)
    grouped("next", 4, 2, 1, 6, [7, 7], turn=True)
    grouped("next_same_heads", 4, 4, 1, 6, [7, 7], turn=True, inter=1)
    grouped("next_uneven", 4, 2, 1, 6, [7, 4, 6], turn=True)
    grouped("next_many", 4, 1, 3, 6, [9], turn=True)
    grouped("packed", 4, 2, 1, 6, [7, 7], packed=True, turn=True)
    grouped("packed_prompt", 4, 2, 4, 0, [4, 4], packed=True, turn=True)
    grouped("window", 4, 2, 1, 6, [7, 7], window=3)
    grouped("window_prompt", 4, 2, 6, 0, [6, 6], window=2)
    grouped("softcap", 4, 2, 1, 6, [7, 7], cap=2.0)
    grouped("bias", 4, 2, 1, 6, [7, 7], biased=True)
    grouped("long_buffer", 4, 2, 1, 12, [7, 7], turn=True)


for make in (elementwise, fused, products, norms, embeddings, attention,
             multi_head, integers, nbits, tables_in_blocks, others, rotary,
             decoders):
    make()
