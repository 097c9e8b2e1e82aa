import type { GraphBuilder, Value } from '../onnx/builder.js';
import type { Tensor } from '../tensor/tensor.js';
import type { StateSlot } from './engine.js';

/*
 * Halves below 2⁻²⁴ are zero, and many gradients are smaller than that. So the gradient of the loss is multiplied by a scale S
 * before it goes backwards, and the gradients of the weights are divided by it, in float32. Where one of them is not finite S
 * was too large: that step changes nothing but S.
 * Source: Micikevicius et al., Mixed Precision Training, ICLR 2018, section 3.2; how S moves is dynamic loss scaling as
 * NVIDIA's and PyTorch's tools do it.
 */

/** Slots of the state, scalars: S, and how many good steps it has seen. */
const SCALE = 'loss-scale';
const GOOD = 'loss-scale/good';
const slotNames = [SCALE, GOOD] as const;

const FIRST_SCALE = 2 ** 15;
/** S·∂loss must be a float32 and S no less than nothing: a net whose gradients never overflow would double S for ever. */
const LEAST_SCALE = 1;
const MOST_SCALE = 2 ** 24;
/**
 * Good steps after which S doubles. The usual 2000 are as many as a phase of this tool has: an S that fell in the warm-up would
 * never come back. The price is at most one step in 200 that is skipped.
 */
export const GROWTH_STEPS = 200;
/** Steps in a row that may be skipped: S has gone down to its least by then, or by a factor of a million. */
export const MOST_SKIPPED = 20;

/** Anything above is infinite, for the check. */
const LARGEST = 3e38;

/** The loss scale as a step finds it. */
export interface LossScale {
  readonly scale: Value;
  readonly good: Value;
}

export function lossScale(given: (name: string, dtype: string, shape: readonly number[]) => Value): LossScale {
  return { scale: given(SCALE, 'float32', []), good: given(GOOD, 'float32', []) };
}

/** @returns the value of a slot before the first step; undefined where it is none of the loss scale's. */
export function firstScale(slot: string): number | undefined {
  if (slot === SCALE) return FIRST_SCALE;
  return slot === GOOD ? 0 : undefined;
}

/** @returns what of a state depends on no shape of the model, and so goes on when units were cut. */
export function shapelessState(state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return new Map(
    slotNames.flatMap((name) => {
      const slot = state.get(name);
      return slot ? [[name, slot] as const] : [];
    }),
  );
}

/** Emits whether a step may be taken, a bool scalar. A sum of squares is not finite where one element isn't. */
export function emitFinite(g: GraphBuilder, loss: Value, squares: Value): Value {
  return g.less(g.add(squares, g.abs(loss)), LARGEST);
}

/** Emits S and its count of good steps after this one. */
export function emitScaleUpdate(g: GraphBuilder, finite: Value, { scale, good }: LossScale): StateSlot[] {
  return g.within('loss-scale', () => {
    const count = g.add(good, 1);
    const full = g.greaterOrEqual(count, GROWTH_STEPS);
    const grown = g.where(full, g.min(g.mul(scale, 2), MOST_SCALE), scale);
    const next = {
      [SCALE]: g.where(finite, grown, g.max(g.mul(scale, 0.5), LEAST_SCALE)),
      [GOOD]: g.where(g.and(finite, g.not(full)), count, 0),
    };
    return slotNames.map((name) => ({ name, next: next[name].name, dtype: 'float32', shape: [] }));
  });
}

/** Emits every slot's next value, or where the step is not taken its old one, bit for bit. */
export function keptUnless(g: GraphBuilder, finite: Value, slots: readonly StateSlot[]): StateSlot[] {
  return g.within('kept', () =>
    slots.map((slot) => {
      const [next, before] = [slot.next, slot.name].map((name) => ({ ...slot, name }));
      return { ...slot, next: g.where(finite, next, before).name };
    }),
  );
}
