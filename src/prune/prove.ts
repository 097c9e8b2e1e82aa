import { CgesError, hasCode } from '../errors.js';
import type { ModelProto } from '../onnx/proto.js';
import { openSession, type Session } from '../runtime/session.js';
import { openFed } from '../shape/fed.js';
import { isFloat } from '../tensor/half.js';
import { type DType, dtypeOf, type Tensor } from '../tensor/tensor.js';
import { numbersOf } from './contents.js';
import { quantaOf, roundsToLevels } from './quanta.js';

export type Feeds = Readonly<Record<string, Tensor>>;

/** How far a stripped model's outputs lie from those of the model it was cut from, on the same inputs. */
export interface StripDrift {
  /** Runs that were compared. */
  readonly runs: number;
  /** Largest |a − b| over all outputs, and the largest as a share of the largest |a| of its output. */
  readonly maxAbsolute: number;
  readonly maxRelative: number;
  /** What onnxruntime's own graph optimisations change in the original, as such a share; looked at only where more than the tolerance differs. */
  readonly rounding?: number;
  /** Where only the models as they are agree closely, not as onnxruntime fuses them: by how much, as such a share. */
  readonly plain?: number;
  /** The outputs of floats and of quantised numbers that were held to it, and the largest share that was allowed. */
  readonly outputs: readonly string[];
  readonly allowed: number;
  /** Elements of whole-number outputs (predicted classes) that differ, which a tie within rounding can do. */
  readonly differing: number;
}

/** Share of an output's magnitude by which float32 results may differ when sums are taken in another order. */
const FLOAT_ACCURACY = 1e-5;

/** A shallow cut through rounding: how many times what the optimiser changes still counts as rounding. */
const ROUNDING_FACTOR = 10;

/** One of 128 levels, as a share of an output's magnitude: what flips of single quanta may come to where nothing is exact. */
const LEVEL = 1 / 128;

/**
 * Two steps between neighbouring numbers, as a share of their magnitude, in the coarsest type that a model's weights and outputs
 * have: what sums in another order come to, rounded layer by layer. 0 for float32, which is finer than any tolerance here.
 */
export function spacingOf({ graph }: ModelProto): number {
  const spacing: Partial<Record<DType, number>> = { float16: 2 ** -9, bfloat16: 2 ** -6 };
  const outputs = graph.output.map((o) => o.type?.tensorType?.elemType);
  const types = new Set([...graph.initializer.map((t) => t.dataType), ...outputs]);
  return Math.max(0, ...[...types].map((code) => spacing[dtypeOf(code ?? 0) ?? 'float32'] ?? 0));
}

/** The widest that float32 rounds the difference of two neighbouring levels to. */
const ONE_QUANTUM = 1.001;

/**
 * Runs both models on the same inputs. Whole-number outputs are judged by the floats that they are made of, `behind`.
 * `stored`: the original is what `file` holds, and is loaded from there.
 *
 * A model that rounds to few levels does so where it runs as it is and where onnxruntime fuses it, but then of other sums
 * (it may even quantise weights of its own accord). In one of both ways the stripped model must agree to float accuracy,
 * or by one quantum of an output (see `quanta.ts`); where ties inside flip in both, by less than a level of 128.
 *
 * **Throws** VALIDATION_FAILED where they differ by more than rounding.
 */
export async function proveEqual(
  original: ModelProto,
  stripped: ModelProto,
  runs: readonly Feeds[],
  options: { behind?: readonly string[]; tolerance?: number; file?: string; stored?: boolean } = {},
): Promise<StripDrift> {
  const { behind = [], tolerance = FLOAT_ACCURACY, file, stored = false } = options;
  const open = (model: ModelProto, how: 'optimised' | 'as it is' | 'fed'): Promise<Session> => {
    const extra = behind.map((name) => ({ name, metadataProps: [] }));
    const graph = { ...model.graph, output: [...model.graph.output, ...extra] };
    const asked = { ...model, graph };
    if (how === 'fed') return openFed({ model: asked, path: file });
    return openSession(asked, { file, optimisation: how === 'optimised' ? 'all' : 'disabled' });
  };
  const levelled = roundsToLevels(original);
  const spacing = spacingOf(original);
  // Where sums are rounded to levels, weights are constants as they will be: packed ones are summed in another order.
  const plainly = levelled ? 'as it is' : 'fed';
  const fromFile = stored && file && behind.length === 0;
  // One after the other: two sessions of a large model at once would hold its weights twice. As it is and with weights that
  // are fed, the original costs least; how onnxruntime optimises and rounds it need not be known where that agrees.
  const unoptimised = await outputsOf(open(original, plainly), runs).catch(unlessRunnable);
  const candidate = await outputsOf(open(stripped, 'optimised'), runs);
  const close = !levelled && unoptimised && runs.every((_, i) => agree(unoptimised[i], candidate[i], tolerance));
  const plain = close ? undefined : unoptimised;
  const reference = close
    ? unoptimised
    : await outputsOf(fromFile ? openSession(file) : open(original, 'optimised'), runs);
  const plainCandidate = levelled ? await outputsOf(open(stripped, plainly), runs) : undefined;
  const quanta = levelled ? quantaOf(original, [...original.graph.output.map((o) => o.name), ...behind]) : new Map();
  const total = { maxAbsolute: 0, maxRelative: 0, allowed: 0, differing: 0 };
  let changed: number | undefined;
  const outputs = new Set<string>();
  let asIs: number | undefined;
  for (let run = 0; run < runs.length; run++) {
    const [a, same, b, cut] = [reference[run], plain?.[run], candidate[run], plainCandidate?.[run]];
    for (const [name, expected] of Object.entries(a)) {
      const rounding = same && distance(expected, same[name]);
      const drift = distance(expected, b[name]);
      if (!isFloat(expected.dtype as DType)) {
        if (!drift) throw failed(name, 'has another shape or type', file);
        total.differing += drift.differing;
        if (levels.has(expected.dtype as DType)) {
          const unfused = cut && same && distance(same[name], cut[name]);
          if (Math.min(drift.absolute, unfused?.absolute ?? drift.absolute) > 1) {
            throw failed(name, `differs by ${drift.absolute} levels`, file);
          }
          outputs.add(name);
          total.maxAbsolute = Math.max(total.maxAbsolute, drift.absolute);
          total.maxRelative = Math.max(total.maxRelative, drift.relative);
        }
        if (behind.length === 0 && drift.differing > (rounding?.differing ?? 0)) {
          throw failed(name, `differs in ${drift.differing} elements`, file);
        }
        continue;
      }
      if (isVoid(expected)) throw failed(name, 'cannot be compared: the model gives no numbers on these inputs', file);
      const quantum = ONE_QUANTUM * (quanta.get(name) ?? 0);
      const unfused = cut && same && distance(same[name], cut[name]);
      const limit = cut
        ? levelLimit({ tolerance, quantum, drift, rounding, plain: unfused })
        : Math.max(tolerance, ROUNDING_FACTOR * (rounding?.relative ?? 0), spacing);
      if (!drift || !(drift.relative <= limit)) {
        const by = drift ? `by ${drift.relative.toExponential(1)} of its magnitude` : 'in shape or type';
        throw failed(name, `differs ${by}; rounding explains ${limit.toExponential(1)}`, file);
      }
      outputs.add(name);
      if (unfused && drift.relative > tolerance && unfused.relative < drift.relative) {
        asIs = Math.max(asIs ?? 0, unfused.relative);
      }
      total.allowed = Math.max(total.allowed, limit);
      if (rounding) changed = Math.max(changed ?? 0, rounding.relative);
      total.maxAbsolute = Math.max(total.maxAbsolute, drift.absolute);
      total.maxRelative = Math.max(total.maxRelative, drift.relative);
    }
  }
  return {
    runs: runs.length,
    ...total,
    ...(changed !== undefined && { rounding: changed }),
    ...(asIs !== undefined && { plain: asIs }),
    outputs: [...outputs],
  };
}

/** Some kernels run only as onnxruntime optimises the model. */
function unlessRunnable(error: unknown): undefined {
  if (!hasCode(error, 'MODEL_UNRUNNABLE')) throw error;
}

/** Whether two models gave the same to float accuracy. */
function agree(a: Record<string, Tensor>, b: Record<string, Tensor>, tolerance: number): boolean {
  return Object.entries(a).every(([name, expected]) => {
    const found = distance(expected, b[name]);
    if (!found) return false;
    return isFloat(expected.dtype as DType) ? found.relative <= tolerance : found.differing === 0;
  });
}

async function outputsOf(opening: Promise<Session>, runs: readonly Feeds[]): Promise<Record<string, Tensor>[]> {
  const session = await opening;
  try {
    const outputs: Record<string, Tensor>[] = [];
    for (const feeds of runs) outputs.push(await session.run(feeds));
    return outputs;
  } finally {
    await session.close();
  }
}

/** Types of quantised numbers. */
const levels = new Set<DType>(['uint8', 'int8', 'uint16', 'int16']);

interface Compared {
  readonly tolerance: number;
  /** By how much one level moves the output; 0 where that is not known. */
  readonly quantum: number;
  readonly drift?: Distance;
  /** Between both ways of running the original. */
  readonly rounding?: Distance;
  /** Between both models, run as they are. */
  readonly plain?: Distance;
}

/** @returns the largest difference, as a share of the magnitude, that an output of a model on few levels may have. */
function levelLimit({ tolerance, quantum, drift, rounding, plain }: Compared): number {
  const own = drift && drift.absolute > 0 ? (quantum * drift.relative) / drift.absolute : 0;
  const close = Math.max(tolerance, own);
  const between = rounding?.relative ?? 0;
  if (drift && drift.relative <= close) return close;
  if (plain && (plain.relative <= tolerance || plain.absolute <= quantum)) return Math.max(close, 2 * between + own);
  return Math.max(close, Math.min(ROUNDING_FACTOR * between, LEVEL));
}

interface Distance {
  readonly absolute: number;
  readonly relative: number;
  readonly differing: number;
}

/** Whether nothing in a tensor is a number: what equals that proves nothing. */
function isVoid(tensor: Tensor): boolean {
  const numbers = numbersOf(tensor);
  if (!numbers) return false;
  let at = 0;
  while (at < numbers.length && Number.isNaN(numbers[at])) at++;
  return numbers.length > 0 && at === numbers.length;
}

/** @returns how far two tensors lie apart (NaN equals NaN), or undefined where their shapes or types differ. */
function distance(a: Tensor, b: Tensor): Distance | undefined {
  if (a.dtype !== b.dtype || a.dims.length !== b.dims.length || a.dims.some((d, i) => d !== b.dims[i]))
    return undefined;
  const [x, y] = [numbersOf(a), numbersOf(b)];
  if (!x || !y) {
    const differing = Array.isArray(a.data) ? a.data.filter((s, i) => s !== b.data[i]).length : 0;
    return { absolute: 0, relative: 0, differing };
  }
  let absolute = 0;
  let magnitude = 0;
  let differing = 0;
  for (let i = 0; i < x.length; i++) {
    if (Object.is(x[i], y[i]) || x[i] === y[i]) {
      const size = Math.abs(x[i]);
      if (size > magnitude && size < Number.POSITIVE_INFINITY) magnitude = size;
      continue;
    }
    differing++;
    const d = Math.abs(x[i] - y[i]);
    if (!(d <= absolute)) absolute = d;
    if (Math.abs(x[i]) > magnitude) magnitude = Math.abs(x[i]);
  }
  return { absolute, relative: absolute === 0 ? 0 : absolute / magnitude, differing };
}

function failed(value: string, what: string, file?: string): CgesError {
  return new CgesError('VALIDATION_FAILED', `after the strip, output '${value}' ${what}`, {
    value,
    ...(file && { file }),
    hint: 'nothing was written; --keep <name> holds the channels of a weight or node',
  });
}
