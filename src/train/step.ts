import { gradients } from '../autodiff/backward.js';
import { emitForward } from '../autodiff/forward.js';
import { GraphBuilder, type Value, sameShape } from '../onnx/builder.js';
import type { Engine } from '../onnx/engine.js';
import { halfOf, hasHalf } from '../onnx/half.js';
import { makeGraph, makeValueInfo } from '../onnx/make.js';
import { tidied } from '../onnx/tidied.js';
import { specOf } from '../ops/index.js';
import type { LowerContext } from '../ops/spec.js';
import type { LossName } from '../options.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { FeedSlot, StateSlot, StepGraph } from './engine.js';
import { type Distillation, emitLoss, type Matched, scoresOf, targetOf } from './loss.js';
import { emitFinite, emitScaleUpdate, firstScale, keptUnless, lossScale } from './lossScale.js';
import { emitUpdate, type OptimizerOptions, slotName, slotsOf } from './optimizer.js';
import { emitProximal, type PenalisedFamily, type ProximalOptions, type Stepped, toAxis } from './proximal.js';

export interface StepOptions {
  readonly loss: LossName;
  /** Which of the training graph's outputs is compared with the targets. */
  readonly output: number;
  /**
   * Several outputs instead, each with targets of its own: the loss is the sum of theirs times their factors, and what it
   * is short of 1 counts as right.
   */
  readonly matched?: readonly Matched[];
  readonly optimizer: OptimizerOptions;
  readonly proximal?: ProximalOptions;
  /** The loss is also held against the scores of another model, which are fed. */
  readonly distillation?: Distillation;
  readonly batchNorm: 'live' | 'frozen';
  /** A step sums the gradients of this many batches of the training graph's size (default 1). */
  readonly microBatches?: number;
  /** Limit of the global ℓ₂ norm of the gradient; absent: none. */
  readonly clipNorm?: number;
  /** What will run the step: rules may choose faster forms by it. One with half precision gets a loss scale as well. */
  readonly target?: Engine;
  /** Nothing is drawn at random (Dropout lets all pass): steps can be compared between devices. */
  readonly undrawn?: boolean;
}

/** Feeds of a step besides the model's inputs, which go by their own names. */
export const feedNames = {
  target: 'target',
  teacher: 'teacher',
  rate: 'rate',
  lambda: 'lambda',
  correction1: 'correction1',
  correction2: 'correction2',
  phase: 'phase',
} as const;

/** @returns the feed of the targets of one of several outputs. */
export function targetFeed(output: string): string {
  return `${feedNames.target}/${output}`;
}

/** What is compared with targets: an output of the training graph, the feed of its targets, what its loss counts times. */
interface Compared {
  readonly output: number;
  readonly feed: string;
  readonly factor: number;
}

/** An output that became constant when units were cut is no longer one of the training graph, and left out. */
function comparedOf({ outputs }: TrainingGraph, { output, matched }: StepOptions): Compared[] {
  if (!matched) return [{ output, feed: feedNames.target, factor: 1 }];
  return matched.flatMap(({ name, factor }) => {
    const at = outputs.findIndex((o) => o.of.includes(name));
    return at < 0 ? [] : [{ output: at, feed: targetFeed(name), factor }];
  });
}

/**
 * Compiles one training step: forward, loss, backward, optimizer and proximal update, as a graph of standard operators.
 * In: the training graph. Out: a step that any engine can run. It does not choose rates or strengths: those are fed.
 */
export function buildStep(graph: TrainingGraph, options: StepOptions): StepGraph {
  const g = new GraphBuilder(options.target);
  const micro = options.microBatches ?? 1;
  const compared = comparedOf(graph, options);
  const given = (name: string, dtype: 'float32' | 'int64' | string, shape: readonly number[]): Value => {
    g.reserve(name);
    return { name, dtype: dtype as Value['dtype'], shape };
  };
  const lead = micro > 1 ? [micro] : [];

  const feeds: FeedSlot[] = graph.inputs.map((i) => ({ name: i.name, dtype: i.dtype, shape: [...lead, ...i.shape] }));
  for (const { output, feed } of compared) {
    const target = targetOf(options.loss, graph.outputs[output].shape);
    feeds.push({ name: feed, dtype: target.dtype, shape: [...lead, ...target.shape] });
  }
  if (options.distillation) {
    const { shape } = graph.values.get(scoresOf(graph, options))!;
    feeds.push({ name: feedNames.teacher, dtype: 'float32', shape: [...lead, ...shape] });
  }
  feeds.push({ name: feedNames.rate, dtype: 'float32', shape: [] });
  if (options.proximal) feeds.push({ name: feedNames.lambda, dtype: 'float32', shape: [] });
  if (options.optimizer.name !== 'sgd') {
    feeds.push({ name: feedNames.correction1, dtype: 'float32', shape: [] });
    feeds.push({ name: feedNames.correction2, dtype: 'float32', shape: [] });
  }
  const fed = new Map(feeds.map((f) => [f.name, given(f.name, f.dtype, f.shape)]));
  const parameters = new Map([...graph.parameters].map(([name, t]) => [name, given(name, 'float32', t.dims)]));
  const statistics = new Map(
    options.batchNorm === 'live'
      ? [...graph.state].map((name) => [name, given(name, 'float32', graph.constants.get(name)!.dims)])
      : [],
  );

  let usesPhase = false;
  const phase = () => {
    if (!usesPhase) feeds.push({ name: feedNames.phase, dtype: 'float32', shape: lead });
    if (!usesPhase) fed.set(feedNames.phase, given(feedNames.phase, 'float32', lead));
    usesPhase = true;
    return fed.get(feedNames.phase)!;
  };
  const scaling = hasHalf(g.engine) ? lossScale(given) : undefined;
  const from: PassInputs = { fed, parameters, statistics, phase, scale: scaling?.scale };
  const emitSeveral = g.engine.features.has('Loop') ? emitMicroBatches : emitUnrolled;
  const pass = micro > 1 ? emitSeveral(g, graph, options, micro, from) : emitPass(g, graph, options, from);

  const families = options.proximal?.grouping === 'channel' ? options.proximal.families : [];
  const slotNames = slotsOf(options.optimizer);
  const masks =
    slotNames.length > 0 ? liveMasks(g, families, parameters, given) : { alive: new Map(), byParameter: new Map() };

  const { clipNorm } = options;
  const squares = scaling || clipNorm !== undefined ? sumOfSquares(g, pass.gradients) : undefined;
  const finite = scaling && squares && emitFinite(g, pass.loss, squares);
  const gradientScale = emitGradientScale(g, squares, clipNorm, scaling?.scale);
  const stepped = new Map<string, Stepped>();
  const updated: StateSlot[] = [];
  const initialZeros: StateSlot[] = [];
  for (const [name, parameter] of parameters) {
    const gradient = pass.gradients.get(name);
    if (!gradient) continue;
    g.within(name, () => {
      const slots = slotNames.map((slot) => given(slotName(name, slot), 'float32', parameter.shape));
      const update = emitUpdate(g, options.optimizer, parameter, gradient, slots, {
        rate: fed.get(feedNames.rate)!,
        correction1: fed.get(feedNames.correction1),
        correction2: fed.get(feedNames.correction2),
        alive: masks.byParameter.get(name),
        gradientScale,
        decays: parameter.shape.length > 1,
      });
      stepped.set(name, { value: update.parameter, stepSize: update.stepSize });
      slots.forEach((slot, i) => {
        initialZeros.push({ name: slot.name, next: update.slots[i].name, dtype: 'float32', shape: slot.shape });
      });
    });
  }
  const metrics = [{ name: 'loss', value: pass.loss.name }];
  if (pass.correct) metrics.push({ name: 'correct', value: pass.correct.name });

  let next = new Map([...stepped].map(([name, s]) => [name, s.value]));
  if (options.proximal) {
    const result = emitProximal(g, options.proximal, fed.get(feedNames.lambda)!, stepped);
    next = result.parameters;
    const counts = [...result.alive.values()].map((a) => g.reduceSum(a, [0]));
    if (counts.length > 0) metrics.push({ name: 'alive', value: counts.reduce((a, b) => g.add(a, b)).name });
    if (result.shrinkage) metrics.push({ name: 'shrinkage', value: result.shrinkage.name });
    for (const [family, mask] of masks.alive) {
      const after = result.alive.get(family);
      if (after) initialZeros.push({ name: mask.name, next: after.name, dtype: 'float32', shape: mask.shape });
    }
  }
  for (const [name, value] of [...next, ...pass.statistics])
    updated.push({ name, next: value.name, dtype: 'float32', shape: value.shape });
  updated.push(...initialZeros);
  const state = finite ? [...keptUnless(g, finite, updated), ...emitScaleUpdate(g, finite, scaling)] : updated;
  if (finite) metrics.push({ name: 'skipped', value: g.cast(g.not(finite), 'float32').name });
  // Parameters that no gradient reaches stay what they are.
  for (const [name, value] of [...parameters, ...statistics]) {
    const known = state.some((s) => s.name === name);
    if (!known) g.define(value.name, (graph.parameters.get(name) ?? graph.constants.get(name))!);
  }
  const nodes = tidied(g, [...state.map((s) => s.next), ...metrics.map((m) => m.value)]);
  const { initializers, domains, values } = g;
  return { graph: { nodes, initializers, domains, values }, state, feeds, metrics };
}

/**
 * @param earlier what is to be gone on from, by name; what has another shape by now is left out
 * @returns the state before the first step: weights and statistics of the graph, zero slots, all units alive.
 */
export function initialState(
  graph: TrainingGraph,
  step: StepGraph,
  earlier?: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  return new Map(
    step.state.map((s) => {
      const given = earlier?.get(s.name);
      if (given && sameShape(given.dims, s.shape)) return [s.name, given];
      const known = graph.parameters.get(s.name) ?? graph.constants.get(s.name);
      if (known) return [s.name, known];
      const data = new Float32Array(sizeOf(s.shape)).fill(firstScale(s.name) ?? 0);
      if (s.name.startsWith(ALIVE)) data.fill(1);
      return [s.name, float32(s.shape, data)];
    }),
  );
}

const ALIVE = 'alive/';

/** What a pass over the model gives: loss, gradients, and the running statistics as they come out. */
interface Pass {
  readonly loss: Value;
  readonly correct?: Value;
  readonly gradients: Map<string, Value>;
  readonly statistics: Map<string, Value>;
}

/** What a pass over the model reads. */
interface PassInputs {
  readonly fed: ReadonlyMap<string, Value>;
  readonly parameters: ReadonlyMap<string, Value>;
  readonly statistics: ReadonlyMap<string, Value>;
  phase(): Value;
  /** Factor on the loss's gradient, which all others then have, too. */
  readonly scale?: Value;
}

function emitPass(g: GraphBuilder, graph: TrainingGraph, options: StepOptions, from: PassInputs): Pass {
  const { fed, parameters, statistics, phase, scale } = from;
  const next = new Map(statistics);
  const owner = new Map([...statistics].map(([name, value]) => [value.name, name]));
  let draws = 0;
  const context: LowerContext = {
    batchNorm: options.batchNorm,
    update(current, value) {
      const name = owner.get(current.name);
      if (name === undefined) throw new Error(`${current.name} is no state of the model`);
      next.set(name, value);
    },
    ...(!options.undrawn && { random: (shape: readonly number[]) => uniform(g, phase(), shape, ++draws) }),
  };
  const given = new Map([...fed, ...parameters, ...statistics]);
  const forward = g.inHalf(() => emitForward(g, graph, given, context, specOf));
  const teacher = fed.get(feedNames.teacher);
  const distillation = options.distillation && teacher && { ...options.distillation, scores: teacher };
  const parts = comparedOf(graph, options).map(({ output, feed, factor }) => {
    const name = scoresOf(graph, { loss: options.loss, output });
    const emitted = emitLoss(g, options.loss, forward.values.get(name)!, fed.get(feed)!, distillation);
    if (factor === 1) return { name, ...emitted };
    return { name, loss: g.mul(emitted.loss, factor), seed: g.mul(emitted.seed, factor) };
  });
  const seeds = new Map(parts.map(({ name, seed }) => [name, scale ? g.mul(seed, scale) : seed]));
  const found = g.inHalf(() => gradients(g, forward, seeds, [...parameters.keys()]));
  const loss = parts.map((p) => p.loss).reduce((a, b) => g.add(a, b));
  // Where outputs are matched the loss is the share of what they tell that is wrong: it is steered by as an error is.
  const right = options.matched && g.mul(g.sub(g.scalar(1), loss), graph.batch);
  return { loss, correct: right ?? parts[0].correct, gradients: found, statistics: next };
}

/**
 * Sums the gradients of several batches: an inner Loop whose carried values are the sums, so that the graph does not
 * grow with their number. Losses and gradients are means over all of them.
 */
function emitMicroBatches(
  g: GraphBuilder,
  graph: TrainingGraph,
  options: StepOptions,
  micro: number,
  from: PassInputs,
): Pass {
  const { fed, statistics, phase } = from;
  // Outside of the Loop, so that a weight is cast once in a step; what no product reads is tidied away.
  if (hasHalf(g.engine)) for (const parameter of from.parameters.values()) halfOf(g, parameter);
  const inner = new GraphBuilder(g.engine, g);
  const perBatch = feedsPerBatch(graph, options);
  const iteration: Value = { name: inner.unique('micro/iteration'), dtype: 'int64', shape: [] };
  const go = inner.unique('micro/go');
  const picked = new Map<string, Value>();
  const pick = (name: string, whole: Value): Value => {
    const [value] = inner.emit(
      'Gather',
      [whole, iteration],
      [{ dtype: whole.dtype, shape: whole.shape.slice(1), name: `micro/${name}` }],
      { axis: 0 },
    );
    picked.set(name, value);
    return value;
  };
  for (const [name, value] of fed) if (perBatch.has(name)) pick(name, value);
  const carried = new Map([...statistics].map(([name, v]) => [name, { ...v, name: inner.unique(`micro/${name}`) }]));
  const pass = emitPass(inner, graph, options, {
    ...from,
    fed: picked,
    statistics: carried,
    phase: () => picked.get(feedNames.phase) ?? pick(feedNames.phase, phase()),
  });
  const sums = [...pass.gradients].map(([name, value]) => {
    const before: Value = { ...value, name: inner.unique(`micro/${name}/sum`) };
    return { name, before, after: inner.add(before, value) };
  });
  const goOn = inner.emit('Identity', [{ name: go, dtype: 'bool', shape: [] }], [{ dtype: 'bool', shape: [] }])[0];
  const scalars = [pass.loss, ...(pass.correct ? [pass.correct] : [])];
  const info = (v: Value) => makeValueInfo(v.name, v.dtype, v.shape);
  const results = [
    ...sums.map((s) => s.after),
    ...[...carried.keys()].map((name) => pass.statistics.get(name)!),
    ...scalars,
  ];
  const nodes = tidied(
    inner,
    [goOn, ...results].map((v) => v.name),
  );
  const body = makeGraph({
    name: 'micro',
    node: nodes,
    initializer: inner.initializers,
    input: [
      info(iteration),
      makeValueInfo(go, 'bool', []),
      ...sums.map((s) => info(s.before)),
      ...[...carried.values()].map(info),
    ],
    output: [goOn, ...results].map(info),
  });
  for (const domain of inner.domains) g.domains.add(domain);
  const zeros = sums.map((s) => g.expand(g.scalar(0), s.before.shape));
  const outputs = g.emit(
    'Loop',
    [g.scalar(micro, 'int64'), null, ...zeros, ...statistics.values()],
    [
      ...sums.map((s) => ({ dtype: 'float32' as const, shape: s.before.shape })),
      ...[...statistics.values()].map((v) => ({ dtype: 'float32' as const, shape: v.shape })),
      ...scalars.map(() => ({ dtype: 'float32' as const, shape: [micro] })),
    ],
    { body: { graph: body } },
  );
  const at = sums.length + statistics.size;
  return {
    loss: g.reduceMean(outputs[at], [0]),
    correct: pass.correct && g.reduceSum(outputs[at + 1], [0]),
    gradients: new Map(sums.map((s, i) => [s.name, g.mul(outputs[i], 1 / micro)])),
    statistics: new Map([...statistics.keys()].map((name, i) => [name, outputs[sums.length + i]])),
  };
}

/** Feeds that have an axis of batches. */
function feedsPerBatch(graph: TrainingGraph, options: StepOptions): ReadonlySet<string> {
  const targets = comparedOf(graph, options).map((c) => c.feed);
  return new Set([...graph.inputs.map((i) => i.name), ...targets, feedNames.teacher, feedNames.phase]);
}

/** The same one pass after the other, for engines that copy what a Loop carries: the graph grows with their number. */
function emitUnrolled(
  g: GraphBuilder,
  graph: TrainingGraph,
  options: StepOptions,
  micro: number,
  from: PassInputs,
): Pass {
  const { fed, phase } = from;
  const perBatch = feedsPerBatch(graph, options);
  const pick = (whole: Value, at: number): Value =>
    g.reshape(g.slice(whole, [0], [at], [at + 1]), whole.shape.slice(1));
  let carried = from.statistics;
  const passes = Array.from({ length: micro }, (_, at) =>
    g.within(`batch${at}`, () => {
      const picked = new Map([...fed].map(([name, whole]) => [name, perBatch.has(name) ? pick(whole, at) : whole]));
      const own: PassInputs = { ...from, fed: picked, statistics: carried, phase: () => pick(phase(), at) };
      const pass = emitPass(g, graph, options, own);
      carried = pass.statistics;
      return pass;
    }),
  );
  const sum = (values: readonly Value[]): Value => values.reduce((a, b) => g.add(a, b));
  const mean = (values: readonly Value[]): Value => g.mul(sum(values), 1 / micro);
  const [first] = passes;
  return {
    loss: mean(passes.map((p) => p.loss)),
    correct: first.correct && sum(passes.map((p) => p.correct!)),
    gradients: new Map(
      [...first.gradients.keys()].map((name) => [name, mean(passes.map((p) => p.gradients.get(name)!))]),
    ),
    statistics: new Map(carried),
  };
}

/** Masks of living units as they were after the last step, spread to the parameters that they hold. */
function liveMasks(
  g: GraphBuilder,
  families: readonly PenalisedFamily[],
  parameters: ReadonlyMap<string, Value>,
  given: (name: string, dtype: string, shape: readonly number[]) => Value,
): { alive: Map<string, Value>; byParameter: Map<string, Value> } {
  const alive = new Map<string, Value>();
  const byParameter = new Map<string, Value>();
  for (const family of families) {
    const parts = family.parts.filter((p) => parameters.has(p.parameter));
    if (parts.length === 0) continue;
    const mask = given(`${ALIVE}${family.name}`, 'float32', [family.count]);
    alive.set(family.name, mask);
    for (const part of parts) {
      const spread = toAxis(g, mask, part, parameters.get(part.parameter)!.shape);
      const other = byParameter.get(part.parameter);
      byParameter.set(part.parameter, other ? g.mul(other, spread) : spread);
    }
  }
  return { alive, byParameter };
}

function sumOfSquares(g: GraphBuilder, found: ReadonlyMap<string, Value>): Value {
  return g.within('clip', () => {
    const all = (v: Value) => v.shape.map((_, i) => i);
    const squares = [...found.values()].map((v) => (v.shape.length > 0 ? g.reduceSumSquare(v, all(v)) : g.mul(v, v)));
    return squares.reduce((a, b) => g.add(a, b));
  });
}

/**
 * Factor on all gradients: takes the loss scale out again, and brings their global norm down to `limit` where it is above.
 * @param squares sum of the squares of the gradients, loss scale included
 */
function emitGradientScale(
  g: GraphBuilder,
  squares: Value | undefined,
  limit: number | undefined,
  scale: Value | undefined,
): Value | undefined {
  return g.within('clip', () => {
    const unscale = scale && g.reciprocal(scale);
    if (!squares || limit === undefined) return unscale;
    const scaled = g.sqrt(squares);
    const norm = unscale ? g.mul(scaled, unscale) : scaled;
    const clip = g.min(g.div(g.scalar(limit), g.max(norm, 1e-12)), 1);
    return unscale ? g.mul(clip, unscale) : clip;
  });
}

/**
 * Uniform numbers in [0, 1) as a function of the fed phase: fract(43758.5453·sin(12.9898·i + phase)). An operator with
 * a seed would start over in every session.
 */
function uniform(g: GraphBuilder, phase: Value, shape: readonly number[], draw: number): Value {
  const n = sizeOf(shape);
  const index = Float32Array.from({ length: n }, (_, i) => ((i + 1) * 12.9898 + draw * 4.1414) % (2 * Math.PI));
  const wave = g.mul(g.unary('Sin', g.add(g.constant(float32(shape, index), 'draws'), phase)), 43758.5453);
  return g.sub(wave, g.unary('Floor', wave));
}
