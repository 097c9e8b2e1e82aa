import { logitsOf } from '../shape/logits.js';
import type { Analysis } from '../shape/analyse.js';
import type { Session } from '../runtime/session.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import { batches, type Evaluation, type EvaluateOptions, type LabelledBatches, rows } from './accuracy.js';
import { meaningOf, type OutputMeaning } from './outputs.js';
import { predictionsOf } from './predictions.js';

/*
 * Comes in: two models and samples without labels. Goes out: how far the one answers as the other does. Whether either is
 * right is not known here.
 */

/**
 * Runs two models on the same samples. Of a classifier (any loss but mean-squared-error) `accuracy` is the share of
 * predictions that are the same. Of any other model it is V/(V + D), the mean over its outputs: V is how far an output varies
 * from sample to sample, Σ(b − mean b)², and D the difference, Σ(a − b)². A half says no more of a sample than the mean does.
 */
export async function agreement(
  session: Session,
  like: Session,
  data: LabelledBatches,
  indices: readonly number[] | Uint32Array,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { loss, output } = options;
  const classes = loss === 'mean-squared-error' ? undefined : counted(output, loss === 'binary-cross-entropy');
  const numbers = new Map<string, Spread>();
  for await (const { inputs, count, run } of batches(session, data, indices, options)) {
    const [own, theirs] = [await session.run(inputs), await like.run(inputs)];
    const part = (tensor: Tensor) => (count < run ? rows(tensor, count) : tensor);
    if (classes) classes.add(own, theirs, part);
    else for (const { name } of like.outputs) add(numbers, name, part(own[name]), part(theirs[name]), count);
  }
  const shares = [...numbers.values()].map(shareOf).filter(Number.isFinite);
  const mean = shares.length === 0 ? null : shares.reduce((a, b) => a + b, 0) / shares.length;
  return {
    samples: indices.length,
    accuracy: classes ? classes.share() : mean,
    loss: null,
    predictions: new Int32Array(),
    margins: new Float64Array(),
  };
}

/**
 * @returns whether classes are all that a model gives: its outputs follow from the same scores, by a Softmax or ArgMax
 * along axis 1, or a Sigmoid of a single score
 */
export function classifies({ file: { model }, values }: Analysis): boolean {
  const { graph } = model;
  const producers = new Map(graph.node.flatMap((n) => n.output.map((o) => [o, n] as const)));
  const scores = graph.output.map((o) => logitsOf(o.name, producers, (v) => values.get(v)?.dtype)?.value);
  if (scores.some((s) => s === undefined || s !== scores[0])) return false;
  const { kind, scores: of, axis = 0 } = meaningOf(model);
  const shape = values.get(of)?.shapes[0] ?? [];
  if (kind === 'sigmoid') return sizeOf(shape.slice(1)) === 1;
  // Where a Reshape follows a Softmax its axis is no longer one of the output.
  const same = String(values.get(scores[0]!)?.shapes[0]) === String(shape);
  const rank = shape.length;
  return kind !== 'scores' && same && rank >= 2 && (axis < 0 ? axis + rank : axis) === 1 && shape[1] > 1;
}

function counted(output: OutputMeaning, everyScore: boolean) {
  let same = 0;
  let judged = 0;
  const read = (results: Record<string, Tensor>, part: (tensor: Tensor) => Tensor) => {
    const scores = results[output.scores];
    const kind = scores && output.kind === 'classes' ? 'scores' : output.kind;
    const tensor = part(scores ?? results[output.name]);
    if (!everyScore) return predictionsOf(tensor, kind)?.classes;
    const limit = kind === 'sigmoid' ? 0.5 : 0;
    return Int32Array.from(toFloat32(tensor).data, (x) => (x > limit ? 1 : 0));
  };
  return {
    add(own: Record<string, Tensor>, theirs: Record<string, Tensor>, part: (tensor: Tensor) => Tensor) {
      const [a, b] = [read(own, part), read(theirs, part)];
      if (!a || !b) return;
      for (let i = 0; i < b.length; i++) if (a[i] === b[i]) same++;
      judged += b.length;
    },
    share: () => (judged > 0 ? same / judged : null),
  };
}

/** Of one output: the squared differences, and per element of a sample what its variance is made of. */
interface Spread {
  samples: number;
  differences: number;
  readonly sums: Float64Array;
  readonly squares: Float64Array;
}

function add(all: Map<string, Spread>, name: string, own: Tensor, theirs: Tensor, samples: number): void {
  if (!isFloat(theirs.dtype)) return;
  const [a, b] = [toFloat32(own).data, toFloat32(theirs).data];
  const each = b.length / samples;
  const spread = all.get(name) ?? {
    samples: 0,
    differences: 0,
    sums: new Float64Array(each),
    squares: new Float64Array(each),
  };
  all.set(name, spread);
  spread.samples += samples;
  for (let i = 0; i < b.length; i++) {
    if (Object.is(a[i], b[i]) && !Number.isFinite(b[i])) continue;
    spread.differences += (a[i] - b[i]) ** 2;
    spread.sums[i % each] += b[i];
    spread.squares[i % each] += b[i] ** 2;
  }
}

/** Rounding is no disagreement: of an output that hardly varies, its size counts a little too. */
const LEAST_SPREAD = 1e-6;

function shareOf({ samples, differences, sums, squares }: Spread): number {
  const square = squares.reduce((a, b) => a + b, 0);
  const variation = square - sums.reduce((sum, s) => sum + s * s, 0) / samples;
  if (differences === 0) return 1;
  const spread = Math.max(0, variation) + LEAST_SPREAD * square;
  return spread / (spread + differences);
}
