import type { AxisRef, Grid, Link } from '../ops/spec.js';
import type { Atoms } from './atoms.js';

/** A grid of one node, and what is done once its direction is chosen. */
export interface OpenGrid {
  readonly grid: Grid;
  settle(link: Link, others: readonly AxisRef[]): void;
}

/**
 * Chooses a direction for every grid: the first axis that nothing pins. Grids that leave no choice come first, for what
 * they pin decides others.
 */
export function settleGrids(grids: readonly OpenGrid[], atoms: Atoms, slotOf: (at: AxisRef) => number): void {
  let open = grids;
  while (open.length > 0) {
    const { pinned } = atoms.classes();
    const isFree = ({ axis }: Grid['options'][number]): boolean => {
      const base = slotOf(axis);
      const size = axis.value.shape[axis.axis];
      return pinned.subarray(base, base + size).every((reason) => reason < 0);
    };
    const forced = open.filter(({ grid }) => grid.options.filter(isFree).length <= 1);
    const now = forced.length > 0 ? forced : open.slice(0, 1);
    for (const { grid, settle } of now) {
      const chosen = grid.options.find(isFree) ?? grid.options[0];
      const others = grid.options.filter((o) => o !== chosen).map((o) => o.axis);
      settle(chosen.link, others);
    }
    open = open.filter((g) => !now.includes(g));
  }
}
