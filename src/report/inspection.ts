import type { TrainedNote } from '../shape/training-graph.js';
import type { LayerCost } from '../validate/macs.js';
import type { REPORT_SCHEMA_VERSION } from './schema.js';

/** An input or output as the file declares it. */
export interface PortFacts {
  readonly name: string;
  readonly dtype: string;
  /** Sizes, or names of free axes; `?` where the file says nothing. */
  readonly shape: readonly (number | string)[];
}

/** Removable units that are cut alike. */
export interface FamilyFacts {
  /** The nodes that produce the channels. */
  readonly name: string;
  readonly units: number;
  /** What the removal of all of them but none else would save. */
  readonly params: number;
  readonly macs: number;
  /** The axes of weights that make the units, and of those that read them: all of them lose an index, or several, with a unit. */
  readonly makes: readonly AxisFacts[];
  readonly reads: readonly AxisFacts[];
}

/** An axis of a weight. */
export interface AxisFacts {
  readonly weight: string;
  readonly axis: number;
}

/** What can be removed along one axis of a weight, and what pins the rest; axes of one index are left out. */
export interface WeightAxisFacts extends AxisFacts {
  readonly shape: readonly number[];
  /** Indices that go with removable units, and how many units these are. */
  readonly removable: number;
  readonly units: number;
  /** Names of the families of these units: what goes with them is told there. */
  readonly families: readonly string[];
  /** Indices that mean other channels in every group of a grouped operator: they go with the channels of their groups. */
  readonly blockwise: number;
  /** Indices that stay, by the node that pins them. */
  readonly pinned: readonly {
    readonly indices: number;
    readonly by: string;
    readonly op: string;
    readonly why: string;
  }[];
}

/** Channels that cannot be removed. */
export interface PinnedFacts {
  readonly node: string;
  readonly channels: number;
  readonly of: number;
  /** The node that pins them, its operator, and the reason in the model's words. */
  readonly by: string;
  readonly op: string;
  readonly why: string;
}

/** What there is to know of a model before it is compressed, as `inspect --json` writes it. */
export interface Inspection {
  readonly schemaVersion: typeof REPORT_SCHEMA_VERSION;
  readonly command: 'inspect';
  readonly path: string;
  readonly opset: number;
  readonly producer: string;
  readonly params: number;
  /** For one sample. */
  readonly macs: number;
  readonly bytes: number;
  /** Whether any batch runs, or why not. */
  readonly batch: string;
  readonly inputs: readonly PortFacts[];
  readonly outputs: readonly PortFacts[];
  readonly layers: readonly LayerCost[];
  readonly families: readonly FamilyFacts[];
  readonly pinned: readonly PinnedFacts[];
  readonly weights: readonly WeightAxisFacts[];
  readonly trained: readonly TrainedNote[];
  readonly notes: readonly string[];
}

/** @returns the axes of each weight, in their order. */
export function byWeight(axes: readonly WeightAxisFacts[]): Map<string, WeightAxisFacts[]> {
  const weights = new Map<string, WeightAxisFacts[]>();
  for (const axis of axes) weights.set(axis.weight, [...(weights.get(axis.weight) ?? []), axis]);
  return weights;
}

/** @returns why channels stay, with the node that pins them. */
export function reasonOf({ by, op, why }: Pick<PinnedFacts, 'by' | 'op' | 'why'>): string {
  const where = [by, op].filter(Boolean).join(', ');
  return where ? `${why} (${where})` : why;
}
