import { hasCode } from '../errors.js';
import { bodyKey } from '../onnx/bodies.js';
import { bodiesOf, indexGraph } from '../onnx/graph.js';
import { prepared } from '../onnx/open.js';
import type { ModelProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { isStored } from '../onnx/stored.js';
import { type Analysis, analyse } from '../shape/analyse.js';
import { makeFeeds } from '../shape/feeds.js';
import { inlined } from '../shape/fed.js';
import { openSession } from '../runtime/session.js';
import { isFloat } from '../tensor/half.js';
import { type Channels, type ChannelSource, relateChannels } from './channels.js';
import { analyseFlow } from './constants.js';
import { cutUnits } from './cut.js';
import { flushSubnormals } from './flush.js';
import { measureBy } from './measure.js';
import { type Feeds, proveEqual, type StripDrift } from './prove.js';
import { roundsToLevels } from './quanta.js';
import { foldsConstants, selectUnits } from './select.js';
import { type UnitFamily, unitsOf } from './units.js';

/*
 * Comes in: a model in which some channels are dead. Goes out: the same function without them, and the proof. Nothing is
 * decided here about which channels should die.
 */

export interface StripOptions {
  /** Batches of real samples by input name, to prove by; without them inputs are drawn from the seed. */
  readonly samples?: readonly Feeds[];
  /** Largest difference of an output, as a share of its magnitude, that counts as float accuracy. Default 1e-5. */
  readonly tolerance?: number;
  /** Tells which weights, values and nodes (by name) keep all their channels. */
  readonly keep?: (name: string) => boolean;
  /** Sets subnormal weights to zero first; they make CPUs slow. Default true. */
  readonly flush?: boolean;
  readonly seed?: number;
  /** Models of the same graph whose weights hold something else, an optimizer's state say: cut alike, never run. */
  readonly alongside?: readonly ModelProto[];
}

/** What became of one family of units. */
export interface FamilyCut {
  readonly family: string;
  readonly before: number;
  readonly after: number;
}

export interface StripResult {
  readonly model: ModelProto;
  readonly alongside: readonly ModelProto[];
  /** All families of the model as it came in. */
  readonly families: readonly FamilyCut[];
  readonly unitsBefore: number;
  readonly unitsAfter: number;
  /** Subnormal weights that were set to zero. */
  readonly flushed: number;
  readonly drift: StripDrift;
  /** The batch of each run that the drift was found in. */
  readonly batches: readonly number[];
}

/** Constants that fold may kill further units; a model that still changes after so many rounds is left as it is then. */
const ROUNDS = 8;

/**
 * Removes all units that carry no information, exactly, and proves it by running both models.
 *
 * **Throws** VALIDATION_FAILED when the outputs differ by more than rounding.
 */
export async function strip(file: OnnxFile, analysis: Analysis, options: StripOptions = {}): Promise<StripResult> {
  const { bodies } = analysis;
  try {
    return await stripped(file, analysis, options);
  } catch (error) {
    if (hasCode(error, 'VALIDATION_FAILED') && roundsToLevels(file.model))
      return stripped(file, analysis, options, true);
    if (!hasCode(error, 'MODEL_UNRUNNABLE') || ![...bodies.dead].some((key) => bodies.closed.has(key))) throw error;
    // What is never run must still load: it may not take what is left of the values that it reads.
    const pinned = { ...bodies, dead: new Set<string>() };
    return stripped(file, await analyse(analysis.file, { ...analysis.options, bodies: pinned }), options);
  }
}

/**
 * @param keepNormed for models that round to few levels: where a norm has fewer channels its sums round otherwise, and a level
 *   that flips in one layer flips many in those behind it
 */
async function stripped(
  file: OnnxFile,
  analysis: Analysis,
  options: StripOptions,
  keepNormed = false,
): Promise<StripResult> {
  const { seed = 0, keep } = options;
  const original = inlined(prepared(file));
  const { model: clean, flushed } =
    options.flush === false ? { model: original, flushed: 0 } : flushSubnormals(original);
  let model = clean;
  let alongside = options.alongside ?? [];
  let seen = clean === original ? analysis : undefined;
  const counts = new Map<string, { before: number; after: number }>();
  let choices = true;
  // Zeros may lie in either direction of a grid (dimensions of all heads, whole heads): what one leaves the other finds.
  for (const blocks of [false, true]) {
    for (let round = 0; round < ROUNDS && (choices || !blocks); round++) {
      const at = (seen ??= await analyse(fileOf(file, model), analysis.options));
      const nodes = at.channelNodes();
      const relate = (m: ModelProto) => relateChannels({ ...sourceOf(at, m), nodes }, { keep, blocks, keepNormed });
      const channels = relate(model);
      choices = channels.choices;
      if (blocks && !choices) break;
      const { families } = unitsOf(channels);
      if (!blocks && round === 0) for (const f of families) counts.set(f.name, { before: f.count, after: f.count });
      const flow = await analyseFlow(
        channels,
        measureBy(at.readable(model), [feedsOf(at, seed, options)], channels.slots),
      );
      const selection = selectUnits(channels, flow);
      if (selection.count === 0) break;
      for (const f of families) account(counts, f, selection.removed, blocks);
      model = cutUnits(channels, flow, selection);
      const silent = { ...flow, level: new Float64Array(flow.level.length) };
      alongside = alongside.map((m) => cutUnits(relate(m), silent, selection));
      seen = undefined;
      // Without constants that went into biases nothing is other than it was.
      if (!foldsConstants(channels, flow, selection)) break;
    }
  }
  const proof = {
    behind: floatsBehind(analysis),
    tolerance: options.tolerance,
    file: file.path || undefined,
    stored: isStored(file),
  };
  const { runs, drift } = await proved(original, model, runsOf(analysis, seed, options), proof);
  const batches = runs.map((feeds) => rowsOf(analysis, feeds));
  const families = [...counts].map(([family, c]) => ({ family, ...c }));
  const sum = (key: 'before' | 'after'): number => families.reduce((n, f) => n + f[key], 0);
  return { model, alongside, families, unitsBefore: sum('before'), unitsAfter: sum('after'), flushed, drift, batches };
}

/** @returns the channels of a model as its analysis found them. */
export function channelsOf(analysis: Analysis, options: Parameters<typeof relateChannels>[1] = {}): Channels {
  return relateChannels({ ...sourceOf(analysis), nodes: analysis.channelNodes() }, options);
}

/** @returns a model of the graph that was analysed as channel rules see it. */
export function sourceOf(analysis: Analysis, model = analysis.file.model): Omit<ChannelSource, 'nodes'> {
  const { closed } = analysis.bodies;
  return {
    model: analysis.flat(model),
    folder: analysis.file.folder,
    restored: (flat) => analysis.restored(flat, model),
    closed: (node) => bodiesOf(node).flatMap((b) => closed.get(bodyKey(node, b.attribute)) ?? [])[0],
  };
}

/** Whole blocks are counted apart: they are other units than the parts of all blocks. */
function account(
  counts: Map<string, { before: number; after: number }>,
  family: UnitFamily,
  removed: Uint8Array,
  blocks: boolean,
): void {
  const gone = family.units.reduce((n, unit) => n + removed[unit], 0);
  const name = blocks && counts.get(family.name)?.after !== family.count ? `${family.name}, whole blocks` : family.name;
  const known = counts.get(name);
  if (known) known.after -= gone;
  else if (gone > 0) counts.set(name, { before: family.count, after: family.count - gone });
}

function fileOf(file: OnnxFile, model: ModelProto): OnnxFile {
  return { path: file.path, folder: file.folder, bytes: new Uint8Array(), model };
}

/** @returns inputs for reading levels, in the shapes that the analysis saw. */
function feedsOf({ inputs, sizes }: Analysis, seed: number, options: StripOptions): Feeds {
  const batched = inputs.find((i) => i.batchAxis !== undefined);
  const batch = batched ? batched.shape[batched.batchAxis!] : 1;
  return makeFeeds(inputs, batch, sizes, seed + 1, options.samples?.[0]);
}

/** @returns inputs to prove by: the samples, else drawn ones; at batch 1 and at another one where the batch is free. */
function runsOf(analysis: Analysis, seed: number, options: StripOptions): Feeds[] {
  const { inputs, sizes, batch } = analysis;
  const free = batch.kind === 'free';
  const { samples = [] } = options;
  if (samples.length > 0) {
    const rows = samples.map((feeds) => rowsOf(analysis, feeds));
    const missing = free ? [...(rows.includes(1) ? [] : [1]), ...(rows.some((n) => n > 1) ? [] : [3])] : [];
    return [...missing.map((n) => makeFeeds(inputs, n, sizes, seed + 2, samples[0])), ...samples];
  }
  const rows = rowsOf(analysis);
  return (free ? [1, 3] : [rows, rows]).map((n, i) => makeFeeds(inputs, n, sizes, seed + 2 + i));
}

/** Runs that the original does not take either (an index drawn beyond a batch of one) prove nothing and are left out. */
async function proved(
  original: ModelProto,
  model: ModelProto,
  runs: readonly Feeds[],
  options: Parameters<typeof proveEqual>[3],
): Promise<{ runs: readonly Feeds[]; drift: StripDrift }> {
  try {
    return { runs, drift: await proveEqual(original, model, runs, options) };
  } catch (error) {
    if (!hasCode(error, 'MODEL_UNRUNNABLE')) throw error;
    const taken = await takenBy(original, runs);
    if (taken.length === 0 || taken.length === runs.length) throw error;
    return { runs: taken, drift: await proveEqual(original, model, taken, options) };
  }
}

/** @returns those of the inputs that a model runs on. */
async function takenBy(model: ModelProto, runs: readonly Feeds[]): Promise<Feeds[]> {
  const session = await openSession(model);
  const taken: Feeds[] = [];
  try {
    for (const feeds of runs) {
      try {
        await session.run(feeds);
        taken.push(feeds);
      } catch (error) {
        if (!hasCode(error, 'MODEL_UNRUNNABLE')) throw error;
      }
    }
    return taken;
  } finally {
    await session.close();
  }
}

/** @returns the batch of some inputs; without them, that of the run that was analysed. */
function rowsOf({ inputs }: Analysis, feeds?: Feeds): number {
  const batched = inputs.find((i) => i.batchAxis !== undefined) ?? inputs.find((i) => i.dims.length > 0);
  if (!batched) return 1;
  return (feeds?.[batched.name]?.dims ?? batched.shape)[batched.batchAxis ?? 0];
}

/** @returns the float values from which whole-number outputs (a predicted class) are made. */
function floatsBehind(analysis: Analysis): string[] {
  const { graph } = analysis.file.model;
  const { producers } = indexGraph(graph);
  const found = new Set<string>();
  const outputs = new Set(graph.output.map((o) => o.name));
  const visited = new Set<string>();
  const open = [...outputs].filter((name) => {
    const dtype = analysis.values.get(name)?.dtype;
    return dtype !== undefined && !isFloat(dtype);
  });
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (visited.has(name)) continue;
    visited.add(name);
    const fact = analysis.values.get(name);
    if (fact?.known) continue;
    if (fact?.dtype && isFloat(fact.dtype) && producers.has(name)) {
      if (!outputs.has(name)) found.add(name);
    } else open.push(...(producers.get(name)?.input ?? []));
  }
  return [...found];
}
