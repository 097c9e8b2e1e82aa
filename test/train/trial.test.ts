import { expect, it } from 'vitest';
import { mlp } from '../../models/mlp.js';
import { tensorOf } from '../../src/onnx/tensors.js';
import { absent, NOT_BUILT } from '../../src/runtime/absent.js';
import { analyse } from '../../src/shape/analyse.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import { engineOf } from '../../src/train/engines.js';
import type { NetworkOptions } from '../../src/train/network.js';
import { lossApart, stateApart, tryStep } from '../../src/train/trial.js';
import { drawn } from './evaluate.js';

const tolerance = { loss: 1e-3, change: 2e-2, noise: 1e-3 };
const before = new Map([
  ['w', drawn([8, 4], 1)],
  ['b', drawn([4], 2)],
]);

/** The state after a step that takes `by` of a fixed direction off every weight. */
function after(by: (name: string, i: number) => number): Map<string, Tensor> {
  return new Map(
    [...before].map(([name, { dims, data }]) => {
      const moved = (data as Float32Array).map((v, i) => v - by(name, i) * Math.sin(i + 1));
      return [name, float32(dims, moved)];
    }),
  );
}

it('a step that comes out as on the cpu, but for rounding, passes', () => {
  const expected = after(() => 0.1);
  const actual = after((_, i) => 0.1 * (1 + (i % 2 ? 1e-4 : -1e-4)));
  expect(stateApart(before, actual, expected, tolerance)).toBeUndefined();
});

it('a gradient that is off in one tensor is noticed, and the tensor named', () => {
  const expected = after(() => 0.1);
  const actual = after((name, i) => (name === 'b' && i === 0 ? 0.15 : 0.1));
  expect(stateApart(before, actual, expected, tolerance)).toMatch(/what it makes of b is off by \d+ %/);
});

it('a step that does nothing, and one that gives no numbers, are noticed', () => {
  const expected = after(() => 0.1);
  expect(stateApart(before, before, expected, tolerance)).toMatch(/off by 100 %/);
  expect(
    stateApart(
      before,
      after(() => Number.NaN),
      expected,
      tolerance,
    ),
  ).toBeTruthy();
});

it('losses are held against each other', () => {
  const losses = Float32Array.of(2.3, 2.1);
  expect(lossApart(Float32Array.of(2.3001, 2.1001), losses)).toBeUndefined();
  expect(lossApart(Float32Array.of(2.3, 2.2), losses)).toMatch(/its loss is 2\.2\d*, not 2\.1/);
  expect(lossApart(Float32Array.of(Number.NaN, 2.1), losses)).toBeTruthy();
});

it('a provider of another system is no part of this onnxruntime', () => {
  expect(absent('cpu')).toBeUndefined();
  expect(absent(process.platform === 'darwin' ? 'dml' : 'coreml')).toBe(NOT_BUILT);
});

it('both sides start off the model by the same, so that there is a gradient where a model learns its own outputs', async () => {
  const model = mlp({ seed: 1, inputs: 6, hidden: [8], outputs: 3 });
  const file = { path: '', folder: '.', bytes: new Uint8Array(), model };
  const analysis = await analyse(file);
  const starts: ReadonlyMap<string, Tensor>[] = [];
  const here = engineOf({ provider: 'cpu', threads: 1 });
  const options: NetworkOptions = {
    loss: 'mean-squared-error',
    output: 0,
    batch: 4,
    microBatches: 1,
    batchNorm: 'frozen',
    optimizer: { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
    provider: 'cpu',
    threads: 1,
    loader: {
      load(step, state) {
        starts.push(state);
        return here.load(step, state);
      },
    },
  };
  const trial = await tryStep(file, analysis, options, async (step) =>
    Object.fromEntries(
      step.feeds.filter((f) => f.shape.length > 0).map((f, i) => [f.name, drawn([1, ...f.shape], 20 + i)]),
    ),
  );
  expect(trial).toEqual({});
  const [first, second] = starts;
  expect(second).toEqual(first);
  const weights = model.graph.initializer.map((proto) => [proto.name!, tensorOf(proto)] as const);
  const moved = weights.flatMap(([name, { data }]) => {
    const start = first.get(name)!.data as Float32Array;
    return Array.from(data as Float32Array, (v, i) => (v === 0 ? start[i] : Math.abs(start[i] / v - 1)));
  });
  expect(Math.max(...moved)).toBeLessThanOrEqual(0.1 + 1e-6);
  expect(Math.max(...moved)).toBeGreaterThan(0.05);
});
