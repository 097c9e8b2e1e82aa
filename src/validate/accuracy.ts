import { CgesError } from '../errors.js';
import type { LossName } from '../options.js';
import type { Session } from '../runtime/session.js';
import type { Tensor } from '../tensor/tensor.js';
import { lossOf } from './loss.js';
import type { OutputMeaning } from './outputs.js';
import { predictionsOf } from './predictions.js';

/** Samples made ready for a model: the batch axis is the first one of every tensor. */
export interface LabelledBatches {
  gather(indices: ArrayLike<number>): Promise<{
    readonly inputs: Readonly<Record<string, Tensor>>;
    readonly targets?: Tensor;
  }>;
}

export interface EvaluateOptions {
  readonly loss: LossName;
  readonly output: OutputMeaning;
  /** Samples per run where the model's batch axis is free. Default 128. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
}

/** What a model makes of labelled samples. */
export interface Evaluation {
  readonly samples: number;
  /** Share of right predictions, or `null` for a regression; see `agreement` for what it is without labels. */
  readonly accuracy: number | null;
  /** Mean loss, or `null` where the model gives class numbers only. */
  readonly loss: number | null;
  /** Predicted classes and their margins, sample after sample; empty for a regression. */
  readonly predictions: Int32Array;
  readonly margins: Float64Array;
}

/** Runs a model over the samples at `indices` and holds its output against their targets. */
export async function evaluate(
  session: Session,
  data: LabelledBatches,
  indices: readonly number[] | Uint32Array,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { loss, output } = options;
  const classifies = loss !== 'mean-squared-error';
  const predictions: Int32Array[] = [];
  const margins: Float64Array[] = [];
  let right = 0;
  let judged = 0;
  let lossSum = 0;
  let lossTerms = 0;
  const fetches = output.scores === output.name ? [output.name] : [output.name, output.scores];
  const offered = new Set(session.outputs.map((o) => o.name));
  const wanted = fetches.filter((name) => offered.has(name));

  for await (const { inputs, targets, count } of batches(session, data, indices, options)) {
    const results = await session.run(inputs, wanted);
    if (!targets) throw new CgesError('DATA_LABELS', 'the data has no labels to judge the model by');
    const readable = results[output.scores] ?? results[output.name];
    const kind = results[output.scores] && output.kind === 'classes' ? 'scores' : output.kind;
    const scores = rows(readable, count);
    const labels = rows(targets, count);
    const term = lossOf(loss, kind, scores, labels);
    if (term) {
      lossSum += term.mean * term.terms;
      lossTerms += term.terms;
    }
    const predicted = classifies ? predictionsOf(scores, kind) : undefined;
    if (!predicted) continue;
    predictions.push(predicted.classes);
    margins.push(predicted.margins);
    right += agreeing(predicted.classes, labels);
    judged += predicted.classes.length;
  }
  return {
    samples: indices.length,
    accuracy: judged > 0 ? right / judged : null,
    loss: lossTerms > 0 ? lossSum / lossTerms : null,
    predictions: join(predictions, (n) => new Int32Array(n)),
    margins: join(margins, (n) => new Float64Array(n)),
  };
}

/** @returns the batch size that a model insists on, or undefined where its batch axis is free. */
export function literalBatch(session: Session): number | undefined {
  const sizes = session.inputs.map((port) => port.shape?.[0]);
  return sizes.every((n): n is number => typeof n === 'number') && sizes.length > 0 ? sizes[0] : undefined;
}

/** Batches of the size that the model takes (`run`); the last one is filled up with its own samples where that size is literal. */
export async function* batches(
  session: Session,
  data: LabelledBatches,
  indices: readonly number[] | Uint32Array,
  options: EvaluateOptions,
) {
  const literal = literalBatch(session);
  const size = literal ?? options.batch ?? 128;
  for (let start = 0; start < indices.length; start += size) {
    if (options.signal?.aborted) throw new CgesError('INTERRUPTED', 'stopped while a model was being evaluated');
    const chosen = Array.from(indices.slice(start, start + size));
    const count = chosen.length;
    while (literal && chosen.length < literal) chosen.push(chosen[chosen.length % count]);
    const { inputs, targets } = await data.gather(chosen);
    yield { inputs, targets, count, run: chosen.length };
  }
}

/** @returns the first `count` rows of a tensor, as a view. */
export function rows(tensor: Tensor, count: number): Tensor {
  const have = tensor.dims[0] ?? 1;
  if (have <= count || tensor.dims.length === 0) return tensor;
  const size = (tensor.data.length / have) * count;
  const data = Array.isArray(tensor.data) ? tensor.data.slice(0, size) : tensor.data.subarray(0, size);
  return { dtype: tensor.dtype, dims: [count, ...tensor.dims.slice(1)], data };
}

function agreeing(classes: Int32Array, labels: Tensor): number {
  const wanted = labels.data as ArrayLike<number | bigint>;
  if (wanted.length !== classes.length) {
    throw new CgesError('DATA_LABELS', `${wanted.length} labels do not fit ${classes.length} predictions`);
  }
  let right = 0;
  for (let i = 0; i < classes.length; i++) if (classes[i] === Number(wanted[i])) right++;
  return right;
}

function join<T extends Int32Array | Float64Array>(parts: readonly T[], make: (size: number) => T): T {
  const whole = make(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
