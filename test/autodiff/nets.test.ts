import { describe, expect, it } from 'vitest';
import { cpuEngine, standardEngine } from '../../src/onnx/engine.js';
import { makeNode } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import { float32 } from '../../src/tensor/tensor.js';
import { checkGradients, drawn, type Net } from './gradientCheck.js';

const node = (
  op: string,
  inputs: string[],
  output: string,
  attributes: Parameters<typeof makeNode>[3] = {},
): NodeProto => makeNode(op, inputs, [output], attributes, { name: `${output}_node` });

const pads = [1, 1, 1, 1];
const positive = (n: number, seed: number) => drawn([n], seed, [0.5, 1.5]);

const nets: Record<string, Net> = {
  'a conv net: padded and strided convolutions, pool, flatten, dense': {
    nodes: [
      node('Conv', ['x', 'w1', 'b1'], 'c1', { pads, kernel_shape: [3, 3] }),
      node('Tanh', ['c1'], 't1'),
      node('AveragePool', ['t1'], 'p1', { kernel_shape: [2, 2], strides: [2, 2] }),
      node('Conv', ['p1', 'w2'], 'c2', { strides: [2, 2], pads }),
      node('Sigmoid', ['c2'], 't2'),
      node('Flatten', ['t2'], 'f'),
      node('Gemm', ['f', 'w3', 'b3'], 'y', { transB: 1 }),
    ],
    feeds: {
      x: drawn([2, 2, 6, 6], 1),
      w1: drawn([3, 2, 3, 3], 2),
      b1: drawn([3], 3),
      w2: drawn([4, 3, 3, 3], 4),
      w3: drawn([5, 16], 5),
      b3: drawn([5], 6),
    },
    outputs: ['y'],
  },
  'residual blocks with live normalisation, and a projection': {
    nodes: [
      node('Conv', ['x', 'w1'], 'c1', { pads }),
      node('BatchNormalization', ['c1', 's1', 'b1', 'm1', 'v1'], 'n1'),
      node('Tanh', ['n1'], 't1'),
      node('Conv', ['t1', 'w2'], 'c2', { pads, strides: [2, 2] }),
      node('BatchNormalization', ['c2', 's2', 'b2', 'm2', 'v2'], 'n2'),
      node('Conv', ['t1', 'w3'], 'c3', { strides: [2, 2] }),
      node('Add', ['n2', 'c3'], 'sum'),
      node('Tanh', ['sum'], 't2'),
      node('GlobalAveragePool', ['t2'], 'g'),
      node('Flatten', ['g'], 'f'),
      node('MatMul', ['f', 'w4'], 'y'),
    ],
    feeds: {
      x: drawn([3, 2, 5, 5], 1),
      w1: drawn([3, 2, 3, 3], 2),
      s1: positive(3, 3),
      b1: drawn([3], 4),
      m1: drawn([3], 5),
      v1: positive(3, 6),
      w2: drawn([4, 3, 3, 3], 7),
      s2: positive(4, 8),
      b2: drawn([4], 9),
      m2: drawn([4], 10),
      v2: positive(4, 11),
      w3: drawn([4, 3, 1, 1], 12),
      w4: drawn([4, 3], 13),
    },
    wanted: ['x', 'w1', 's1', 'b1', 'w2', 's2', 'b2', 'w3', 'w4'],
    outputs: ['y'],
    batchNorm: 'live',
  },
  'depthwise and grouped convolutions with a gate': {
    nodes: [
      node('Conv', ['x', 'w1'], 'c1', { pads, group: 4 }),
      node('Conv', ['c1', 'w2', 'b2'], 'c2', { group: 2 }),
      node('GlobalAveragePool', ['c2'], 'g'),
      node('Conv', ['g', 'w3'], 'e'),
      node('Sigmoid', ['e'], 'gate'),
      node('Mul', ['c2', 'gate'], 'm'),
      node('ConvTranspose', ['m', 'w4'], 'y', { strides: [2, 2], pads, output_padding: [1, 1] }),
    ],
    feeds: {
      x: drawn([2, 4, 4, 4], 1),
      w1: drawn([4, 1, 3, 3], 2),
      w2: drawn([6, 2, 1, 1], 3),
      b2: drawn([6], 4),
      w3: drawn([6, 6, 1, 1], 5),
      w4: drawn([6, 2, 3, 3], 6),
    },
    outputs: ['y'],
  },
  'one weight used twice, and two outputs': {
    nodes: [
      node('Gemm', ['x', 'w'], 'a'),
      node('Tanh', ['a'], 't'),
      node('Gemm', ['t', 'w', 'b'], 'y1'),
      node('Mul', ['t', 't'], 'y2'),
    ],
    feeds: { x: drawn([3, 4], 1), w: drawn([4, 4], 2), b: drawn([4], 3) },
    outputs: ['y1', 'y2'],
  },
  'attention of one head, normalised over features': {
    nodes: [
      node('LayerNormalization', ['x', 's', 'b'], 'n'),
      node('MatMul', ['n', 'wq'], 'q'),
      node('MatMul', ['n', 'wk'], 'k'),
      node('MatMul', ['n', 'wv'], 'v'),
      node('Transpose', ['k'], 'kt', { perm: [0, 2, 1] }),
      node('MatMul', ['q', 'kt'], 'scores'),
      node('Softmax', ['scores'], 'p'),
      node('MatMul', ['p', 'v'], 'o'),
      node('Add', ['x', 'o'], 'y'),
    ],
    feeds: {
      x: drawn([2, 3, 4], 1),
      s: positive(4, 2),
      b: drawn([4], 3),
      wq: drawn([4, 5], 4),
      wk: drawn([4, 5], 5),
      wv: drawn([4, 4], 6),
    },
    outputs: ['y'],
  },
};

describe('gradients of whole nets agree with central differences', () => {
  for (const engine of [standardEngine, cpuEngine]) {
    for (const [title, net] of Object.entries(nets)) {
      it(`${title} (${engine.provider})`, async () => {
        const { slopes } = await checkGradients({ ...net, engine });
        expect(slopes).toHaveLength(net.wanted?.length ?? Object.keys(net.feeds).length);
        for (const { name, numeric, analytic, scale } of slopes) {
          const error = Math.abs(numeric - analytic) / scale;
          expect(error, `${name}: ${numeric} by differences, ${analytic} by the rule`).toBeLessThan(3e-3);
        }
      });
    }
  }
});

describe('live batch normalisation', () => {
  const x = drawn([4, 2, 3, 3], 1, [2, 5]);
  const net: Net = {
    nodes: [
      makeNode('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y'], { momentum: { float: 0.8 } }, { name: 'bn' }),
    ],
    feeds: { x, s: positive(2, 2), b: drawn([2], 3), m: float32([2], [1, -1]), v: float32([2], [2, 3]) },
    wanted: ['x'],
    outputs: ['y'],
    batchNorm: 'live',
  };

  for (const engine of [standardEngine, cpuEngine]) {
    it(`draws the stored statistics towards the batch's, variance biased (${engine.provider})`, async () => {
      const { updates } = await checkGradients({ ...net, engine });
      const data = x.data as Float32Array;
      for (const channel of [0, 1]) {
        const values = Array.from(data).filter((_, i) => Math.floor(i / 9) % 2 === channel);
        const mean = values.reduce((a, b) => a + b) / values.length;
        const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
        const [oldMean, oldVar] = [[1, -1][channel], [2, 3][channel]];
        expect((updates.get('m')!.data as Float32Array)[channel]).toBeCloseTo(0.8 * oldMean + 0.2 * mean, 5);
        expect((updates.get('v')!.data as Float32Array)[channel]).toBeCloseTo(0.8 * oldVar + 0.2 * variance, 5);
      }
    });
  }
});

describe('max pooling', () => {
  const equal = float32([1, 1, 4, 4], new Float32Array(16).fill(1));
  for (const engine of [standardEngine, cpuEngine]) {
    const windows: Record<string, Parameters<typeof makeNode>[3]> = {
      'side by side': { kernel_shape: [2, 2], strides: [2, 2] },
      overlapping: { kernel_shape: [3, 3], strides: [1, 1], pads },
    };
    for (const [title, attributes] of Object.entries(windows)) {
      it(`has one winner per window among equals, the first: ${title} (${engine.provider})`, async () => {
        const net = { nodes: [node('MaxPool', ['x'], 'y', attributes)], feeds: { x: equal }, outputs: ['y'], engine };
        const { gradients } = await checkGradients(net);
        const winners = Array.from(gradients.x.data as Float32Array).flatMap((v, i) => (v !== 0 ? [i] : []));
        expect(winners).toEqual(title === 'overlapping' ? [0, 1, 2, 4, 5, 6, 8, 9, 10] : [0, 2, 8, 10]);
      });
    }
  }
});
