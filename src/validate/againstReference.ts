import type { TrainingGraph } from '../shape/training-graph.js';
import { float32, sizeOf } from '../tensor/tensor.js';
import { transpose } from '../tensor/transpose.js';
import { product } from './differences.js';
import { type Gradients, usesOf } from './gradients.js';
import { type Lookups, paddingRowOf } from './paddingRow.js';
import { type Figures, filled, type Reference, type ReferenceGradient } from './reference.js';

/** What became of one parameter. */
export interface GradientCheck {
  readonly name: string;
  readonly shape: readonly number[];
  /** Norm of the compiled gradient, `null` where there is none. */
  readonly l2: number | null;
  /** What the reference says of it, `null` where it says nothing. */
  readonly expected: number | null;
  /** The worst difference of norm, projections or slopes, as a share of the norm; and how much is allowed. */
  readonly worst: number | null;
  readonly allowed: number | null;
  readonly verdict: 'ok' | 'WRONG' | 'uncertain' | 'refused' | 'not trained' | 'no reference';
  /** Why it is refused, not trained, or uncertain; what of a padding row the reference leaves out. */
  readonly why?: string;
}

/** By which a norm or projection may differ: so much of the norm, or so many times the reference's own noise. */
const TOLERANCE = 1e-3;
const NOISE_FACTOR = 3;
/** Where the reference knows nothing of its noise. */
export const BLIND_TOLERANCE = 1e-2;
/** A gradient below this share of the largest one counts as none. */
const NOTHING = 1e-6;
/** Figures that differ by less than this share of the largest gradient differ by rounding: the spacing of float32 numbers at 1. */
const ROUNDING = 2 ** -23;

/** A check, and the figures that were held against the reference. */
export interface Judged {
  readonly check: GradientCheck;
  readonly figures?: Figures;
}

/**
 * Holds compiled gradients against those of a reference, in its sense: where it sums over several initializers, leaves out the
 * lookups of a padding row, or knows nothing of an initializer's other uses, the figures are of that.
 */
export function againstReference(
  found: Gradients,
  graph: TrainingGraph,
  tables: Lookups['tables'],
  { params }: NonNullable<Reference['grad']>,
  dotSeeds: readonly number[],
): Judged[] {
  const uses = usesOf(graph);
  const largest = Math.max(0, ...Object.values(params).map((p) => p.l2));
  const inSum = new Map(
    Object.entries(params).flatMap(([name, p]) => (p.sumOver ?? []).map((part) => [part.name, name] as const)),
  );
  return [...uses].map(([name, all]): Judged => {
    const shape = graph.parameters.get(all[0])!.dims;
    const given = params[name];
    const refused = found.refused.get(name);
    const own = found.of.get(name) ?? new Float32Array(sizeOf(shape));
    const base = { name, shape, expected: given?.l2 ?? null, l2: null, worst: null, allowed: null };
    if (refused !== undefined) return { check: { ...base, verdict: 'refused', why: refused } };
    const unjudged = (why: string): Judged => {
      const figures = figuresOf(own, dotSeeds);
      return { check: { ...base, l2: figures.l2, verdict: 'no reference', why }, figures };
    };
    if (!given) {
      const whole = inSum.get(name);
      return unjudged(whole === undefined ? 'the reference does not speak of it' : `judged as a part of ${whole}`);
    }
    const sum = summed(own, shape, name, given, found, uses);
    if (typeof sum === 'string') return unjudged(sum);
    const allowed = given.noise === undefined ? BLIND_TOLERANCE : Math.max(TOLERANCE, NOISE_FACTOR * given.noise);
    const scale = Math.max(given.l2, NOTHING * largest, Number.MIN_VALUE);
    const offOf = ({ l2, dot }: Figures) =>
      Math.max(...[l2 - given.l2, ...dot.map((d, k) => d - given.dot[k])].map(Math.abs));
    const agrees = (figures: Figures) => offOf(figures) <= Math.max(allowed * scale, ROUNDING * largest);
    const judged = (figures: Figures, verdict: 'ok' | 'WRONG', why?: string): Judged => ({
      check: { ...base, l2: figures.l2, worst: offOf(figures) / scale, allowed, verdict, ...(why && { why }) },
      figures,
    });
    const whole = figuresOf(sum, dotSeeds);
    if (agrees(whole)) return judged(whole, 'ok');
    const table = tables.get(name);
    const apart = all.filter((use) => use !== table).map((use) => figuresOf(found.uses.get(use) ?? own, dotSeeds));
    const alone = apart.length > 1 ? apart.find(agrees) : undefined;
    if (alone) return judged(alone, 'ok', 'of one use alone: others of equal contents were merged with it');
    const looked = table === undefined ? undefined : found.uses.get(table);
    const padding = looked && paddingRowOf(sum, looked, shape[1], dotSeeds, agrees);
    if (!padding) return judged(whole, 'WRONG');
    return judged(
      padding.figures,
      'ok',
      `but for lookups of row ${padding.row}, which the reference takes for padding`,
    );
  });
}

/** @returns the gradient that the reference means: one of an initializer, or a sum over several; or why there is none. */
function summed(
  own: Float32Array,
  shape: readonly number[],
  name: string,
  { sumOver = [] }: ReferenceGradient,
  found: Gradients,
  uses: ReadonlyMap<string, readonly string[]>,
): Float32Array | string {
  let sum = own;
  for (const part of sumOver) {
    if (part.name === name) continue;
    if (!uses.has(part.name)) return `the reference sums it with ${part.name}, which is not trained`;
    if (found.refused.has(part.name)) return `the reference sums it with ${part.name}, which is refused`;
    const gradient = found.of.get(part.name);
    if (!gradient) continue;
    const turned = part.transposed ? transpose(float32(shape.toReversed(), gradient), [1, 0]).data : gradient;
    sum = sum.map((x, i) => x + Number(turned[i]));
  }
  return sum;
}

/** @returns the norm of a gradient, and its projections onto numbers that seeds draw. */
export function figuresOf(gradient: Float32Array, dotSeeds: readonly number[]): Figures {
  return {
    l2: Math.sqrt(product(gradient, gradient)),
    dot: dotSeeds.map((seed) => product(gradient, filled(gradient.length, { seed }))),
  };
}
