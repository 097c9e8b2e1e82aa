import { describe, expect, it } from 'vitest';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { ModelProto, NodeProto } from '../../src/onnx/proto.js';
import { openSession } from '../../src/runtime/session.js';
import { type DType, float32, int64 } from '../../src/tensor/tensor.js';
import { evaluate } from '../../src/validate/accuracy.js';
import { measureDrift } from '../../src/validate/drift.js';
import { lossOf } from '../../src/validate/loss.js';
import { meaningOf, withOutputs } from '../../src/validate/outputs.js';
import { predictionsOf } from '../../src/validate/predictions.js';

/** A model that adds `bias` to its three inputs and then runs `tail` on the value `s`, giving `y`. */
function scorer(bias: number[], tail: NodeProto[], dtype: DType = 'float32', batch: number | string = 'n'): ModelProto {
  return makeModel(
    makeGraph({
      node: [makeNode('Add', ['x', 'b'], [tail.length ? 's' : 'y']), ...tail],
      initializer: [makeTensor('b', float32([3], bias))],
      input: [makeValueInfo('x', 'float32', [batch, 3])],
      output: [makeValueInfo('y', dtype, undefined)],
    }),
    17,
  );
}

const argMax = [makeNode('ArgMax', ['s'], ['i'], { axis: 1, keepdims: 0 }), makeNode('Identity', ['i'], ['y'])];
const chosen = [
  makeNode('ArgMax', ['s'], ['i'], { axis: 1, keepdims: 0 }),
  makeNode('Size', ['s'], ['other']),
  makeNode('Less', ['i', 'other'], ['sure']),
  makeNode('Where', ['sure', 'i', 'other'], ['y']),
];
const softmax = [makeNode('Softmax', ['s'], ['y'], { axis: 1 })];

/** Rows of scores with the right class of each: the third row is judged wrong. */
const rows = [
  [4, 1, 0],
  [0, 3, 1],
  [2, 1.5, 0],
  [0, 0, 5],
  [1, 9, 2],
];
const labels = [0, 1, 1, 2, 1];
const data = {
  async gather(indices: ArrayLike<number>) {
    const chosen = Array.from(indices);
    return {
      inputs: {
        x: float32(
          [chosen.length, 3],
          chosen.flatMap((i) => rows[i]),
        ),
      },
      targets: int64(
        [chosen.length],
        chosen.map((i) => labels[i]),
      ),
    };
  },
};
const all = [0, 1, 2, 3, 4];

describe('an output is read for what it is', () => {
  it.each([
    ['scores', [], 'y'],
    ['probabilities', softmax, 'y'],
    ['classes', argMax, 's'],
    ['classes', chosen, 's'],
  ] as const)('%s', (kind, tail, scores) => {
    expect(meaningOf(scorer([0, 0, 0], [...tail]))).toMatchObject({ name: 'y', kind, scores });
  });
});

describe('evaluation', () => {
  it.each([
    ['logits', [], 'float32', 'n'],
    ['probabilities', softmax, 'float32', 'n'],
    ['class numbers', argMax, 'int64', 'n'],
    ['logits of a literal batch of 2', [], 'float32', 2],
  ] as const)('counts right predictions of %s', async (_, tail, dtype, batch) => {
    const model = scorer([0, 0, 0], [...tail], dtype, batch);
    const output = meaningOf(model);
    const session = await openSession(withOutputs(model, [output.scores]));
    const result = await evaluate(session, data, all, { loss: 'cross-entropy', output, batch: 2 });
    expect(result).toMatchObject({ samples: 5, accuracy: 0.8 });
    expect([...result.predictions]).toEqual([0, 1, 0, 2, 1]);
    const expected = rows.map((r, i) => Math.log(r.reduce((sum, x) => sum + Math.exp(x), 0)) - r[labels[i]]);
    expect(result.loss).toBeCloseTo(expected.reduce((a, b) => a + b) / 5, 5);
    if (_ !== 'probabilities') expect(result.margins[2]).toBeCloseTo(0.5, 6);
    await session.close();
  });

  it('refuses labels that the model has no class for', async () => {
    const model = scorer([0, 0, 0], []);
    const session = await openSession(model);
    const wrong = {
      gather: async (i: ArrayLike<number>) => ({
        ...(await data.gather(i)),
        targets: int64(
          [i.length],
          Array.from(i, () => 7),
        ),
      }),
    };
    const judged = evaluate(session, wrong, all, { loss: 'cross-entropy', output: meaningOf(model) });
    await expect(judged).rejects.toMatchObject({ code: 'DATA_LABELS' });
    await session.close();
  });
});

describe('losses in double precision', () => {
  it('agree with their formulas', () => {
    const output = float32([2, 2], [1, -2, 0, 3]);
    const targets = float32([2, 2], [1, 0, 0, 1]);
    expect(lossOf('mean-squared-error', 'scores', output, targets)!.mean).toBeCloseTo((0 + 4 + 0 + 4) / 4, 12);
    const bce = [Math.log1p(Math.exp(-1)), Math.log1p(Math.exp(-2)), Math.log(2), Math.log1p(Math.exp(-3))];
    expect(lossOf('binary-cross-entropy', 'scores', output, targets)!.mean).toBeCloseTo(
      bce.reduce((a, b) => a + b) / 4,
      12,
    );
  });
});

describe('predictions', () => {
  it('are made for every pixel where there are pixels', () => {
    const output = float32([1, 2, 2, 1], [0.1, 0.9, 0.4, 0.2]);
    const { classes, margins } = predictionsOf(output, 'scores')!;
    expect([...classes]).toEqual([1, 0]);
    expect(margins[0]).toBeCloseTo(0.3, 6);
  });

  it('are a yes or no for a single output', () => {
    expect([...predictionsOf(float32([3, 1], [-1, 0.2, 3]), 'scores')!.classes]).toEqual([0, 1, 1]);
    expect([...predictionsOf(float32([3, 1], [0.1, 0.6, 0.5]), 'sigmoid')!.classes]).toEqual([0, 1, 0]);
  });
});

describe('drift', () => {
  const drift = async (bias: number[], tail: NodeProto[] = [], dtype: DType = 'float32') => {
    const models = [scorer([0, 0, 0], tail, dtype), scorer(bias, tail, dtype)];
    const output = meaningOf(models[0]);
    const [a, b] = await Promise.all(models.map((m) => openSession(withOutputs(m, [output.scores]))));
    return measureDrift(a, b, [(await data.gather(all)).inputs], { against: 'before strip', output });
  };

  it('is the largest difference, absolute and as a share of the largest output', async () => {
    const { maxAbsolute, maxRelative, agreement, samples } = await drift([0.09, 0, 0]);
    expect(maxAbsolute).toBeCloseTo(0.09, 5);
    expect(maxRelative).toBeCloseTo(0.01, 5);
    expect({ agreement, samples }).toEqual({ agreement: 1, samples: 5 });
  });

  it('explains a changed prediction whose margin is within ten times the drift', async () => {
    expect(await drift([0, 0.6, 0])).toMatchObject({ agreement: 0.8, differing: 1, unexplained: 0 });
    expect(await drift([0, 0.6, 0], argMax, 'int64')).toMatchObject({ agreement: 0.8, differing: 1, unexplained: 0 });
  });
});
