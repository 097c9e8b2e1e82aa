import { float32, int64 } from '../tensor/tensor.js';
import { axisOf, pinsOf } from './links.js';
import { defineOp, type Link } from './spec.js';

/** Y = off, but on where the new axis counts to the index: d on = Σ dY where it is, d off = Σ dY elsewhere. */
export const OneHot = defineOp({
  op: 'OneHot',
  since: 9,
  inputs: ['indices', 'depth', 'values'],
  outputs: ['output'],
  grad: (g, { inputs: [indices, depth, values], attrs }, [dy]) => [
    null,
    null,
    () => {
      const pair = g.constant({ ...float32([2], [0, 1]), dtype: 'float32' });
      const like = [{ dtype: values.dtype, shape: dy!.shape }];
      const hot = g.emit('OneHot', [indices, depth, g.cast(pair, values.dtype)], like, {
        axis: attrs.int('axis', -1),
      })[0];
      const axes = dy!.shape.map((_, a) => a);
      const on = g.reduceSum(g.mul(dy!, hot), axes);
      const off = g.sub(g.reduceSum(dy!, axes), on);
      return g.concat([g.reshape(off, [1]), g.reshape(on, [1])], 0);
    },
  ],
  channels: ({ inputs: [indices, depth, values], outputs: [y], attrs }) => {
    const given = attrs.int('axis', -1);
    const axis = given < 0 ? given + y.shape.length : given;
    const why = 'OneHot counts the indices of this axis';
    return {
      links: indices!.shape.map((_, a): Link => ({
        from: axisOf(indices!, a),
        to: axisOf(y, a < axis ? a : a + 1),
        constants: 'never',
      })),
      pins: [{ at: { value: y, axis }, why }, ...pinsOf(depth!, why), ...pinsOf(values!, why)],
    };
  },
  examples: [
    { title: 'the last axis', inputs: [int64([2, 3], [0, 2, 1, 3, -1, 0]), int64([], [4]), [2]], parameters: [1] },
    {
      title: 'the channel axis, an index out of range',
      inputs: [int64([2, 3], [0, 2, 1, 9, 1, 0]), int64([], [3]), float32([2], [0, 1])],
      parameters: [1, 2],
      attributes: { axis: 1 },
    },
  ],
});
