import type { AxisRef, Mix } from '../ops/spec.js';
import { isFloat } from '../tensor/half.js';
import type { Channels } from './channels.js';
import { groupSizes } from './channels.js';
import { type Flow, isFollowed, operandsOf } from './constants.js';
import { layoutOf } from './mixing.js';

/** Which units go. */
export interface Selection {
  /** 1 for units to remove. */
  readonly removed: Uint8Array;
  readonly count: number;
  /**
   * Per mix with zero padding: the input channel (an index that stays) into whose weights those of removed channels with
   * non-zero constants are merged.
   */
  readonly keepers: ReadonlyMap<Mix, number>;
}

/** Removed input channels of a mix whose constants its outputs feel. */
export interface Carried {
  readonly input: number;
  readonly level: number;
}

/**
 * Chooses all units that can go without changing any output: everywhere constant or not needed. Then gives back those
 * that a rule needs: the same count in every block, one channel of every axis, one channel to carry the constants of
 * the others through zero padding.
 */
export function selectUnits(channels: Channels, flow: Flow): Selection {
  // What no computed value has is no channel but a detail of shape arithmetic.
  const removed = new Uint8Array(channels.units);
  const alive = new Uint8Array(channels.units);
  const keepWhere = (at: AxisRef, counts: (slot: number) => boolean) => {
    const base = channels.slotOf(at);
    for (let slot = base; slot < base + at.value.shape[at.axis]; slot++) {
      if (channels.unit[slot] >= 0 && counts(slot)) alive[channels.unit[slot]] = 1;
    }
  };
  for (const slots of channels.values.values()) {
    if (!isFollowed(slots)) continue;
    const { value, base } = slots;
    value.shape.forEach((size, axis) => {
      for (let slot = base[axis]; slot < base[axis] + size; slot++) {
        const unit = channels.unit[slot];
        if (unit < 0) continue;
        removed[unit] = 1;
        if (flow.needed[slot] && !flow.constant[slot] && !flow.resting[slot]) alive[unit] = 1;
      }
    });
  }
  for (const { relation } of channels.nodes) {
    // What meets a constant other than zero in a sum of products stays: that constant counts.
    for (const { a, b, zeros = [0, 0] } of relation.contractions ?? [])
      [a, b].forEach((at, k) => {
        keepWhere(at, (slot) => flow.needed[slot] === 1 && flow.constant[slot] === 1 && flow.level[slot] !== zeros[k]);
      });
    // Of a constant that is summed over nothing tells later what it was: only its zeros go.
    for (const at of operandsOf(relation)) {
      if (isFollowed(channels.values.get(at.value.name)!)) continue;
      keepWhere(at, (slot) => flow.constant[slot] === 0 || flow.level[slot] !== 0);
    }
  }
  for (let unit = 0; unit < channels.units; unit++) if (alive[unit]) removed[unit] = 0;
  const mixes = [...mixesOf(channels)];
  const padded = mixes.filter((m) => m.border && m.addBias);
  const stuck = mixes.filter((m) => !m.addBias || (m.border && !canMerge(channels, m)));
  settle(channels, flow, removed, stuck);
  const keepers = chooseKeepers(channels, flow, removed, padded);
  settle(channels, flow, removed, stuck);
  for (const mix of keepers.keys()) if (carriedBy(channels, flow, removed, mix).length === 0) keepers.delete(mix);
  return { removed, count: removed.reduce((n, r) => n + r, 0), keepers };
}

export function* mixesOf(channels: Channels): Generator<Mix> {
  for (const { relation } of channels.nodes) yield* relation.mixes ?? [];
}

/** @returns removed input channels that hold a non-zero constant and meet a weight of an output that is needed. */
export function carriedBy(channels: Channels, flow: Flow, removed: Uint8Array, mix: Mix): Carried[] {
  const from = channels.slotOf(mix.input);
  const to = channels.slotOf(mix.output);
  const size = mix.input.value.shape[mix.input.axis];
  const levels = new Float64Array(size);
  let open = 0;
  for (let i = 0; i < size; i++) {
    const slot = from + i;
    const unit = channels.unit[slot];
    if (unit < 0 || !removed[unit] || !flow.constant[slot] || !flow.needed[slot]) continue;
    levels[i] = flow.level[slot] - (mix.inputZero === 'runtime' ? 0 : (mix.inputZero ?? 0));
    if (levels[i] !== 0) open++;
  }
  if (open === 0) return [];
  const felt = new Uint8Array(size);
  const remains = (o: number): boolean => {
    const unit = channels.unit[to + o];
    return unit < 0 || !removed[unit];
  };
  layoutOf(mix).visitLive(
    (_, i) => {
      felt[i] = 1;
      return --open === 0;
    },
    (o) => open > 0 && flow.needed[to + o] === 1 && remains(o),
    (i) => levels[i] !== 0 && felt[i] === 0,
  );
  return [...felt].flatMap((f, input) => (f ? [{ input, level: levels[input] }] : []));
}

/** @returns whether removed channels leave constants to biases or to other channels. */
export function foldsConstants(channels: Channels, flow: Flow, { removed }: Selection): boolean {
  for (const mix of mixesOf(channels)) if (carriedBy(channels, flow, removed, mix).length > 0) return true;
  return false;
}

/** Merging writes into the weight itself, which quantised numbers are too coarse for, and stays within a group. */
function canMerge(channels: Channels, mix: Mix): boolean {
  const whole = mix.groups === 1 || groupSizes(mix).ins === 1;
  return whole && isFloat(mix.weight.dtype) && channels.parameters.has(mix.weight.name);
}

/** @returns whether a mix that can carry no constants would have had to carry one. */
function giveBack(channels: Channels, flow: Flow, mix: Mix, removed: Uint8Array): boolean {
  const from = channels.slotOf(mix.input);
  const carried = carriedBy(channels, flow, removed, mix);
  for (const { input } of carried) removed[channels.unit[from + input]] = 0;
  return carried.length > 0;
}

/**
 * Picks, for every padded mix that would lose non-zero constants, one of these channels to stay; channels that serve
 * several mixes come first, then large constants, which divide the others with the least rounding.
 */
function chooseKeepers(channels: Channels, flow: Flow, removed: Uint8Array, padded: readonly Mix[]): Map<Mix, number> {
  const keepers = new Map<Mix, number>();
  const open = new Map<Mix, readonly Carried[]>();
  for (const mix of padded) {
    const carried = carriedBy(channels, flow, removed, mix);
    if (carried.length > 0) open.set(mix, carried);
  }
  const unitAt = (mix: Mix, input: number): number => channels.unit[channels.slotOf(mix.input) + input];
  while (open.size > 0) {
    const votes = new Map<number, { mixes: number; level: number }>();
    for (const [mix, carried] of open) {
      for (const { input, level } of carried) {
        const unit = unitAt(mix, input);
        const vote = votes.get(unit) ?? { mixes: 0, level: Number.POSITIVE_INFINITY };
        votes.set(unit, { mixes: vote.mixes + 1, level: Math.min(vote.level, Math.abs(level)) });
      }
    }
    const [[best]] = [...votes].sort(([, a], [, b]) => b.mixes - a.mixes || b.level - a.level);
    removed[best] = 0;
    for (const [mix, carried] of open) {
      const own = carried.find(({ input }) => unitAt(mix, input) === best);
      if (!own) continue;
      keepers.set(mix, own.input);
      open.delete(mix);
    }
  }
  return keepers;
}

/** Gives units back until every block has the same count, no axis is empty and the `stuck` mixes lose no constants. */
function settle(channels: Channels, flow: Flow, removed: Uint8Array, stuck: readonly Mix[]): void {
  for (let changed = true; changed;) {
    changed = false;
    for (const mix of stuck) changed = giveBack(channels, flow, mix, removed) || changed;
    changed = fillEmpty(channels, flow, removed) || changed;
    for (const { base, size, blocks } of channels.quotas) {
      const block = size / blocks;
      const gone = Array.from({ length: blocks }, (_, b) => {
        const units: number[] = [];
        for (let slot = base + b * block; slot < base + (b + 1) * block; slot++) {
          const unit = channels.unit[slot];
          if (unit >= 0 && removed[unit]) units.push(unit);
        }
        return units;
      });
      const least = Math.min(...gone.map((g) => g.length));
      for (const units of gone) {
        for (const unit of units.slice(least)) {
          removed[unit] = 0;
          changed = true;
        }
      }
    }
  }
}

/** @returns whether an axis had lost all of its channels; a zero one comes back first, for it costs no bias. */
function fillEmpty(channels: Channels, flow: Flow, removed: Uint8Array): boolean {
  let changed = false;
  for (const { value, base } of channels.values.values()) {
    value.shape.forEach((size, axis) => {
      let first = -1;
      for (let slot = base[axis]; slot < base[axis] + size; slot++) {
        const unit = channels.unit[slot];
        if (unit < 0 || !removed[unit]) return;
        if (first < 0 || (flow.level[slot] === 0 && flow.level[first] !== 0)) first = slot;
      }
      if (first < 0) return;
      removed[channels.unit[first]] = 0;
      changed = true;
    });
  }
  return changed;
}
