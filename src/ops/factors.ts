import type { ChannelRelation, ChannelValue, Link, Pin } from './spec.js';

/** Consecutive axes of one shape that hold the same elements as consecutive axes of another; size-1 axes are left out. */
export interface Factors {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** @returns the finest split of two shapes of equal size into consecutive axes of equal product. */
export function matchFactors(from: readonly number[], to: readonly number[]): Factors[] {
  const groups: Factors[] = [];
  const [a, b] = [axesAboveOne(from), axesAboveOne(to)];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
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
 * Axes that are only carried over keep their channels. Where axes are merged or split, row-major order makes every index
 * of the outermost axis a block of consecutive indices: merged [C, H, W] → [C·H·W], index j belongs to channel
 * ⌊j / (H·W)⌋; split [C] → [G, C/G], block g stands for C/G channels. The inner axes of such a group are pinned: together
 * with the outer one they would make grids, not lists, of removable indices.
 */
export function regrouping(op: string, x: ChannelValue, y: ChannelValue): ChannelRelation {
  const links: Link[] = [];
  const pins: Pin[] = [];
  const at = (value: ChannelValue, axis: number) => ({ value, axis });
  for (const { from, to } of matchFactors(x.shape, y.shape)) {
    const [p, q] = [from[0], to[0]];
    const [outer, inner] = [x.shape[p], y.shape[q]];
    if (outer === inner) links.push({ from: at(x, p), to: at(y, q), constants: 'same' });
    else if (inner % outer === 0) {
      links.push({ from: at(x, p), to: at(y, q), map: blocks(inner, inner / outer), constants: 'same' });
    } else if (outer % inner === 0) {
      links.push({ from: at(y, q), to: at(x, p), map: blocks(outer, outer / inner), constants: 'same' });
    } else {
      const why = `${op} regroups ${outer} channels into ${inner}`;
      pins.push({ at: at(x, p), why }, { at: at(y, q), why });
    }
    const why = `${op} interleaves this axis with [${from.map((i) => x.shape[i])}] → [${to.map((i) => y.shape[i])}]`;
    for (const axis of from.slice(1)) pins.push({ at: at(x, axis), why });
    for (const axis of to.slice(1)) pins.push({ at: at(y, axis), why });
  }
  return { links, pins };
}

function axesAboveOne(shape: readonly number[]): number[] {
  return shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
}

function blocks(size: number, block: number): Int32Array {
  return Int32Array.from({ length: size }, (_, i) => Math.floor(i / block));
}
