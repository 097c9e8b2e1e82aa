import type { Attributes } from '../onnx/attributes.js';

/** How a kernel slides over the spatial axes of a tensor: what Conv, ConvTranspose and the pools share. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  /**
   * How far the last window reaches beyond the input, which need not be the padding that was declared: negative where
   * the stride leaves trailing elements unread, larger where `ceil_mode` adds a window.
   */
  readonly after: readonly number[];
  readonly input: readonly number[];
  readonly output: readonly number[];
}

/**
 * @param input sizes of the axes that windows are laid over
 * @param output number of windows along each (for ConvTranspose the two change roles)
 */
export function windowOf(
  attrs: Attributes,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
  of: 'conv' | 'pool' = 'conv',
): Window {
  const rank = kernel.length;
  const strides = attrs.ints('strides') ?? new Array<number>(rank).fill(1);
  const dilations = attrs.ints('dilations') ?? new Array<number>(rank).fill(1);
  const reach = kernel.map((k, i) => (output[i] - 1) * strides[i] + extent(k, dilations[i]));
  const before = padsBefore(attrs, kernel, strides, input, of);
  return { kernel, strides, dilations, before, after: reach.map((r, i) => r - input[i] - before[i]), input, output };
}

/**
 * As onnxruntime has it: `auto_pad` makes up for the kernel without its dilation, and where the stride is larger than the
 * kernel, windows move inwards, those of a convolution by a little less (read off its results).
 */
function padsBefore(
  attrs: Attributes,
  kernel: readonly number[],
  strides: readonly number[],
  input: readonly number[],
  of: 'conv' | 'pool',
): number[] {
  const auto = attrs.string('auto_pad', 'NOTSET');
  if (auto === 'NOTSET') return attrs.ints('pads')?.slice(0, kernel.length) ?? kernel.map(() => 0);
  if (auto === 'VALID') return kernel.map(() => 0);
  return kernel.map((k, i) => {
    const short = (Math.ceil(input[i] / strides[i]) - 1) * strides[i] + k - input[i];
    const needed = short < 0 && of === 'conv' ? short + 1 : short;
    return Math.trunc((auto === 'SAME_LOWER' ? needed + 1 : needed) / 2) + 0; // no negative zero
  });
}

/**
 * @param sizes of the axes of Y that windows are laid over
 * @param positions number of windows along each: the sizes of X
 * @returns where the windows of a ConvTranspose lie
 */
export function transposedWindowOf(
  attrs: Attributes,
  kernel: readonly number[],
  sizes: readonly number[],
  positions: readonly number[],
): Window {
  const ones = kernel.map(() => 1);
  const strides = attrs.ints('strides') ?? ones;
  const dilations = attrs.ints('dilations') ?? ones;
  const outside = attrs.ints('output_padding') ?? ones.map(() => 0);
  const reach = kernel.map((k, i) => (positions[i] - 1) * strides[i] + extent(k, dilations[i]));
  const auto = attrs.string('auto_pad', 'NOTSET');
  const computed = attrs.has('output_shape') || auto === 'SAME_UPPER' || auto === 'SAME_LOWER';
  const before = reach.map((r, i) => {
    const total = Math.max(0, r + outside[i] - sizes[i]);
    if (computed) return auto === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2);
    return auto === 'VALID' ? 0 : (attrs.ints('pads')?.[i] ?? 0);
  });
  return {
    kernel,
    strides,
    dilations,
    before,
    after: reach.map((r, i) => r - sizes[i] - before[i]),
    input: sizes,
    output: positions,
  };
}

/** @returns how many input elements a dilated kernel spans. */
export function extent(kernel: number, dilation: number): number {
  return (kernel - 1) * dilation + 1;
}

/** @returns the input sizes with the padding that windows really reach. */
export function paddedSizes({ input, before, after }: Window): number[] {
  return input.map((d, i) => d + before[i] + after[i]);
}

/** @returns `pads` of a rank N+2 tensor whose spatial axes get (or lose) what the windows reach beyond the input. */
export function spatialPads(before: readonly number[], after: readonly number[]): number[] {
  return [0, 0, ...before, 0, 0, ...after];
}

/** @returns true where some windows reach beyond the input. */
export function reachesPadding({ before, after }: Window): boolean {
  return before.some((p) => p > 0) || after.some((p) => p > 0);
}

/** @returns every position of a kernel in row-major order, as offsets into the padded input. */
export function tapsOf({ kernel, dilations }: Window): number[][] {
  let taps: number[][] = [[]];
  kernel.forEach((k, axis) => {
    taps = taps.flatMap((tap) => Array.from({ length: k }, (_, i) => [...tap, i * dilations[axis]]));
  });
  return taps;
}
