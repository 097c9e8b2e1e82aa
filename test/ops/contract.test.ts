import { describe, expect, it } from 'vitest';
import { cpuEngine, standardEngine } from '../../src/onnx/engine.js';
import { allSpecs } from '../../src/ops/index.js';
import { isRefusal, type OpSpec } from '../../src/ops/spec.js';
import { inconstant, leaks, malformed, miscut, type Related, settled, undead } from './channelCheck.js';
import { channelNodeOf, feedsOf, modelOf, netOf, numbers, open } from './exampleNet.js';
import { type Trained, trained } from './gradient.js';
import { naiveMacs } from './naiveMacs.js';

/** Linear in each input alone: central differences are exact for any step, and a long one loses no digits. */
const linear = new RegExp(
  `^(${[
    'Add Sub Mul Sum Mean Neg Where Identity Dropout Cast Conv ConvTranspose Gemm MatMul AveragePool GlobalAveragePool',
    'ReduceSum ReduceMean CumSum Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Pad Gather Expand Tile',
    'Resize Upsample DepthToSpace SpaceToDepth Einsum GatherElements GatherND Trilu OneHot ReverseSequence Compress',
    'CastLike CenterCropPad Col2Im DFT MaxUnpool FusedMatMul',
  ]
    .join(' ')
    .replaceAll(' ', '|')})$`,
);

/** onnxruntime computes these in single precision whatever their type. */
const single = new Set(['Shrink']);

describe.each(allSpecs().map((spec) => [spec.op, spec] as const))('%s', (_, spec) => {
  it('has examples', () => expect(spec.examples.length).toBeGreaterThan(0));

  for (const example of spec.examples) {
    describe(example.title, () => {
      it.runIf((!isRefusal(spec.grad) || spec.normalise) && !spec.training)(
        'agrees with its training form, and with central differences',
        async () => {
          for (const engine of [standardEngine, cpuEngine]) {
            const { outputs, slopes } = await precise(spec, example, engine);
            for (const { original, training } of outputs) {
              expect(training.dims).toEqual(original.dims);
              expect(worst(numbers(original), numbers(training))).toBeLessThan(2e-6);
            }
            for (const { input, numeric, analytic, scale, tolerance } of slopes) {
              const error = Math.abs(numeric - analytic) / scale;
              expect(error, `${input} (${engine.provider}): slope ${numeric}, by its rule ${analytic}`).toBeLessThan(
                tolerance,
              );
            }
          }
        },
      );

      it.runIf(!isRefusal(spec.channels))('relates channels as it computes', async () => {
        const { channels } = spec;
        if (isRefusal(channels)) return;
        const net = netOf(spec, example);
        const session = await open(modelOf(net));
        try {
          const results = await session.run(feedsOf(net));
          const node = channelNodeOf(net, results);
          for (const relation of settled(channels(node))) {
            const related: Related = { net, node, relation, results, session };
            expect(malformed(related)).toEqual([]);
            expect(await leaks(related)).toEqual([]);
            expect(await inconstant(related)).toEqual([]);
            expect(await miscut(related)).toEqual([]);
            expect(await undead(related)).toEqual([]);
          }
          const unsure = channelNodeOf(net, results, 'first varies');
          for (const relation of settled(channels(unsure))) {
            expect(await miscut({ net, node: unsure, relation, results, session })).toEqual([]);
          }
          if (spec.macs) expect(spec.macs(node)).toBe(naiveMacs(node));
        } finally {
          await session.close();
        }
      });
    });
  }
});

it('prints which rules are missing on purpose', () => {
  const missing = allSpecs().flatMap((s) =>
    (['grad', 'channels'] as const).flatMap((rule) => {
      const given = s[rule];
      return isRefusal(given) ? [`${s.op}: no ${rule}: ${given.refused}`] : [];
    }),
  );
  console.log(missing.join('\n'));
  expect(missing.every((line) => line.length > 20)).toBe(true);
});

/** In double precision where onnxruntime has the kernels, else in single. */
async function precise(spec: OpSpec, example: OpSpec['examples'][number], engine: typeof cpuEngine) {
  const step = linear.test(spec.op) ? 1 : undefined;
  let found: Trained;
  let tolerance = 1e-6;
  try {
    if (single.has(spec.op)) throw new Error('NOT_IMPLEMENTED');
    found = await trained(netOf(spec, example, 'float64'), engine, step ?? 1e-5);
  } catch (error) {
    if (
      !/NOT_IMPLEMENTED|Type Error|Could not find an implementation|Failed to find kernel|does not support double/.test(
        String(error),
      )
    )
      throw error;
    found = await trained(netOf(spec, example), engine, step ?? 1e-2);
    tolerance = step ? 1e-5 : 3e-3;
  }
  return { ...found, slopes: found.slopes.map((s) => ({ ...s, tolerance })) };
}

function worst(a: readonly number[], b: readonly number[]): number {
  return a.reduce(
    (max, v, i) => Math.max(max, Object.is(v, b[i]) ? 0 : Math.abs(v - b[i]) / Math.max(1, Math.abs(v))),
    0,
  );
}
