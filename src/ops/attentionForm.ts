import type { Formula } from './formula.js';

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
