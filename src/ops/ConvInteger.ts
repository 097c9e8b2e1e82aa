import { convMacs, convolution } from './Conv.js';
import { quantised, zeroPoint } from './examples.js';
import { pinAll } from './links.js';
import { addWholeBehind, countedFromZeros, orPinned, wholeNumbers } from './quantised.js';
import { convolving } from './quantisedConvolution.js';
import { defineOp } from './spec.js';

/** The sums of a convolution of quantised numbers, as int32. */
export const ConvInteger = defineOp({
  op: 'ConvInteger',
  since: 10,
  inputs: ['x', 'w', 'x_zero_point?', 'w_zero_point?'],
  outputs: ['y'],
  trains: [1],
  grad: wholeNumbers,
  channels: orPinned((node) => {
    const [x, w, xZero, wZero] = node.inputs;
    if (!w!.known) return pinAll(node, 'the kernel of this convolution is computed');
    const plain = convolving(node, [x, w]);
    return countedFromZeros(plain, convolution(plain, undefined), {
      zeros: [xZero, wZero],
      perChannel: [wZero],
      addBias: (cut, delta) => addWholeBehind(cut, 1, delta),
    });
  }),
  macs: convMacs,
  examples: [
    {
      title: 'padded, with zero points',
      inputs: [
        quantised('uint8', [1, 3, 5, 5]),
        quantised('uint8', [4, 3, 3, 3]),
        zeroPoint('uint8', 120),
        zeroPoint('uint8', 130),
      ],
      parameters: [1, 2, 3],
      attributes: { pads: [1, 1, 1, 1] },
    },
    {
      title: 'no zero points',
      inputs: [quantised('uint8', [1, 3, 4, 4]), quantised('uint8', [2, 3, 1, 1])],
      parameters: [1],
    },
  ],
});
