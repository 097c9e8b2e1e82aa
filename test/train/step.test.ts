import { describe, expect, it } from 'vitest';
import { engineOf } from '../../src/train/engines.js';
import type { OptimizerOptions } from '../../src/train/optimizer.js';
import { openHere } from '../../src/train/loads.js';
import { compileResident } from '../../src/train/resident.js';
import { buildStep, initialState, type StepOptions } from '../../src/train/step.js';
import { openTeacher } from '../../src/train/teacher.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import { worst } from './evaluate.js';
import { feedsOf, tinyNet } from './net.js';

const sgd: OptimizerOptions = { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 1e-3 };
const adam: OptimizerOptions = { name: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
const identity = (n: number) => Int32Array.from({ length: n }, (_, i) => i);
const plain: StepOptions = { loss: 'cross-entropy', output: 0, optimizer: sgd, batchNorm: 'frozen' };
const sparse: StepOptions = {
  ...plain,
  proximal: {
    regularizer: 'cges',
    grouping: 'channel',
    m: 0.2,
    families: [
      {
        name: 'hidden',
        count: 8,
        parts: [
          { parameter: 'w1', axis: 1, map: identity(8) },
          { parameter: 'b1', axis: 0, map: identity(8) },
        ],
      },
    ],
    layers: [
      { parameter: 'w1', outAxis: 1 },
      { parameter: 'w2', outAxis: 1 },
    ],
  },
};
const cpu = { provider: 'cpu', threads: 1 } as const;

async function losses(
  options: StepOptions,
  engine: 'loop' | 'resident',
  more: Record<string, number>,
  steps = 40,
  batch = 16,
) {
  const graph = tinyNet(batch);
  const step = buildStep(graph, options);
  const initial = initialState(graph, step);
  const run = await (engine === 'loop'
    ? engineOf(cpu).load(step, initial)
    : openHere({ how: 'resident', step: compileResident(step), options: cpu }, initial));
  const metrics = await run.run(feedsOf(steps, [batch], 1, more));
  const state = await run.state();
  await run.close();
  return { metrics, state };
}

describe('a training step', () => {
  it('learns: the loss falls and right predictions are counted', async () => {
    const { metrics } = await losses(plain, 'loop', { rate: 0.05 }, 200);
    expect(metrics.loss.slice(-20).reduce((a, b) => a + b, 0) / 20).toBeLessThan(0.35);
    expect(metrics.correct.slice(-20).reduce((a, b) => a + b, 0) / 20 / 16).toBeGreaterThan(0.85);
  });

  it('gives the same losses in a Loop and step by step with fed-back state', async () => {
    const a = await losses(sparse, 'loop', { rate: 0.05, lambda: 0.01 });
    const b = await losses(sparse, 'resident', { rate: 0.05, lambda: 0.01 });
    expect(worst(b.metrics.loss, a.metrics.loss).error).toBeLessThan(1e-5);
    expect(worst(b.metrics.alive, a.metrics.alive).error).toBe(0);
    for (const [name, t] of a.state)
      expect(worst(b.state.get(name)!.data as Float32Array, t.data as Float32Array).error, name).toBeLessThan(1e-5);
  });

  it('continues bit for bit from a saved state', async () => {
    const graph = tinyNet(16);
    const step = buildStep(graph, { ...sparse, optimizer: adam });
    const more = { rate: 0.01, lambda: 0.001, correction1: 2, correction2: 3 };
    const feeds = feedsOf(30, [16], 2, more);
    const part = (from: number, to: number) =>
      Object.fromEntries(
        Object.entries(feeds).map(([name, t]) => {
          const each = t.data.length / 30;
          return [
            name,
            {
              ...t,
              dims: [to - from, ...t.dims.slice(1)],
              data: t.data.slice(from * each, to * each) as typeof t.data,
            },
          ];
        }),
      );
    const whole = await engineOf(cpu).load(step, initialState(graph, step));
    await whole.run(feeds);
    const first = await engineOf(cpu).load(step, initialState(graph, step));
    await first.run(part(0, 13));
    const second = await engineOf(cpu).load(step, await first.state());
    await second.run(part(13, 30));
    const [a, b] = [await whole.state(), await second.state()];
    for (const [name, t] of a)
      expect(Array.from(b.get(name)!.data as Float32Array), name).toEqual(Array.from(t.data as Float32Array));
  });

  it('sums micro-batches to the step of the whole batch', async () => {
    const whole = await losses(plain, 'loop', { rate: 0.05 }, 10, 16);
    const graph = tinyNet(4);
    const step = buildStep(graph, { ...plain, microBatches: 4 });
    const run = await engineOf(cpu).load(step, initialState(graph, step));
    const metrics = await run.run(feedsOf(10, [4, 4], 1, { rate: 0.05 }));
    expect(worst(metrics.loss, whole.metrics.loss).error).toBeLessThan(1e-5);
    expect(Array.from(metrics.correct)).toEqual(Array.from(whole.metrics.correct));
    for (const [name, t] of await run.state())
      expect(worst(t.data as Float32Array, whole.state.get(name)!.data as Float32Array).error, name).toBeLessThan(1e-5);
  });

  it('keeps the momentum of a dead unit from reviving it', async () => {
    const graph = tinyNet(16);
    const step = buildStep(graph, sparse);
    const run = await engineOf(cpu).load(step, initialState(graph, step));
    const dying = await run.run(feedsOf(3, [16], 3, { rate: 0.05, lambda: 1000 }));
    expect(dying.alive.at(-1)).toBe(0);
    // A dead unit has no gradient (Relu of zero), so without λ only leftover momentum could move it.
    await run.run(feedsOf(5, [16], 4, { rate: 0.05, lambda: 0 }));
    const after = await run.state();
    expect(Array.from(after.get('w1')!.data as Float32Array).every((x) => x === 0)).toBe(true);
    expect(Array.from(after.get('w1/momentum')!.data as Float32Array).every((x) => Math.abs(x) === 0)).toBe(true);
  });

  it('clips the global norm of the gradient', async () => {
    const none: OptimizerOptions = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 };
    const graph = tinyNet(16);
    const step = buildStep(graph, { ...plain, optimizer: none, clipNorm: 1e-3 });
    const start = initialState(graph, step);
    const run = await engineOf(cpu).load(step, start);
    await run.run(feedsOf(1, [16], 5, { rate: 1 }));
    let squares = 0;
    for (const [name, t] of await run.state()) {
      (t.data as Float32Array).forEach((x, i) => {
        squares += (x - (start.get(name)!.data as Float32Array)[i]) ** 2;
      });
    }
    expect(Math.sqrt(squares)).toBeCloseTo(1e-3, 6);
  });
});

describe('optimizers', () => {
  /** One weight, hand-written updates. */
  const references: Record<
    string,
    { options: OptimizerOptions; update(w: number, g: number, s: number[], t: number, rate: number): number }
  > = {
    'sgd with momentum': {
      options: { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0.01 },
      update(w, g, s, _t, rate) {
        s[0] = 0.9 * (s[0] ?? 0) + g + 0.01 * w;
        return w - rate * s[0];
      },
    },
    'sgd with nesterov': {
      options: { name: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0 },
      update(w, g, s, _t, rate) {
        s[0] = 0.9 * (s[0] ?? 0) + g;
        return w - rate * (g + 0.9 * s[0]);
      },
    },
    adamw: {
      options: { name: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weightDecay: 0.1 },
      update(w, g, s, t, rate) {
        s[0] = 0.9 * (s[0] ?? 0) + 0.1 * g;
        s[1] = 0.99 * (s[1] ?? 0) + 0.01 * g * g;
        return w - (rate * (s[0] / (1 - 0.9 ** t))) / (Math.sqrt(s[1] / (1 - 0.99 ** t)) + 1e-6) - rate * 0.1 * w;
      },
    },
  };
  for (const [title, { options, update }] of Object.entries(references)) {
    it(`${title} follows its formula over several steps`, async () => {
      const steps = 6;
      const graph = tinyNet(8);
      const free = { ...plain, optimizer: { ...options, weightDecay: 0 } as OptimizerOptions };
      const step = buildStep(graph, { ...free, optimizer: options });
      const gradientOf = buildStep(graph, {
        ...plain,
        optimizer: { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
      });
      const run = await engineOf(cpu).load(step, initialState(graph, step));
      const rate = 0.02;
      const slots: number[] = [];
      let expected = (graph.parameters.get('w1')!.data as Float32Array)[5];
      for (let t = 1; t <= steps; t++) {
        const corrections: Record<string, number> =
          options.name === 'sgd'
            ? {}
            : { correction1: 1 / (1 - options.beta1 ** t), correction2: 1 / (1 - options.beta2 ** t) };
        const state = await run.state();
        // A step of plain SGD at rate 1 shows the gradient.
        const probe = await engineOf(cpu).load(gradientOf, state);
        await probe.run(feedsOf(1, [8], t, { rate: 1 }));
        const w = (state.get('w1')!.data as Float32Array)[5];
        const g = w - ((await probe.state()).get('w1')!.data as Float32Array)[5];
        expected = update(w, g, slots, t, rate);
        await run.run(feedsOf(1, [8], t, { rate, ...corrections }));
        expect(((await run.state()).get('w1')!.data as Float32Array)[5]).toBeCloseTo(expected, 5);
      }
    });
  }
});

describe('several outputs', () => {
  it('are matched together, each by its factor, in micro-batches too', async () => {
    const losses: number[] = [];
    for (const microBatches of [1, 2]) {
      const net = tinyNet(8 / microBatches);
      const hidden = { name: 'h2', dtype: 'float32' as const, shape: [8 / microBatches, 8], of: ['h'], through: [] };
      const graph = { ...net, outputs: [...net.outputs, hidden] };
      const step = buildStep(graph, {
        loss: 'mean-squared-error',
        output: 0,
        matched: [
          { name: 'logits', factor: 2 },
          { name: 'h', factor: 0.5 },
          { name: 'gone', factor: 1 },
        ],
        optimizer: { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
        batchNorm: 'frozen',
        microBatches,
      });
      const lead = microBatches > 1 ? [microBatches, 4] : [8];
      expect(step.feeds.map((f) => f.name)).toEqual(['x', 'target/logits', 'target/h', 'rate']);
      const teacher = await openTeacher(graph, {
        loss: 'mean-squared-error',
        outputs: [0, 1],
        provider: 'cpu',
        threads: 1,
      });
      const { x } = feedsOf(1, lead, 5, {});
      const [logits, h] = await teacher.scores({ x }, 8);
      await teacher.close();
      const off = (t: Tensor, by: number) => (t.data as Float32Array).map((v) => v + by);
      const run = await engineOf({ provider: 'cpu', threads: 1 }).load(step, initialState(graph, step));
      const { loss } = await run.run({
        x,
        'target/logits': float32([1, ...lead, 3], off(logits, 1)),
        'target/h': float32([1, ...lead, 8], off(h, 2)),
        rate: float32([1], [0]),
      });
      await run.close();
      losses.push(loss[0]);
    }
    expect(losses[0]).toBeCloseTo(2 * 1 + 0.5 * 4, 4);
    expect(losses[1]).toBeCloseTo(losses[0], 4);
  });
});
