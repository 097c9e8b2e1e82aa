import { expect, test } from 'vitest';
import { makeNode, makeTensor } from '../../src/onnx/make.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { analyse } from '../../src/shape/analyse.js';
import { type TrainingOptions, trainingGraph } from '../../src/shape/normalise.js';
import { float32ToFloat16 } from '../../src/tensor/half.js';
import { float32, int64, type Tensor } from '../../src/tensor/tensor.js';
import { errorOf } from '../onnx/shared.js';
import { net, weights } from './nets.js';

/** Training graphs are proved equal to their models while they are made: these tests look at their form. */
const graphOf = async (file: OnnxFile, options?: TrainingOptions, batch = 4) =>
  trainingGraph(file, await analyse(file), batch, options);

const ops = (graph: { nodes: readonly { opType: string }[] }) => graph.nodes.map((n) => n.opType);

test('an old file becomes one opset with static shapes, its shape arithmetic folded', async () => {
  const file = net({
    nodes: [
      makeNode('Conv', ['x', 'w', 'b'], ['c'], { kernel_shape: [3, 3] }, { name: 'conv' }),
      makeNode('Clip', ['c'], ['r'], { min: { float: 0 }, max: { float: 6 } }),
      makeNode('Dropout', ['r'], ['d'], { ratio: { float: 0.5 } }),
      makeNode('Shape', ['d'], ['s']),
      makeNode('Gather', ['s', 'zero'], ['n'], { axis: 0 }),
      makeNode('Unsqueeze', ['n'], ['n1'], { axes: [0] }),
      makeNode('Concat', ['n1', 'rest'], ['target'], { axis: 0 }),
      makeNode('Reshape', ['d', 'target'], ['f']),
      makeNode('Gemm', ['f', 'fw', 'fb'], ['z'], { transB: 1 }, { name: 'dense' }),
      makeNode('Softmax', ['z'], ['p']),
    ],
    inputs: { x: ['batch', 2, 4, 4] },
    outputs: ['p'],
    opset: 9,
    weights: {
      w: weights([3, 2, 3, 3], 1),
      b: weights([3], 2),
      fw: weights([5, 12], 3),
      fb: weights([5], 4),
      zero: int64([], [0]),
      rest: int64([1], [-1]),
    },
  });
  const graph = await graphOf(file);
  expect(ops(graph)).toEqual(['Conv', 'Clip', 'Reshape', 'Gemm']);
  expect([...graph.parameters.keys()]).toEqual(['w', 'b', 'fw', 'fb']);
  expect(graph.outputs).toEqual([
    { name: 'z', of: ['p'], through: ['Softmax'], dtype: 'float32', shape: [4, 5], batchAxis: 0 },
  ]);
  expect(graph.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [4, 2, 4, 4], batchAxis: 0 }]);
  expect(graph.values.get('c')).toEqual({ dtype: 'float32', shape: [4, 3, 2, 2] });
  const target = graph.constants.get(graph.nodes[2].input[1])!;
  expect(target.data).toEqual(BigInt64Array.of(4n, -1n));
});

const dense = (
  tail: readonly ReturnType<typeof makeNode>[],
  outputs: readonly string[],
  more: Record<string, Tensor> = {},
) =>
  net({
    nodes: [makeNode('MatMul', ['x', 'w'], ['m'], {}, { name: 'dense' }), ...tail],
    inputs: { x: ['batch', 6] },
    outputs,
    weights: { w: weights([6, 3], 1), ...more },
  });

test('a class number that a threshold may replace is learnt by its scores', async () => {
  const file = dense(
    [
      makeNode('Softmax', ['m'], ['p']),
      makeNode('ReduceMax', ['p'], ['best'], { axes: [1], keepdims: 0 }),
      makeNode('ArgMax', ['p'], ['i'], { axis: 1, keepdims: 0 }),
      makeNode('Less', ['best', 'half'], ['unsure']),
      makeNode('Where', ['unsure', 'none', 'i'], ['class']),
    ],
    ['class'],
    { half: float32([], [0.5]), none: int64([], [-1]) },
  );
  const { outputs } = await graphOf(file);
  expect(outputs).toMatchObject([{ name: 'm', of: ['class'], through: ['Softmax', 'ArgMax', 'Where'] }]);
});

test('class numbers and probabilities of the same logits are one output', async () => {
  const file = dense(
    [
      makeNode('Softmax', ['m'], ['p']),
      makeNode('ArgMax', ['m'], ['i'], { axis: 1, keepdims: 0 }),
      makeNode('Cast', ['i'], ['class'], { to: 1 }),
      makeNode('TopK', ['p', 'two'], ['top', 'indices']),
    ],
    ['p', 'class', 'top', 'indices'],
    { two: int64([1], [2]) },
  );
  const { outputs, notes } = await graphOf(file);
  expect(outputs.map((o) => o.name)).toEqual(['m']);
  expect(outputs[0].of).toEqual(['p', 'class', 'top', 'indices']);
  expect(notes).toContain("output 'class' is trained on 'm', before ArgMax, Cast");
});

test('one output can be chosen, and a wrong name is told the right ones', async () => {
  const file = dense([makeNode('Relu', ['m'], ['a']), makeNode('Tanh', ['m'], ['b'])], ['a', 'b']);
  const graph = await graphOf(file, { outputs: ['b'] });
  expect(ops(graph)).toEqual(['MatMul', 'Tanh']);
  expect((await errorOf(() => graphOf(file, { outputs: ['c'] }))).hint).toContain('a, b');
});

test('a constant along the channels behind a weighted operator is trained, a scalar is not', async () => {
  const file = dense(
    [
      makeNode('Add', ['m', 'bias'], ['m1']),
      makeNode('Mul', ['gain', 'm1'], ['m2']),
      makeNode('Mul', ['m2', 'half'], ['y'], {}, { name: 'halve' }),
    ],
    ['y'],
    { bias: weights([3], 2), gain: weights([1, 3], 3), half: float32([], [0.5]) },
  );
  const graph = await graphOf(file);
  expect([...graph.parameters.keys()]).toEqual(['w', 'bias', 'gain']);
  expect(graph.trained.find((t) => t.name === 'half')).toEqual({
    name: 'half',
    trained: false,
    why: "a scalar of Mul 'halve'",
  });
});

test('patterns freeze by name of weight or node, and train what no rule would', async () => {
  const file = dense(
    [makeNode('Add', ['m', 'bias'], ['m1'], {}, { name: 'head/bias' }), makeNode('Mul', ['m1', 'half'], ['y'])],
    ['y'],
    { bias: weights([3], 2), half: float32([], [0.5]) },
  );
  expect([...(await graphOf(file, { freeze: ['w'] })).parameters.keys()]).toEqual(['bias']);
  expect([...(await graphOf(file, { freeze: ['head*'] })).parameters.keys()]).toEqual(['w']);
  expect([...(await graphOf(file, { train: ['ha?f'] })).parameters.keys()]).toEqual(['w', 'bias', 'half']);
  expect(await errorOf(() => graphOf(file, { freeze: ['*'] }))).toMatchObject({
    code: 'NOTHING_TO_TRAIN',
    exitCode: 5,
  });
});

test('a weight behind Reshape and Transpose stays the parameter that the user knows', async () => {
  const file = net({
    nodes: [
      makeNode('Reshape', ['w', 'shape'], ['w2']),
      makeNode('Transpose', ['w2'], ['w3'], { perm: [1, 0] }),
      makeNode('MatMul', ['x', 'w3'], ['y']),
    ],
    inputs: { x: ['batch', 6] },
    outputs: ['y'],
    weights: { w: weights([3, 2, 3], 1), shape: int64([2], [3, 6]) },
  });
  const graph = await graphOf(file);
  expect(ops(graph)).toEqual(['Reshape', 'Transpose', 'MatMul']);
  expect(graph.parameters.get('w')!.dims).toEqual([3, 2, 3]);
});

test('a weight in a Constant node is a weight', async () => {
  const tensor = makeTensor('', weights([6, 3], 1));
  const file = net({
    nodes: [makeNode('Constant', [], ['w'], { value: { tensor } }), makeNode('MatMul', ['x', 'w'], ['y'])],
    inputs: { x: ['batch', 6] },
    outputs: ['y'],
  });
  const graph = await graphOf(file);
  expect(graph.parameters.get('w')!.data).toEqual(weights([6, 3], 1).data);
  expect(ops(graph)).toEqual(['MatMul']);
});

test('running statistics are state, not parameters', async () => {
  const file = net({
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c'], {}, { name: 'conv' }),
      makeNode('BatchNormalization', ['c', 'scale', 'shift', 'mean', 'var'], ['y'], {}, { name: 'bn' }),
    ],
    inputs: { x: ['batch', 2, 3, 3] },
    outputs: ['y'],
    weights: {
      w: weights([3, 2, 1, 1], 1),
      scale: weights([3], 2),
      shift: weights([3], 3),
      mean: weights([3], 4),
      var: float32([3], [1, 2, 3]),
    },
  });
  const graph = await graphOf(file);
  expect([...graph.parameters.keys()]).toEqual(['w', 'scale', 'shift']);
  expect([...graph.state]).toEqual(['mean', 'var']);
  expect(graph.constants.get('var')!.data).toEqual(Float32Array.of(1, 2, 3));
});

/** Two layers whose equal biases the exporter merged, and whose norm reads the same numbers. */
const merged = (shareMatrix: boolean) =>
  net({
    nodes: [
      makeNode('Gemm', ['x', 'w1', 'b'], ['h'], {}, { name: 'first' }),
      makeNode('Relu', ['h'], ['r']),
      makeNode('Identity', ['b'], ['b2']),
      makeNode('Gemm', ['r', shareMatrix ? 'w1' : 'w2', 'b2'], ['y'], {}, { name: 'second' }),
    ],
    inputs: { x: ['batch', 4] },
    outputs: ['y'],
    weights: { w1: weights([4, 4], 1), w2: weights([4, 4], 2), b: weights([4], 3) },
  });

test('a bias that an exporter merged into one initializer is told apart', async () => {
  const graph = await graphOf(merged(false));
  expect(graph.clones).toEqual([{ name: 'b_1', of: 'b', node: 3, input: 2 }]);
  expect([...graph.parameters.keys()]).toEqual(['w1', 'b', 'w2', 'b_1']);
  expect(graph.nodes.map((n) => n.input[2] ?? '')).toEqual(['b', '', 'b_1']);
  expect(graph.notes.join()).toContain('merged');
});

test('a layer that is used twice stays tied', async () => {
  const graph = await graphOf(merged(true));
  expect(graph.clones).toEqual([]);
  expect([...graph.parameters.keys()]).toEqual(['w1', 'b']);
});

test('a half-precision model is trained in single precision, casts gone', async () => {
  const half = (t: Tensor): Tensor => ({
    dtype: 'float16',
    dims: t.dims,
    data: float32ToFloat16(t.data as Float32Array),
  });
  const file = net({
    nodes: [
      makeNode('Cast', ['x'], ['xh'], { to: 10 }),
      makeNode('MatMul', ['xh', 'w'], ['m'], {}, { name: 'dense' }),
      makeNode('Add', ['m', 'b'], ['a']),
      makeNode('Cast', ['a'], ['y'], { to: 1 }),
    ],
    inputs: { x: ['batch', 6] },
    outputs: ['y'],
    weights: { w: half(weights([6, 3], 1)), b: half(weights([3], 2)) },
  });
  const graph = await graphOf(file);
  expect(ops(graph)).toEqual(['MatMul', 'Add']);
  expect([...graph.parameters].map(([name, t]) => `${name} ${t.dtype}`)).toEqual(['w float32', 'b float32']);
  expect([...graph.values.values()].every((v) => v.dtype === 'float32')).toBe(true);
});

test('a weight that also goes into constant arithmetic is not trained', async () => {
  const file = dense(
    [
      makeNode('ReduceSum', ['w'], ['total'], { keepdims: 0 }),
      makeNode('Mul', ['m', 'total'], ['m2']),
      makeNode('Add', ['m2', 'b'], ['y']),
    ],
    ['y'],
    { b: weights([3], 2) },
  );
  const graph = await graphOf(file);
  expect([...graph.parameters.keys()]).toEqual(['b']);
  expect(graph.trained[0]).toEqual({ name: 'w', trained: false, why: 'also part of constant arithmetic' });
});

test('a model without weights before its outputs has nothing to train', async () => {
  const file = net({ nodes: [makeNode('Relu', ['x'], ['y'])], inputs: { x: ['batch', 6] }, outputs: ['y'] });
  expect(await errorOf(() => graphOf(file))).toMatchObject({ code: 'NOTHING_TO_TRAIN', exitCode: 5 });
});
