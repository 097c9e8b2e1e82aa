import { describe, expect, it } from 'vitest';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import { emitProximal, layerBalance, type ProximalOptions } from '../../src/train/proximal.js';
import { drawn, evaluate, worst } from './evaluate.js';

const identity = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

/** Runs one proximal step at step size 1 over parameters given by name. */
async function step(options: ProximalOptions, lambda: number, parameters: Record<string, Tensor>) {
  const g = new GraphBuilder();
  const stepped = new Map(
    Object.entries(parameters).map(([name, t]) => {
      g.reserve(name);
      const value: Value = { name, dtype: 'float32', shape: t.dims };
      return [name, { value, stepSize: () => g.scalar(1) }];
    }),
  );
  const result = emitProximal(g, options, g.scalar(lambda), stepped);
  const changed = [...result.parameters].filter(([name, v]) => v.name !== name);
  const outputs = await evaluate(g, parameters, [...changed.map(([, v]) => v), ...result.alive.values()]);
  const after = new Map(Object.entries(parameters));
  changed.forEach(([name], i) => {
    after.set(name, outputs[i]);
  });
  const alive = new Map([...result.alive.keys()].map((name, i) => [name, outputs[changed.length + i]]));
  return { after, alive };
}

/**
 * A plain transcription of the reference code's step for a weight whose output channels lie along the last axis of
 * [inputs, outputs]: V = W·max(0, 1 − g/‖W‖₂), then sign(V)·max(0, |V| − e·‖V‖₁), norms over each row.
 */
function transcribed(w: Float32Array, outputs: number, g: number, e: number): Float32Array {
  const result = new Float32Array(w.length);
  for (let row = 0; row < w.length; row += outputs) {
    const slice = Array.from(w.subarray(row, row + outputs));
    const norm = Math.sqrt(slice.reduce((s, x) => s + x * x, 0));
    const v = slice.map((x) => (norm > 0 ? x * Math.max(0, 1 - g / norm) : 0));
    const l1 = v.reduce((s, x) => s + Math.abs(x), 0);
    v.forEach((x, i) => {
      result[row + i] = Math.sign(x) * Math.max(0, Math.abs(x) - e * l1);
    });
  }
  return result;
}

describe('the proximal step, grouping reference', () => {
  it('agrees with a transcription of the reference code on random MatMul weights', async () => {
    const weights = { a: drawn([7, 5], 1), b: drawn([5, 9], 2), c: drawn([9, 3], 3), d: drawn([3, 4], 4) };
    const factors = { G: [1, 1, 1 / 15, 1 / 144], E: [1, 0.5, 15, 144] };
    const lambda = 0.02;
    const { after } = await step(
      {
        regularizer: 'cges',
        grouping: 'reference',
        m: 0.2,
        families: [],
        layers: Object.keys(weights).map((parameter, l) => ({
          parameter,
          outAxis: 1,
          groupFactor: factors.G[l],
          exclusiveFactor: factors.E[l] / 20,
        })),
      },
      lambda,
      weights,
    );
    Object.entries(weights).forEach(([name, w], l) => {
      const expected = transcribed(
        w.data as Float32Array,
        w.dims[1],
        lambda * (0.8 - 0.2 * l) * factors.G[l],
        lambda * (0.2 + 0.2 * l) * (factors.E[l] / 20),
      );
      expect(worst(after.get(name)!.data as Float32Array, expected).error, name).toBeLessThan(2e-6);
    });
  });

  it('takes the groups of a Conv weight across its filters', async () => {
    const w = drawn([6, 2, 3, 3], 5);
    const { after } = await step(
      { regularizer: 'gs', grouping: 'reference', m: 0, families: [], layers: [{ parameter: 'w', outAxis: 0 }] },
      2,
      { w },
    );
    const rows = new Float32Array(w.data.length);
    const columns = 18;
    for (let o = 0; o < 6; o++)
      for (let i = 0; i < columns; i++) rows[i * 6 + o] = (w.data as Float32Array)[o * columns + i];
    const expected = transcribed(rows, 6, 2, 0);
    const actual = after.get('w')!.data as Float32Array;
    const back = Float32Array.from({ length: rows.length }, (_, k) => actual[(k % 6) * columns + Math.floor(k / 6)]);
    expect(worst(back, expected).error).toBeLessThan(2e-6);
    expect(Array.from(actual).filter((x) => x === 0).length).toBeGreaterThan(0);
  });
});

describe('the proximal step, grouping channel', () => {
  const family = {
    name: 'f',
    count: 2,
    parts: [
      { parameter: 'w', axis: 0, map: identity(2) },
      { parameter: 'b', axis: 0, map: identity(2) },
    ],
  };
  const options: ProximalOptions = {
    regularizer: 'gs',
    grouping: 'channel',
    m: 0,
    families: [family],
    layers: [{ parameter: 'w', outAxis: 0 }],
  };

  it('leaves weights alone whose scale a normalisation takes out, until their unit goes; hand-computed', async () => {
    // Only b counts: unit 0 goes from 12 to 12 − 1 (λ·√4 = 1), unit 1 (0.4) dies, and takes its weights along.
    const scaleFree = new Set(['w']);
    const { after, alive } = await step({ ...options, families: [{ ...family, scaleFree }] }, 0.5, {
      w: float32([2, 3], [3, 0, 4, 0.3, 0, 0]),
      b: float32([2], [12, 0.4]),
    });
    expect(Array.from(after.get('w')!.data as Float32Array)).toEqual([3, 0, 4, 0, 0, 0]);
    expect((after.get('b')!.data as Float32Array)[0]).toBeCloseTo(11, 5);
    expect(Array.from(alive.get('f')!.data as Float32Array)).toEqual([1, 0]);
  });

  it('presses weak units more than strong ones where it adapts, hand-computed', async () => {
    // Norms 6 and 2, mean 4: factors (4/6)² = 4/9 and (4/2)² = 4; λ·√4 = 0.18 → 0.08 and 0.72.
    const { after } = await step({ ...options, adaptivity: 2 }, 0.09, {
      w: float32([2, 3], [6, 0, 0, 2, 0, 0]),
      b: float32([2], [0, 0]),
    });
    const w = after.get('w')!.data as Float32Array;
    expect(w[0]).toBeCloseTo(5.92, 5);
    expect(w[3]).toBeCloseTo(1.28, 5);
    // What is dead already neither counts in the mean nor comes back.
    const { after: dead } = await step({ ...options, adaptivity: 2 }, 0.5, {
      w: float32([2, 3], [6, 0, 0, 0, 0, 0]),
      b: float32([2], [0, 0]),
    });
    expect(Array.from(dead.get('w')!.data as Float32Array)).toEqual([5, 0, 0, 0, 0, 0]);
  });

  it('shrinks weights and bias of a unit by one factor, hand-computed', async () => {
    // Unit 0: (3, 0, 4 | 12) has norm 13 and size 4; λ·√4 = 1 → factor 12/13. Unit 1 has norm 0.5 < 1 and dies.
    const { after, alive } = await step(options, 0.5, {
      w: float32([2, 3], [3, 0, 4, 0.3, 0, 0]),
      b: float32([2], [12, 0.4]),
    });
    expect(worst(after.get('w')!.data as Float32Array, [36 / 13, 0, 48 / 13, 0, 0, 0]).error).toBeLessThan(1e-6);
    expect(worst(after.get('b')!.data as Float32Array, [144 / 13, 0]).error).toBeLessThan(1e-6);
    expect(Array.from(alive.get('f')!.data as Float32Array)).toEqual([1, 0]);
  });

  it('leaves zero groups zero, without NaN, at any λ', async () => {
    for (const lambda of [0, 1e-8, 10]) {
      const { after } = await step(options, lambda, {
        w: float32([2, 3], [0, 0, 0, 1, 1, 1]),
        b: float32([2], [0, 1e-25]),
      });
      const all = [...(after.get('w')!.data as Float32Array), ...(after.get('b')!.data as Float32Array)];
      expect(all.every(Number.isFinite)).toBe(true);
      expect(all.slice(0, 3)).toEqual([0, 0, 0]);
    }
  });

  it('spreads a unit that holds several indices of an axis, and leaves indices of no unit alone', async () => {
    const spread = {
      ...options,
      families: [{ name: 'f', count: 1, parts: [{ parameter: 'w', axis: 0, map: Int32Array.of(0, 0, -1) }] }],
    };
    // The unit holds rows 0 and 1: norm 5, size 2; λ·√2 = 2.5 → half.
    const { after } = await step(spread, 2.5 / Math.SQRT2, { w: float32([3, 1], [3, 4, 7]) });
    expect(worst(after.get('w')!.data as Float32Array, [1.5, 2, 7]).error).toBeLessThan(1e-6);
  });

  it('applies the exclusive part after the group part', async () => {
    const both: ProximalOptions = { ...options, regularizer: 'cges', m: 0.5 };
    const w = float32([2, 1], [3, 4]);
    const { after } = await step(both, 0.1, { w });
    // One layer: μ = ½. Groups are rows of one element: 3 − 0.05, 4 − 0.05; then |w| − 0.05·(2.95 + 3.95).
    expect(worst(after.get('w')!.data as Float32Array, [2.95 - 0.345, 3.95 - 0.345]).error).toBeLessThan(1e-6);
  });
});

describe('the balance over layers', () => {
  it('rises linearly from m to 1 − m, and is a half for a single layer', () => {
    expect([0, 1, 2, 3].map((l) => layerBalance(0.2, l, 4))).toEqual(
      [0.2, 0.4, 0.6000000000000001, 0.8].map((x) => expect.closeTo(x, 12)),
    );
    expect(layerBalance(0, 9, 10)).toBeCloseTo(1, 12);
    expect(layerBalance(0.2, 0, 1)).toBe(0.5);
  });
});
