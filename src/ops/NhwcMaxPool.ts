import { quantised } from './examples.js';
import { wholeNumbers } from './quantised.js';
import { defineOp, type Link } from './spec.js';

/**
 * MaxPool of quantised numbers, the channels the last axis.
 *
 * Source: com.microsoft NhwcMaxPool 1.
 */
export const NhwcMaxPool = defineOp({
  op: 'NhwcMaxPool',
  domain: 'com.microsoft',
  inputs: ['x'],
  outputs: ['y'],
  grad: wholeNumbers,
  channels: ({ inputs: [x], outputs: [y] }) => ({
    links: [0, y.shape.length - 1].map((axis): Link => ({
      from: { value: x!, axis },
      to: { value: y, axis },
      constants: 'same',
    })),
  }),
  examples: [
    {
      title: 'padded windows',
      inputs: [quantised('uint8', [1, 4, 5, 3])],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    },
  ],
});
