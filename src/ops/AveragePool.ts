import { float32 } from '../tensor/tensor.js';
import { poolChannels } from './MaxPool.js';
import { spreadWindows } from './poolGradient.js';
import { type ChannelNode, defineOp, type OpNode } from './spec.js';
import { extent, reachesPadding, type Window, windowOf } from './window.js';

/* Y[o] = Σ_{i in window o} X[i] / count[o], so dX[i] = Σ_{o: i in window o} dY[o] / count[o]. */
export const AveragePool = defineOp({
  op: 'AveragePool',
  inputs: ['X'],
  outputs: ['Y'],
  grad: (g, node, [dy]) => [
    () => {
      const window = windowIn(node);
      const counts = countsOf(node, window);
      const same = counts.every((n) => n === counts[0]);
      const divisor = same
        ? g.scalar(1 / counts[0])
        : g.constant(
            float32(
              window.output,
              counts.map((n) => 1 / n),
            ),
          );
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
    { title: '3-D', inputs: [[1, 2, 4, 4, 4]], attributes: { kernel_shape: [2, 2, 3], strides: [2, 2, 1] } },
  ],
});

function windowIn({ attrs, inputs, outputs }: OpNode | ChannelNode): Window {
  return windowOf(attrs, attrs.ints('kernel_shape')!, inputs[0]!.shape.slice(2), outputs[0].shape.slice(2), 'pool');
}

/**
 * @returns what each window's sum is divided by. Padding counts where `count_include_pad` says so, but what `ceil_mode`
 * reaches beyond the declared padding never does.
 */
function countsOf({ attrs }: OpNode | ChannelNode, window: Window): number[] {
  const { kernel, strides, dilations, before, after, input, output } = window;
  const include = attrs.int('count_include_pad', 0) !== 0;
  const computed = attrs.string('auto_pad', 'NOTSET').startsWith('SAME');
  const declared = computed ? after : (attrs.ints('pads')?.slice(kernel.length) ?? []);
  const along = output.map((windows, i) => {
    const first = include ? -before[i] : 0;
    const end = input[i] + (include ? Math.max(0, declared[i] ?? 0) : 0);
    return Array.from({ length: windows }, (_, o) => {
      const start = o * strides[i] - before[i];
      const stop = start + extent(kernel[i], dilations[i]);
      let seen = 0;
      for (let at = start; at < stop; at += dilations[i]) if (at >= first && at < end) seen++;
      return seen;
    });
  });
  return along.reduce<number[]>((all, counts) => all.flatMap((a) => counts.map((b) => a * b)), [1]);
}
