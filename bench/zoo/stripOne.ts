import { existsSync } from 'node:fs';
import { CgesError } from '../../src/errors.js';
import { capturesOf, realInputs } from '../../src/onnx/graph.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { decodeModel, type OnnxFile, readModel } from '../../src/onnx/read.js';
import { encodeModel, inlineModel } from '../../src/onnx/write.js';
import { type WeightAxis, weightAxes } from '../../src/prune/axes.js';
import { spacingOf } from '../../src/prune/prove.js';
import { roundsToLevels } from '../../src/prune/quanta.js';
import { channelsOf, strip } from '../../src/prune/strip.js';
import { unitsOf } from '../../src/prune/units.js';
import { drawUnits, zeroUnits } from '../../src/prune/zero.js';
import { openSession } from '../../src/runtime/session.js';
import { type Analysis, analyse } from '../../src/shape/analyse.js';
import { withStoredWeights } from '../../src/shape/computedWeights.js';
import { makeFeeds } from '../../src/shape/feeds.js';
import { isFloat, toFloat32 } from '../../src/tensor/half.js';
import type { Tensor } from '../../src/tensor/tensor.js';
import { paramsOf } from '../../src/validate/params.js';
import { readReference, referenceInputs, withSeededWeights } from '../../src/validate/reference.js';
import type { Result, Task } from './result.js';

const TOLERANCE = 1e-4;

/** Zeroes units of a model at random, strips it, and holds the stripped model to the zeroed one. */
export async function stripOne({ path, reference, ratio, seed }: Task): Promise<Result> {
  let seen: { file: OnnxFile; analysis: Analysis };
  try {
    const file = withSeededWeights(readModel(path));
    const samples = reference && existsSync(reference) ? referenceInputs(readReference(reference)) : {};
    seen = await withStoredWeights(file, await analyse(file, { seed, samples }));
  } catch (error) {
    if (error instanceof CgesError) return { outcome: 'refused', why: error.message };
    throw error;
  }
  const { file, analysis } = seen;
  const channels = channelsOf(analysis);
  const groups = unitsOf(channels);
  const { chosen, count } = drawUnits(groups.families, ratio, seed);
  const of = groups.families.reduce((sum, f) => sum + f.count, 0);
  if (count === 0) {
    const where = { model: file.model, closed: analysis.bodies.closed };
    return { outcome: 'refused', why: whyNone(weightAxes(channels, groups, where)) };
  }
  const model = inlineModel(zeroUnits(channels, groups.families, chosen), file.folder);
  const zeroed: OnnxFile = { ...file, bytes: new Uint8Array(), model };
  const samples = Object.keys(analysis.options.samples ?? {}).length > 0 ? [feedsOf(analysis, seed)] : [];
  const before = paramsOf(model);
  const counts = { of, zeroed: count };
  try {
    const result = await strip(zeroed, await analyse(zeroed, analysis.options), {
      samples,
      seed,
      tolerance: TOLERANCE,
    });
    const wrong = [
      ...differencesOf(model, result.model),
      ...(await disagreements(model, result.model, feedsOf(analysis, seed))),
    ];
    return {
      outcome: wrong.length > 0 ? 'WRONG' : 'ok',
      ...(wrong.length > 0 && { why: wrong.join('; ') }),
      units: { ...counts, gone: result.unitsBefore - result.unitsAfter },
      params: { before, after: paramsOf(result.model) },
      worst: result.drift.maxRelative,
      details: { drift: result.drift, batches: result.batches, families: result.families },
    };
  } catch (error) {
    if (!(error instanceof CgesError) || error.code !== 'VALIDATION_FAILED') throw error;
    return { outcome: 'WRONG', why: error.message, units: { ...counts, gone: 0 }, params: { before, after: before } };
  }
}

/** @returns the reason that holds most indices of weights. */
function whyNone(axes: readonly WeightAxis[]): string {
  const counts = new Map<string, number>();
  for (const { count, by } of axes.flatMap((a) => a.pinned)) {
    const why = by.node ? `${by.why} (${by.op || 'value'} ${by.node})` : by.why;
    counts.set(why, (counts.get(why) ?? 0) + count);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return `no removable units: ${most ? most[0] : 'it has no weights'}`;
}

function feedsOf({ inputs, sizes, batch, options: { samples = {} } }: Analysis, seed: number): Record<string, Tensor> {
  const batched = inputs.find((i) => i.batchAxis !== undefined);
  const given = batched && samples[batched.name]?.dims[batched.batchAxis!];
  return makeFeeds(inputs, given ?? (batch.kind === 'free' ? 2 : 1), sizes, seed + 9, samples);
}

/** @returns what the stripped file must have kept and has not. */
function differencesOf(before: ModelProto, stripped: ModelProto): string[] {
  const after = decodeModel(encodeModel(stripped)).model;
  const stale = new Set(dangling(before)); // quantisers leave such behind
  const same = (what: string, read: (m: ModelProto) => unknown) =>
    text(read(before)) === text(read(after)) ? [] : [`${what} changed`];
  return [
    ...same('inputs', (m) => realInputs(m.graph)),
    ...same('outputs', (m) => m.graph.output),
    ...same('opsets', (m) => m.opsetImport),
    ...same('metadata', (m) => [m.metadataProps, m.producerName, m.irVersion, m.docString, m.domain, m.graph.name]),
    ...dangling(after).filter((found) => !stale.has(found)),
  ];
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v));
}

/** @returns names that nothing defines, and constants and described values that nothing has any more. */
function dangling({ graph }: ModelProto): string[] {
  const read = capturesOf({ ...graph, output: [] });
  const defined = new Set([...graph.input, ...graph.initializer].map((v) => v.name ?? ''));
  for (const { values } of graph.sparseInitializer) defined.add(values?.name ?? '');
  for (const node of graph.node) for (const name of node.output) defined.add(name);
  const used = new Set(graph.output.map((o) => o.name));
  for (const node of graph.node) {
    for (const name of node.input) used.add(name);
    for (const a of node.attribute)
      for (const g of a.g ? [a.g, ...a.graphs] : a.graphs) for (const n of capturesOf(g)) used.add(n);
  }
  return [
    ...[...read].map((name) => `nothing makes '${name}'`),
    ...graph.output.filter((o) => !defined.has(o.name)).map((o) => `nothing makes output '${o.name}'`),
    ...graph.initializer.filter((t) => !used.has(t.name ?? '')).map((t) => `nothing reads '${t.name}'`),
    ...graph.valueInfo.filter((v) => !defined.has(v.name)).map((v) => `there is no value '${v.name}'`),
  ];
}

/**
 * @returns where the stripped model, with all optimisations and with none, gives other outputs than the model before. One of
 * both must agree where numbers are rounded to few levels: a tie may fall otherwise, and moves all that comes after it.
 */
async function disagreements(
  before: ModelProto,
  stripped: ModelProto,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<string[]> {
  const run = async (model: ModelProto, optimisation: 'all' | 'disabled') => {
    const session = await openSession(model, { optimisation });
    try {
      return await session.run(feeds);
    } finally {
      await session.close();
    }
  };
  const ways = ['all', 'disabled'] as const;
  const expected = { all: await run(before, 'all'), disabled: await run(before, 'disabled') };
  const found = { all: await run(stripped, 'all'), disabled: await run(stripped, 'disabled') };
  const levelled = roundsToLevels(before);
  return Object.entries(expected.all).flatMap(([name, tensor]) => {
    if (!isFloat(tensor.dtype)) return [];
    const rounding = levelled ? 0 : distance(tensor, expected.disabled[name]);
    const allowed = Math.max(TOLERANCE, 10 * rounding, spacingOf(before));
    const wrong = ways.flatMap((way) => {
      const off = distance(expected[levelled ? way : 'all'][name], found[way][name]);
      return off <= allowed ? [] : [`with optimisations ${way}, '${name}' is ${off.toExponential(1)} off`];
    });
    return levelled && wrong.length < ways.length ? [] : wrong;
  });
}

/** @returns the largest difference as a share of the largest value. */
function distance(a: Tensor, b: Tensor | undefined): number {
  if (!b || String(a.dims) !== String(b.dims) || a.dtype !== b.dtype) return Number.POSITIVE_INFINITY;
  const [x, y] = [toFloat32(a).data, toFloat32(b).data];
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < x.length; i++) {
    if (Number.isFinite(x[i])) largest = Math.max(largest, Math.abs(x[i]));
    if (Object.is(x[i], y[i])) continue;
    const difference = Math.abs(x[i] - y[i]);
    worst = Math.max(worst, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }
  return worst === 0 ? 0 : worst / largest;
}
