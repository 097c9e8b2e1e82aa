import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import type { NodeProto } from '../onnx/proto.js';
import { float32, int64, sizeOf } from '../tensor/tensor.js';
import { poolChannels } from './MaxPool.js';
import { nativeSpread } from './native.js';
import { windowCounts } from './poolCounts.js';
import { spreadWindows } from './poolGradient.js';
import { type ChannelNode, defineOp, type NormaliseContext, type OpNode } from './spec.js';
import { extent, reachesPadding, spatialPads, type Window, windowOf } from './window.js';

/* Y[o] = Σ_{i in window o} X[i] / count[o], so dX[i] = Σ_{o: i in window o} dY[o] / count[o]. */
export const AveragePool = defineOp({
  op: 'AveragePool',
  inputs: ['X'],
  outputs: ['Y'],
  normalise: withoutDilations,
  grad: (g, node, [dy]) => [
    () => {
      const window = windowIn(node);
      const counts = windowCounts(node.attrs, window);
      const same = counts.every((n) => n === counts[0]);
      const native = g.engine.features.has('native');
      const size = native ? sizeOf(window.kernel) : 1;
      if (native && same && counts[0] === size) return nativeSpread(g, dy!, window);
      const divisor = same
        ? g.scalar(size / counts[0])
        : g.constant(
            float32(
              window.output,
              counts.map((n) => size / Math.max(1, n)),
            ),
          );
      if (native) return nativeSpread(g, g.mul(dy!, divisor), window);
      return spreadWindows(g, g.mul(dy!, divisor), window);
    },
  ],
  channels: (node) => {
    const window = windowIn(node);
    const dimmed = node.attrs.int('count_include_pad', 0) !== 0 && reachesPadding(window);
    return poolChannels(dimmed ? 'zero' : 'same')(node);
  },
  examples: [
    { title: 'windows side by side', inputs: [[2, 3, 4, 6]], attributes: { kernel_shape: [2, 3], strides: [2, 3] } },
    {
      title: 'windows that leave a rest',
      inputs: [[1, 2, 5, 7]],
      attributes: { kernel_shape: [2, 3], strides: [2, 3] },
    },
    {
      title: 'padding left out of the mean',
      inputs: [[2, 2, 5, 5]],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    {
      title: 'padding counted',
      inputs: [[2, 2, 5, 5]],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 },
    },
    {
      title: 'ceil_mode',
      inputs: [[1, 2, 6, 6]],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
    },
    {
      title: 'ceil_mode, padding counted',
      inputs: [[1, 2, 7, 6]],
      attributes: { kernel_shape: [3, 3], strides: [2, 3], pads: [1, 1, 1, 1], ceil_mode: 1, count_include_pad: 1 },
    },
    {
      title: 'SAME_UPPER',
      inputs: [[1, 2, 5, 6]],
      attributes: { kernel_shape: [3, 2], strides: [2, 1], auto_pad: 'SAME_UPPER' },
    },
    {
      title: 'SAME_LOWER, padding counted',
      inputs: [[1, 2, 5, 6]],
      attributes: { kernel_shape: [2, 2], auto_pad: 'SAME_LOWER', count_include_pad: 1 },
    },
    { title: '1-D', inputs: [[2, 3, 9]], attributes: { kernel_shape: [3], strides: [2], pads: [1, 0] } },
    {
      title: 'dilated',
      inputs: [[1, 2, 7, 6]],
      attributes: { kernel_shape: [2, 3], dilations: [3, 2], pads: [1, 1, 1, 1], strides: [2, 1] },
      opset: 19,
    },
    { title: '3-D', inputs: [[1, 2, 4, 4, 4]], attributes: { kernel_shape: [2, 2, 3], strides: [2, 2, 1] } },
  ],
});

/** Opset 18 knows no dilations: a convolution with ones, channel by channel, divided by the counts. */
function withoutDilations(node: NodeProto, context: NormaliseContext): NodeProto[] | undefined {
  const attrs = new Attributes(node);
  if (!attrs.ints('dilations')?.some((d) => d !== 1)) return undefined;
  const x = context.shape(node.input[0]);
  const y = context.shape(node.output[0]) ?? (x && [...x.slice(0, 2), ...outputSizes(attrs, x.slice(2))]);
  if (!x || !y) throw new Error(`the shape of ${node.input[0]}, which a dilated AveragePool reads, is unknown`);
  const window = windowOf(attrs, attrs.ints('kernel_shape')!, x.slice(2), y.slice(2), 'pool');
  const { kernel, strides, dilations, before, after } = window;
  const [lone, padded, sums, together] = ['lone', 'padded', 'sums', 'together'].map((n) =>
    context.fresh(`${node.output[0]}/${n}`),
  );
  const ones = context.constant(float32([1, 1, ...kernel], new Float32Array(sizeOf(kernel)).fill(1)));
  const pads = context.constant(int64([2 * x.length], spatialPads(before, after)));
  const inverse = windowCounts(attrs, window).map((n) => 1 / Math.max(1, n));
  const shape = (dims: readonly number[]): string => context.constant(int64([dims.length], dims));
  const [channels, ...sizes] = [x[0] * x[1], ...x.slice(2)];
  return [
    makeNode('Reshape', [node.input[0], shape([channels, 1, ...sizes])], [lone]),
    makeNode('Pad', [lone, pads], [padded]),
    makeNode('Conv', [padded, ones], [sums], { kernel_shape: kernel, strides, dilations }),
    makeNode('Reshape', [sums, shape(y)], [together]),
    makeNode('Mul', [together, context.constant(float32(y.slice(2), inverse))], [node.output[0]]),
  ].map((n) => ({ ...n, name: n.output[0] }));
}

/** @returns how many windows a pool with declared padding lays along each axis; none starts beyond the input. */
function outputSizes(attrs: Attributes, input: readonly number[]): number[] {
  const kernel = attrs.ints('kernel_shape')!;
  return input.map((size, i) => {
    const [stride, dilation] = [attrs.ints('strides')?.[i] ?? 1, attrs.ints('dilations')?.[i] ?? 1];
    const [before, after] = [attrs.ints('pads')?.[i] ?? 0, attrs.ints('pads')?.[i + kernel.length] ?? 0];
    const room = (size + before + after - extent(kernel[i], dilation)) / stride;
    const count = (attrs.int('ceil_mode', 0) ? Math.ceil(room) : Math.floor(room)) + 1;
    return (count - 1) * stride >= size + before ? count - 1 : count;
  });
}

function windowIn({ attrs, inputs, outputs }: OpNode | ChannelNode): Window {
  return windowOf(attrs, attrs.ints('kernel_shape')!, inputs[0]!.shape.slice(2), outputs[0].shape.slice(2), 'pool');
}
