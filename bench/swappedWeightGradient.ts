import type { GraphBuilder, Value } from '../src/onnx/builder.js';
import type { Window } from '../src/ops/window.js';

/**
 * dW as a convolution with batch and channels changing roles: images of X are the input channels, dY is the kernel, strides
 * and dilations are swapped. The compiler does not emit it: it is measured beside what it does.
 */
export function swappedWeightGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  weight: readonly number[],
  { kernel, strides, dilations, before, after, output }: Window,
): Value {
  const [m, c] = weight;
  const swapped = [1, 0, 2, 3];
  const attributes = {
    kernel_shape: output,
    strides: dilations,
    dilations: strides,
    pads: [...before, ...after],
    group: 1,
  };
  const out = [{ dtype: x.dtype, shape: [c, m, ...kernel] }];
  const dw = g.emit('Conv', [g.transpose(x, swapped), g.transpose(dy, swapped)], out, attributes)[0];
  return g.transpose(dw, swapped);
}
