#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Small models for fuzz_model to begin with: tests/fuzz/seeds.py FOLDER

The ONNX backend tests of Debian's libonnx-testdata (and those of another
folder: ONNX_TESTDATA), once as they are and once with their small integer
inputs (shapes, axes, indices) as initializers, which decide shapes; what the
end-to-end tests are made of; and small ones of what these lack: convolutions
and products in QDQ form, shape arithmetic on dynamic axes, heads of detectors.
"""
import glob
import importlib
import os
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

E2E = pathlib.Path(__file__).parents[1] / 'e2e'
sys.path.insert(0, str(E2E))


def of_e2e(name):
    """A file of the end-to-end tests, whatever its number is."""
    path = sorted(E2E.glob(f'*{name}.py'))[0]
    return importlib.import_module(path.stem)


contrib_cases = of_e2e('contrib_cases')
control_flow = of_e2e('control_flow')
families = of_e2e('families')
import_matrix = of_e2e('import_matrix')


DATA = '/usr/share/libonnx-testdata/data'
LARGEST = 6000  # bytes: most mutations of larger files hit weights
LARGEST_NET = 16000  # as scripts/fuzz has it

rng = np.random.default_rng(1)


def write(folder, name, model, largest=LARGEST):
    data = model.SerializeToString()
    if len(data) <= largest:
        with open(os.path.join(folder, name + '.onnx'), 'wb') as f:
            f.write(data)


def fixed(model, folder):
    """The model with small inputs of integers or bools as initializers."""
    graph = model.graph
    changed = False
    for i, value in enumerate(list(graph.input)):
        path = f'{folder}/test_data_set_0/input_{i}.pb'
        if not os.path.exists(path):
            continue
        tensor = T()
        with open(path, 'rb') as f:
            tensor.ParseFromString(f.read())
        small = np.prod(tensor.dims, dtype=np.int64) <= 64
        if small and (i > 0 or tensor.data_type in (T.INT64, T.BOOL)):
            tensor.name = value.name
            graph.initializer.append(tensor)
            graph.input.remove(value)
            changed = True
    return changed and len(graph.input) > 0


def testdata(folder):
    data = [DATA, os.environ.get('ONNX_TESTDATA', DATA)]
    for path in sorted({p for d in data
                        for p in glob.glob(d + '/*/*/model.onnx')}):
        case = os.path.dirname(path)
        name = os.path.basename(case).replace('test_', '', 1)
        try:
            model = onnx.load(path)
        except Exception:  # a type that this onnx package does not read
            continue
        if any(n.domain not in ('', 'ai.onnx') for n in model.graph.node):
            continue
        write(folder, name, model)
        if fixed(model, case):
            write(folder, name + '-fixed', model)


def of_tests(folder):
    """What the end-to-end tests run, as far as it is small."""
    for name, (model, _, _) in contrib_cases.cases.items():
        write(folder, 'contrib-' + name, model)
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / 'model.onnx'
        for pattern in import_matrix.PATTERNS:
            f = import_matrix.File()
            f.save(path, pattern(f)[0])
            write(folder, 'matrix-' + pattern.__name__, onnx.load(path),
                  LARGEST_NET)
        for name, family in families.FAMILIES.items():
            family.write(path)
            write(folder, 'family-' + name, onnx.load(path), LARGEST_NET)
    for name, text in vars(control_flow).items():
        if name.isupper() and isinstance(text, str) and '=>' in text:
            write(folder, 'flow-' + name.lower(),
                  onnx.parser.parse_model(control_flow.HEAD + text))


# --- models of several nodes -------------------------------------------------


def const(name, a):
    return numpy_helper.from_array(np.asarray(a), name)


def weights(name, *shape):
    return const(name, (rng.standard_normal(shape) * 0.5).astype(np.float32))


def model(nodes, inputs, outputs, consts, opset=17, domains=()):
    """inputs, outputs: {name: (type, shape)}; shape None: not declared."""
    graph = h.make_graph(
        nodes, 'g',
        [h.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()],
        [h.make_tensor_value_info(n, t, s) for n, (t, s) in outputs.items()],
        consts)
    opsets = [h.make_opsetid('', opset)]
    opsets += [h.make_opsetid(d, 1) for d in domains]
    return h.make_model(graph, opset_imports=opsets, ir_version=8)


N = h.make_node
F = T.FLOAT


def conv_net():
    nodes = [
        N('Conv', ['x', 'w1', 'b1'], ['c1'], pads=[1, 1, 1, 1]),
        N('BatchNormalization', ['c1', 's', 'b', 'm', 'v'], ['n1']),
        N('Relu', ['n1'], ['r1']),
        N('Conv', ['r1', 'w2'], ['c2'], pads=[1, 1, 1, 1], group=4),
        N('Add', ['c2', 'r1'], ['a']),
        N('Clip', ['a', 'lo', 'hi'], ['k']),
        N('MaxPool', ['k'], ['p'], kernel_shape=[2, 2], strides=[2, 2]),
        N('GlobalAveragePool', ['p'], ['g']),
        N('Flatten', ['g'], ['f']),
        N('Gemm', ['f', 'w3', 'b3'], ['y'], transB=1),
    ]
    consts = [weights('w1', 4, 3, 3, 3), weights('b1', 4),
              weights('s', 4), weights('b', 4), weights('m', 4),
              const('v', np.ones(4, np.float32)), weights('w2', 4, 1, 3, 3),
              const('lo', np.float32(0)), const('hi', np.float32(6)),
              weights('w3', 5, 4), weights('b3', 5)]
    return model(nodes, {'x': (F, ['n', 3, 8, 8])}, {'y': (F, ['n', 5])},
                 consts)


def qdq(name, scale, zero, signed=False):
    """Nodes and constants that send `name` through a Q/DQ pair."""
    t = np.int8 if signed else np.uint8
    nodes = [N('QuantizeLinear', [name, name + '_s', name + '_z'],
               [name + '_q']),
             N('DequantizeLinear', [name + '_q', name + '_s', name + '_z'],
               [name + '_d'])]
    return nodes, [const(name + '_s', np.float32(scale)),
                   const(name + '_z', t(zero))]


def dq_weight(name, shape, axis):
    w = rng.integers(-127, 128, shape).astype(np.int8)
    n = shape[axis]
    nodes = [N('DequantizeLinear', [name + '_q', name + '_s', name + '_z'],
               [name], axis=axis)]
    return nodes, [const(name + '_q', w),
                   const(name + '_s', np.full(n, 0.01, np.float32)),
                   const(name + '_z', np.zeros(n, np.int8))]


def qdq_conv():
    nodes, consts = qdq('x', 0.05, 128)
    for part, more in (dq_weight('w', (4, 3, 3, 3), 0),
                       dq_weight('v', (6, 4, 1, 1), 0)):
        nodes, consts = nodes + part, consts + more
    nodes.append(N('Conv', ['x_d', 'w', 'bias'], ['c'], pads=[1] * 4))
    nodes.append(N('Relu', ['c'], ['r']))
    part, more = qdq('r', 0.04, 0)
    nodes, consts = nodes + part, consts + more
    nodes.append(N('MaxPool', ['r_d'], ['p'], kernel_shape=[2, 2],
                   strides=[2, 2]))
    part, more = qdq('p', 0.04, 0)
    nodes, consts = nodes + part, consts + more
    nodes.append(N('Conv', ['p_d', 'v'], ['y']))
    consts.append(weights('bias', 4))
    return model(nodes, {'x': (F, ['n', 3, 8, 8])}, {'y': (F, None)}, consts)


def qdq_add():
    nodes, consts = qdq('x', 0.05, 128)
    for name in ('a', 'b'):
        part, more = dq_weight(f'w{name}', (3, 3, 1, 1), 0)
        nodes, consts = nodes + part, consts + more
        nodes.append(N('Conv', ['x_d', f'w{name}'], [name]))
        part, more = qdq(name, 0.03, 120)
        nodes, consts = nodes + part, consts + more
    nodes.append(N('Add', ['a_d', 'b_d'], ['s']))
    part, more = qdq('s', 0.06, 110)
    nodes, consts = nodes + part, consts + more
    nodes.append(N('Concat', ['s_d', 'a_d'], ['k'], axis=1))
    part, more = qdq('k', 0.06, 110)
    nodes, consts = nodes + part, consts + more
    nodes.append(N('AveragePool', ['k_d'], ['y'], kernel_shape=[2, 2]))
    return model(nodes, {'x': (F, ['n', 3, 4, 4])}, {'y': (F, None)}, consts)


def qdq_matmul():
    nodes, consts = qdq('x', 0.05, 0, signed=True)
    part, more = dq_weight('w', (8, 6), 1)
    nodes, consts = nodes + part, consts + more
    nodes.append(N('MatMul', ['x_d', 'w'], ['m']))
    nodes.append(N('Add', ['m', 'b'], ['a']))
    part, more = qdq('a', 0.1, 3, signed=True)
    nodes, consts = nodes + part, consts + more
    nodes.append(N('Transpose', ['a_d'], ['t'], perm=[1, 0]))
    nodes.append(N('Softmax', ['t'], ['y']))
    consts.append(weights('b', 6))
    return model(nodes, {'x': (F, ['n', 8])}, {'y': (F, None)}, consts)


def dynamic_integer():
    nodes = [
        N('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
        N('MatMulInteger', ['q', 'w', 'z', 'wz'], ['i']),
        N('Cast', ['i'], ['f'], to=F),
        N('Mul', ['s', 'ws'], ['sc']),
        N('Mul', ['f', 'sc'], ['y']),
    ]
    consts = [const('w', rng.integers(-9, 9, (4, 5)).astype(np.int8)),
              const('wz', np.int8(0)), const('ws', np.float32(0.02))]
    return model(nodes, {'x': (F, ['n', 4])}, {'y': (F, None)}, consts)


def dynamic_row():
    nodes, consts = dq_weight('w', (8, 6), 1)
    nodes.append(N('MatMul', ['x', 'w'], ['m']))
    nodes.append(N('Add', ['m', 'b'], ['a']))
    nodes.append(N('Relu', ['a'], ['y']))
    consts.append(weights('b', 6))
    m = model(nodes, {'x': (F, ['n', 's', 8])}, {'y': (F, None)}, consts)
    m.metadata_props.add(key='quantd.dynamic_activation', value='row')
    return m


def attention():
    d = 8
    nodes = []
    for p in 'qkv':
        nodes += [
            N('MatMul', ['x', f'w{p}'], [f'm{p}']),
            N('Add', [f'm{p}', f'b{p}'], [f'a{p}']),
            N('Reshape', [f'a{p}', 'heads'], [f'r{p}']),
            N('Transpose', [f'r{p}'], [f't{p}'],
              perm=[0, 2, 3, 1] if p == 'k' else [0, 2, 1, 3]),
        ]
    nodes += [
        N('MatMul', ['tq', 'tk'], ['qk']),
        N('Div', ['qk', 'root'], ['sc']),
        N('Add', ['sc', 'mask'], ['ma']),
        N('Softmax', ['ma'], ['pr'], axis=-1),
        N('MatMul', ['pr', 'tv'], ['pv']),
        N('Transpose', ['pv'], ['at'], perm=[0, 2, 1, 3]),
        N('Reshape', ['at', 'flat'], ['o']),
        N('MatMul', ['o', 'wo'], ['mo']),
        N('Add', ['mo', 'x'], ['res']),
        N('LayerNormalization', ['res', 'g', 'bt'], ['y']),
    ]
    consts = [weights('w' + p, d, d) for p in 'qkvo']
    consts += [weights('b' + p, d) for p in 'qkv']
    consts += [const('heads', np.array([0, -1, 2, 4])),
               const('flat', np.array([0, -1, 8])),
               const('root', np.float32(2)), weights('g', d),
               weights('bt', d)]
    return model(nodes, {'x': (F, ['n', 's', d]),
                         'mask': (F, ['n', 1, 1, 's'])}, {'y': (F, None)},
                 consts)


def by_parts():
    """LayerNormalization, GELU, hard-swish and SiLU in several nodes."""
    nodes = [
        N('ReduceMean', ['x'], ['mu'], axes=[-1]),
        N('Sub', ['x', 'mu'], ['d']),
        N('Pow', ['d', 'two'], ['d2']),
        N('ReduceMean', ['d2'], ['var'], axes=[-1]),
        N('Add', ['var', 'eps'], ['ve']),
        N('Sqrt', ['ve'], ['sd']),
        N('Div', ['d', 'sd'], ['n']),
        N('Mul', ['n', 'g'], ['ng']),
        N('Add', ['ng', 'b'], ['ln']),
        N('Div', ['ln', 'r2'], ['e1']),
        N('Erf', ['e1'], ['e2']),
        N('Add', ['e2', 'one'], ['e3']),
        N('Mul', ['ln', 'e3'], ['e4']),
        N('Mul', ['e4', 'half'], ['gelu']),
        N('Sigmoid', ['gelu'], ['sg']),
        N('Mul', ['gelu', 'sg'], ['silu']),
        N('Add', ['silu', 'three'], ['h1']),
        N('Clip', ['h1', 'zero', 'six'], ['h2']),
        N('Mul', ['silu', 'h2'], ['h3']),
        N('Div', ['h3', 'six'], ['y']),
    ]
    consts = [const(n, np.float32(v)) for n, v in
              (('two', 2), ('eps', 1e-5), ('r2', 2**0.5), ('one', 1),
               ('half', 0.5), ('three', 3), ('zero', 0), ('six', 6))]
    consts += [weights('g', 6), weights('b', 6)]
    return model(nodes, {'x': (F, ['n', 's', 6])}, {'y': (F, None)}, consts)


def shape_chain():
    nodes = [
        N('Shape', ['x'], ['s']),
        N('Gather', ['s', 'i0'], ['n']),
        N('Gather', ['s', 'i1'], ['t']),
        N('Unsqueeze', ['n', 'ax'], ['nu']),
        N('Mul', ['t', 'two'], ['t2']),
        N('Unsqueeze', ['t2', 'ax'], ['tu']),
        N('Concat', ['nu', 'tu', 'm1'], ['to'], axis=0),
        N('Reshape', ['x', 'to'], ['r']),
        N('Range', ['zero', 't2', 'one'], ['rg']),
        N('Cast', ['rg'], ['rf'], to=F),
        N('Unsqueeze', ['rf', 'ax1'], ['ru']),
        N('Add', ['r', 'ru'], ['a']),
        N('Slice', ['a', 'zero1', 't1', 'ax1'], ['sl']),
        N('ConstantOfShape', ['to'], ['c']),
        N('Expand', ['c', 'to'], ['ex']),
        N('Equal', ['ex', 'a'], ['eq']),
        N('Where', ['eq', 'ex', 'a'], ['y']),
        N('Tile', ['sl', 'rep'], ['y2']),
        N('Unsqueeze', ['t', 'ax'], ['t1']),
    ]
    nodes.insert(5, nodes.pop())
    consts = [const('i0', np.int64(0)), const('i1', np.int64(1)),
              const('ax', np.array([0])), const('ax1', np.array([1])),
              const('two', np.int64(2)), const('m1', np.array([-1])),
              const('zero', np.int64(0)), const('one', np.int64(1)),
              const('zero1', np.array([0])), const('rep', np.array([1, 2, 1]))]
    return model(nodes, {'x': (F, ['n', 't', 6])},
                 {'y': (F, None), 'y2': (F, None)}, consts)


def detector():
    """A head as detectors have it, with NonMaxSuppression."""
    nodes = [
        N('Resize', ['x', '', 'scales'], ['u'], mode='nearest'),
        N('Conv', ['u', 'w'], ['c']),
        N('Split', ['c', 'sp'], ['b', 's'], axis=1),
        N('Reshape', ['b', 'to4'], ['b4']),
        N('Transpose', ['b4'], ['bt'], perm=[0, 2, 1]),
        N('Reshape', ['s', 'to1'], ['s1']),
        N('Sigmoid', ['s1'], ['sc']),
        N('TopK', ['sc', 'k'], ['top', 'at']),
        N('NonMaxSuppression', ['bt', 'sc', 'm', 'iou', 'th'], ['y']),
    ]
    consts = [const('scales', np.array([1, 1, 2, 2], np.float32)),
              weights('w', 5, 3, 1, 1), const('sp', np.array([4, 1])),
              const('to4', np.array([0, 4, -1])),
              const('to1', np.array([0, 1, -1])), const('k', np.array([3])),
              const('m', np.array([3])),
              const('iou', np.array([0.5], np.float32)),
              const('th', np.array([0.1], np.float32))]
    return model(nodes, {'x': (F, [1, 3, 2, 2])},
                 {'y': (T.INT64, None), 'top': (F, None),
                  'at': (T.INT64, None)}, consts)


def recurrent(op, gates):
    nodes = [N(op, ['x', 'w', 'r', 'b', '', 'h0'], ['s', 'h'], hidden_size=4,
               direction='bidirectional'),
             N('Squeeze', ['h', 'ax'], ['hs']),
             N('Transpose', ['s'], ['st'], perm=[0, 2, 1, 3]),
             N('Reshape', ['st', 'to'], ['y'])]
    consts = [weights('w', 2, gates * 4, 3), weights('r', 2, gates * 4, 4),
              weights('b', 2, gates * 8), const('to', np.array([0, 0, -1])),
              weights('h0', 2, 1, 4), const('ax', np.array([1]))]
    return model(nodes, {'x': (F, ['t', 1, 3])},
                 {'y': (F, None), 'hs': (F, None)}, consts)


def halves(t):
    """A small net in 16-bit or 64-bit floats."""
    nodes = [
        N('Cast', ['x'], ['h'], to=t),
        N('Conv', ['h', 'w'], ['c']),
        N('Relu', ['c'], ['r']),
        N('Reshape', ['r', 'to'], ['f']),
        N('MatMul', ['f', 'v'], ['m']),
        N('Softmax', ['m'], ['s']),
        N('Cast', ['s'], ['y'], to=F),
    ]
    def made(name, *shape):
        a = rng.standard_normal(shape)
        return h.make_tensor(name, t, shape, a.flatten().tolist())
    consts = [made('w', 4, 3, 1, 1), made('v', 16, 4),
              const('to', np.array([0, -1]))]
    return model(nodes, {'x': (F, ['n', 3, 2, 2])}, {'y': (F, None)}, consts)


def qlinear():
    nodes = [
        N('QuantizeLinear', ['x', 's', 'z'], ['q']),
        N('QLinearConv', ['q', 's', 'z', 'w', 'ws', 'wz', 's', 'z', 'b'],
          ['c']),
        N('QLinearMatMul', ['c', 's', 'z', 'v', 's', 'vz', 's', 'z'], ['m']),
        N('QLinearAdd', ['m', 's', 'z', 'm', 's', 'z', 's', 'z'], ['a'],
          domain='com.microsoft'),
        N('QLinearConcat', ['s', 'z', 'a', 's', 'z', 'm', 's', 'z'], ['k'],
          domain='com.microsoft', axis=1),
        N('QLinearSigmoid', ['k', 's', 'z', 's', 'z'], ['g'],
          domain='com.microsoft'),
        N('QLinearAveragePool', ['g', 's', 'z', 's', 'z'], ['p'],
          domain='com.microsoft', kernel_shape=[2, 2]),
        N('QLinearGlobalAveragePool', ['p', 's', 'z', 's', 'z'], ['gp'],
          domain='com.microsoft', channels_last=0),
        N('DequantizeLinear', ['gp', 's', 'z'], ['y']),
    ]
    consts = [const('s', np.float32(0.05)), const('z', np.uint8(128)),
              const('w', rng.integers(-99, 99, (4, 3, 1, 1)).astype(np.int8)),
              const('ws', np.full(4, 0.01, np.float32)),
              const('wz', np.zeros(4, np.int8)),
              const('b', rng.integers(-99, 99, 4).astype(np.int32)),
              const('v', rng.integers(-99, 99, (4, 4)).astype(np.int8)),
              const('vz', np.int8(0))]
    return model(nodes, {'x': (F, ['n', 3, 4, 4])}, {'y': (F, None)}, consts,
                 domains=['com.microsoft'])


def contrib():
    nodes = [
        N('SkipLayerNormalization', ['x', 'x', 'g', 'b'], ['s'],
          domain='com.microsoft'),
        N('Attention', ['s', 'wqkv', 'bqkv'], ['a'], domain='com.microsoft',
          num_heads=2),
        N('BiasGelu', ['a', 'b'], ['bg'], domain='com.microsoft'),
        N('FastGelu', ['bg'], ['fg'], domain='com.microsoft'),
        N('Gelu', ['fg'], ['ge'], domain='com.microsoft'),
        N('FusedMatMul', ['ge', 'w'], ['fm'], domain='com.microsoft',
          transB=1),
        N('QuickGelu', ['fm'], ['y'], domain='com.microsoft'),
    ]
    consts = [weights('g', 8), weights('b', 8), weights('wqkv', 8, 24),
              weights('bqkv', 24), weights('w', 8, 8)]
    return model(nodes, {'x': (F, ['n', 's', 8])}, {'y': (F, None)}, consts,
                 domains=['com.microsoft'])


def integer_contrib():
    nodes = [
        N('DynamicQuantizeMatMul', ['x', 'w', 'ws', 'wz'], ['a'],
          domain='com.microsoft'),
        N('MatMulNBits', ['a', 'n', 'ns'], ['b'], domain='com.microsoft', K=16,
          N=8, bits=4, block_size=16),
        N('DynamicQuantizeLinear', ['b'], ['q', 's', 'z']),
        N('MatMulIntegerToFloat', ['q', 'v', 's', 'ws', 'z', 'wz'], ['y'],
          domain='com.microsoft'),
    ]
    consts = [const('w', rng.integers(-9, 9, (8, 16)).astype(np.int8)),
              const('ws', np.float32(0.02)), const('wz', np.int8(0)),
              const('n', rng.integers(0, 255, (8, 1, 8)).astype(np.uint8)),
              const('ns', np.full(8, 0.1, np.float32)),
              const('v', rng.integers(-9, 9, (8, 4)).astype(np.int8))]
    return model(nodes, {'x': (F, ['n', 8])}, {'y': (F, None)}, consts,
                 domains=['com.microsoft'])


def branch(name, op):
    """A sub-graph that reads x from outside."""
    return h.make_graph(
        [N(op, ['x', 'one'], [name])], name, [],
        [h.make_tensor_value_info(name, F, None)],
        [const('one', np.ones(1, np.float32))])


def control_if():
    nodes = [
        N('ReduceSum', ['x'], ['s'], keepdims=0),
        N('Greater', ['s', 'zero'], ['c']),
        N('If', ['c'], ['y'], then_branch=branch('t', 'Add'),
          else_branch=branch('e', 'Mul')),
    ]
    return model(nodes, {'x': (F, ['n', 3])}, {'y': (F, None)},
                 [const('zero', np.float32(0))])


def control_loop():
    body = h.make_graph(
        [N('Add', ['h', 'x'], ['h2']), N('Identity', ['c'], ['c2']),
         N('Relu', ['h2'], ['scan'])], 'body',
        [h.make_tensor_value_info('i', T.INT64, []),
         h.make_tensor_value_info('c', T.BOOL, []),
         h.make_tensor_value_info('h', F, [3])],
        [h.make_tensor_value_info('c2', T.BOOL, []),
         h.make_tensor_value_info('h2', F, [3]),
         h.make_tensor_value_info('scan', F, [3])])
    nodes = [N('Loop', ['trips', 'cond', 'h0'], ['h3', 'y'], body=body)]
    return model(nodes, {'x': (F, [3])}, {'y': (F, None), 'h3': (F, [3])},
                 [const('trips', np.int64(4)), const('cond', np.bool_(True)),
                  weights('h0', 3)])


def control_scan():
    body = h.make_graph(
        [N('Add', ['s', 'e'], ['s2']), N('Mul', ['s2', 'k'], ['o'])], 'body',
        [h.make_tensor_value_info('s', F, [3]),
         h.make_tensor_value_info('e', F, [3])],
        [h.make_tensor_value_info('s2', F, [3]),
         h.make_tensor_value_info('o', F, [3])])
    nodes = [N('Scan', ['s0', 'x'], ['s3', 'y'], body=body, num_scan_inputs=1)]
    return model(nodes, {'x': (F, [5, 3])}, {'y': (F, [5, 3])},
                 [weights('s0', 3), const('k', np.float32(2))])


def nested():
    inner = h.make_graph(
        [N('If', ['c'], ['h2'], then_branch=branch('t', 'Add'),
           else_branch=branch('e', 'Sub')),
         N('Not', ['c'], ['c2'])], 'body',
        [h.make_tensor_value_info('i', T.INT64, []),
         h.make_tensor_value_info('c', T.BOOL, []),
         h.make_tensor_value_info('h', F, None)],
        [h.make_tensor_value_info('c2', T.BOOL, []),
         h.make_tensor_value_info('h2', F, None)])
    nodes = [N('Loop', ['trips', '', 'x'], ['y'], body=inner)]
    return model(nodes, {'x': (F, [2, 3])}, {'y': (F, None)},
                 [const('trips', np.int64(3))])


def embedding():
    nodes = [
        N('Gather', ['table', 'ids'], ['e']),
        N('Gather', ['places', 'pos'], ['p']),
        N('Add', ['e', 'p'], ['a']),
        N('GatherElements', ['a', 'idx'], ['ge'], axis=1),
        N('OneHot', ['ids', 'depth', 'onoff'], ['oh']),
        N('CumSum', ['a', 'ax'], ['cs']),
        N('ScatterND', ['a', 'at', 'up'], ['y']),
    ]
    consts = [weights('table', 7, 4), weights('places', 5, 4),
              const('pos', np.arange(3)), const('idx', np.array([[[0, 1, 2, 0]]])),
              const('depth', np.array([5])),
              const('onoff', np.array([0, 1], np.float32)),
              const('ax', np.array([1])), const('at', np.array([[0, 1]])),
              weights('up', 1, 4)]
    return model(nodes, {'ids': (T.INT64, [1, 3])},
                 {'y': (F, None), 'ge': (F, None), 'oh': (F, None),
                  'cs': (F, None)}, consts)


def deconv():
    nodes = [
        N('ConvTranspose', ['x', 'w', 'b'], ['c'], strides=[2, 2]),
        N('InstanceNormalization', ['c', 's', 'b'], ['i']),
        N('PRelu', ['i', 'sl'], ['p']),
        N('Pad', ['p', 'pads'], ['q'], mode='reflect'),
        N('DepthToSpace', ['q', ], ['y'], blocksize=2),
    ]
    consts = [weights('w', 3, 4, 2, 2), weights('b', 4), weights('s', 4),
              weights('sl', 4, 1, 1),
              const('pads', np.array([0, 0, 1, 1, 0, 0, 1, 1]))]
    return model(nodes, {'x': (F, [1, 3, 3, 3])}, {'y': (F, None)}, consts)


def newest(op, inputs, consts=(), n_out=1, opset=27, **attrs):
    """One node of an opset that the test data of older packages lack."""
    names = [*inputs, *(c.name for c in consts)]
    outs = [f'y{i}' for i in range(n_out)]
    return lambda: model([N(op, names, outs, **attrs)], inputs,
                         {o: (F, None) for o in outs}, list(consts), opset)


HEADS = {k: (F, ['b', 't', 8]) for k in 'qkv'}

MADE = {
    'attention-23': newest('Attention', HEADS, q_num_heads=2, kv_num_heads=2,
                           is_causal=1),
    'linear-attention': newest('LinearAttention', HEADS, n_out=2,
                               update_rule='linear', q_num_heads=2,
                               kv_num_heads=2),
    'causal-conv': newest('CausalConvWithState', {'x': (F, [1, 4, 't'])},
                          [weights('w', 4, 1, 3)], n_out=2),
    'tensor-scatter': newest('TensorScatter',
                             {'x': (F, [2, 5, 3]), 'u': (F, [2, 2, 3])},
                             [const('at', np.array([1, 3]))],
                             mode='circular'),

    'attention': attention, 'by-parts': by_parts, 'contrib': contrib,
    'conv-net': conv_net, 'deconv': deconv, 'detector': detector,
    'dynamic-integer': dynamic_integer, 'dynamic-row': dynamic_row,
    'embedding': embedding, 'if': control_if, 'loop': control_loop,
    'integer-contrib': integer_contrib, 'nested': nested,
    'qdq-add': qdq_add, 'qdq-conv': qdq_conv, 'qdq-matmul': qdq_matmul,
    'qlinear': qlinear, 'scan': control_scan, 'shape-chain': shape_chain,
    'lstm': lambda: recurrent('LSTM', 4), 'gru': lambda: recurrent('GRU', 3),
    'rnn': lambda: recurrent('RNN', 1),
    'float16': lambda: halves(T.FLOAT16),
    'bfloat16': lambda: halves(T.BFLOAT16),
    'double': lambda: halves(T.DOUBLE),
}

if __name__ == '__main__':
    os.makedirs(sys.argv[1], exist_ok=True)
    testdata(sys.argv[1])
    of_tests(sys.argv[1])
    for made, make in MADE.items():
        write(sys.argv[1], 'made-' + made, make())
