import type { ModelProto } from '../onnx/proto.js';
import { isFloat } from '../tensor/half.js';
import type { Channels, PinReason } from './channels.js';
import { unfollowedWeights } from './unfollowed.js';
import type { UnitGroups } from './units.js';

/** What can be removed along one axis of a weight, and what holds the rest. */
export interface WeightAxis {
  /** The weight's name in the user's graph. */
  readonly weight: string;
  readonly shape: readonly number[];
  readonly axis: number;
  /** Indices that go with removable units, the number of these units (a Flatten gives each several), and their families. */
  readonly removable: number;
  readonly units: number;
  readonly families: readonly string[];
  /** Indices that mean other channels in every group of a grouped operator: they go as the channels of their groups do. */
  readonly blockwise: number;
  readonly pinned: readonly { readonly count: number; readonly by: PinReason }[];
}

/**
 * @returns all axes of more than one index of all weights (constants of floats), in the order of the graph; those that
 * channel rules do not see come last.
 * @param where the user's own model, and why bodies of it are not entered, by `bodyKey`
 */
export function weightAxes(
  channels: Channels,
  { families }: Pick<UnitGroups, 'families'>,
  where: { readonly model: ModelProto; readonly closed: ReadonlyMap<string, string> },
): WeightAxis[] {
  const familyOf = new Map<number, string>();
  for (const { name, units } of families) for (const unit of units) familyOf.set(unit, name);
  const axes: WeightAxis[] = [];
  for (const [use, { name, value }] of channels.parameters) {
    const { shape, dtype } = value;
    if (!isFloat(dtype)) continue;
    shape.forEach((size, axis) => {
      if (size < 2) return;
      const base = channels.slotOf({ value, axis });
      const units = new Set<number>();
      const pins = new Map<PinReason, number>();
      let removable = 0;
      let blockwise = 0;
      for (let slot = base; slot < base + size; slot++) {
        const unit = channels.unit[slot];
        const by = channels.pinOf(slot);
        if (unit >= 0) {
          removable++;
          units.add(unit);
        } else if (by) pins.set(by, (pins.get(by) ?? 0) + 1);
        else blockwise++;
      }
      const named = new Set([...units].flatMap((unit) => familyOf.get(unit) ?? []));
      axes.push({
        weight: use === name ? name : `${name}, as ${use}`,
        shape,
        axis,
        removable,
        units: units.size,
        families: [...named],
        blockwise,
        pinned: [...pins].map(([by, count]) => ({ count, by })),
      });
    });
  }
  for (const { name, shape, by } of unfollowedWeights(channels, where.model, where.closed)) {
    shape.forEach((count, axis) => {
      if (count < 2) return;
      axes.push({
        weight: name,
        shape,
        axis,
        removable: 0,
        units: 0,
        families: [],
        blockwise: 0,
        pinned: [{ count, by }],
      });
    });
  }
  return axes;
}
