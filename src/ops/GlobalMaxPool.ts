import { int64, sizeOf } from '../tensor/tensor.js';
import { apart } from './examples.js';
import { poolChannels } from './MaxPool.js';
import { defineOp } from './spec.js';

/* The gradient goes to one element per channel, the first that is the maximum. */
export const GlobalMaxPool = defineOp({
  op: 'GlobalMaxPool',
  inputs: ['X'],
  outputs: ['Y'],
  grad: (g, { inputs: [x] }, [dy]) => [
    () => {
      const [n, c, ...spatial] = x.shape;
      const size = sizeOf(spatial);
      const flat = g.reshape(x, [n, c, size]);
      const [winner] = g.emit('ArgMax', [flat], [{ dtype: 'int64', shape: [n, c, 1] }], { axis: 2 });
      const positions = g.constant(
        int64(
          [size],
          Array.from({ length: size }, (_, i) => i),
        ),
      );
      const won = g.equal(positions, winner);
      return g.reshape(g.where(won, g.reshape(dy!, [n, c, 1]), 0), x.shape);
    },
  ],
  channels: poolChannels('same'),
  examples: [
    { title: '2-D', inputs: [apart([2, 3, 4, 5])] },
    { title: '1-D', inputs: [apart([2, 3, 4])] },
  ],
});
