import { CgesError } from './errors.js';
import { openModel } from './onnx/open.js';
import type { OnnxFile } from './onnx/read.js';
import { weightsOf } from './onnx/weights.js';
import { openAnalysis } from './openAnalysis.js';
import type { CheckGradientsOptions } from './options.js';
import { REPORT_SCHEMA_VERSION } from './report/schema.js';
import { type Analysis, analyse } from './shape/analyse.js';
import { makeFeeds } from './shape/feeds.js';
import { shapesByName } from './shape/inputShapes.js';
import { trainingGraph } from './shape/normalise.js';
import { inlined } from './shape/fed.js';
import { atBatch } from './shape/rebatch.js';
import type { TrainingGraph } from './shape/training-graph.js';
import { float32Feeds, modelOf } from './shape/training-model.js';
import { Random } from './tensor/random.js';
import { sizeOf, type Tensor } from './tensor/tensor.js';
import {
  againstReference,
  BLIND_TOLERANCE,
  figuresOf,
  type GradientCheck,
  type Judged,
} from './validate/againstReference.js';
import { checkByDifferences, openLoss, product, roundingOf } from './validate/differences.js';
import { type Gradients, gradientsOf, usesOf } from './validate/gradients.js';
import { lookupsApart } from './validate/paddingRow.js';
import {
  type Figures,
  filled,
  type Reference,
  readReference,
  referenceInputs,
  withSeededWeights,
} from './validate/reference.js';

export type { GradientCheck } from './validate/againstReference.js';

/** Gradients and how they compare, as `check-gradients --json` writes it; can serve as a reference itself. */
export interface GradientReport {
  readonly schemaVersion: typeof REPORT_SCHEMA_VERSION;
  readonly command: 'check-gradients';
  readonly path: string;
  readonly against: 'reference' | 'central differences';
  /** Something could be compared, and nothing of it differs. */
  readonly agree: boolean;
  /** Σ output · R. */
  readonly loss: number;
  readonly lossCheck: {
    readonly expected: number | null;
    /** As a share of the loss, or of what it is at random signs where that is more. */
    readonly difference: number | null;
    readonly verdict: 'ok' | 'WRONG' | 'no reference';
  };
  readonly rSeeds: readonly (number | null)[];
  readonly dotSeeds: readonly number[];
  readonly params: Readonly<Record<string, { readonly l2: number; readonly dot: readonly number[] }>>;
  readonly checks: readonly GradientCheck[];
  /** How many checks came to each verdict. */
  readonly counts: Readonly<Record<GradientCheck['verdict'], number>>;
  readonly notes: readonly string[];
}

/** By which a loss may differ. */
const LOSS_TOLERANCE = 1e-3;

/**
 * Compiles the gradients of a model and compares them with those of a reference, or without one with central differences.
 * The loss is Σ output · R over the outputs of floats, R drawn from seeds.
 *
 * **Throws** NO_GRADIENT where no parameter at all has a gradient; differences are in the answer.
 */
export async function checkGradients(options: CheckGradientsOptions): Promise<GradientReport> {
  const { input, seed = 0, onEvent = () => {} } = options;
  const stopIfAsked = () => {
    if (options.signal?.aborted) throw new CgesError('INTERRUPTED', 'stopped while gradients were being checked');
  };
  onEvent({ type: 'phase', phase: 'inspect', message: `reading ${input}` });
  const opened = openModel(input);
  const file = withSeededWeights(opened);
  const reference = options.reference === undefined ? undefined : readReference(options.reference);
  const analysis = await analysed(file, reference, options);
  checkNames(file, reference, options.reference);
  stopIfAsked();

  const batch = batchOf(analysis);
  // What the reference speaks of is a parameter there, whatever it looks like here.
  const train = [...(options.train ?? []), ...Object.keys(reference?.grad?.params ?? {})];
  const whole = await trainingGraph(file, analysis, batch, { train, lookThrough: false });
  const { graph, tables } = reference?.grad ? lookupsApart(whole) : { graph: whole, tables: new Map() };
  const { inputs = analysis.inputs } = analysis.batch.kind === 'rebatched' ? analysis.batch : {};
  const feeds = makeFeeds(inputs, batch, analysis.sizes, seed, analysis.options.samples);
  const seeds = seedsOf(file, graph, reference, seed);
  const directions = directionsOf(graph, seeds.rSeeds, seeds.outputs);
  stopIfAsked();

  onEvent({ type: 'phase', phase: 'measure', message: 'compiling and running the gradients' });
  const found = await gradientsOf(graph, feeds, directions.of);
  stopIfAsked();
  const checked = reference?.grad
    ? againstReference(found, graph, tables, reference.grad, seeds.dotSeeds)
    : (await againstDifferences(file, graph, { found, feeds, directions, analysis, batch }, options)).map(
        (check): Judged => ({ check }),
      );
  const params: Record<string, Figures> = {};
  for (const { check, figures } of checked) if (figures) params[check.name] = figures;
  for (const [name, gradient] of found.of) params[name] ??= figuresOf(gradient, seeds.dotSeeds);
  const checks = [...checked.map((c) => c.check), ...untrained(file, graph, reference)];
  const lossCheck = compareLoss(found, directions.complete ? reference?.grad?.loss : undefined);
  const counts = { ok: 0, WRONG: 0, uncertain: 0, refused: 0, 'not trained': 0, 'no reference': 0 };
  for (const { verdict } of checks) counts[verdict]++;
  return {
    schemaVersion: REPORT_SCHEMA_VERSION,
    command: 'check-gradients',
    path: file.path,
    against: reference?.grad ? 'reference' : 'central differences',
    agree: counts.ok > 0 && counts.WRONG === 0 && lossCheck.verdict !== 'WRONG',
    loss: found.loss,
    lossCheck,
    rSeeds: seeds.rSeeds,
    dotSeeds: seeds.dotSeeds,
    params,
    checks,
    counts,
    notes: [...opened.notes, ...graph.notes],
  };
}

/** Learns the shapes on the inputs of the reference where it has any. */
async function analysed(
  file: OnnxFile,
  reference: Reference | undefined,
  options: CheckGradientsOptions,
): Promise<Analysis> {
  if (!reference?.inputs || reference.inputs.length === 0) return openAnalysis(file, options);
  if (options.inputs !== undefined) {
    throw new CgesError('USAGE', 'the reference tells its inputs: others cannot be given beside them', {
      file: options.inputs,
      hint: 'leave out --inputs or --reference',
    });
  }
  const { seed = 0, inputShape } = options;
  return analyse(file, { seed, samples: referenceInputs(reference), inputShapes: shapesByName(file, inputShape) });
}

/** A reference of another model would say nothing. */
function checkNames(file: OnnxFile, reference: Reference | undefined, path: string | undefined): void {
  const { graph } = file.model;
  const known = new Set([...weightsOf(graph).map((w) => w.name), ...graph.node.flatMap((n) => n.output)]);
  const inputs = new Set(graph.input.map((i) => i.name));
  const odd =
    reference?.inputs?.find((i) => !inputs.has(i.name))?.name ??
    Object.keys(reference?.grad?.params ?? {}).find((name) => !known.has(name));
  if (odd === undefined) return;
  throw new CgesError('DATA_INVALID', `the reference speaks of '${odd}', which the model does not have`, {
    file: path,
    value: odd,
    hint: 'is it the reference of another model?',
  });
}

function batchOf({ batch, inputs, options: { samples = {} } }: Analysis): number {
  if (batch.kind === 'fixed') return batch.size;
  if (batch.kind === 'rebatched') return batch.literal;
  const batched = inputs.find((i) => i.batchAxis !== undefined);
  if (!batched) return 1;
  return (samples[batched.name]?.dims ?? batched.shape)[batched.batchAxis!];
}

interface Seeds {
  readonly rSeeds: readonly (number | null)[];
  readonly dotSeeds: readonly number[];
  /** The outputs that `rSeeds` are for, in its order. */
  readonly outputs: readonly string[];
}

/** Those of the reference, else drawn ones. */
function seedsOf(file: OnnxFile, graph: TrainingGraph, reference: Reference | undefined, seed: number): Seeds {
  const outputs = reference?.outputs?.map((o) => o.name) ?? file.model.graph.output.map((o) => o.name);
  const { grad } = reference ?? {};
  if (grad) {
    if (grad.rSeeds.length !== outputs.length) {
      throw new CgesError('DATA_INVALID', `${grad.rSeeds.length} rSeeds for ${outputs.length} outputs`, {
        hint: 'is it the reference of another model?',
      });
    }
    return { rSeeds: grad.rSeeds, dotSeeds: grad.dotSeeds, outputs };
  }
  const random = Random.stream(seed, 1);
  const trained = new Set(graph.outputs.flatMap((o) => o.of));
  return {
    rSeeds: outputs.map((name) => (trained.has(name) ? random.uint32() : null)),
    dotSeeds: [random.uint32(), random.uint32()],
    outputs,
  };
}

interface Directions {
  /** R by the names of the training graph's outputs. */
  readonly of: ReadonlyMap<string, Float32Array>;
  /** R by the user's names. */
  readonly user: ReadonlyMap<string, Float32Array>;
  /** False where an output of the loss is constant, and so no output of the training graph. */
  readonly complete: boolean;
}

function directionsOf(graph: TrainingGraph, rSeeds: Seeds['rSeeds'], outputs: readonly string[]): Directions {
  const of = new Map<string, Float32Array>();
  const user = new Map<string, Float32Array>();
  let complete = true;
  outputs.forEach((name, k) => {
    const seed = rSeeds[k];
    if (seed === null) return;
    const output = graph.outputs.find((o) => o.of.includes(name));
    if (!output) {
      complete = false;
      return;
    }
    const direction = filled(sizeOf(output.shape), { seed });
    const known = of.get(output.name);
    of.set(output.name, known ? known.map((x, i) => x + direction[i]) : direction);
    user.set(name, direction);
  });
  return { of, user, complete };
}

function compareLoss({ loss, lossScale }: Gradients, expected: number | undefined): GradientReport['lossCheck'] {
  if (expected === undefined) return { expected: null, difference: null, verdict: 'no reference' };
  const difference = Math.abs(loss - expected) / Math.max(Math.abs(expected), lossScale, Number.MIN_VALUE);
  return { expected, difference, verdict: difference <= LOSS_TOLERANCE ? 'ok' : 'WRONG' };
}

interface Compiled {
  readonly found: Gradients;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly directions: Directions;
  readonly analysis: Analysis;
  readonly batch: number;
}

async function againstDifferences(
  file: OnnxFile,
  graph: TrainingGraph,
  { found, feeds, directions, analysis, batch }: Compiled,
  { seed = 0, onEvent = () => {}, signal }: CheckGradientsOptions,
): Promise<GradientCheck[]> {
  onEvent({ type: 'phase', phase: 'validate', message: 'central differences along random directions' });
  const stored = new Map(weightsOf(file.model.graph).map((w) => [w.name, w.dtype]));
  const uses = usesOf(graph);
  // Half precision is too coarse for differences: such a model's training graph, proved equal, stands for it.
  const exact = [...uses.keys()].every((name) => (stored.get(name) ?? 'float32') === 'float32');
  const whole = analysis.batch.kind === 'rebatched' ? atBatch(inlined(file), analysis.batch, batch) : inlined(file);
  const model = exact ? whole : modelOf(graph, file.model);
  const parameters = new Map<string, Tensor>(
    exact ? [...uses].map(([name, [use]]) => [name, graph.parameters.get(use)!]) : graph.parameters,
  );
  const loss = await openLoss(
    model,
    parameters,
    exact ? feeds : float32Feeds(feeds),
    exact ? directions.user : directions.of,
  );
  try {
    const scale = found.lossScale;
    const at = { scale, ...(await roundingOf(loss, parameters, scale, seed)) };
    const checks: GradientCheck[] = [];
    for (const [index, [name, [use]]] of [...uses].entries()) {
      if (signal?.aborted) throw new CgesError('INTERRUPTED', 'stopped while gradients were being checked');
      onEvent({ type: 'progress', phase: 'validate', step: index + 1, steps: uses.size });
      const { dims, data } = graph.parameters.get(use)!;
      const base = { name, shape: dims, expected: null };
      const refused = found.refused.get(name);
      const gradient = found.of.get(name) ?? new Float32Array(sizeOf(dims));
      if (refused !== undefined) {
        checks.push({ ...base, l2: null, worst: null, allowed: null, verdict: 'refused', why: refused });
        continue;
      }
      const moved = exact ? [name] : uses.get(name)!;
      const together = { at: (v: ReadonlyMap<string, Float32Array>) => loss.at(spread(v, moved)), close: loss.close };
      const parameter = { name, value: data as Float32Array, gradient };
      const { verdict, worst, why } = await checkByDifferences(together, parameter, at, seed + index);
      const l2 = Math.sqrt(product(gradient, gradient));
      checks.push({ ...base, l2, worst, allowed: BLIND_TOLERANCE, verdict, ...(why && { why }) });
    }
    return checks;
  } finally {
    await loss.close();
  }
}

/** All clones of a shared initializer move together. */
function spread(values: ReadonlyMap<string, Float32Array>, names: readonly string[]): Map<string, Float32Array> {
  return new Map([...values.values()].flatMap((data) => names.map((name) => [name, data] as const)));
}

/** @returns the float constants that are not trained, with the reason. */
function untrained(file: OnnxFile, graph: TrainingGraph, reference: Reference | undefined): GradientCheck[] {
  const stored = weightsOf(file.model.graph).filter((w) => w.source.kind === 'initializer');
  const dims = new Map(stored.map((w) => [w.name, w.dims]));
  return graph.trained.flatMap(({ name, trained, why }): GradientCheck[] => {
    const shape = dims.get(name);
    const expected = reference?.grad?.params[name]?.l2 ?? null;
    if (trained || (!shape && expected === null)) return [];
    return [{ name, shape: shape ?? [], l2: null, expected, worst: null, allowed: null, verdict: 'not trained', why }];
  });
}
