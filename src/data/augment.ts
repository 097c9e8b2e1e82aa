import { Random } from '../tensor/random.js';

export const augmentPolicies = ['none', 'flip', 'crop-flip', 'shift'] as const;

/**
 * Random changes of training pictures: `flip` mirrors half of them; `crop-flip` also moves them by up to an eighth of
 * their size, with black (raw 0) coming in; `shift` moves them by up to a fourteenth, their edge pixels repeated.
 */
export type AugmentPolicy = (typeof augmentPolicies)[number];

export interface Augment {
  readonly policy: AugmentPolicy;
  readonly seed: number;
  readonly epoch: number;
}

/** How one picture is moved: the pixel at (y, x) comes from (y + dy, x + dx), mirrored before that. */
export interface Move {
  readonly dy: number;
  readonly dx: number;
  readonly flip: boolean;
  /** Pixels from outside: the nearest one inside, or raw 0. */
  readonly edge: boolean;
}

/** @returns the move of one sample: the same for the same seed, epoch and sample, whatever batch it is in. */
export function moveOf(
  { policy, seed, epoch }: Augment,
  sample: number,
  height: number,
  width: number,
): Move | undefined {
  if (policy === 'none') return undefined;
  const random = Random.stream(seed, epoch, sample);
  const flip = policy !== 'shift' && (random.uint32() & 1) === 1;
  if (policy === 'flip') return flip ? { dy: 0, dx: 0, flip, edge: false } : undefined;
  const share = policy === 'shift' ? 14 : 8;
  const reach = (size: number) => Math.max(1, Math.round(size / share));
  const draw = (most: number) => random.below(2 * most + 1) - most;
  const dy = draw(reach(height));
  const dx = draw(reach(width));
  return dy === 0 && dx === 0 && !flip ? undefined : { dy, dx, flip, edge: policy === 'shift' };
}
