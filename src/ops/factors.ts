import type { AxisRef, ChannelRelation, ChannelValue, Grid, Link, Pin } from './spec.js';

/** Consecutive axes of one shape that hold the same elements as consecutive axes of another; size-1 axes are left out. */
export interface Factors {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** @returns the finest split of two shapes of equal size into consecutive axes of equal product. */
export function matchFactors(from: readonly number[], to: readonly number[]): Factors[] {
  const groups: Factors[] = [];
  const [a, b] = [axesAboveOne(from), axesAboveOne(to)];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const group = { from: [a[i]], to: [b[j]] };
    let [p, q] = [from[a[i++]], to[b[j++]]];
    while (p !== q) {
      if (p < q && i < a.length) {
        p *= from[a[i]];
        group.from.push(a[i++]);
      } else if (q < p && j < b.length) {
        q *= to[b[j]];
        group.to.push(b[j++]);
      } else return [];
    }
    groups.push(group);
  }
  return groups;
}

/**
 * The channel relation of operators that keep elements in order and regroup axes (Reshape, Flatten, Squeeze, Unsqueeze).
 *
 * Axes that are only carried over keep their channels. Merged axes make a grid: index `j` of [C, H, W] → [C·H·W] belongs
 * to channel ⌊j / (H·W)⌋, or to column j mod W; likewise where an axis is split. Where several axes become several others
 * ([N, H·D] → [N·H, D]), the outermost ones may be cut, or the innermost ones; those between are pinned.
 */
export function regrouping(op: string, x: ChannelValue, y: ChannelValue): ChannelRelation {
  const links: Link[] = [];
  const pins: Pin[] = [];
  const grids: Grid[] = [];
  for (const { from, to } of matchFactors(x.shape, y.shape)) {
    const [outer, inner] = [at(x, from[0]), at(y, to[0])];
    const shapes = `[${from.map((i) => x.shape[i])}] → [${to.map((i) => y.shape[i])}]`;
    const why = `${op} ${shapes} makes a grid of which the other direction is taken`;
    if (from.length === 1 && to.length === 1) links.push({ from: outer, to: inner, constants: 'same' });
    else if (to.length === 1) grids.push({ options: digits(x, from, inner), why });
    else if (from.length === 1) grids.push({ options: digits(y, to, outer), why });
    else {
      const splits = `${op} ${shapes} splits the indices of this axis`;
      const ends = [nested(outer, inner, 'outer'), nested(at(x, from.at(-1)!), at(y, to.at(-1)!), 'inner')];
      const options = ends.flatMap((o) => o ?? []);
      if (options.length > 0) grids.push({ options, why });
      const open = options.flatMap(({ link }) => [link.from, link.to]);
      for (const ref of [...from.map((axis) => at(x, axis)), ...to.map((axis) => at(y, axis))]) {
        if (!open.some((o) => o.value === ref.value && o.axis === ref.axis)) pins.push({ at: ref, why: splits });
      }
    }
  }
  return { links, pins, grids };
}

/**
 * Two axes at the same end of axes that become others: the indices of the shorter one are blocks of consecutive ones of the
 * longer (outer), or their remainders (inner). @returns nothing where neither size divides the other
 */
function nested(a: AxisRef, b: AxisRef, end: 'outer' | 'inner'): Grid['options'][number] | undefined {
  const [p, q] = [a.value.shape[a.axis], b.value.shape[b.axis]];
  const [from, to, small, large] = p <= q ? [a, b, p, q] : [b, a, q, p];
  if (large % small !== 0) return undefined;
  const map = digit(large, end === 'outer' ? large / small : 1, small);
  return { axis: from, link: { from, to, map, constants: 'same' } };
}

function at(value: ChannelValue, axis: number): AxisRef {
  return { value, axis };
}

/** @returns for each of some axes how its indices lie in the one axis that all of them make. */
function digits(value: ChannelValue, axes: readonly number[], whole: AxisRef): Grid['options'] {
  const size = whole.value.shape[whole.axis];
  let inner = size;
  return axes.map((axis) => {
    const own = value.shape[axis];
    inner /= own;
    return {
      axis: at(value, axis),
      link: { from: at(value, axis), to: whole, map: digit(size, inner, own), constants: 'same' },
    };
  });
}

function axesAboveOne(shape: readonly number[]): number[] {
  return shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
}

/** @returns the digit of each number below `size` that counts blocks of `inner`, in base `base`. */
function digit(size: number, inner: number, base: number): Int32Array {
  return Int32Array.from({ length: size }, (_, i) => Math.floor(i / inner) % base);
}
