import { CgesError } from '../errors.js';
import type { Drift } from '../report/schema.js';
import type { Session } from '../runtime/session.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import type { Tensor } from '../tensor/tensor.js';
import type { OutputMeaning } from './outputs.js';
import { predictionsOf } from './predictions.js';

/** A prediction may change where its margin is at most this many times the drift: rounding explains it. */
export const MARGIN_FACTOR = 10;

export interface DriftOptions {
  readonly against: Drift['against'];
  /** The output that holds predictions; without it only numbers are compared. */
  readonly output?: OutputMeaning;
  readonly signal?: AbortSignal;
}

/** Runs two models on the same inputs and measures how far their outputs lie apart. */
export async function measureDrift(
  a: Session,
  b: Session,
  batches: Iterable<Readonly<Record<string, Tensor>>> | AsyncIterable<Readonly<Record<string, Tensor>>>,
  options: DriftOptions,
): Promise<Drift> {
  const { output, signal } = options;
  const names = a.outputs.map((o) => o.name);
  const missing = names.filter((name) => !b.outputs.some((o) => o.name === name));
  if (missing.length > 0) {
    throw new CgesError('MODEL_INVALID', `the second model has no output named ${missing.join(', ')}`, {
      hint: 'models can only be compared when their outputs have the same names',
    });
  }
  // Class numbers differ by whole classes, which is no drift: where their scores can be read, these are compared.
  const readable = output?.kind === 'classes' && names.includes(output.scores);
  const judged = readable ? names.filter((name) => name !== output.name) : names;
  const gaps = new Map(judged.map((name) => [name, { difference: 0, largest: 0 }]));
  const margins: number[] = [];
  let samples = 0;
  let predictions = 0;

  for await (const feeds of batches) {
    if (signal?.aborted) throw new CgesError('INTERRUPTED', 'stopped while two models were being compared');
    const [x, y] = [await a.run(feeds, names), await b.run(feeds, names)];
    samples += Object.values(feeds)[0]?.dims[0] ?? 1;
    for (const name of judged) widen(gaps.get(name)!, x[name], y[name], name);
    if (!output) continue;
    const [p, q] = [x, y].map((r) => readPredictions(r, output));
    if (!p || !q) continue;
    predictions += p.classes.length;
    for (let i = 0; i < p.classes.length; i++) if (p.classes[i] !== q.classes[i]) margins.push(p.margins[i]);
  }

  const maxAbsolute = Math.max(0, ...[...gaps.values()].map((g) => g.difference));
  const scores = output && gaps.get(output.scores);
  const explaining = scores?.difference ?? maxAbsolute;
  return {
    against: options.against,
    samples,
    maxAbsolute,
    maxRelative: Math.max(
      0,
      ...[...gaps.values()].map((g) => (g.difference === 0 ? 0 : g.difference / (g.largest || 1))),
    ),
    agreement: predictions > 0 ? 1 - margins.length / predictions : null,
    differing: margins.length,
    unexplained: margins.filter((m) => !(m <= MARGIN_FACTOR * explaining)).length,
  };
}

function readPredictions(results: Record<string, Tensor>, output: OutputMeaning) {
  const scores = results[output.scores];
  if (scores) return predictionsOf(scores, output.kind === 'classes' ? 'scores' : output.kind);
  return results[output.name] && predictionsOf(results[output.name], output.kind);
}

/** Widens the gap of one output by one batch. Where both hold NaN or the same infinity there is none. */
function widen(gap: { difference: number; largest: number }, x: Tensor, y: Tensor, name: string): void {
  if (x.data.length !== y.data.length) {
    throw new CgesError('VALIDATION_FAILED', `output shapes differ: [${x.dims}] and [${y.dims}]`, { value: name });
  }
  if (Array.isArray(x.data) || Array.isArray(y.data)) return;
  const [p, q] = [numbers(x), numbers(y)];
  for (let i = 0; i < p.length; i++) {
    if (Object.is(p[i], q[i])) {
      if (Number.isFinite(p[i])) gap.largest = Math.max(gap.largest, Math.abs(p[i]));
      continue;
    }
    const difference = Math.abs(p[i] - q[i]);
    gap.difference = Math.max(gap.difference, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    if (Number.isFinite(p[i])) gap.largest = Math.max(gap.largest, Math.abs(p[i]));
  }
}

/** @returns the elements as numbers, whatever they are stored in. */
function numbers(tensor: Tensor): ArrayLike<number> {
  const { data } = isFloat(tensor.dtype) && tensor.dtype !== 'float64' ? toFloat32(tensor) : tensor;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, Number);
  return data as Exclude<typeof data, string[]>;
}
