import { epochOrder } from '../data/split.js';
import type { AugmentName } from '../options.js';
import { isFloat, toFloat32 } from '../tensor/half.js';
import type { Tensor } from '../tensor/tensor.js';
import type { FeedSlot, StepGraph } from './engine.js';
import { answersIn, type Matched } from './loss.js';
import { feedNames, targetFeed } from './step.js';
import type { Teacher } from './teacher.js';
import type { BatchSource } from './trainer.js';

/** Samples at random access, made ready for the model's inputs: the leading axis counts them. */
export interface Samples {
  gather(
    indices: ArrayLike<number>,
    augment?: { readonly policy: AugmentName; readonly seed: number; readonly epoch: number },
  ): Promise<{ readonly inputs: Readonly<Record<string, Tensor>>; readonly targets?: Tensor }>;
}

export interface SourceOptions {
  readonly samples: Samples;
  /** Which samples may be trained on. */
  readonly indices: Uint32Array;
  readonly batch: number;
  readonly microBatches: number;
  readonly augment: AugmentName;
  readonly seed: number;
  /** Gives the scores that the step is fed beside the targets, and the targets too where the samples have none. */
  readonly teacher?: Teacher;
  /** The outputs that the teacher gives, where these are matched. */
  readonly matched?: readonly Matched[];
}

/**
 * Batches in a new random order every epoch, a function of (seed, epoch) alone. What is left over at the end of an
 * epoch, less than a step's samples, is skipped: another order, another remainder.
 */
export function batchSource(step: StepGraph, options: SourceOptions): BatchSource {
  const { samples, indices, batch, microBatches, augment, seed, teacher, matched } = options;
  const perStep = batch * microBatches;
  const stepsPerEpoch = Math.floor(indices.length / perStep);
  let order: { epoch: number; indices: Uint32Array } | undefined;
  const chosenFor = (epoch: number, from: number, count: number): Uint32Array => {
    if (order?.epoch !== epoch) order = { epoch, indices: epochOrder(indices, seed, epoch) };
    return order.indices.subarray(from * perStep, (from + count) * perStep);
  };
  const slotOf = (name: string): FeedSlot | undefined => step.feeds.find((slot) => slot.name === name);
  return {
    stepsPerEpoch,
    async chunk(epoch, from, count) {
      const chosen = chosenFor(epoch, from, count);
      const gathered = await samples.gather(chosen, { policy: augment, seed, epoch });
      const feeds: Record<string, Tensor> = {};
      for (const slot of step.feeds) {
        const tensor = slot.name === feedNames.target ? gathered.targets : gathered.inputs[slot.name];
        if (tensor) feeds[slot.name] = { ...asFed(tensor, slot.dtype), dims: [count, ...slot.shape] };
      }
      return feeds;
    },
    ...(teacher && {
      async complete(chunk, epoch, from, count) {
        const known = augment === 'none' ? chosenFor(epoch, from, count) : undefined;
        const results = await teacher.scores(chunk, count * perStep, known);
        const feeds = { ...chunk };
        const give = (name: string, from: (slot: FeedSlot) => Tensor) => {
          const slot = slotOf(name);
          if (slot && !feeds[name]) feeds[name] = { ...asFed(from(slot), slot.dtype), dims: [count, ...slot.shape] };
        };
        if (matched) matched.forEach(({ name }, k) => give(targetFeed(name), () => results[k]));
        else {
          give(feedNames.teacher, () => results[0]);
          give(feedNames.target, ({ dtype }) => answersIn(results[0], dtype));
        }
        return feeds;
      },
    }),
  };
}

/** Classes are numbers to a loss that compares numbers: a yes or no of binary cross-entropy. Training is in float32. */
function asFed(tensor: Tensor, dtype: Tensor['dtype']): Tensor {
  if (isFloat(tensor.dtype) && dtype === 'float32') return toFloat32(tensor);
  if (tensor.dtype !== 'int64' || dtype !== 'float32') return tensor;
  return { dtype, dims: tensor.dims, data: Float32Array.from(tensor.data as BigInt64Array, Number) };
}
