import { sameShape } from '../../onnx/builder.js';
import { matchFactors } from '../../ops/factors.js';

/*
 * A value keeps the shape that ONNX gives it; what may differ is how it lies in memory. An order names, for every place in
 * memory from the slowest to the fastest, the axis that lies there: [0, 1, 2, 3] is row-major, [0, 2, 3, 1] has channels
 * last. Axes of size 1 lie anywhere.
 */
export type Order = readonly number[];

/** Row-major. */
export function plain(rank: number): Order {
  return Array.from({ length: rank }, (_, i) => i);
}

/** Axis 1 last: what TensorFlow's convolutions and pools read. */
export function channelsLast(rank: number): Order {
  return rank < 3 ? plain(rank) : [0, ...plain(rank).slice(2), 1];
}

/** [O, I, ...k] with the channels last, inputs before outputs: kernels as TensorFlow reads them. */
export function kernelOrder(rank: number): Order {
  return [...plain(rank).slice(2), 1, 0];
}

/** @returns the shape in memory. */
export function laid(shape: readonly number[], order: Order): number[] {
  return order.map((axis) => shape[axis]);
}

/** @returns the order without axes of size 1. */
export function essence(shape: readonly number[], order: Order): number[] {
  return order.filter((axis) => shape[axis] !== 1);
}

/** @returns true where the elements lie alike, whatever the shape in memory. */
export function alike(shape: readonly number[], a: Order, b: Order): boolean {
  return sameShape(essence(shape, a), essence(shape, b));
}

export function isPlain(shape: readonly number[], order: Order): boolean {
  return essence(shape, order).every((axis, i, all) => i === 0 || all[i - 1] < axis);
}

/** @returns the order of what `Transpose` with `perm` makes of a value that stays where it lies. */
export function transposed(order: Order, perm: readonly number[]): Order {
  const to = new Array<number>(perm.length);
  perm.forEach((from, axis) => (to[from] = axis));
  return order.map((axis) => to[axis]);
}

/** @returns the order of what is left when some axes are taken away. */
export function without(order: Order, axes: ReadonlySet<number>): Order {
  const left = [...order].filter((axis) => !axes.has(axis));
  const sorted = [...left].sort((a, b) => a - b);
  return left.map((axis) => sorted.indexOf(axis));
}

/**
 * @returns the order of what `Reshape` makes of a value that stays where it lies, or undefined where its elements would
 *   come in another order: axes that are split or joined must lie side by side.
 */
export function reshaped(from: readonly number[], order: Order, to: readonly number[]): Order | undefined {
  if (isPlain(from, order)) return plain(to.length);
  const groups = matchFactors(from, to);
  const rest = essence(from, order);
  const found: number[] = [];
  while (rest.length > 0) {
    const group = groups.find((g) => g.from[0] === rest[0]);
    if (!group || group.from.some((axis, i) => rest[i] !== axis)) return undefined;
    rest.splice(0, group.from.length);
    found.push(...group.to);
  }
  // An axis of size 1 lies behind the one that it follows: padded or joined with it, it stays where it is.
  for (const axis of plain(to.length).filter((a) => to[a] === 1)) found.splice(found.indexOf(axis - 1) + 1, 0, axis);
  return found;
}
