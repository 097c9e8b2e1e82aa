import { channelsLast, quantisedExample, quantisedUnary } from './quantisedUnary.js';
import type { Link } from './spec.js';

/** Source: com.microsoft QLinearGlobalAveragePool 1. */
export const QLinearGlobalAveragePool = quantisedUnary(
  'QLinearGlobalAveragePool',
  ({ inputs: [x], outputs: [y], attrs }) => ({
    links: [0, channelsLast(attrs) ? y.shape.length - 1 : 1].map((axis): Link => ({
      from: { value: x!, axis },
      to: { value: y, axis },
      constants: 'same',
    })),
  }),
  [
    quantisedExample('channels first', [2, 3, 4, 5], { channels_last: 0 }),
    quantisedExample('channels last', [2, 4, 5, 3], { channels_last: 1 }),
  ],
);
