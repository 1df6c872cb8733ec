# SPDX-License-Identifier: Apache-2.0
"""Graphs in which data decide what is computed, or how much of it.

Each is written in ONNX's text form; what it must answer is said in numpy.
"""

import concurrent.futures

import numpy as np
import onnx.numpy_helper
import onnx.parser
import pytest

import ctl
import server

HEAD = '<ir_version: 8, opset_import: ["" : 16]>\n'


def model(path, text, **constants):
    m = onnx.parser.parse_model(HEAD + text)
    m.graph.initializer.extend(
        onnx.numpy_helper.from_array(x.astype("f4"), name)
        for name, x in constants.items())
    path.write_bytes(m.SerializeToString())
    return path


def run(file, folder, **inputs):
    """The outputs by name."""
    given = []
    for name, x in inputs.items():
        np.save(folder / f"in_{name}.npy", x)
        given += ["--input", f"{name}={folder}/in_{name}.npy"]
    told = ctl.run_json("run", file, *given, "--output", folder)
    return {o["name"]: np.load(folder / (o["name"] + ".npy"))
            for o in told["outputs"]}


@pytest.fixture
def holds(tmp_path):
    """Runs a graph, also after it has been simplified and written again, and
    holds its outputs against the wanted ones."""
    def check(text, inputs, **wanted):
        got = run(model(tmp_path / "m.onnx", text), tmp_path, **inputs)
        for name, want in wanted.items():
            want = np.asarray(want)
            assert got[name].shape == want.shape
            assert got[name].dtype == want.dtype
            np.testing.assert_allclose(got[name], want, rtol=1e-5)
    return check


def f4(*x):
    return np.array(x, np.float32)


def i8(*x):
    return np.array(x, np.int64)


X = np.arange(-6, 6, dtype=np.float32).reshape(4, 3)

# --- If ----------------------------------------------------------------------

BRANCHES = """
g (bool c, float[N,3] x) => (float[N,M] y, float z) {
    two = Constant <value = float {2}> ()
    r = Mul (x, two)
    y, z = If (c) <
        then_branch = t () => (float[N,3] a, float b) {
            a = Relu (r)
            b = ReduceMax <keepdims = 0> (x)
        },
        else_branch = e () => (float[N,6] a, float b) {
            a = Concat <axis = 1> (x, r)
            b = Identity (two)
        }
    >
}
"""


def test_if_takes_one_branch(holds):
    holds(BRANCHES, dict(c=np.array(True), x=X),
          y=np.maximum(2 * X, 0), z=X.max())
    holds(BRANCHES, dict(c=np.array(False), x=X),
          y=np.hstack([X, 2 * X]), z=np.float32(2))


NESTED = """
g (float[N] x, bool a, bool b) => (float[N] y) {
    k = Constant <value = float {10}> ()
    y = If (a) <
        then_branch = t () => (float[N] y1) {
            s = Add (x, k)
            y1 = If (b) <
                then_branch = tt () => (float[N] y2) { y2 = Mul (s, x) },
                else_branch = te () => (float[N] y2) { y2 = Sub (k, s) }
            >
        },
        else_branch = e () => (float[N] y1) {
            y1 = If (b) <
                then_branch = et () => (float[N] y2) { y2 = Identity (x) },
                else_branch = ee () => (float[N] y2) { y2 = Neg (x) }
            >
        }
    >
}
"""


@pytest.mark.parametrize("a", [True, False])
@pytest.mark.parametrize("b", [True, False])
def test_if_in_if_reads_from_all_around(holds, a, b):
    x = f4(1, -2, 5)
    want = ((x + 10) * x if b else 10 - (x + 10)) if a else (x if b else -x)
    holds(NESTED, dict(x=x, a=np.array(a), b=np.array(b)), y=want)


def test_if_that_shapes_decide_is_planned(tmp_path):
    """What exporters write for squeeze(): no data are waited for."""
    file = model(tmp_path / "m.onnx", """
    g (float[N,L] x) => (float[N,L] y) {
        shape = Shape (x)
        one = Constant <value = int64 {1}> ()
        length = Gather (shape, one)
        single = Equal (length, one)
        y = If (single) <
            then_branch = t () => (float[N,L] a) { a = Neg (x) },
            else_branch = e () => (float[N,L] a) { a = Relu (x) }
        >
    }
    """)
    assert np.array_equal(run(file, tmp_path, x=X)["y"], np.maximum(X, 0))
    one = X[:, :1]
    assert np.array_equal(run(file, tmp_path, x=one)["y"], -one)
    for length, op in ((1, "Neg"), (3, "Relu")):
        steps = ctl.run_json("inspect", file, "--shape", f"x=1,{length}")
        assert [s["op"] for s in steps["steps"]] == [op]


# --- Loop --------------------------------------------------------------------

SUMS = """
g (float[N] x, int64 n, bool c) => (float[N] last, float[K,N] all) {
    last, all = Loop (n, c, x) <
        body = b (int64 i, bool go, float[N] s)
               => (bool on, float[N] t, float[N] row) {
            f = Cast <to = 1> (i)
            d = Add (s, x)
            t = Add (d, f)
            row = Mul (t, f)
            limit = Constant <value = float {100}> ()
            m = ReduceMax <keepdims = 0> (t)
            on = Less (m, limit)
        }
    >
}
"""


def sums(x, n, c):
    s, rows, i = x.copy(), [], 0
    while i < n and c:
        s = s + x + np.float32(i)
        rows.append(s * np.float32(i))
        c = s.max() < 100
        i += 1
    return s, np.array(rows, np.float32).reshape(len(rows), len(x))


@pytest.mark.parametrize("n, c", [(1, True), (4, True), (1000, True),
                                  (0, True), (3, False)])
def test_loop_carries_and_gathers(holds, n, c):
    x = f4(3, -1)
    last, rows = sums(x, n, c)
    if len(rows) == 0:
        rows = np.zeros((0, 0), np.float32)  # N is not told in the body
    holds(SUMS, dict(x=x, n=np.array(n), c=np.array(c)), last=last, all=rows)


def test_loop_may_grow_what_it_carries(holds):
    holds("""
    g (float[1] x, int64 n) => (float[K] y) {
        none = Constant <value = bool {1}> ()
        y = Loop (n, none, x) <
            body = b (int64 i, bool go, float[M] s) => (bool on, float[L] t) {
                on = Identity (go)
                last = Constant <value = int64[1] {-1}> ()
                e = Gather (s, last)
                two = Constant <value = float {2}> ()
                d = Mul (e, two)
                t = Concat <axis = 0> (s, d)
            }
        >
    }
    """, dict(x=f4(1), n=np.array(30)), y=2.0 ** np.arange(31, dtype="f4"))


def test_loop_in_loop(holds):
    """Bodies read from both graphs around them: y = sum of i * j * x."""
    holds("""
    g (float x, int64 n) => (float y) {
        t = Constant <value = bool {1}> ()
        z = Constant <value = float {0}> ()
        y = Loop (n, t, z) <
            body = outer (int64 i, bool c, float s) => (bool c1, float s1) {
                c1 = Identity (c)
                fi = Cast <to = 1> (i)
                s1 = Loop (n, c, s) <
                    body = inner (int64 j, bool d, float u)
                           => (bool d1, float u1) {
                        d1 = Identity (d)
                        fj = Cast <to = 1> (j)
                        p = Mul (fi, fj)
                        q = Mul (p, x)
                        u1 = Add (u, q)
                    }
                >
            }
        >
    }
    """, dict(x=np.float32(0.5), n=np.array(5)), y=np.float32(50))


def test_values_may_swap_places(holds):
    holds("""
    g (float[2] a, float[2] b, int64 n) => (float[2] x, float[2] y) {
        t = Constant <value = bool {1}> ()
        x, y = Loop (n, t, a, b) <
            body = l (int64 i, bool c, float[2] p, float[2] q)
                   => (bool c1, float[2] q1, float[2] p1) {
                c1 = Identity (c)
                q1 = Identity (q)
                p1 = Identity (p)
            }
        >
    }
    """, dict(a=f4(1, 2), b=f4(3, 4), n=np.array(3)), x=f4(3, 4), y=f4(1, 2))


# --- Scan --------------------------------------------------------------------

def test_scan(holds):
    text = """
    g (float[3] s0, float[T,3] x, float[2,T] w)
        => (float[3] last, float[3,T] sums, float[T,2] ws) {
        last, sums, ws = Scan <
            num_scan_inputs = 2, scan_input_axes = [0, 1],
            scan_input_directions = [0, 1], scan_output_axes = [1, 0],
            scan_output_directions = [0, 1],
            body = b (float[3] s, float[3] r, float[2] v)
                   => (float[3] t, float[3] u, float[2] v1) {
                t = Add (s, r)
                u = Identity (t)
                v1 = Neg (v)
            }
        > (s0, x, w)
    }
    """
    s0, w = f4(1, 2, 3), np.arange(8, dtype=np.float32).reshape(2, 4)
    sums = s0 + np.cumsum(X, 0)
    # v of turn t is column 3 - t, and rows are put in from the end
    holds(text, dict(s0=s0, x=X, w=w),
          last=sums[-1], sums=sums.T.copy(), ws=-w.T)


# --- data decide how much ----------------------------------------------------

def test_non_zero_and_what_follows(holds):
    """Part of a net before, part of it behind."""
    w = "{1, 0, 2, 0, 1, 1, -1, 0, 3}"
    text = """
    g (float[N,3] x) => (float[K,3] y, int64 k) {
        w = Constant <value = float[3,3] %s> ()
        h = MatMul (x, w)
        zero = Constant <value = float {0}> ()
        s = ReduceSum <keepdims = 0> (h, axes)
        axes = Constant <value = int64[1] {1}> ()
        big = Greater (s, zero)
        at = NonZero (big)
        flat = Squeeze (at, first)
        first = Constant <value = int64[1] {0}> ()
        rows = Gather (h, flat)
        r = Relu (rows)
        y = MatMul (r, w)
        k = Size (flat)
    }
    """ % w
    m = f4(1, 0, 2, 0, 1, 1, -1, 0, 3).reshape(3, 3)
    for x in (X, -X, np.vstack([X] * 5), X - 100, X[:0]):
        h = x @ m
        rows = h[h.sum(1) > 0]
        holds(text, dict(x=x), y=np.maximum(rows, 0) @ m,
              k=np.int64(len(rows)))


def test_large_things_that_shapes_decide(tmp_path):
    """As old exporters number all places: no data are waited for."""
    file = model(tmp_path / "m.onnx", """
    g (float[N] x) => (float[K] y, int64[1,K] at) {
        n = Shape (x)
        ones = ConstantOfShape <value = int64[1] {1}> (n)
        at = NonZero (ones)
        first = Constant <value = int64[1] {0}> ()
        flat = Squeeze (at, first)
        y = Gather (x, flat)
    }
    """)
    x = np.arange(300_000, dtype=np.float32)
    got = run(file, tmp_path, x=x)
    assert np.array_equal(got["y"], x)
    assert np.array_equal(got["at"][0], np.arange(len(x)))
    steps = ctl.run_json("inspect", file, "--shape", "x=300000")["steps"]
    assert [s["op"] for s in steps] == ["Gather"]


COMPUTED = """
g (float[N] x, int64 k) => (float[K] top, float[L] part, float[M,2] pairs,
                            int64[K] upto, float[K] filled) {
    ax = Constant <value = int64[1] {0}> ()
    k1 = Unsqueeze (k, ax)
    top, at = TopK (x, k1)
    end = Add (k1, k1)
    part = Slice (x, k1, end)
    two = Constant <value = int64[1] {2}> ()
    m = Concat <axis = 0> (k1, two)
    head = Slice (x, ax, end)
    pairs = Reshape (head, m)
    zero = Constant <value = int64 {0}> ()
    one = Constant <value = int64 {1}> ()
    upto = Range (zero, k, one)
    filled = ConstantOfShape <value = float[1] {7}> (k1)
}
"""


@pytest.mark.parametrize("k", [0, 1, 3])
def test_counts_that_come_with_the_data(holds, k):
    x = f4(5, 1, 4, 2, 8, 7, 0, 3)
    holds(COMPUTED, dict(x=x, k=np.array(k)), top=np.sort(x)[::-1][:k].copy(),
          part=x[k:2 * k], pairs=x[:2 * k].reshape(k, 2), upto=np.arange(k),
          filled=np.full(k, 7, "f4"))


def test_what_the_data_make_impossible(tmp_path):
    file = model(tmp_path / "m.onnx", COMPUTED)
    np.save(tmp_path / "x.npy", f4(1, 2, 3))
    np.save(tmp_path / "k.npy", np.array(4))
    told = ctl.fails("run", file, "-i", f"x={tmp_path}/x.npy",
                     "-i", f"k={tmp_path}/k.npy", "-o", tmp_path,
                     code=ctl.BAD_INPUT)
    assert "TopK" in told and "4 of 3" in told


# --- what stands around ------------------------------------------------------

def test_inspect_shows_all_stages(tmp_path):
    steps = ctl.run_json("inspect", model(tmp_path / "m.onnx", COMPUTED),
                         "--shape", "x=8")["steps"]
    alone = [s["op"] for s in steps if s["kernel"] == "run.eager"]
    assert sorted(alone) == ["ConstantOfShape", "Range", "Reshape", "Slice",
                             "Slice", "TopK"]


@pytest.mark.parametrize("text, words", [
    (BRANCHES.replace("else_branch", "other"), ["If", "other"]),
    (NESTED.replace("Neg (x)", "Shrug (x)"), ["If", "else_branch", "Shrug"]),
    (NESTED.replace("Mul (s, x)", "Mul (s, nobody)"), ["nobody"]),
    (SUMS.replace("(bool on, float[N] t, float[N] row)", "(bool on)"),
     ["Loop", "outputs"]),
])
def test_refused_with_the_place(tmp_path, text, words):
    done = ctl.quantctl("check", model(tmp_path / "m.onnx", text))
    assert done.returncode in (ctl.BAD_INPUT, ctl.UNSUPPORTED)
    assert all(w in done.stderr for w in words), done.stderr


def test_what_stands_around_is_quantized(tmp_path):
    """The written file keeps bodies, captures and names."""
    file = model(tmp_path / "m.onnx", """
    g (float[N,64] x, bool c) => (float[N,64] y) {
        h = MatMul (x, w)
        y = If (c) <
            then_branch = t () => (float[N,64] a) { a = Relu (h) },
            else_branch = e () => (float[N,64] a) { a = Sub (x, h) }
        >
    }
    """, w=np.random.default_rng(1).standard_normal((64, 64)) / 8)
    ctl.run("quantize", file, "-o", tmp_path / "q.onnx", "--recipe", "dynamic",
            "--seconds", "0", "--min-speedup", "0")
    x = np.random.default_rng(2).standard_normal((5, 64)).astype("f4")
    for c in (True, False):
        want = run(file, tmp_path, x=x, c=np.array(c))["y"]
        got = run(tmp_path / "q.onnx", tmp_path, x=x, c=np.array(c))["y"]
        assert 0 < np.abs(got - want).max() < 0.05 * np.abs(want).max()


def test_served(start):
    """Many clients at once, each with counts of its own; JSON and binary."""
    def fill(models):
        (models / "m/1").mkdir(parents=True)
        model(models / "m/1/model.onnx", COMPUTED)

    d = start(fill)
    told = d.get("/v2/models/m").json()
    assert [o["shape"] for o in told["outputs"]] == [[-1], [-1], [-1, 2],
                                                      [-1], [-1]]

    def ask(i):
        x = np.random.default_rng(i).permutation(8 + i % 5).astype("f4")
        k = i % 4
        if i % 2:
            body, headers = server.binary_request([("x", x), ("k", i8(k)[0], "INT64")])
            r = d.post("/v2/models/m/infer", data=body, headers=headers)
        else:
            r = d.infer("m", {"inputs": [server.json_input("x", x),
                                         server.json_input("k", i8(k)[0],
                                                           "INT64")]})
        assert r.status_code == 200, r.text
        y = server.outputs_of(r)
        assert np.array_equal(y["top"], np.sort(x)[::-1][:k])
        assert np.array_equal(y["pairs"], x[:2 * k].reshape(k, 2))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(200)))
    r = d.infer("m", {"inputs": [server.json_input("x", X[0]),
                                 server.json_input("k", i8(9)[0], "INT64")]})
    assert r.status_code == 400 and "TopK" in r.json()["error"]
