import { expect, test } from 'vitest';
import { makeNode } from '../../src/onnx/make.js';
import { analyse } from '../../src/shape/analyse.js';
import { trainingGraph } from '../../src/shape/normalise.js';
import { int64 } from '../../src/tensor/tensor.js';
import { errorOf } from '../onnx/shared.js';
import { net, weights } from './nets.js';

test('sequences of known length become their tensors', async () => {
  const file = net({
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('SplitToSequence', ['a', 'sizes'], ['s'], { axis: 1 }),
      makeNode('SplitToSequence', ['a'], ['singles'], { axis: 1, keepdims: 0 }),
      makeNode('SplitToSequence', ['a', 'four'], ['pieces'], { axis: -1 }),
      makeNode('SequenceAt', ['s', 'last'], ['b']),
      makeNode('SequenceAt', ['pieces', 'first'], ['c']),
      makeNode('SequenceEmpty', [], ['none']),
      makeNode('SequenceInsert', ['none', 'b'], ['one']),
      makeNode('SequenceInsert', ['one', 'c', 'first'], ['two']),
      makeNode('SequenceErase', ['singles', 'first'], ['rest']),
      makeNode('SequenceLength', ['rest'], ['count']),
      makeNode('ConcatFromSequence', ['two'], ['d'], { axis: 1 }),
      makeNode('ConcatFromSequence', ['rest'], ['e'], { axis: 1, new_axis: 1 }),
      makeNode('SequenceConstruct', ['d', 'e'], ['both']),
      makeNode('ConcatFromSequence', ['both'], ['f'], { axis: -1 }),
      makeNode('Cast', ['count'], ['factor'], { to: 1 }),
      makeNode('Mul', ['f', 'factor'], ['y']),
    ],
    inputs: { x: ['n', 3] },
    outputs: ['y'],
    weights: {
      w: weights([3, 6], 1),
      sizes: int64([2], [2, 4]),
      four: int64([], [4]),
      first: int64([], [0]),
      last: int64([], [-1]),
    },
  });
  const graph = await trainingGraph(file, await analyse(file), 2);
  expect(graph.nodes.map((n) => n.opType).filter((op) => /Sequence/.test(op))).toEqual([]);
  expect(graph.values.get('y')!.shape).toEqual([2, 4 + 4 + 5]);
});

test('a position that depends on data is refused', async () => {
  const file = net({
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('SplitToSequence', ['a'], ['s'], { axis: 1 }),
      makeNode('ArgMax', ['x'], ['best'], { axis: 1, keepdims: 0 }),
      makeNode('ReduceMax', ['best'], ['at'], { keepdims: 0 }),
      makeNode('SequenceAt', ['s', 'at'], ['y']),
    ],
    inputs: { x: ['n', 3] },
    outputs: ['y'],
    weights: { w: weights([3, 6], 1) },
  });
  const analysis = await analyse(file);
  const error = await errorOf(() => trainingGraph(file, analysis, 2));
  expect(error).toMatchObject({ code: 'NO_GRADIENT' });
  expect(error.message).toMatch(/SequenceAt .* depends on data/);
});

test('random numbers of the model are refused', async () => {
  const file = net({
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('RandomNormalLike', ['a'], ['noise']),
      makeNode('Add', ['a', 'noise'], ['y']),
    ],
    inputs: { x: ['n', 3] },
    outputs: ['y'],
    weights: { w: weights([3, 6], 1) },
  });
  const analysis = await analyse(file);
  expect((await errorOf(() => trainingGraph(file, analysis, 2))).message).toMatch(/RandomNormalLike .* repeated/);
});

test('Gelu, Swish and norms that opset 18 does not have are spelled out', async () => {
  const file = net({
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('Gelu', ['a'], ['b']),
      makeNode('RMSNormalization', ['b', 'scale'], ['c']),
      makeNode('Swish', ['c'], ['y'], { alpha: { float: 1.5 } }),
    ],
    inputs: { x: ['n', 3] },
    outputs: ['y'],
    weights: { w: weights([3, 6], 1), scale: weights([6], 2) },
    opset: 24,
  });
  const graph = await trainingGraph(file, await analyse(file), 2);
  expect([...graph.parameters.keys()]).toEqual(['w', 'scale']);
});
