import { extent, type Window } from '../../ops/window.js';
import { padded, strided } from './kernels/shapes.js';
import { channelsLast, kernelOrder, laid, type Order } from './order.js';
import type { Planner } from './planner.js';
import type { Slot } from './program.js';

/*
 * TensorFlow lays windows over [N, H, W, C] and [N, D, H, W, C] with kernels [H, W, I, O]; a single spatial axis becomes
 * two. It pads as VALID and SAME say, and otherwise a convolution in two dimensions takes counts; what it has no word for is
 * padded, or cut, before.
 */

/** A window laid over two or three spatial axes. */
export interface Laid {
  readonly window: Window;
  /** There is one spatial axis, to which one of size 1 was added in front. */
  readonly lifted: boolean;
}

export function lay(window: Window): Laid {
  if (window.kernel.length > 1) return { window, lifted: false };
  const with1 = (x: readonly number[]): number[] => [1, ...x];
  const with0 = (x: readonly number[]): number[] => [0, ...x];
  const { kernel, strides, dilations, before, after, input, output } = window;
  return {
    lifted: true,
    window: {
      kernel: with1(kernel),
      strides: with1(strides),
      dilations: with1(dilations),
      before: with0(before),
      after: with0(after),
      input: with1(input),
      output: with1(output),
    },
  };
}

/** Reads a value with its channels last. */
export function readImages(p: Planner, name: string, { lifted }: Laid): Slot {
  const slot = p.read(name, channelsLast(p.shape(name).length));
  if (!lifted) return slot;
  const [n, ...rest] = slot.shape;
  return p.reshape(slot, [n, 1, ...rest]);
}

/** Gives a value whose channels come last. */
export function giveImages(p: Planner, name: string, slot: Slot): void {
  giveLaid(p, name, slot, channelsLast(p.shape(name).length));
}

/** Reads a kernel [O, I, ...k] as [...k, I, O]. */
export function readKernel(p: Planner, name: string, { lifted }: Laid): Slot {
  const slot = p.read(name, kernelOrder(p.shape(name).length));
  return lifted ? p.reshape(slot, [1, ...slot.shape]) : slot;
}

export function giveKernel(p: Planner, name: string, slot: Slot): void {
  giveLaid(p, name, slot, kernelOrder(p.shape(name).length));
}

/** Gives a value that lies in an order of memory, without axes that were added to it. */
function giveLaid(p: Planner, name: string, slot: Slot, order: Order): void {
  p.give(name, p.reshape(slot, laid(p.shape(name), order)), order);
}

/** How TensorFlow is told where windows lie. */
export interface Padding {
  readonly padding: 'VALID' | 'SAME' | 'EXPLICIT';
  readonly explicit?: readonly number[];
}

/** @returns undefined where TensorFlow has no word for it. */
export function paddingOf(window: Window, counts: boolean): Padding | undefined {
  const { kernel, strides, dilations, before, after, input, output } = window;
  const every = (test: (i: number) => boolean): boolean => kernel.every((_, i) => test(i));
  const most = (i: number): number => Math.max(strides[i], 1);
  if (every((i) => before[i] === 0 && after[i] <= 0 && after[i] > -most(i))) return { padding: 'VALID' };
  const total = (i: number): number =>
    Math.max(0, (output[i] - 1) * strides[i] + extent(kernel[i], dilations[i]) - input[i]);
  const same = (i: number): boolean =>
    output[i] === Math.ceil(input[i] / strides[i]) &&
    before[i] === Math.floor(total(i) / 2) &&
    Math.max(0, after[i]) === total(i) - before[i];
  if (every(same)) return { padding: 'SAME' };
  if (!counts || kernel.length !== 2 || !every((i) => before[i] >= 0 && after[i] > -most(i))) return undefined;
  const ends = after.map((a) => Math.max(0, a));
  return { padding: 'EXPLICIT', explicit: [0, 0, before[0], ends[0], before[1], ends[1], 0, 0] };
}

/** The same window over an input that is padded, or cut, to what windows reach. */
export function reached(window: Window): Window {
  const zero = window.kernel.map(() => 0);
  const input = window.input.map((d, i) => d + window.before[i] + window.after[i]);
  return { ...window, input, before: zero, after: zero };
}

/** Pads images to what the windows reach. */
export function padImages(p: Planner, x: Slot, { before, after }: Pick<Window, 'before' | 'after'>, fill?: Slot): Slot {
  return padded(p, x, [0, ...before, 0], [0, ...after, 0], fill);
}

/** Takes that back: the adjoint of padding. */
export function unpadImages(p: Planner, x: Slot, { before, after }: Window): Slot {
  const back = (counts: readonly number[]): number[] => [0, ...counts.map((c) => -c), 0];
  return padded(p, x, back(before), back(after));
}

/** A kernel [...k, I, O] with zeros between its taps, as if it were not dilated. */
export function stuffed(p: Planner, w: Slot, { dilations, kernel }: Window): Slot {
  if (dilations.every((d) => d === 1)) return w;
  const channels = w.shape.slice(-2);
  const wide = kernel.flatMap((k) => [k, 1]);
  const gaps = [...dilations.flatMap((d) => [0, d - 1]), 0, 0];
  const apart = padded(
    p,
    p.reshape(w, [...wide, ...channels]),
    gaps.map(() => 0),
    gaps,
  );
  const full = p.reshape(apart, [...kernel.map((k, i) => k * dilations[i]), ...channels]);
  const size = [...kernel.map((k, i) => extent(k, dilations[i])), ...channels];
  return strided(
    p,
    full,
    size.map(() => 0),
    size.map(() => 1),
    size,
  );
}

/** The taps of a kernel that has gaps. */
export function unstuffed(p: Planner, w: Slot, { dilations, kernel }: Window): Slot {
  const channels = w.shape.slice(-2);
  const size = [...kernel, ...channels];
  return strided(
    p,
    w,
    size.map(() => 0),
    [...dilations, 1, 1],
    size,
  );
}

/** The window of a kernel with gaps, which is dilated no more. */
export function undilated(window: Window): Window {
  return {
    ...window,
    kernel: window.kernel.map((k, i) => extent(k, window.dilations[i])),
    dilations: window.dilations.map(() => 1),
  };
}
