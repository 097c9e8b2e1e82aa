import { sizeOf } from '../tensor/tensor.js';
import { poolChannels } from './MaxPool.js';
import { defineOp } from './spec.js';

export const GlobalAveragePool = defineOp({
  op: 'GlobalAveragePool',
  inputs: ['X'],
  outputs: ['Y'],
  grad: (g, { inputs: [x] }, [dy]) => [() => g.expand(g.div(dy!, sizeOf(x.shape.slice(2))), x.shape)],
  channels: poolChannels('same'),
  examples: [
    { title: '2-D', inputs: [[2, 3, 4, 5]] },
    { title: '1-D', inputs: [[2, 3, 4]] },
    { title: '3-D', inputs: [[2, 3, 2, 2, 3]] },
  ],
});
