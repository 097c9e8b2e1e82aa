import { Attributes } from '../onnx/attributes.js';
import { Formula, spelledOut } from './formula.js';
import { front } from './knownInts.js';
import { axisOf } from './links.js';
import { defineOp, type Link } from './spec.js';

/** Y = (X − mean) / (deviation + 1e-9) over the given axes. */
export const MeanVarianceNormalization = defineOp({
  op: 'MeanVarianceNormalization',
  since: 9,
  inputs: ['X'],
  outputs: ['Y'],
  grad: spelledOut,
  channels: ({ inputs: [x], outputs: [y], attrs }) => {
    const axes = (attrs.ints('axes') ?? [0, 2, 3]).map((a) => front(a, y.shape.length));
    const why = 'every index enters the mean and deviation of MeanVarianceNormalization';
    return {
      links: y.shape.flatMap((_, a): Link[] =>
        axes.includes(a) ? [] : [{ from: axisOf(x!, a), to: axisOf(y, a), constants: 'never' }],
      ),
      pins: [x!, y].flatMap((value) => axes.map((axis) => ({ at: { value, axis }, why }))),
    };
  },
  normalise: (node, context) => {
    const [x] = node.input;
    const axes = new Attributes(node).ints('axes') ?? [0, 2, 3];
    const f = new Formula(node, context);
    const centred = f.apply('Sub', [x, f.apply('ReduceMean', [x, f.ints(axes)])]);
    const variance = f.apply('ReduceMean', [f.apply('Mul', [centred, centred]), f.ints(axes)]);
    const deviation = f.apply('Add', [f.apply('Sqrt', [variance]), f.scalar(1e-9)]);
    return f.last('Div', [centred, deviation]);
  },
  examples: [
    { title: 'per channel', inputs: [[2, 3, 4, 3]] },
    { title: 'per sample', inputs: [[2, 3, 4]], attributes: { axes: [1, 2] } },
  ],
});
