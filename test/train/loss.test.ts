import { describe, expect, it } from 'vitest';
import { GraphBuilder, type Value } from '../../src/onnx/builder.js';
import type { LossName } from '../../src/options.js';
import { type Distillation, emitLoss } from '../../src/train/loss.js';
import type { Tensor } from '../../src/tensor/tensor.js';
import { drawn, evaluate, worst } from './evaluate.js';

const rows = 5;
const classes = 4;
const shape = [rows, classes];
const labels = [0, 3, 1, 1, 2];

async function lossOf(
  name: LossName,
  x: Tensor,
  target: Tensor,
  teacher?: Distillation & { readonly scores: Tensor },
): Promise<{ loss: number; seed: Float32Array }> {
  const g = new GraphBuilder();
  const given = (label: string, t: Tensor): Value => {
    g.reserve(label);
    return { name: label, dtype: t.dtype, shape: t.dims };
  };
  const feeds: Record<string, Tensor> = { x, target, ...(teacher && { z: teacher.scores }) };
  const { loss, seed } = emitLoss(
    g,
    name,
    given('x', x),
    given('target', target),
    teacher && { ...teacher, scores: given('z', teacher.scores) },
  );
  const [l, s] = await evaluate(g, feeds, [loss, seed]);
  return { loss: Number(l.data[0]), seed: s.data as Float32Array };
}

const softmax = (z: readonly number[]) => {
  const e = z.map((v) => Math.exp(v - Math.max(...z)));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
};
const row = (t: Tensor, r: number) => Array.from(t.data.slice(r * classes, (r + 1) * classes) as Float32Array);
const targets: Tensor = { dtype: 'int64', dims: [rows], data: BigInt64Array.from(labels, BigInt) };

/** Scores that put the labels first: a teacher that is right. */
function right(): Tensor {
  const z = drawn(shape, 7);
  labels.forEach((label, r) => {
    (z.data as Float32Array)[r * classes + label] += 6;
  });
  return z;
}

describe('a distilled loss', () => {
  const x = drawn(shape, 3);

  it('follows the softened teacher by how much better that is on the labels', async () => {
    const share = 0.8;
    const temperature = 3;
    const z = right();
    const entropy = (t: Tensor) =>
      labels.reduce((sum, label, r) => sum - Math.log(softmax(row(t, r))[label]), 0) / rows;
    const say = share * (1 - entropy(z) / entropy(x));
    const expected = labels.flatMap((label, r) => {
      const [p, ps, qs] = [
        softmax(row(x, r)),
        softmax(row(x, r).map((v) => v / temperature)),
        softmax(row(z, r).map((v) => v / temperature)),
      ];
      return p.map((v, c) => ((1 - say) * (v - (c === label ? 1 : 0)) + say * temperature * (ps[c] - qs[c])) / rows);
    });
    const { loss, seed } = await lossOf('cross-entropy', x, targets, { share, temperature, scores: z });
    expect(worst(seed, expected).error).toBeLessThan(1e-6);
    expect(loss).toBeCloseTo(entropy(x), 5);
  });

  it('learns nothing from a teacher that is no better on the labels', async () => {
    const scores: Tensor = { ...right(), data: (right().data as Float32Array).map((v) => -v) };
    const alone = await lossOf('cross-entropy', x, targets);
    const taught = await lossOf('cross-entropy', x, targets, { share: 0.9, temperature: 4, scores });
    expect(taught).toEqual(alone);
  });

  it('softens binary scores alike', async () => {
    const t = Float32Array.from({ length: rows * classes }, (_, i) => (i % 3 === 0 ? 1 : 0));
    const target: Tensor = { dtype: 'float32', dims: shape, data: t };
    const scores: Tensor = { dtype: 'float32', dims: shape, data: t.map((v) => (v ? 4 : -4)) };
    const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
    const entropy = (z: ArrayLike<number>) =>
      t.reduce((sum, v, i) => sum - Math.log(v ? sigmoid(z[i]) : 1 - sigmoid(z[i])), 0) / t.length;
    const data = x.data as Float32Array;
    const say = 0.9 * (1 - entropy(scores.data as Float32Array) / entropy(data));
    const expected = t.map(
      (v, i) =>
        ((1 - say) * (sigmoid(data[i]) - v) +
          say * 2 * (sigmoid(data[i] / 2) - sigmoid((scores.data as Float32Array)[i] / 2))) /
        t.length,
    );
    const { seed } = await lossOf('binary-cross-entropy', x, target, { share: 0.9, temperature: 2, scores });
    expect(worst(seed, expected).error).toBeLessThan(1e-6);
  });
});
