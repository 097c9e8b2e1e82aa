import type { Device } from './device.js';

/** A tensor of a plan: computed by every run, or once when the plan was made. */
export interface Slot {
  /** In memory. */
  readonly shape: readonly number[];
  readonly kind: 'float32' | 'int32' | 'bool';
  /** The handle of a constant. */
  readonly constant?: number;
  /** Another slot that has the same elements in another shape. */
  readonly viewOf?: Slot;
}

/** One operator, or a loop of many. */
export interface Instruction {
  readonly label: string;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  /** Takes handles and gives new ones, which the caller frees; it frees none of those that it was given. */
  run(inputs: readonly number[]): number[];
}

/** A plan ready to run: handles in, handles out. */
export interface Program {
  readonly instructions: readonly Instruction[];
  /** The inputs stay the caller's; the results are the caller's too. */
  run(inputs: readonly number[]): number[];
}

/**
 * @returns instructions that `outputs` need, in their order, as a program that frees every tensor as soon as its last
 *   reader ran.
 */
export function programOf(
  device: Device,
  all: readonly Instruction[],
  inputs: readonly Slot[],
  outputs: readonly Slot[],
): Program {
  const instructions = needed(all, outputs);
  const places = new Map<Slot, number>();
  const at: number[] = [];
  const placeOf = (slot: Slot): number => {
    let place = places.get(slot);
    if (place === undefined) {
      place = at.length;
      places.set(slot, place);
      at.push(slot.constant ?? -1);
    }
    return place;
  };
  const inputPlaces = inputs.map(placeOf);
  const kept = new Set([...inputs, ...outputs].map(placeOf));
  const lastReader = new Map<number, number>();
  const steps = instructions.map((instruction, i) => {
    const reads = instruction.inputs.map(placeOf);
    const writes = instruction.outputs.map(placeOf);
    instruction.inputs.forEach((slot, k) => {
      if (slot.constant === undefined && !kept.has(reads[k])) lastReader.set(reads[k], i);
    });
    // What nobody reads is freed at once.
    for (const place of writes) if (!kept.has(place)) lastReader.set(place, i);
    return { run: (ids: readonly number[]) => instruction.run(ids), reads, writes, done: [] as number[] };
  });
  for (const [place, i] of lastReader) steps[i].done.push(place);
  const outputPlaces = outputs.map(placeOf);
  const borrowed = new Set([...inputPlaces, ...outputs.filter((o) => o.constant !== undefined).map(placeOf)]);
  const own = outputPlaces.map((place, i) => !borrowed.has(place) && outputPlaces.indexOf(place) === i);

  return {
    instructions,
    run(given) {
      inputPlaces.forEach((place, i) => (at[place] = given[i]));
      for (const { run, reads, writes, done } of steps) {
        const ids = new Array<number>(reads.length);
        for (let i = 0; i < reads.length; i++) ids[i] = at[reads[i]];
        const made = run(ids);
        for (let i = 0; i < writes.length; i++) at[writes[i]] = made[i];
        for (let i = 0; i < done.length; i++) device.free(at[done[i]]);
      }
      return outputPlaces.map((place, i) => (own[i] ? at[place] : device.execute('Identity', [], [at[place]])[0]));
    },
  };
}

function needed(all: readonly Instruction[], outputs: readonly Slot[]): Instruction[] {
  const read = new Set(outputs);
  const kept: Instruction[] = [];
  for (let i = all.length - 1; i >= 0; i--) {
    if (!all[i].outputs.some((slot) => read.has(slot))) continue;
    for (const slot of all[i].inputs) read.add(slot);
    kept.push(all[i]);
  }
  return kept.reverse();
}
