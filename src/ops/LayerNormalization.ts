import { sizeOf } from '../tensor/tensor.js';
import { once } from './BatchNormalization.js';
import { normedChannels } from './normedChannels.js';
import { defineOp } from './spec.js';

/*
 * Z = (X − mean) · inv over the n elements of the trailing axes, Y = Z · Scale + B: with u = Scale · dY,
 * dX = inv · (u − Σu/n − Z · Σ(u·Z)/n).
 */
export const LayerNormalization = defineOp({
  op: 'LayerNormalization', // of opset 17, but onnxruntime writes it into files of any
  inputs: ['X', 'Scale', 'B?'],
  outputs: ['Y', 'Mean?', 'InvStdDev?'],
  trains: [1, 2],
  grad: (g, { inputs: [x, scale], attrs }, [dy]) => {
    const first = firstAxis(attrs.int('axis', -1), x.shape.length);
    const axes = x.shape.flatMap((_, i) => (i >= first ? [i] : []));
    const count = sizeOf(x.shape.slice(first));
    const centred = once(() => g.sub(x, g.reduceMean(x, axes, true)));
    const inv = once(() => {
      const variance = g.reduceMean(g.mul(centred(), centred()), axes, true);
      return g.reciprocal(g.sqrt(g.add(variance, attrs.float('epsilon', 1e-5))));
    });
    const normal = once(() => g.mul(centred(), inv()));
    return [
      () => {
        const u = g.mul(dy!, scale);
        const mean = g.div(g.reduceSum(u, axes, true), count);
        const along = g.div(g.reduceSum(g.mul(u, normal()), axes, true), count);
        return g.mul(g.sub(g.sub(u, mean), g.mul(normal(), along)), inv());
      },
      () => g.mul(dy!, normal()),
      () => dy!,
    ];
  },
  channels: ({ op, inputs, outputs, attrs }) => {
    const first = firstAxis(attrs.int('axis', -1), outputs[0].shape.length);
    return normedChannels({ op, inputs, outputs }, { first, summed: [0], scale: 1, shift: 2, epsilon: 1e-5 });
  },
  examples: [
    { title: 'the last axis', inputs: [[2, 3, 5], [5], [5]], parameters: [1, 2], opset: 17 },
    {
      title: 'two axes, no bias',
      inputs: [
        [2, 3, 4],
        [3, 4],
      ],
      parameters: [1],
      attributes: { axis: 1 },
      opset: 17,
    },
    { title: 'in a file of an older opset', inputs: [[2, 3, 5], [5], [5]], parameters: [1, 2], opset: 12 },
  ],
});

function firstAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
