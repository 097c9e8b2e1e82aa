import type { Kind, OpAttributes } from './device.js';

/** A tensor of a plan: computed by every run, or once when the plan was made. */
export interface Slot {
  /** In memory. */
  readonly shape: readonly number[];
  readonly kind: Kind;
  /** The handle of a constant. */
  readonly constant?: number;
  /** Another slot that has the same elements in another shape. */
  readonly viewOf?: Slot;
}

export type Instruction = Operator | Repetition;

/** One operator of TensorFlow. */
export interface Operator {
  readonly op: string;
  readonly attributes: OpAttributes;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
}

/** A program that is run a fixed number of times, at least once. */
export interface Repetition {
  readonly count: number;
  readonly body: Program;
  /** By which the body reads the number of the iteration, from 0; int32 []. */
  readonly index?: Slot;
  /** Values that go from iteration to iteration. */
  readonly carried: readonly { readonly initial: Slot; readonly inside: Slot; readonly next: Slot }[];
  /** Values of which every iteration sees one item along the first axis. */
  readonly rows: readonly { readonly whole: Slot; readonly inside: Slot; readonly backwards: boolean }[];
  /** Values of the program around it. */
  readonly captures: ReadonlyMap<Slot, Slot>;
  /** What every iteration makes an item of; along the first axis, in the end. */
  readonly stacked: readonly { readonly item: Slot; readonly backwards: boolean }[];
  readonly inputs: readonly Slot[];
  /** What is carried, then what is stacked. */
  readonly outputs: readonly Slot[];
}

export interface Program {
  readonly instructions: readonly Instruction[];
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
}

/** @returns instructions that `outputs` need, in their order, as a program. */
export function programOf(all: readonly Instruction[], inputs: readonly Slot[], outputs: readonly Slot[]): Program {
  const read = new Set(outputs);
  const kept: Instruction[] = [];
  for (let i = all.length - 1; i >= 0; i--) {
    if (!all[i].outputs.some((slot) => read.has(slot))) continue;
    for (const slot of all[i].inputs) read.add(slot);
    kept.push(all[i]);
  }
  return { instructions: kept.reverse(), inputs, outputs };
}
