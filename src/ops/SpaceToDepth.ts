import { depthToBlocks } from './spaceBlocks.js';
import { defineOp } from './spec.js';

/** Output channel `i` is a part of input channel i mod C. */
export const SpaceToDepth = defineOp({
  op: 'SpaceToDepth',
  inputs: ['input'],
  outputs: ['output'],
  grad: (g, { inputs: [x], attrs }, [dy]) => [() => depthToBlocks(g, dy!, x.shape, attrs.int('blocksize', 1))],
  channels: ({ inputs: [x], outputs: [y] }) => {
    const map = Int32Array.from({ length: y.shape[1] }, (_, i) => i % x!.shape[1]);
    return {
      links: [
        { from: { value: x!, axis: 0 }, to: { value: y, axis: 0 }, constants: 'same' },
        { from: { value: x!, axis: 1 }, to: { value: y, axis: 1 }, map, constants: 'same' },
      ],
    };
  },
  examples: [{ title: 'blocks', inputs: [[2, 3, 4, 2]], attributes: { blocksize: 2 } }],
});
