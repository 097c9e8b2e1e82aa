import { dtypeCodes, float32, int64, type Tensor } from '../tensor/tensor.js';
import type { Formula } from './formula.js';
import type { NormaliseContext } from './spec.js';

/** The named operands of an attention, [batch, heads, positions, size] each. */
export interface Spelling {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly scale: number;
  /** What is added to the scores [batch, heads, queries, keys], one after the other. */
  readonly added?: readonly string[];
}

/** Spells out softmax(Q·Kᵀ · scale + what is added)·V, head by head. */
export function weighted(
  formula: Formula,
  { query, key, value, scale, added = [] }: Spelling,
  output?: string,
): string {
  const product = formula.apply('MatMul', [query, formula.apply('Transpose', [key], { perm: [0, 1, 3, 2] })]);
  const scaled = formula.apply('Mul', [product, formula.scalar(scale)]);
  const scores = added.reduce((sum, term) => formula.apply('Add', [sum, term]), scaled);
  return formula.apply('MatMul', [formula.apply('Softmax', [scores], { axis: -1 }), value], {}, output);
}

/** [batch, positions, heads · size] → [batch, heads, positions, size] */
export function intoHeads(formula: Formula, x: string, heads: number): string {
  const split = formula.apply('Reshape', [x, formula.ints([0, 0, heads, -1])]);
  return formula.apply('Transpose', [split], { perm: [0, 2, 1, 3] });
}

/** [batch, heads, positions, size] → [batch, positions, heads · size] */
export function outOfHeads(formula: Formula, x: string, output: string): void {
  const rows = formula.apply('Transpose', [x], { perm: [0, 2, 1, 3] });
  formula.apply('Reshape', [rows, formula.ints([0, 0, -1])], {}, output);
}

/** @returns some of the last axis of a value. */
export function slicedLast(formula: Formula, x: string, begin: number, end: number): string {
  return formula.apply('Slice', [x, formula.ints([begin]), formula.ints([end]), formula.ints([-1])]);
}

/** What com.microsoft attentions take for a mask, where all sizes are known. */
export interface Masked {
  readonly mask: string;
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  /** What is added where a key is masked. */
  readonly filter: number;
}

/**
 * Spells out what a mask adds to the scores: it holds 1 for each key that counts, per sample or per query as well, or the
 * number of keys of every sample. @returns its name, or undefined for other forms
 */
export function maskTerm(
  formula: Formula,
  context: NormaliseContext,
  { mask, batch, queries, keys, filter }: Masked,
): string | undefined {
  const shape = context.shape(mask)?.join();
  const asTerm = (counts: string, axes: readonly number[]): string => {
    const real = formula.apply('Cast', [counts], { to: dtypeCodes.float32 });
    const term = formula.apply('Mul', [formula.apply('Sub', [formula.scalar(1), real]), formula.scalar(filter)]);
    return formula.apply('Unsqueeze', [term, formula.ints(axes)]);
  };
  if (shape === `${batch},${keys}`) return asTerm(mask, [1, 2]);
  if (shape === `${batch},${queries},${keys}`) return asTerm(mask, [1]);
  if (shape !== `${batch}`) return undefined;
  const places = context.constant(
    int64(
      [1, keys],
      Array.from({ length: keys }, (_, i) => i),
    ),
  );
  const counts = formula.apply('Unsqueeze', [
    formula.apply('Cast', [mask], { to: dtypeCodes.int64 }),
    formula.ints([1]),
  ]);
  return asTerm(formula.apply('Less', [places, counts]), [1, 2]);
}

/** @returns −∞ where a key comes after the query, else 0. */
export function causal(queries: number, keys: number): Tensor {
  const data = Array.from({ length: queries * keys }, (_, i) =>
    i % keys > Math.floor(i / keys) ? Number.NEGATIVE_INFINITY : 0,
  );
  return float32([queries, keys], data);
}
