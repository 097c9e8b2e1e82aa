import { CgesError } from '../errors.js';
import { Attributes } from '../onnx/attributes.js';
import { opsetOf, sortedNodes } from '../onnx/graph.js';
import { prepared } from '../onnx/open.js';
import type { GraphProto, ModelProto, NodeProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { tensorDims, tensorOf, tensorType } from '../onnx/tensors.js';
import type { ChannelNode, ChannelValue, Known } from '../ops/spec.js';
import { isFloat } from '../tensor/half.js';
import { type DType, stridesOf, type Tensor } from '../tensor/tensor.js';
import { transpose } from '../tensor/transpose.js';
import { type Inside, lookInside } from './enter.js';
import { exposed } from './expose.js';
import { type FreeInput, freeInputs, isInteger, makeFeeds, readings, type Sizes, shapeAt } from './feeds.js';
import { type Bodies, flattened, restored, runCounts } from './flat.js';
import { type Observation, openProbe, type Probe } from './probe.js';
import { type Rebatching, rebatching } from './rebatch.js';
import { sequenceValues } from './sequences.js';
import { transposedWeights } from './transposed.js';

/*
 * Comes in: a model. Goes out: what runs of it tell about every value of its graph and of the bodies inside it. Nothing is inferred by
 * rules of our own, and the model is not changed.
 */

export interface AnalyseOptions {
  /** A batch of real samples by input name: their sizes bind free axes, their contents are fed. */
  readonly samples?: Readonly<Record<string, Tensor>>;
  /** Shapes by input name, batch axis included; they bind free axes that no sample binds. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  readonly seed?: number;
  /** What was found of the bodies of a model of the same graph. */
  readonly bodies?: Bodies;
  /** False leaves out the proof that a literal batch may be changed: such a model then counts as fixed. */
  readonly rebatch?: boolean;
}

/** What is known of one value. */
export interface ValueFacts {
  readonly name: string;
  /** Absent for what is no tensor. */
  readonly dtype?: DType;
  /** In two runs that differ in every free axis, the batch included. */
  readonly shapes: readonly [readonly number[], readonly number[]];
  /** The axis whose size is a multiple of the batch (absent: none, or more than one). */
  readonly batchAxis?: number;
  readonly known?: Known;
}

export interface AnalysedInput extends FreeInput {
  /** As it was fed in the first run. */
  readonly shape: readonly number[];
}

/** A node of the user's graph or of a body in it, with its place in the flat graph. */
export interface AnalysedNode extends ChannelNode {
  readonly proto: NodeProto;
  /** Index in the flat graph's list of nodes. */
  readonly index: number;
}

export interface Analysis {
  readonly file: OnnxFile;
  readonly opset: number;
  readonly inputs: readonly AnalysedInput[];
  readonly values: ReadonlyMap<string, ValueFacts>;
  /** Sizes of the free axes other than the batch, in the first run. */
  readonly sizes: Sizes;
  /** `free`: any batch runs. `rebatched`: a literal batch that was proved safe to change. `fixed`: it was not. */
  readonly batch: Rebatching;
  readonly options: AnalyseOptions;
  readonly bodies: Bodies;
  /** @returns the nodes of {@link flat} in topological order, as channel rules see them. */
  channelNodes(): AnalysedNode[];
  /** @returns a model of this graph with the nodes of bodies beside all others (the model itself where it has no bodies). */
  flat(model?: ModelProto): ModelProto;
  /** @returns a flat model that was cut with its nodes in their bodies again; `model` is what it was made of. */
  restored(flat: ModelProto, model?: ModelProto): ModelProto;
  /** @returns a model of this graph with the same outputs, in which values inside bodies can be read as well. */
  readable(model?: ModelProto): ModelProto;
  /** @returns what channel rules see of a value. */
  channelValue(name: string): ChannelValue | undefined;
}

/** Batches of the two runs. */
const BATCHES = [2, 3] as const;

/**
 * Runs the model twice with different sizes on every free axis and reads all shapes and types, and the contents of
 * what follows from constants and shapes alone.
 *
 * **Throws** MODEL_UNRUNNABLE when no run succeeds.
 */
export async function analyse(given: OnnxFile, options: AnalyseOptions = {}): Promise<Analysis> {
  const file = prepared(given);
  const declared = freeInputs(file.model.graph);
  const probe = await openProbe({ ...file, unread: transposedWeights(file.model.graph) });
  let inside: Inside | undefined;
  try {
    const own = await observe(probe, declared, options);
    const { inputs } = own;
    inside = await lookInside(file, own.feeds, options.bodies);
    const runs = inside ? { ...own, first: inside.seen[0], batched: inside.seen[1], second: inside.seen[2] } : own;
    const values = factsOf(file, inside?.model.graph ?? file.model.graph, inside?.probe ?? probe, inputs, runs);
    const shaped = inputs.map((input) => ({ ...input, shape: shapeAt(input, runs.batches[0], runs.sizes) }));
    const batch = await rebatching(file, shaped, runs, values, options);
    const bodies = inside?.bodies ?? NO_BODIES;
    const again = inside ? { ...options, bodies } : options;
    return analysisOf(file, { inputs: shaped, values, sizes: runs.sizes, batch, options: again, bodies });
  } finally {
    await probe.close();
    await inside?.probe.close();
  }
}

const NO_BODIES: Bodies = { entered: new Set(), closed: new Map(), dead: new Set(), counts: new Map() };

/** The runs of a probe: `first` and `batched` differ in the batch alone, `second` in all free axes that may vary. */
export interface Runs {
  /** As they were read when the model ran. */
  readonly inputs: readonly FreeInput[];
  readonly first: Observation;
  readonly batched: Observation;
  readonly second: Observation;
  readonly batches: readonly [number, number];
  readonly sizes: Sizes;
  readonly secondSizes: Sizes;
  /** Inputs of the three runs. */
  readonly feeds: readonly Readonly<Record<string, Tensor>>[];
}

async function observe(probe: Probe, declared: readonly FreeInput[], options: AnalyseOptions): Promise<Runs> {
  let failure: unknown;
  for (const attempt of attempts(declared, options)) {
    try {
      return await runsAt(probe, attempt, options);
    } catch (error) {
      failure ??= error;
    }
  }
  throw unsampled(failure, declared, options);
}

type Attempt = Pick<Runs, 'inputs' | 'batches' | 'sizes'>;

/** Ways to run a model, the likeliest first; a batch that may vary comes before a literal one. */
function* attempts(declared: readonly FreeInput[], options: AnalyseOptions): Generator<Attempt> {
  for (const shapes of readings(declared)) {
    for (const batches of batchesOf(declared, options)) {
      for (const inputs of shapes) {
        for (const sizes of guesses(inputs, options)) yield { inputs, batches, sizes };
      }
    }
  }
}

async function runsAt(probe: Probe, { inputs, batches, sizes }: Attempt, options: AnalyseOptions): Promise<Runs> {
  const feedsOf = (batch: number, at: Sizes) => makeFeeds(inputs, batch, at, options.seed ?? 0, options.samples);
  const run = (batch: number, at: Sizes) => probe.run(feedsOf(batch, at));
  const first = await run(batches[0], sizes);
  const batched = batches[0] === batches[1] ? first : await run(batches[1], sizes);
  const other = grown(inputs, sizes);
  // Without free axes, and where the model does not take other sizes, only the batch varies.
  const same = [batched, sizes] as const;
  const grew = async () => [await run(batches[1], other), other] as const;
  const [second, secondSizes] = sizes.size === 0 ? same : await grew().catch(() => same);
  const feeds = [feedsOf(batches[0], sizes), feedsOf(batches[1], sizes), feedsOf(batches[1], secondSizes)];
  return { inputs, first, batched, second, batches, sizes, secondSizes, feeds };
}

/** @returns pairs of batches to run, the most telling first. */
function batchesOf(inputs: readonly FreeInput[], options: AnalyseOptions): (readonly [number, number])[] {
  if (!inputs.some((input) => input.batchAxis !== undefined)) return [[1, 1]];
  const rows = sampleRows(inputs, options);
  return rows > 1 ? [BATCHES, [rows, rows], [1, 1]] : [BATCHES, [1, 1]];
}

/** Says which inputs were made up when nothing ran: one of them holds what the model cannot take. */
function unsampled(failure: unknown, inputs: readonly FreeInput[], options: AnalyseOptions): unknown {
  const drawn = inputs.filter(({ name }) => options.samples?.[name] === undefined);
  const suspects = drawn.filter(isInteger).length > 0 ? drawn.filter(isInteger) : drawn;
  if (!(failure instanceof CgesError) || failure.code !== 'MODEL_UNRUNNABLE' || failure.hint || !suspects.length) {
    return failure;
  }
  const names = suspects.map(({ name }) => `'${name}'`).join(', ');
  return new CgesError(failure.code, failure.message, {
    ...failure.place,
    cause: failure.cause,
    hint: `it ran on none of the numbers and sizes that were made up: give real ones for ${names} with --inputs, or sizes with --input-shape`,
  });
}

/** @returns how many rows the given samples or shapes have: a size that the model is known to take. */
function sampleRows(inputs: readonly FreeInput[], options: AnalyseOptions): number {
  const given = inputs.find((i) => i.batchAxis !== undefined);
  if (!given) return 1;
  return (options.samples?.[given.name]?.dims ?? options.inputShapes?.[given.name])?.[given.batchAxis!] ?? 1;
}

/** @returns assignments of sizes to the free axes, the likeliest first. */
function guesses(inputs: readonly FreeInput[], options: AnalyseOptions): Sizes[] {
  const bound = new Map<string, number>();
  const open = new Map<string, (size: number) => number>();
  for (const input of inputs) {
    const given = options.samples?.[input.name]?.dims ?? options.inputShapes?.[input.name];
    input.dims.forEach((symbol, axis) => {
      if (typeof symbol === 'number' || axis === input.batchAxis) return;
      const channels = axis === 1 && input.dims.length >= 4;
      if (given?.[axis]) bound.set(symbol, given[axis]);
      else open.set(symbol, (size) => (channels ? 3 : size));
    });
  }
  for (const symbol of bound.keys()) open.delete(symbol);
  if (open.size === 0) return [bound];
  return [64, 224, 128, 32, 16, 1, 256, 512].map(
    (size) => new Map([...bound, ...[...open].map(([symbol, of]) => [symbol, of(size)] as const)]),
  );
}

/** @returns other sizes for the free axes; multiples of 32 stay multiples of 32. */
function grown(inputs: readonly FreeInput[], sizes: Sizes): Sizes {
  const channels = new Set(inputs.flatMap((i) => (i.dims.length >= 4 ? [i.dims[1]] : [])));
  return new Map([...sizes].map(([symbol, s]) => [symbol, channels.has(symbol) ? s : s + (s % 32 === 0 ? 32 : 1)]));
}

function factsOf(
  file: OnnxFile,
  graph: GraphProto,
  probe: Probe,
  inputs: readonly FreeInput[],
  runs: Runs,
): Map<string, ValueFacts> {
  const { first, batched, second, batches } = runs;
  const transposes = transposedWeights(graph);
  const facts = new Map<string, ValueFacts>();
  for (const input of inputs) {
    const shapes = [shapeAt(input, batches[0], runs.sizes), shapeAt(input, batches[1], runs.secondSizes)] as const;
    facts.set(input.name, { name: input.name, dtype: input.dtype, shapes, batchAxis: input.batchAxis });
  }
  for (const proto of graph.initializer) {
    const name = proto.name ?? '';
    const dims = tensorDims(proto);
    facts.set(name, {
      name,
      dtype: tensorType(proto),
      shapes: [dims, dims],
      known: lazily(() => tensorOf(proto, file.folder)),
    });
  }
  for (const node of graph.node) {
    for (const name of node.output) {
      if (name === '') continue;
      const [a, b, c] = [first, batched, second].map((run) => run.shapes.get(name) ?? probe.constants.get(name)?.dims);
      if (!a || !b || !c) continue;
      const view = transposes.get(name);
      const tensor = view ? undefined : (probe.constants.get(name) ?? first.known.get(name));
      facts.set(name, {
        name,
        dtype: probe.dtypes.get(name),
        shapes: [a, c],
        batchAxis: batchAxisOf(a, b, batches),
        ...(view && { known: viewed(facts.get(view.weight)!.known!, view.perm) }),
        ...(tensor && {
          known: { tensor, stable: stability(tensor, [batched.known.get(name), second.known.get(name)]) },
        }),
      });
    }
  }
  return facts;
}

/** A transposed weight is a copy of it only where its contents are asked for in this order. */
function viewed(of: Known, perm: readonly number[]): Known {
  let made: Tensor | undefined;
  return {
    get tensor() {
      return (made ??= transpose(of.tensor, perm));
    },
    stable: 'all',
    view: { of, perm },
  };
}

/** External data is read when it is asked for. */
function lazily(read: () => Tensor): Known {
  return {
    get tensor() {
      return read();
    },
    stable: 'all',
  };
}

/** @returns the one axis that grew with the batch. */
export function batchAxisOf(
  a: readonly number[],
  b: readonly number[],
  batches: readonly [number, number],
): number | undefined {
  if (a.length !== b.length) return undefined;
  const moved = a.flatMap((size, axis) => (size === b[axis] ? [] : [axis]));
  const [axis] = moved;
  return moved.length === 1 && a[axis] * batches[1] === b[axis] * batches[0] ? axis : undefined;
}

/**
 * @returns 1 for each element that was the same in all runs; a constant has no other runs. Floats that change in number
 * are the same where they are but repeated along the axes that grow (initial states of a batch, a bias added to them).
 */
function stability(tensor: Tensor, others: readonly (Tensor | undefined)[]): Uint8Array | 'all' {
  const seen = others.filter((t): t is Tensor => t !== undefined && t !== tensor);
  if (seen.length === 0) return 'all';
  if (seen.some((t) => String(t.dims) !== String(tensor.dims))) {
    return isFloat(tensor.dtype) && isRepeated([tensor, ...seen]) ? 'all' : new Uint8Array(tensor.data.length);
  }
  const same = Uint8Array.from({ length: tensor.data.length }, (_, i) =>
    seen.every((t) => Object.is(t.data[i], tensor.data[i])) ? 1 : 0,
  );
  return same.every((s) => s === 1) ? 'all' : same;
}

/** Whether tensors hold the same numbers, each of them over and over along the axes in whose sizes they differ. */
function isRepeated([first, ...others]: readonly Tensor[]): boolean {
  const { dims, data } = first;
  if (others.some((t) => t.dims.length !== dims.length)) return false;
  const fixed = dims.map((size, axis) => others.every((t) => t.dims[axis] === size));
  const steps = stridesOf(dims).map((stride, axis) => (fixed[axis] ? stride : 0));
  return [first, ...others].every((t) => {
    const strides = stridesOf(t.dims);
    return Array.from(t.data as ArrayLike<unknown>).every((x, i) => {
      const at = strides.reduce((sum, stride, axis) => sum + (Math.floor(i / stride) % t.dims[axis]) * steps[axis], 0);
      return Object.is(x, data[at]);
    });
  });
}

function analysisOf(
  file: OnnxFile,
  facts: Pick<Analysis, 'inputs' | 'values' | 'sizes' | 'batch' | 'options' | 'bodies'>,
): Analysis {
  const channelValue = (name: string): ChannelValue | undefined => {
    const fact = facts.values.get(name);
    if (!fact?.dtype) return undefined;
    return { name, dtype: fact.dtype, shape: fact.shapes[0], ...(fact.known && { known: fact.known }) };
  };
  return {
    file,
    opset: opsetOf(file.model),
    ...facts,
    channelValue,
    channelNodes() {
      const { model } = file;
      const flat = flattened(model, facts.bodies).graph;
      const order = new Map(flat.node.map((node, i) => [node, i]));
      const counts = runCounts(model.graph, facts.bodies);
      const sequences = sequenceValues(flat.node, channelValue);
      const valueOf = (name: string) => channelValue(name) ?? sequences.get(name);
      return sortedNodes(flat).map((proto) => ({
        op: proto.opType,
        name: proto.name || proto.output.find((o) => o !== '') || proto.opType,
        opset: opsetOf(model, proto.domain ?? ''),
        attrs: new Attributes(proto),
        inputs: proto.input.map((name) => (name === '' ? undefined : valueOf(name))),
        outputs: proto.output.flatMap((name) => valueOf(name) ?? []),
        ...(counts.has(proto) && { runs: counts.get(proto) }),
        proto,
        index: order.get(proto)!,
      }));
    },
    flat: (model = file.model) => flattened(model, facts.bodies),
    restored: (flat, model = file.model) =>
      facts.bodies.entered.size === 0 ? flat : { ...flat, graph: restored(model.graph, flat.graph) },
    readable: (model = file.model) => exposed(model, facts.bodies).model,
  };
}
