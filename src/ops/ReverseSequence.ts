import { int64 } from '../tensor/tensor.js';
import { axisOf, pinsOf } from './links.js';
import { defineOp, type Link } from './spec.js';

/** Reverses the first `sequence_lens[b]` steps of every sample; doing so again undoes it, which is also the adjoint. */
export const ReverseSequence = defineOp({
  op: 'ReverseSequence',
  since: 10,
  inputs: ['input', 'sequence_lens'],
  outputs: ['Y'],
  grad: (g, { inputs: [x, lengths], attrs }, [dy]) => [
    () =>
      g.emit('ReverseSequence', [dy!, lengths], [{ dtype: x.dtype, shape: x.shape }], {
        batch_axis: attrs.int('batch_axis', 1),
        time_axis: attrs.int('time_axis', 0),
      })[0],
    null,
  ],
  channels: ({ inputs: [x, lengths], outputs: [y], attrs }) => {
    const why = 'ReverseSequence reverses the steps of every sample';
    const own = [attrs.int('batch_axis', 1), attrs.int('time_axis', 0)];
    return {
      links: y.shape.flatMap((_, a): Link[] =>
        own.includes(a) ? [] : [{ from: axisOf(x!, a), to: axisOf(y, a), constants: 'same' }],
      ),
      pins: [
        ...[x!, y].flatMap((value) => own.map((axis) => ({ at: { value, axis }, why }))),
        ...pinsOf(lengths!, why),
      ],
    };
  },
  examples: [
    { title: 'time first', inputs: [[4, 2, 3], int64([2], [3, 1])] },
    {
      title: 'batch first',
      inputs: [[2, 4, 3], int64([2], [2, 4])],
      attributes: { batch_axis: 0, time_axis: 1 },
      parameters: [1],
    },
  ],
});
