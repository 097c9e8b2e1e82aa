import { describe, expect, it } from 'vitest';
import { makeNode } from '../../src/onnx/make.js';
import { batchSource } from '../../src/train/source.js';
import { buildStep, initialState } from '../../src/train/step.js';
import { engineOf } from '../../src/train/engines.js';
import { openTeacher } from '../../src/train/teacher.js';
import { bool, float32, type Tensor } from '../../src/tensor/tensor.js';
import { worst } from './evaluate.js';
import { samples, tinyNet } from './net.js';

const options = { loss: 'cross-entropy', output: 0, outputs: [0], provider: 'cpu', threads: 1 } as const;
const batch = 4;

/** The scores of the tiny net, in plain arithmetic. */
function expected(x: Float32Array): number[] {
  const { parameters } = tinyNet(batch);
  const [w1, b1, w2, b2] = ['w1', 'b1', 'w2', 'b2'].map((n) => parameters.get(n)!.data as Float32Array);
  const scores: number[] = [];
  for (let r = 0; r < x.length / 6; r++) {
    const hidden = Array.from(b1, (b, j) => {
      let sum = b;
      for (let i = 0; i < 6; i++) sum += x[r * 6 + i] * w1[i * 8 + j];
      return Math.max(0, sum);
    });
    for (let c = 0; c < 3; c++) scores.push(hidden.reduce((sum, h, j) => sum + h * w2[j * 3 + c], b2[c]));
  }
  return scores;
}

describe('a teacher', () => {
  it('gives the scores of any number of batches, and keeps those of known samples', async () => {
    const teacher = await openTeacher(tinyNet(batch), options);
    const { x } = samples(12, 1);
    const [first] = await teacher.scores({ x: float32([12, 6], x) }, 12);
    expect(first.dims).toEqual([12, 3]);
    expect(worst(first.data as Float32Array, expected(x)).error).toBeLessThan(1e-5);
    const numbers = Uint32Array.from({ length: 12 }, (_, i) => 100 + i);
    await teacher.scores({ x: float32([3, 4, 6], x) }, 12, numbers);
    // What is known is not computed again: the numbers count, not what is fed.
    const other = float32([4, 6], new Float32Array(24));
    const [kept] = await teacher.scores({ x: other }, 4, numbers.subarray(8));
    expect(worst(kept.data as Float32Array, expected(x).slice(24)).error).toBeLessThan(1e-5);
    await teacher.close();
  });

  it('drops nothing out', async () => {
    const net = tinyNet(batch);
    const nodes = net.nodes.map((n) => (n.name === 'dense2' ? { ...n, input: ['dropped', 'w2'] } : n));
    nodes.splice(3, 0, makeNode('Dropout', ['h2', 'half', 'training'], ['dropped'], {}, { name: 'dropout' }));
    const graph = {
      ...net,
      nodes,
      values: new Map([...net.values, ['dropped', { dtype: 'float32' as const, shape: [batch, 8] }]]),
      constants: new Map<string, Tensor>([
        ['half', float32([], [0.5])],
        ['training', bool([], [true])],
      ]),
    };
    const teacher = await openTeacher(graph, options);
    const { x } = samples(batch, 2);
    const [{ data }] = await teacher.scores({ x: float32([batch, 6], x) }, batch);
    expect(worst(data as Float32Array, expected(x)).error).toBeLessThan(1e-5);
    await teacher.close();
  });

  it('is fed to every step, in micro-batches too', async () => {
    const { x, t } = samples(48, 3);
    const gather = async (indices: ArrayLike<number>) => {
      const chosen = Array.from(indices);
      return {
        inputs: {
          x: float32(
            [chosen.length, 6],
            chosen.flatMap((i) => [...x.subarray(i * 6, i * 6 + 6)]),
          ),
        },
        targets: { dtype: 'int64', dims: [chosen.length], data: BigInt64Array.from(chosen, (i) => t[i]) } as Tensor,
      };
    };
    const distillation = { share: 0.9, temperature: 4 };
    const optimizer = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 } as const;
    const after: Float32Array[] = [];
    for (const microBatches of [1, 2]) {
      const graph = tinyNet(8 / microBatches);
      const teacher = await openTeacher(graph, options);
      const step = buildStep(graph, {
        ...options,
        optimizer,
        batchNorm: 'frozen',
        microBatches,
        distillation,
      });
      const indices = Uint32Array.from({ length: 48 }, (_, i) => i);
      const source = batchSource(step, {
        samples: { gather },
        indices,
        batch: 8 / microBatches,
        microBatches,
        augment: 'none',
        seed: 5,
        teacher,
      });
      const run = await engineOf({ provider: 'cpu', threads: 1 }).load(step, initialState(graph, step));
      const feeds = await source.complete!(await source.chunk(0, 0, 6), 0, 0, 6);
      const lead = microBatches > 1 ? [microBatches, 4] : [8];
      expect(feeds.teacher.dims).toEqual([6, ...lead, 3]);
      await run.run({ ...feeds, rate: float32([6], new Float32Array(6).fill(0.1)) });
      after.push((await run.state()).get('w2')!.data as Float32Array);
      await run.close();
      await teacher.close();
    }
    expect(worst(after[0], tinyNet(8).parameters.get('w2')!.data as Float32Array).error).toBeGreaterThan(1e-3);
    expect(worst(after[1], after[0]).error).toBeLessThan(0.05);
  });
});
