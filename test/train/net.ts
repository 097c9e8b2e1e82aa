import { makeNode } from '../../src/onnx/make.js';
import type { TrainingGraph } from '../../src/shape/training-graph.js';
import { Random } from '../../src/tensor/random.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import { drawn } from './evaluate.js';

/** x [batch, 6] → 8 hidden units → 3 logits, as a training graph. */
export function tinyNet(batch: number): TrainingGraph {
  const parameters = new Map<string, Tensor>([
    ['w1', drawn([6, 8], 11, 0.6)],
    ['b1', drawn([8], 12, 0.1)],
    ['w2', drawn([8, 3], 13, 0.6)],
    ['b2', drawn([3], 14, 0.1)],
  ]);
  const values = new Map([
    ['x', { dtype: 'float32' as const, shape: [batch, 6] }],
    ...[...parameters].map(([name, t]) => [name, { dtype: 'float32' as const, shape: t.dims }] as const),
    ...['h0', 'h1', 'h2'].map((name) => [name, { dtype: 'float32' as const, shape: [batch, 8] }] as const),
    ...['y0', 'logits'].map((name) => [name, { dtype: 'float32' as const, shape: [batch, 3] }] as const),
  ]);
  return {
    batch,
    nodes: [
      makeNode('MatMul', ['x', 'w1'], ['h0'], {}, { name: 'dense1' }),
      makeNode('Add', ['h0', 'b1'], ['h1'], {}, { name: 'bias1' }),
      makeNode('Relu', ['h1'], ['h2'], {}, { name: 'relu1' }),
      makeNode('MatMul', ['h2', 'w2'], ['y0'], {}, { name: 'dense2' }),
      makeNode('Add', ['y0', 'b2'], ['logits'], {}, { name: 'bias2' }),
    ],
    values,
    parameters,
    constants: new Map(),
    state: new Set(),
    inputs: [{ name: 'x', dtype: 'float32', shape: [batch, 6], batchAxis: 0 }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: [batch, 3], of: ['logits'], through: [], batchAxis: 0 }],
    clones: [],
    trained: [],
    notes: [],
  };
}

/** Separable samples: the class is the largest of the first three numbers. */
export function samples(count: number, seed: number): { x: Float32Array; t: BigInt64Array } {
  const random = new Random(seed);
  const x = Float32Array.from({ length: count * 6 }, () => random.normal());
  const t = BigInt64Array.from({ length: count }, (_, i) => {
    const [a, b, c] = x.subarray(i * 6, i * 6 + 3);
    return a >= b && a >= c ? 0n : b >= c ? 1n : 2n;
  });
  return { x, t };
}

/** Feeds for `steps` steps; `lead` are the axes between steps and features ([batch] or [micro, batch]). */
export function feedsOf(
  steps: number,
  lead: readonly number[],
  seed: number,
  more: Record<string, number>,
): Record<string, Tensor> {
  const { x, t } = samples(steps * lead.reduce((a, b) => a * b, 1), seed);
  return {
    x: float32([steps, ...lead, 6], x),
    target: { dtype: 'int64', dims: [steps, ...lead], data: t },
    ...Object.fromEntries(
      Object.entries(more).map(([name, value]) => [name, float32([steps], new Float32Array(steps).fill(value))]),
    ),
  };
}
