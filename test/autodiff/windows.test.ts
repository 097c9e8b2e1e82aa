import { expect, it } from 'vitest';
import { CgesError } from '../../src/errors.js';
import { cpuEngine, standardEngine } from '../../src/onnx/engine.js';
import { makeNode } from '../../src/onnx/make.js';
import { apart } from '../../src/ops/examples.js';
import { Random } from '../../src/tensor/random.js';
import type { Tensor } from '../../src/tensor/tensor.js';
import { checkGradients, drawn } from './gradientCheck.js';

const CASES = 40;

interface Drawn {
  readonly attributes: NonNullable<Parameters<typeof makeNode>[3]>;
  readonly feeds: Record<string, Tensor>;
}

/** Draws kernel, strides, dilations, padding and groups of every kind, also such as onnxruntime refuses. */
function draw(op: string, random: Random): Drawn {
  const pick = <T>(choices: readonly T[]): T => choices[random.below(choices.length)];
  const rank = pick([1, 2, 2, 2, 3]);
  const each = <T>(make: (axis: number) => T): T[] => Array.from({ length: rank }, (_, axis) => make(axis));
  const pool = op.endsWith('Pool');
  const kernel = each(() => pick([1, 1, 2, 3, 4]));
  const strides = each(() => pick([1, 1, 2, 3, 4]));
  const group = pool ? 1 : pick([1, 1, 2, 4]);
  const padding = pick(['pads', 'pads', 'none', 'VALID', 'SAME_UPPER', 'SAME_LOWER']);
  // onnxruntime and its own shape inference disagree about some dilated pools that pad themselves.
  const dilated = op !== 'AveragePool' && !(pool && padding !== 'none');
  const dilations = each(() => (dilated ? pick([1, 1, 1, 2, 3]) : 1));
  const pads = [...kernel, ...kernel].map((k) => random.below(op === 'Conv' ? 4 : k));
  const sizes = each(
    (i) => (op === 'ConvTranspose' ? 0 : (kernel[i] - 1) * dilations[i]) + 1 + random.below(rank === 3 ? 4 : 7),
  );
  const attributes = {
    strides,
    ...(op !== 'AveragePool' && { dilations }),
    ...(padding === 'pads' ? { pads } : padding !== 'none' && { auto_pad: padding }),
    ...(pool ? { kernel_shape: kernel, ceil_mode: random.below(2) } : { group }),
    ...(op === 'AveragePool' && { count_include_pad: random.below(2) }),
    ...(op === 'ConvTranspose' && random.below(3) === 0 && { output_padding: each(() => random.below(2)) }),
  };
  if (pool) return { attributes, feeds: { x: apart([2, 2, ...sizes]) } };
  const outputs = pick([1, 2, 3]);
  const w = op === 'Conv' ? [group * outputs, 4 / group, ...kernel] : [4, outputs, ...kernel];
  return { attributes, feeds: { x: drawn([2, 4, ...sizes], 1), w: drawn(w, 2) } };
}

for (const op of ['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool']) {
  it(`${op} has the right gradient for windows of any kind`, async () => {
    const random = new Random(op.length);
    let checked = 0;
    for (let n = 0; n < CASES; n++) {
      const { attributes, feeds } = draw(op, random);
      const node = makeNode(op, Object.keys(feeds), ['y'], attributes, { name: 'node' });
      const engine = n % 2 ? cpuEngine : standardEngine;
      const step = op === 'MaxPool' ? 1e-3 : 1; // the others are linear in each input
      const result = await checkGradients({ nodes: [node], feeds, outputs: ['y'], engine }, step).catch((error) => {
        if (error instanceof CgesError && error.code === 'MODEL_UNRUNNABLE' && error.place.node === 'node') return;
        throw new Error(`${op} ${JSON.stringify(attributes)} of ${JSON.stringify(feeds.x.dims)}`, { cause: error });
      });
      if (!result) continue;
      checked++;
      for (const { name, numeric, analytic, scale } of result.slopes) {
        const error = Math.abs(numeric - analytic) / scale;
        expect(error, `${name} of ${op} ${JSON.stringify({ attributes, x: feeds.x.dims })}`).toBeLessThan(5e-3);
      }
    }
    expect(checked).toBeGreaterThan(CASES / 2);
  });
}
