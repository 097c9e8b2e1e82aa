import { describe, expect, it } from 'vitest';
import { makeNode } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import { openSession } from '../../src/runtime/session.js';
import { analyse } from '../../src/shape/analyse.js';
import { float32 } from '../../src/tensor/tensor.js';
import { agreement, classifies } from '../../src/validate/agreement.js';
import { meaningOf } from '../../src/validate/outputs.js';
import { net } from '../shape/nets.js';

const node = (op: string, from: string, to: string, attributes: Record<string, number> = {}) =>
  makeNode(op, [from], [to], attributes);

describe('a model counts as a classifier', () => {
  const answers = async (nodes: NodeProto[], outputs: string[], shape: (number | string)[] = ['n', 4]) =>
    classifies(await analyse(net({ nodes, inputs: { x: shape }, outputs })));
  const soft = node('Softmax', 'x', 'p', { axis: 1 });

  it('where classes are all that it gives', async () => {
    expect(await answers([soft], ['p'])).toBe(true);
    expect(await answers([soft, node('ArgMax', 'p', 'c', { axis: 1, keepdims: 0 })], ['c', 'p'])).toBe(true);
    expect(await answers([node('Softmax', 'x', 'p', { axis: 1 })], ['p'], ['n', 4, 3, 3])).toBe(true);
    expect(await answers([node('Sigmoid', 'x', 'p')], ['p'], ['n', 1])).toBe(true);
  });

  it('but not where scores, other axes or other outputs are what it gives', async () => {
    expect(await answers([node('Relu', 'x', 'y')], ['y'])).toBe(false);
    expect(await answers([node('Softmax', 'x', 'p', { axis: -1 })], ['p'], ['n', 4, 3])).toBe(false);
    expect(await answers([node('ArgMax', 'x', 'c', { axis: 2 })], ['c'], ['n', 4, 3])).toBe(false);
    expect(await answers([soft, node('Relu', 'x', 'y')], ['p', 'y'])).toBe(false);
    expect(await answers([node('Sigmoid', 'x', 'p')], ['p'])).toBe(false);
  });
});

describe('agreement', () => {
  const rows = [
    [1, 2],
    [3, 1],
    [5, 9],
  ];
  const data = {
    gather: async (indices: ArrayLike<number>) => ({
      inputs: {
        x: float32(
          [indices.length, 2],
          Array.from(indices).flatMap((i) => rows[i]),
        ),
      },
    }),
  };
  const of = async (shift: number[], loss: 'cross-entropy' | 'mean-squared-error') => {
    const model = (by: number[]) =>
      net({
        nodes: [makeNode('Add', ['x', 'b'], ['y'])],
        inputs: { x: ['n', 2] },
        outputs: ['y'],
        weights: { b: float32([2], by) },
      }).model;
    const [own, like] = [await openSession(model(shift)), await openSession(model([0, 0]))];
    const output = meaningOf(model(shift));
    const result = await agreement(own, like, data, [0, 1, 2], { loss, output, batch: 2 });
    await own.close();
    await like.close();
    return result.accuracy;
  };

  it('is the share of the same predictions', async () => {
    expect(await of([0, 0], 'cross-entropy')).toBe(1);
    expect(await of([2, 0], 'cross-entropy')).toBeCloseTo(2 / 3, 6);
  });

  it('is how much of all that differs is the samples', async () => {
    expect(await of([0, 0], 'mean-squared-error')).toBe(1);
    // Σ(b − mean)² is 8 + 38; every row is off by 1 and 1.
    expect(await of([1, 1], 'mean-squared-error')).toBeCloseTo(46 / 52, 5);
  });
});
