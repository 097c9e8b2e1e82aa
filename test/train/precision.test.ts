import { describe, expect, it } from 'vitest';
import { mnistConvNet, resnet } from '../../models/index.js';
import { emulatedHalf, type Engine, halfEngine, standardEngine } from '../../src/onnx/engine.js';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import { LONGEST_SUM } from '../../src/onnx/half.js';
import { analyse } from '../../src/shape/analyse.js';
import { trainingGraph } from '../../src/shape/normalise.js';
import type { TrainingGraph } from '../../src/shape/training-graph.js';
import { float16ToFloat32, float32ToFloat16 } from '../../src/tensor/half.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import type { StepGraph, TrainingEngine, TrainingRun } from '../../src/train/engine.js';
import { compileLoop, openLoop } from '../../src/train/loop.js';
import { GROWTH_STEPS, MOST_SKIPPED, shapelessState } from '../../src/train/lossScale.js';
import { type NetworkOptions, openNetwork } from '../../src/train/network.js';
import type { OptimizerOptions } from '../../src/train/optimizer.js';
import { halfComplaint, requirePrecision } from '../../src/train/precision.js';
import { engineOf } from '../../src/train/engines.js';
import { rampedLambda } from '../../src/train/schedule.js';
import { buildStep, initialState, type StepOptions } from '../../src/train/step.js';
import { type BatchSource, train, type TrainPlan } from '../../src/train/trainer.js';
import { drawn, evaluate, worst } from './evaluate.js';
import { feedsOf, tinyNet } from './net.js';
import { webgpuReason } from './webgpu.js';

const why = (await webgpuReason()) ?? (await halfComplaint('webgpu'));

const adam: OptimizerOptions = { name: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
const sgd: OptimizerOptions = { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 1e-3 };
const hidden = {
  name: 'hidden',
  count: 8,
  parts: [
    { parameter: 'w1', axis: 1, map: Int32Array.from({ length: 8 }, (_, i) => i) },
    { parameter: 'b1', axis: 0, map: Int32Array.from({ length: 8 }, (_, i) => i) },
  ],
};
const options: StepOptions = {
  loss: 'cross-entropy',
  output: 0,
  batchNorm: 'frozen',
  optimizer: adam,
  target: emulatedHalf,
  proximal: {
    regularizer: 'cges',
    grouping: 'channel',
    m: 0.2,
    families: [hidden],
    layers: [{ parameter: 'w1', outAxis: 1 }],
  },
};
const scalars = { rate: 0.01, lambda: 0.001, correction1: 2, correction2: 3 };

async function open(graph: TrainingGraph, more: Partial<StepOptions> = {}, state?: ReadonlyMap<string, Tensor>) {
  const step = buildStep(graph, { ...options, ...more });
  const run = await openLoop(compileLoop(step), initialState(graph, step, state), { provider: 'cpu', threads: 1 });
  return { step, run };
}

function numbers(state: ReadonlyMap<string, Tensor>, name: string): Float32Array {
  return state.get(name)!.data as Float32Array;
}

function scaleOf(state: ReadonlyMap<string, Tensor>): [scale: number, good: number] {
  return [numbers(state, 'loss-scale')[0], numbers(state, 'loss-scale/good')[0]];
}

/** The state that a step goes on from when the scale is given. */
const at = (scale: number, good = 0) =>
  new Map([
    ['loss-scale', float32([], [scale])],
    ['loss-scale/good', float32([], [good])],
  ]);

function expectSame(actual: ReadonlyMap<string, Tensor>, expected: ReadonlyMap<string, Tensor>): void {
  for (const [name, t] of expected) {
    if (!name.startsWith('loss-scale'))
      expect(Array.from(numbers(actual, name)), name).toEqual(Array.from(t.data as Float32Array));
  }
}

const opsOf = (g: Pick<GraphBuilder, 'nodes'>) => g.nodes.map((n) => n.opType);

describe('products in half precision', () => {
  const given = (g: GraphBuilder, name: string, shape: readonly number[]): Value => {
    g.reserve(name);
    return { name, dtype: 'float32', shape };
  };
  const real: Engine = halfEngine(standardEngine, 'webgpu');

  it('round their operands and their result, and nothing else', async () => {
    const g = new GraphBuilder(emulatedHalf);
    const [a, b] = [given(g, 'a', [5, 7]), given(g, 'b', [7, 3])];
    const y = g.inHalf(() => g.matMul(a, b));
    const [x, w] = [drawn([5, 7], 1), drawn([7, 3], 2)];
    const [found] = await evaluate(g, { a: x, b: w }, [y]);
    const half = (t: Tensor) => float16ToFloat32(float32ToFloat16(t.data as Float32Array));
    const [p, q] = [half(x), half(w)];
    const sums = Float32Array.from({ length: 15 }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < 7; k++) sum += p[Math.floor(i / 3) * 7 + k] * q[k * 3 + (i % 3)];
      return sum;
    });
    // Where a sum lies between two halves its last bit decides.
    expect(worst(found.data as Float32Array, half(float32([5, 3], sums))).error).toBeLessThan(2 ** -9);
    expect(Array.from(found.data as Float32Array)).toEqual(Array.from(half(found)));
    expect(Array.from(found.data as Float32Array)).not.toEqual(Array.from(sums));
  });

  it('share the cast of an operand, moved or not, and take a result as it was made', () => {
    const g = new GraphBuilder(real);
    const [a, b] = [given(g, 'a', [8, 8]), given(g, 'b', [8, 8])];
    const y = g.inHalf(() => {
      const first = g.matMul(a, b);
      return g.matMul(g.transpose(first, [1, 0]), g.matMul(a, g.slice(g.transpose(b, [1, 0]), [0], [0], [8])));
    });
    expect(y.dtype).toBe('float32');
    const casts = g.nodes.filter((n) => n.opType === 'Cast');
    expect(casts.filter((n) => n.output[0].endsWith('/half')).map((n) => n.input[0])).toEqual(['a', 'b']);
    expect(casts).toHaveLength(2 + 3);
  });

  it('stay in float32 outside of the passes over the model, and where a sum is far too long for half precision', () => {
    const length = 100 * LONGEST_SUM;
    for (const [engine, inside, casts] of [
      [real, false, 0],
      [real, true, 0],
      [halfEngine(standardEngine, 'cuda'), true, 3],
    ] as const) {
      const g = new GraphBuilder(engine);
      const product = () => g.gemm(given(g, 'a', [length, 2]), given(g, 'b', [length, 3]), { transA: true });
      if (inside) g.inHalf(product);
      else product();
      expect(opsOf(g).filter((op) => op === 'Cast')).toHaveLength(casts);
    }
  });

  it('are cut where a sum is too long for half precision, and their parts are summed in float32', async () => {
    const narrow: Engine = { provider: 'any', features: new Set(['float16.emulated'] as const) };
    const long = 2 * LONGEST_SUM + 5;
    const shapes: Record<string, readonly number[]> = {
      a: [3, long],
      b: [long, 2],
      c: [2],
      x: [1, 500, 4, 4],
      w: [6, 500, 3, 3],
    };
    const feeds = Object.fromEntries(Object.entries(shapes).map(([name, shape], i) => [name, drawn(shape, i + 1)]));
    const found: Tensor[][] = [];
    for (const engine of [standardEngine, narrow]) {
      const g = new GraphBuilder(engine);
      const { a, b, c, x, w } = Object.fromEntries(Object.entries(shapes).map(([n, shape]) => [n, given(g, n, shape)]));
      const outputs = g.inHalf(() => {
        const window = { kernel_shape: [3, 3] };
        const [y] = g.emit('Conv', [x, w], [{ dtype: 'float32', shape: [1, 6, 2, 2] }], window);
        const turned = g.gemm(g.transpose(a, [1, 0]), g.transpose(b, [1, 0]), {
          transA: true,
          transB: true,
          alpha: 2,
          c,
        });
        return [g.matMul(a, b), turned, y];
      });
      found.push(await evaluate(g, feeds, outputs));
      const count = (op: string) => opsOf(g).filter((o) => o === op).length;
      if (engine === narrow) expect(['MatMul', 'Gemm', 'Conv'].map(count)).toEqual([3, 3, 3]);
    }
    found[0].forEach((expected, i) => {
      const { error } = worst(found[1][i].data as Float32Array, expected.data as Float32Array);
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(0.3);
    });
  });

  it('cast every weight once in a step, however many micro-batches it has', () => {
    const { nodes } = buildStep(tinyNet(4), { ...options, target: real, microBatches: 4 }).graph;
    const body = nodes.find((n) => n.opType === 'Loop')!.attribute[0].g!;
    const halved = (list: typeof nodes) => list.filter((n) => n.opType === 'Cast' && n.output[0].endsWith('/half'));
    expect(halved(nodes).map((n) => n.input[0])).toEqual(['w1', 'w2']);
    expect(halved(body.node).map((n) => n.input[0])).not.toContain('w1');
    expect(body.node.filter((n) => n.opType === 'MatMul').every((n) => n.input.every((i) => i.includes('/half')))).toBe(
      true,
    );
  });
});

describe('the loss scale', () => {
  it('halves where a gradient overflows, and that step changes nothing else, bit for bit', async () => {
    for (const micro of [1, 2]) {
      const lead = micro > 1 ? [micro, 16] : [16];
      for (const optimizer of [adam, sgd]) {
        const { run } = await open(tinyNet(16), { optimizer, microBatches: micro }, at(2 ** 23, 7));
        const before = await run.state();
        const { skipped, loss } = await run.run(feedsOf(1, lead, 1, scalars));
        expect([skipped[0], Number.isFinite(loss[0])]).toEqual([1, true]);
        const after = await run.state();
        expectSame(after, before);
        expect(scaleOf(after)).toEqual([2 ** 22, 0]);
        await run.close();
      }
    }
  });

  it('stands still where the loss itself is not finite', async () => {
    const { run } = await open(tinyNet(16), { clipNorm: 1 });
    const feeds = feedsOf(3, [16], 1, scalars);
    (feeds.x.data as Float32Array)[16 * 6] = 1e6;
    const { skipped, loss } = await run.run(feeds);
    expect(Array.from(skipped)).toEqual([0, 1, 0]);
    expect(Number.isFinite(loss[1])).toBe(false);
    expect(Number.isFinite(loss[2])).toBe(true);
    expect(scaleOf(await run.state())).toEqual([2 ** 14, 1]);
    await run.close();
  });

  it('leaves running statistics as they were, too', async () => {
    const file = { path: '', folder: '.', bytes: new Uint8Array(), model: resnet({ depth: 8 }) };
    const graph = await trainingGraph(file, await analyse(file), 2);
    const { run } = await open(graph, { optimizer: sgd, proximal: undefined, batchNorm: 'live' });
    const before = await run.state();
    const feeds = {
      [graph.inputs[0].name]: drawn([1, 2, 3, 32, 32], 1, 1e6),
      target: { dtype: 'int64', dims: [1, 2], data: BigInt64Array.of(1n, 2n) } as Tensor,
      rate: float32([1], [0.1]),
    };
    expect(Array.from((await run.run(feeds)).skipped)).toEqual([1]);
    expect([...graph.state].length).toBeGreaterThan(0);
    expectSame(await run.state(), before);
    await run.close();
  });

  it(`doubles after ${GROWTH_STEPS} good steps, up to a limit`, async () => {
    const { run } = await open(tinyNet(16));
    await run.run(feedsOf(GROWTH_STEPS - 1, [16], 1, { ...scalars, rate: 1e-4 }));
    expect(scaleOf(await run.state())).toEqual([2 ** 15, GROWTH_STEPS - 1]);
    await run.run(feedsOf(1, [16], 2, scalars));
    expect(scaleOf(await run.state())).toEqual([2 ** 16, 0]);
    await run.close();
    const graph = tinyNet(16);
    const quiet = { ...graph, parameters: new Map([...graph.parameters].map(([n, t]) => [n, drawn(t.dims, 3, 1e-6)])) };
    const top = await open(quiet, {}, at(2 ** 24, GROWTH_STEPS - 1));
    await top.run.run(feedsOf(1, [16], 2, scalars));
    expect(scaleOf(await top.run.state())[0]).toBeLessThanOrEqual(2 ** 24);
    await top.run.close();
  });

  it('leaves no trace in the gradients', async () => {
    const plain: OptimizerOptions = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 };
    const states: Map<string, Tensor>[] = [];
    for (const scale of [1, 2 ** 12]) {
      const { run } = await open(tinyNet(16), { optimizer: plain, clipNorm: 0.1, proximal: undefined }, at(scale));
      await run.run(feedsOf(1, [16], 1, { rate: 1 }));
      states.push(await run.state());
      await run.close();
    }
    // What differs are the gradients that are subnormal in half precision without a scale.
    for (const name of ['w1', 'b1', 'w2', 'b2'])
      expect(worst(numbers(states[1], name), numbers(states[0], name)).error, name).toBeLessThan(1e-5);
  });

  it('goes on in a resumed run, bit for bit, and in the step of a model that was cut', async () => {
    const part = (from: number, to: number) => {
      const feeds = feedsOf(30, [16], 2, scalars);
      return Object.fromEntries(
        Object.entries(feeds).map(([name, t]) => {
          const each = t.data.length / 30;
          const data = t.data.slice(from * each, to * each) as Tensor['data'];
          return [name, { ...t, dims: [to - from, ...t.dims.slice(1)], data }];
        }),
      );
    };
    const start = at(2 ** 22, GROWTH_STEPS - 10);
    const whole = await open(tinyNet(16), {}, start);
    await whole.run.run(part(0, 30));
    const first = await open(tinyNet(16), {}, start);
    await first.run.run(part(0, 13));
    const halfway = await first.run.state();
    const second = await open(tinyNet(16), {}, halfway);
    await second.run.run(part(13, 30));
    const [a, b] = [await whole.run.state(), await second.run.state()];
    expectSame(b, a);
    expect(scaleOf(b)).toEqual(scaleOf(a));
    const other = tinyNet(4);
    const step = buildStep(other, options);
    expect(scaleOf(initialState(other, step, shapelessState(a)))).toEqual(scaleOf(a));
    for (const { run } of [whole, first, second]) await run.close();
  });
});

describe('training in half precision', () => {
  const plan: TrainPlan = {
    epochs: 1,
    rate: { peak: 0.01, steps: 40, warmupSteps: 1, floor: 1 },
    optimizer: adam,
    samplesPerStep: 16,
    seed: 0,
    window: 2,
    lambda: rampedLambda(1e-4, 1),
  };
  const source = (broken: (step: number) => boolean): BatchSource => ({
    stepsPerEpoch: 40,
    async chunk(_epoch, from, count) {
      const { x, target } = feedsOf(count, [16], from, {});
      for (let i = 0; i < count; i++) if (broken(from + i)) (x.data as Float32Array)[i * 96] = Number.POSITIVE_INFINITY;
      return { x, target };
    },
  });

  it('is not disturbed by steps that are skipped', async () => {
    const { step, run } = await open(tinyNet(16));
    const seen: number[] = [];
    const outcome = await train(
      run,
      step,
      source((t) => t % 20 < 5),
      plan,
      {
        onProgress: ({ loss }) => seen.push(loss),
      },
    );
    expect(outcome).toBe('completed');
    expect(seen.filter(Number.isFinite).length).toBeGreaterThan(3);
    expect(seen.at(-1)).toBeLessThan(2);
    await run.close();
  });

  it(`ends where ${MOST_SKIPPED} steps in a row are skipped`, async () => {
    const { step, run } = await open(tinyNet(16));
    const training = train(
      run,
      step,
      source((t) => t >= 7),
      plan,
    );
    await expect(training).rejects.toMatchObject({
      code: 'DIVERGED',
      message: expect.stringContaining(`at step ${7 + MOST_SKIPPED} `),
      hint: expect.stringContaining('--precision fp32'),
    });
    await run.close();
  });

  it('follows float32 on the MNIST net over 50 steps', async () => {
    const file = {
      path: '',
      folder: '.',
      bytes: new Uint8Array(),
      model: mnistConvNet({ init: 'he', widths: [8, 16, 64] }),
    };
    const batch = 16;
    const graph = await trainingGraph(file, await analyse(file), batch);
    const feeds = digits(50, batch);
    const found: { loss: Float32Array; skipped?: Float32Array; state: Map<string, Tensor> }[] = [];
    for (const target of [standardEngine, emulatedHalf, halfEngine(standardEngine, 'webgpu')]) {
      const { run } = await open(graph, { optimizer: sgd, target, proximal: undefined });
      const { loss, skipped } = await run.run(feeds());
      found.push({ loss, skipped, state: await run.state() });
      await run.close();
    }
    // The last one is the graph for GPUs: onnxruntime's CPU provider takes it, and computes in float32.
    const [full, half, real] = found;
    expect(worst(real.loss, full.loss).error).toBeLessThan(0.03);
    expect(half.skipped!.reduce((a, b) => a + b)).toBe(0);
    expect(full.loss[0]).toBeGreaterThan(1.8);
    expect(full.loss.at(-1)).toBeLessThan(1);
    expect(worst(half.loss, full.loss).error).toBeLessThan(0.03);
    expect(Array.from(half.loss)).not.toEqual(Array.from(full.loss));
    for (const name of graph.parameters.keys())
      expect(worst(numbers(half.state, name), numbers(full.state, name)).error, name).toBeLessThan(0.05);
  });

  it.skipIf(why)(`runs on webgpu as it is emulated${why ? ` (skipped: ${why})` : ''}`, async () => {
    const graph = tinyNet(16);
    const runs: TrainingRun[] = [(await open(graph, { optimizer: sgd })).run];
    const step = buildStep(graph, { ...options, optimizer: sgd, target: halfEngine(standardEngine, 'webgpu') });
    runs.push(await engineOf({ provider: 'webgpu', threads: 1 }).load(step, initialState(graph, step)));
    const feeds = feedsOf(10, [16], 1, { rate: 0.05, lambda: 0.01 });
    const [a, b] = [await runs[0].run(feeds), await runs[1].run(feeds)];
    expect(worst(b.loss, a.loss).error).toBeLessThan(0.02);
    expect(Array.from(b.skipped)).toEqual(Array.from(a.skipped));
    for (const run of runs) await run.close();
  });
});

describe('--precision fp16', () => {
  it('is refused where nothing is gained by it', async () => {
    for (const where of [
      { engine: 'onnxruntime', provider: 'cpu' },
      { engine: 'tfjs', provider: 'cpu' },
    ] as const) {
      await expect(requirePrecision('fp16', where)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('--precision fp16'),
        hint: expect.stringContaining('leave --precision out'),
      });
      await requirePrecision('fp32', where);
    }
  });

  it('is proved by products of halves before it is used', async () => {
    expect(await halfComplaint('cpu')).toBeUndefined();
    const missing = process.platform === 'darwin' ? 'dml' : 'coreml';
    await expect(requirePrecision('fp16', { engine: 'onnxruntime', provider: missing })).rejects.toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
    });
  });
});

describe('a network', () => {
  const slots = async (options: Partial<NetworkOptions>) => {
    const file = { path: '', folder: '.', bytes: new Uint8Array(), model: mnistConvNet({ widths: [2, 2, 4] }) };
    let built: StepGraph | undefined;
    const loader: TrainingEngine = {
      async load(step) {
        built = step;
        throw new Error('not loaded');
      },
    };
    const optimizer = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 } as const;
    const rest = {
      loss: 'cross-entropy',
      output: 0,
      batch: 2,
      microBatches: 1,
      batchNorm: 'frozen',
      optimizer,
    } as const;
    const opening = openNetwork(file, await analyse(file), {
      ...rest,
      provider: 'cpu',
      threads: 1,
      loader,
      ...options,
    });
    await expect(opening).rejects.toThrow('not loaded');
    return built!.state.map((s) => s.name);
  };

  it('is compiled in the precision that it is opened with', async () => {
    expect(await slots({ provider: 'cuda', precision: 'fp16' })).toContain('loss-scale');
    expect(await slots({ target: emulatedHalf })).toContain('loss-scale');
    expect(await slots({ provider: 'cuda' })).not.toContain('loss-scale');
  });
});

/** Feeds of pictures 28×28: class c has a bright bar in row 2c + 4. */
function digits(steps: number, batch: number): () => Record<string, Tensor> {
  const noise = drawn([steps, batch, 1, 28, 28], 5, 0.3).data as Float32Array;
  const target = BigInt64Array.from({ length: steps * batch }, (_, i) => BigInt((i * 7) % 10));
  target.forEach((c, i) => {
    const row = i * 784 + (2 * Number(c) + 4) * 28;
    noise.fill(1, row + 4, row + 24);
  });
  return () => ({
    input: float32([steps, batch, 1, 28, 28], noise.slice()),
    target: { dtype: 'int64', dims: [steps, batch], data: target.slice() },
    rate: float32([steps], new Float32Array(steps).fill(0.01)),
  });
}
