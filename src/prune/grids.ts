import type { AxisRef, Grid, Link } from '../ops/spec.js';
import type { Atoms } from './atoms.js';

/** A grid of one node, and what is done once its direction is chosen. */
export interface OpenGrid {
  readonly grid: Grid;
  settle(link: Link, others: readonly AxisRef[]): void;
}

type Option = Grid['options'][number];

/**
 * Chooses a direction for every grid: the one that leaves most slices of weights removable, then the finer one, then the
 * first. Where it is asked for blocks, the coarser one (whole heads).
 * @returns how many grids had several free directions
 * Grids that leave no choice come first, for what they pin decides others; those of weights come last, for they follow
 * what the weight meets.
 */
export function settleGrids(
  grids: readonly OpenGrid[],
  atoms: Atoms,
  slotOf: (at: AxisRef) => number,
  isWeight: Uint8Array,
  blocks: boolean,
): number {
  let choices = 0;
  let open = grids;
  while (open.length > 0) {
    const state = stateOf(atoms, isWeight);
    const slots = ({ axis, value }: AxisRef): number[] => {
      const base = slotOf({ axis, value });
      return Array.from({ length: value.shape[axis] }, (_, i) => base + i);
    };
    const isFree = ({ axis }: Option): boolean => slots(axis).every((slot) => !state.pinned(slot));
    const forced = open.filter(({ grid }) => grid.options.filter(isFree).length <= 1);
    const computed = open.filter(({ grid }) => grid.options.some((o) => o.link.to.value.known === undefined));
    const now = forced.length > 0 ? forced : (computed.length > 0 ? computed : open).slice(0, 1);
    if (forced.length === 0) choices += now.length;
    for (const { grid, settle } of now) {
      const chosen = best(grid.options, (o) => {
        if (!isFree(o)) return [-1, 0];
        const [live, classes] = worth(grid, o, state, slots);
        return [live, blocks ? -classes : classes];
      });
      settle(chosen.link, othersThan(chosen, grid));
    }
    open = open.filter((g) => !now.includes(g));
  }
  return choices;
}

interface State {
  root(slot: number): number;
  pinned(slot: number): boolean;
  /** Number of slots of weights in the class of a root. */
  size(root: number): number;
}

function stateOf(atoms: Atoms, isWeight: Uint8Array): State {
  const { pinned } = atoms.classes();
  const sizes = new Int32Array(pinned.length);
  for (let slot = 0; slot < pinned.length; slot++) sizes[atoms.find(slot)] += isWeight[slot];
  return {
    root: (slot) => atoms.find(slot),
    pinned: (slot) => pinned[slot] >= 0,
    size: (root) => sizes[root],
  };
}

/** @returns the axes of the options that were not chosen: they keep all their indices. */
function othersThan(chosen: Option, { options }: Grid): AxisRef[] {
  const isOwn = (ref: AxisRef): boolean =>
    [chosen.link.from, chosen.link.to].some((own) => own.axis === ref.axis && own.value.name === ref.value.name);
  return options.filter((o) => o !== chosen).flatMap(({ link }) => [link.from, link.to].filter((ref) => !isOwn(ref)));
}

/** The first of the options with the largest worth. */
function best(options: readonly Option[], worthOf: (o: Option) => readonly [number, number]): Option {
  let [chosen] = options;
  let most = worthOf(chosen);
  for (const option of options.slice(1)) {
    const own = worthOf(option);
    if (own[0] < most[0] || (own[0] === most[0] && own[1] <= most[1])) continue;
    chosen = option;
    most = own;
  }
  return chosen;
}

/** @returns how many slices of weights stay removable among those that the grid touches, in how many classes. */
function worth(grid: Grid, option: Option, state: State, slots: (at: AxisRef) => number[]): readonly [number, number] {
  const parent = new Map<number, number>();
  const find = (slot: number): number => {
    let at = state.root(slot);
    for (let up = parent.get(at); up !== undefined && up !== at; up = parent.get(at)) at = up;
    if (!parent.has(at)) parent.set(at, at);
    return at;
  };
  const { from, to, map } = option.link;
  const [a, b] = [slots(from), slots(to)];
  for (let j = 0; j < b.length; j++) {
    const i = map ? map[j] : j;
    if (i < 0) continue;
    const [x, y] = [find(a[i]), find(b[j])];
    if (x !== y) parent.set(x, y);
  }
  const pinned = new Set<number>();
  const members = new Set<number>();
  for (const { link } of grid.options) {
    for (const slot of [...slots(link.from), ...slots(link.to)]) {
      members.add(state.root(slot));
      if (state.pinned(slot)) pinned.add(find(slot));
    }
  }
  for (const ref of othersThan(option, grid)) for (const slot of slots(ref)) pinned.add(find(slot));
  let live = 0;
  const classes = new Set<number>();
  for (const root of members) {
    const top = find(root);
    if (pinned.has(top)) continue;
    live += state.size(root);
    classes.add(top);
  }
  return [live, classes.size];
}
