import { BLOCK, blockedForm, emitBlocked, isBlocked } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { sizeOf } from '../tensor/tensor.js';
import { spatialPads, type Window } from './window.js';

/**
 * Emits dW [M, C, kh, kw] as one product per image and a sum: every kernel position's view of X becomes C rows of a
 * matrix [kh·kw·C, windows]. Best for few input channels, where a product per position would be a thin one.
 */
export function im2colWeightGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  weight: readonly number[],
  window: Window,
): Value {
  const [m, c, ...kernel] = weight;
  const n = x.shape[0];
  const [positions, windows] = [sizeOf(kernel), sizeOf(window.output)];
  let rows = g.pad(x, spatialPads(window.before, window.after));
  // One axis after the other: k + k slices where position by position would be k·k.
  for (let axis = kernel.length - 1; axis >= 0; axis--) {
    const [stride, dilation, count] = [window.strides[axis], window.dilations[axis], window.output[axis]];
    const views = Array.from({ length: kernel[axis] }, (_, t) => {
      const start = t * dilation;
      return g.slice(rows, [axis + 2], [start], [start + (count - 1) * stride + 1], [stride]);
    });
    rows = g.concat(views, 1);
  }
  const matrix = g.reshape(rows, [n, positions * c, windows]);
  const product = isBlocked(g, dy)
    ? g.matMul(matrix, channelsLast(g, dy, n, windows, m))
    : g.transpose(timesTransposed(g, g.reshape(dy, [n, m, windows]), matrix), [0, 2, 1]);
  const sum = g.reduceSum(product, [0]);
  const taps = kernel.map((_, i) => i);
  return g.transpose(g.reshape(sum, [...kernel, c, m]), [kernel.length + 1, kernel.length, ...taps]);
}

/** The gradient of blocked values as [N, windows, M]: with one block of channels that is what lies in memory. */
function channelsLast(g: GraphBuilder, dy: Value, n: number, windows: number, m: number): Value {
  const { block } = blockedForm(g, dy);
  if (m === BLOCK) return g.reshape(block, [n, windows, m]);
  const [, , height, width] = dy.shape;
  const last = emitBlocked(g, 'ReorderOutput', [block], [n, height, width, m], { channels: m, channels_last: 1 });
  return g.reshape(last, [n, windows, m]);
}

/** a · bᵀ over the last two axes. */
function timesTransposed(g: GraphBuilder, a: Value, b: Value): Value {
  if (!g.engine.features.has('FusedMatMul')) return g.matMul(a, g.transpose(b, [0, 2, 1]));
  const shape = [...a.shape.slice(0, -1), b.shape[b.shape.length - 2]];
  return g.emit('FusedMatMul', [a, b], [{ dtype: a.dtype, shape }], { transB: 1 }, 'com.microsoft')[0];
}
