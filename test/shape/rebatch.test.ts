import { expect, test } from 'vitest';
import { makeNode } from '../../src/onnx/make.js';
import { encodeModel } from '../../src/onnx/write.js';
import { analyse } from '../../src/shape/analyse.js';
import { trainingGraph } from '../../src/shape/normalise.js';
import { int64 } from '../../src/tensor/tensor.js';
import { errorOf } from '../onnx/shared.js';
import { net, weights } from './nets.js';

const pooled = { kernel_shape: [2, 2], strides: [2, 2] };

test('a literal batch is rewritten in a copy, and the file stays what it is', async () => {
  const file = net({
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('MaxPool', ['c'], ['p'], pooled),
      makeNode('Reshape', ['p', 'shape'], ['f']),
      makeNode('MatMul', ['f', 'fw'], ['y']),
    ],
    inputs: { x: [1, 2, 4, 4] },
    outputs: ['y'],
    weights: { w: weights([3, 2, 1, 1], 1), fw: weights([12, 5], 2), shape: int64([2], [1, 12]) },
  });
  const before = encodeModel(file.model);
  const analysis = await analyse(file);
  expect(analysis.batch).toMatchObject({ kind: 'rebatched', literal: 1 });
  const graph = await trainingGraph(file, analysis, 7);
  expect(graph.inputs[0]).toMatchObject({ shape: [7, 2, 4, 4], batchAxis: 0 });
  expect(graph.outputs[0]).toMatchObject({ shape: [7, 5], batchAxis: 0 });
  expect(encodeModel(file.model)).toEqual(before);
  // The user's own literal is what channel rules patch.
  expect(analysis.values.get('shape')!.known!.tensor.data).toEqual(BigInt64Array.of(1n, 12n));
});

test('a model in memory is tried itself, not what lies at the path that it came from', async () => {
  const file = net({
    nodes: [makeNode('Reshape', ['x', 'shape'], ['f']), makeNode('MatMul', ['f', 'w'], ['y'])],
    inputs: { x: [1, 2, 3] },
    outputs: ['y'],
    weights: { w: weights([6, 5], 2), shape: int64([2], [1, 6]) },
  });
  const analysis = await analyse({ ...file, path: 'another model.onnx' });
  expect(analysis.batch).toMatchObject({ kind: 'rebatched', literal: 1 });
});

test('a channel shuffle that moves the batch behind the groups is followed', async () => {
  const file = net({
    nodes: [
      makeNode('Reshape', ['x', 'halves'], ['a']),
      makeNode('Transpose', ['a'], ['b'], { perm: [1, 0, 2] }),
      makeNode('Reshape', ['b', 'groups'], ['c']),
      makeNode('Gather', ['c', 'first'], ['d'], { axis: 0 }),
      makeNode('Conv', ['d', 'w'], ['y']),
    ],
    inputs: { x: [1, 4, 3, 3] },
    outputs: ['y'],
    weights: {
      halves: int64([3], [2, 2, 9]),
      groups: int64([5], [2, -1, 2, 3, 3]),
      first: int64([], [0]),
      w: weights([3, 2, 1, 1], 1),
    },
  });
  const { batch } = await analyse(file);
  expect(batch).toMatchObject({ kind: 'rebatched', edits: [{ node: 0, at: 0 }] });
});

test('a batch that mixes its samples is not touched', async () => {
  const file = net({
    nodes: [
      makeNode('ReduceMean', ['x'], ['mean'], { axes: [0], keepdims: 1 }),
      makeNode('Sub', ['x', 'mean'], ['centred']),
      makeNode('Add', ['centred', 'bias'], ['shifted']),
      makeNode('MatMul', ['shifted', 'w'], ['y']),
    ],
    inputs: { x: [1, 4] },
    outputs: ['y'],
    weights: { w: weights([4, 3], 1), bias: weights([4], 2) },
  });
  const analysis = await analyse(file);
  expect(analysis.batch).toMatchObject({ kind: 'fixed', size: 1 });
  expect((analysis.batch as { why: string }).why).toContain('differs from that of its samples');
  expect((await trainingGraph(file, analysis, 1)).outputs[0].shape).toEqual([1, 3]);
  expect(await errorOf(() => trainingGraph(file, analysis, 8))).toMatchObject({ code: 'USAGE', hint: '--batch 1' });
});

test('a batch that is declared free but runs as 1 only is a literal one', async () => {
  const file = net({
    nodes: [makeNode('Reshape', ['x', 'shape'], ['f']), makeNode('MatMul', ['f', 'w'], ['y'])],
    inputs: { x: ['batch', 2, 3] },
    outputs: ['y'],
    weights: { w: weights([6, 3], 1), shape: int64([2], [1, 6]) },
  });
  expect((await analyse(file)).batch).toMatchObject({ kind: 'rebatched', literal: 1 });
});
