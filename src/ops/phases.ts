import type { Window } from './window.js';

/*
 * A convolution with stride s over sizes that s divides is one with stride 1 over the s phases of its input: the elements
 * s·h + r of an axis, for r = 0 … s−1, taken as channels. Kernel position k reads s·o + k − before; with that = s·h + r,
 *
 *   k = s·d + r + before,   d = h − o,
 *
 * so that phase r sees position k at offset d, and kernels over phases have the T offsets that occur for any r, with
 * holes where k falls outside.
 */
export interface Phases {
  /** Number of phases along each axis: the strides. */
  readonly counts: readonly number[];
  /** The convolution of stride 1 over one phase. */
  readonly window: Window;
  /** Along each axis, for phase r and offset t: the kernel position that is seen there, or −1. */
  readonly taps: readonly (readonly (readonly number[])[])[];
}

/** @returns a convolution as one over phases, or undefined where its strides don't divide its input or it is dilated. */
export function phasesOf({ kernel, strides, dilations, before, input, output }: Window): Phases | undefined {
  if (dilations.some((d) => d !== 1) || input.some((size, i) => size % strides[i] !== 0)) return undefined;
  const first = strides.map((s, i) => Math.ceil((1 - s - before[i]) / s) + 0);
  const last = strides.map((s, i) => Math.floor((kernel[i] - 1 - before[i]) / s));
  const sizes = input.map((size, i) => size / strides[i]);
  const window: Window = {
    kernel: last.map((d, i) => d - first[i] + 1),
    strides: strides.map(() => 1),
    dilations,
    before: first.map((d) => 0 - d),
    after: last.map((d, i) => output[i] + d - sizes[i]),
    input: sizes,
    output,
  };
  const taps = strides.map((s, i) =>
    Array.from({ length: s }, (_, r) =>
      Array.from({ length: window.kernel[i] }, (_, t) => {
        const k = s * (first[i] + t) + r + before[i];
        return k >= 0 && k < kernel[i] ? k : -1;
      }),
    ),
  );
  const reaches = [...window.before, ...window.after].every((p) => p >= 0);
  return reaches ? { counts: strides, window, taps } : undefined;
}

/** @returns per phase (row-major) and offset (row-major) the index of the kernel position, `none` for holes; two axes. */
export function tapTable({ window, counts, taps }: Phases, kernelWidth: number, none: number): number[] {
  const [height, width] = window.kernel;
  return Array.from({ length: counts[0] * counts[1] * height * width }, (_, at) => {
    const t = at % (height * width);
    const r = Math.floor(at / (height * width));
    const kh = taps[0][Math.floor(r / counts[1])][Math.floor(t / width)];
    const kw = taps[1][r % counts[1]][t % width];
    return kh < 0 || kw < 0 ? none : kh * kernelWidth + kw;
  });
}
