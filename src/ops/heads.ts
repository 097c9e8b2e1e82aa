import { pinsOf } from './links.js';
import type { AxisRef, ChannelValue, Link, Pin } from './spec.js';

/*
 * Attention weighs the values of a head by what its queries make of its keys. A head is cut whole: its queries and keys are
 * of no use where its values are zero, or where nothing reads what it gives. Where several heads of queries share one of
 * keys and values, they go together with it.
 */

/** Why samples and positions of an attention stay. */
const betweenPositions = 'every position attends to the others of its sample';

/** Where the operands of an attention hold their heads: axes of `blocks` equal blocks. */
export interface Heads {
  readonly blocks: number;
  readonly query: AxisRef;
  readonly key: AxisRef;
  readonly value: AxisRef;
  readonly output: AxisRef;
  /** Of blocks whose values get a bias: tells whether it is zero. */
  readonly isQuiet?: (block: number) => boolean;
  /** Other operands with an index per head of queries. */
  readonly perHead?: readonly AxisRef[];
}

/** @returns the links of the heads; they combine as a product, of which the values alone can be zero. */
export function headLinks({ blocks, query, key, value, output, isQuiet, perHead = [] }: Heads): Link[] {
  const own = sizeIn(value) / blocks;
  const wide = sizeIn(output) / blocks;
  const blockOf = (j: number): number => Math.floor(j / wide);
  const along = (which: boolean): Int32Array =>
    Int32Array.from({ length: sizeIn(output) }, (_, j) =>
      (isQuiet?.(blockOf(j)) ?? true) === which ? blockOf(j) * own + (j % own) : -1,
    );
  return [
    ...[query, key, ...perHead].flatMap((from) => wholeBlocks(from, output, blocks, 'never')),
    { from: value, to: output, map: along(true), constants: 'zero' },
    ...(isQuiet ? [{ from: value, to: output, map: along(false), constants: 'never' as const }] : []),
  ];
}

/** @returns links by which every index of a block reaches all of the same block; `offset` is where the blocks begin. */
export function wholeBlocks(
  from: AxisRef,
  to: AxisRef,
  blocks: number,
  constants: Link['constants'],
  { offset = 0, size = sizeIn(from) }: { offset?: number; size?: number } = {},
): Link[] {
  const [each, wide] = [size / blocks, sizeIn(to) / blocks];
  return Array.from({ length: each }, (_, k): Link => ({
    from,
    to,
    map: Int32Array.from({ length: sizeIn(to) }, (_, j) => offset + Math.floor(j / wide) * each + k),
    constants,
  }));
}

/** @returns the axis of a mask or a bias on scores [batch, heads, queries, keys] that tells heads apart, if any. */
export function headAxis(value: ChannelValue | undefined, heads: number): AxisRef[] {
  const axis = (value?.shape.length ?? 0) - 3;
  return value && axis >= 0 && value.shape[axis] === heads && heads > 1 ? [{ value, axis }] : [];
}

/** @returns pins of all that an attention keeps: samples and positions of its operands, and of what is added to scores. */
export function positionPins(
  operands: readonly ChannelValue[],
  { positions, scores, heads }: { positions: number; scores?: ChannelValue; heads: number },
): Pin[] {
  const perHead = headAxis(scores, heads).map(({ axis }) => axis);
  return [
    ...operands.flatMap((x) => [0, positions].map((axis) => ({ at: { value: x, axis }, why: betweenPositions }))),
    ...(scores ? pinsOf(scores, betweenPositions).filter(({ at }) => !perHead.includes(at.axis)) : []),
  ];
}

/** @returns whether the numbers from `begin` on are all zero in every run. */
export function isZeroFrom(value: ChannelValue, begin: number, count: number): boolean {
  if (value.known?.stable !== 'all') return false;
  const data = value.known.tensor.data as ArrayLike<number>;
  // Half precisions are bit patterns: their negative zero counts as something else.
  for (let i = begin; i < begin + count; i++) if ((data[i] as number) !== 0) return false;
  return true;
}

function sizeIn({ value, axis }: AxisRef): number {
  return value.shape[axis];
}
