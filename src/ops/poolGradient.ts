import type { GraphBuilder, Value } from '../onnx/builder.js';
import { float32, sizeOf } from '../tensor/tensor.js';
import { spatialPads, type Window } from './window.js';

/** The adjoint of `sliceTap`: one value per window goes to where the window's tap lies; zeros elsewhere. */
export function spreadTap(
  g: GraphBuilder,
  perWindow: Value,
  { strides, output }: Window,
  tap: readonly number[],
  sizes: readonly number[],
): Value {
  const spread = withGaps(g, perWindow, strides);
  const after = sizes.map((d, i) => d - tap[i] - ((output[i] - 1) * strides[i] + 1));
  return g.pad(spread, spatialPads(tap, after));
}

/** Puts `stride - 1` zeros between neighbours along every spatial axis. */
function withGaps(g: GraphBuilder, x: Value, strides: readonly number[]): Value {
  if (strides.every((s) => s === 1)) return x;
  const lead = x.shape.slice(0, 2);
  const spatial = x.shape.slice(2);
  const split = g.reshape(x, [...lead, ...spatial.flatMap((d) => [d, 1])]);
  const before = split.shape.map(() => 0);
  const after = [0, 0, ...strides.flatMap((s) => [0, s - 1])];
  const wide = g.reshape(g.pad(split, [...before, ...after]), [...lead, ...spatial.map((d, i) => d * strides[i])]);
  const last = spatial.map((d, i) => (d - 1) * strides[i] + 1);
  return g.slice(
    wide,
    last.map((_, i) => i + 2),
    last.map(() => 0),
    last,
  );
}

/** Gives every window's value to each element that the window covers, summed: the adjoint of summing over windows. */
export function spreadWindows(g: GraphBuilder, perWindow: Value, window: Window): Value {
  const { kernel, strides, dilations } = window;
  const sideBySide = kernel.every((k, i) => k === strides[i] && dilations[i] === 1);
  // On processors Expand copies by windows, which small ones make slow: ConvTranspose takes a quarter to half of the time.
  const slow = g.engine.provider === 'cpu' && sizeOf(window.output) > 1;
  return spreadWindowsBy(sideBySide && !slow ? 'repeated' : 'transposed', g, perWindow, window);
}

/** `repeated`: by Expand, for windows side by side; `transposed`: a ConvTranspose with a kernel of ones. */
export type Spread = 'repeated' | 'transposed';

/** The same in a given form. */
export function spreadWindowsBy(form: Spread, g: GraphBuilder, perWindow: Value, window: Window): Value {
  const { kernel, before, after, input, output } = window;
  const [n, c] = perWindow.shape;
  const full = form === 'repeated' ? repeat(g, perWindow, kernel) : overlap(g, perWindow, window);
  const sizes = input.map((d, i) => d + before[i] + after[i]);
  if (sizeOf(full.shape) !== n * c * sizeOf(sizes)) throw new Error(`windows of [${output}] do not make up [${sizes}]`);
  const [lead, tail] = [before.map((p) => -p), after.map((p) => -p)];
  return g.pad(full, spatialPads(lead, tail));
}

function repeat(g: GraphBuilder, x: Value, times: readonly number[]): Value {
  const lead = x.shape.slice(0, 2);
  const spatial = x.shape.slice(2);
  const split = g.reshape(x, [...lead, ...spatial.flatMap((d) => [d, 1])]);
  const wide = g.expand(split, [...lead, ...spatial.flatMap((d, i) => [d, times[i]])]);
  return g.reshape(wide, [...lead, ...spatial.map((d, i) => d * times[i])]);
}

/** Channels don't mix, so they are samples to a transposed convolution with a kernel of ones. */
function overlap(g: GraphBuilder, x: Value, { kernel, strides, dilations, input, before, after }: Window): Value {
  const [n, c, ...output] = x.shape;
  const sizes = input.map((d, i) => d + before[i] + after[i]);
  const ones = g.constant(float32([1, 1, ...kernel], new Float32Array(sizeOf(kernel)).fill(1)));
  const out = [{ dtype: x.dtype, shape: [n * c, 1, ...sizes] }];
  const single = g.reshape(x, [n * c, 1, ...output]);
  const full = g.emit('ConvTranspose', [single, ones], out, { kernel_shape: kernel, strides, dilations })[0];
  return g.reshape(full, [n, c, ...sizes]);
}
