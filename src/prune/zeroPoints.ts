import type { ZeroPoint } from '../ops/spec.js';
import { stridesOf } from '../tensor/tensor.js';
import type { Channels } from './channels.js';
import { numbersOf } from './contents.js';

/** @returns numbers of a quantised tensor less what counts as zero in it. */
export function countedFromZero(
  data: ArrayLike<number> | undefined,
  dims: readonly number[],
  zero: ZeroPoint | undefined,
): ArrayLike<number> | undefined {
  const at = zero && zeroAt(zero, dims);
  return data && at ? Float64Array.from(data, (x, i) => x - at(i)) : data;
}

/** @returns what counts as zero for the element at an offset. */
export function zeroAt({ value, axis }: ZeroPoint, dims: readonly number[]): (offset: number) => number {
  const points = value.known && numbersOf(value.known.tensor);
  if (!points) throw new Error(`the zero point ${value.name} is not known`);
  if (axis === undefined) return () => points[0];
  const stride = stridesOf(dims)[axis];
  return (offset) => points[Math.floor(offset / stride) % dims[axis]];
}

/** @returns what counts as zero in parameters that are quantised, by name. */
export function zeroPointsOf({ nodes }: Channels): Map<string, ZeroPoint> {
  const found = new Map<string, ZeroPoint>();
  for (const { relation } of nodes.toReversed()) {
    for (const { of, zero } of relation.zeroPoints ?? []) if (of.known) found.set(of.name, zero);
    for (const { weight, weightZero } of relation.mixes ?? []) if (weightZero) found.set(weight.name, weightZero);
    // What is rearranged before it is read keeps a zero point that is the same everywhere.
    for (const { from, to } of relation.links ?? []) {
      const zero = found.get(to.value.name);
      const moved = from.value.known && to.value.known && from.value.dtype === to.value.dtype;
      if (moved && zero && zero.axis === undefined && !found.has(from.value.name)) found.set(from.value.name, zero);
    }
  }
  return found;
}
