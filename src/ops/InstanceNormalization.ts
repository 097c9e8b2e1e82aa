import { sizeOf } from '../tensor/tensor.js';
import { once, perChannel } from './BatchNormalization.js';
import { defineOp } from './spec.js';

/*
 * The statistics of BatchNormalization, of one sample and channel: with u = scale · dY over its n elements,
 * dX = inv · (u − Σu/n − Z · Σ(u·Z)/n), Z = (X − mean) · inv.
 */
export const InstanceNormalization = defineOp({
  op: 'InstanceNormalization',
  inputs: ['input', 'scale', 'B'],
  outputs: ['output'],
  trains: [1, 2],
  grad: (g, { inputs: [x, scale], attrs }, [dy]) => {
    const spatial = x.shape.slice(2).map((_, i) => i + 2);
    const perSample = [0, ...spatial];
    const count = sizeOf(x.shape.slice(2));
    const centred = once(() => g.sub(x, g.reduceMean(x, spatial, true)));
    const inv = once(() => {
      const variance = g.reduceMean(g.mul(centred(), centred()), spatial, true);
      return g.reciprocal(g.sqrt(g.add(variance, attrs.float('epsilon', 1e-5))));
    });
    const normal = once(() => g.mul(centred(), inv()));
    return [
      () => {
        const u = g.mul(dy!, perChannel(g, scale, x));
        const mean = g.div(g.reduceSum(u, spatial, true), count);
        const along = g.div(g.reduceSum(g.mul(u, normal()), spatial, true), count);
        return g.mul(g.sub(g.sub(u, mean), g.mul(normal(), along)), inv());
      },
      () => g.reduceSum(g.mul(dy!, normal()), perSample),
      () => g.reduceSum(dy!, perSample),
    ];
  },
  channels: ({ inputs: [x, scale, b], outputs: [y] }) => ({
    links: [
      { from: { value: x!, axis: 0 }, to: { value: y, axis: 0 }, constants: 'never' },
      { from: { value: x!, axis: 1 }, to: { value: y, axis: 1 }, constants: 'same' },
      { from: { value: scale!, axis: 0 }, to: { value: y, axis: 1 }, constants: 'same' },
      { from: { value: b!, axis: 0 }, to: { value: y, axis: 1 }, constants: 'same' },
    ],
    gains: [{ from: { value: scale!, axis: 0 }, to: { value: y, axis: 1 } }],
  }),
  examples: [
    { title: 'images', inputs: [[2, 3, 4, 3], [3], [3]], parameters: [1, 2] },
    { title: '1-D', inputs: [[2, 3, 6], [3], [3]], parameters: [1, 2], attributes: { epsilon: { float: 0.01 } } },
  ],
});
