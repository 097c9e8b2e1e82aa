import { blocksToDepth } from './spaceBlocks.js';
import { defineOp } from './spec.js';

/** Output channel `c` stands for the block·block input channels that are woven into it: i mod C (DCR) or ⌊i / block²⌋ (CRD). */
export const DepthToSpace = defineOp({
  op: 'DepthToSpace',
  inputs: ['input'],
  outputs: ['output'],
  grad: (g, { inputs: [x], attrs }, [dy]) => [
    () => blocksToDepth(g, dy!, x.shape, attrs.int('blocksize', 1), attrs.string('mode', 'DCR')),
  ],
  channels: ({ inputs: [x], outputs: [y], attrs }) => {
    const [channels, block] = [y.shape[1], attrs.int('blocksize', 1)];
    const crd = attrs.string('mode', 'DCR') === 'CRD';
    const map = Int32Array.from({ length: x!.shape[1] }, (_, i) => (crd ? Math.floor(i / block ** 2) : i % channels));
    return {
      links: [
        { from: { value: x!, axis: 0 }, to: { value: y, axis: 0 }, constants: 'same' },
        { from: { value: y, axis: 1 }, to: { value: x!, axis: 1 }, map, constants: 'same' },
      ],
    };
  },
  examples: [
    { title: 'depth first', inputs: [[2, 8, 2, 3]], attributes: { blocksize: 2 } },
    { title: 'columns first', inputs: [[2, 8, 2, 3]], attributes: { blocksize: 2, mode: 'CRD' }, opset: 11 },
  ],
});
