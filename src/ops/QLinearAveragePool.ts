import { inputZeroOf } from './quantised.js';
import { channelsLast, quantisedExample, quantisedUnary } from './quantisedUnary.js';
import type { Link } from './spec.js';
import { reachesPadding, windowOf } from './window.js';

/** Source: com.microsoft QLinearAveragePool 1. */
export const QLinearAveragePool = quantisedUnary(
  'QLinearAveragePool',
  ({ inputs: [x, , zeroPoint], outputs: [y], attrs }) => {
    const last = channelsLast(attrs);
    const spatial = (shape: readonly number[]): number[] => (last ? shape.slice(1, -1) : shape.slice(2));
    const window = windowOf(attrs, attrs.ints('kernel_shape')!, spatial(x!.shape), spatial(y.shape), 'pool');
    const zero = inputZeroOf(zeroPoint);
    // Padding that counts is at the zero point.
    const dimmed = attrs.int('count_include_pad', 0) !== 0 && reachesPadding(window);
    const constants = !dimmed ? 'same' : zero === undefined ? 'never' : 'zero';
    return {
      links: [0, last ? y.shape.length - 1 : 1].map((axis): Link => ({
        from: { value: x!, axis },
        to: { value: y, axis },
        constants,
        zero,
      })),
    };
  },
  [
    quantisedExample('padding counted', [1, 3, 5, 5], {
      kernel_shape: [3, 3],
      pads: [1, 1, 1, 1],
      count_include_pad: 1,
      channels_last: 0,
    }),
    quantisedExample('channels last', [1, 4, 4, 3], { kernel_shape: [2, 2], strides: [2, 2], channels_last: 1 }),
  ],
);
