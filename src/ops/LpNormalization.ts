import { Attributes } from '../onnx/attributes.js';
import { Formula, spelledOut } from './formula.js';
import { front } from './knownInts.js';
import { axisOf } from './links.js';
import { defineOp, type Link } from './spec.js';

/** Y = X / ‖X‖ along one axis, by the 1- or 2-norm; zeros stay zeros. */
export const LpNormalization = defineOp({
  op: 'LpNormalization',
  inputs: ['input'],
  outputs: ['output'],
  grad: spelledOut,
  channels: ({ inputs: [x], outputs: [y], attrs }) => {
    const axis = front(attrs.int('axis', -1), y.shape.length);
    return {
      links: y.shape.flatMap((_, a): Link[] =>
        a === axis ? [] : [{ from: axisOf(x!, a), to: axisOf(y, a), constants: 'zero' }],
      ),
      pins: [x!, y].map((value) => ({ at: { value, axis }, why: 'every channel enters the norm of LpNormalization' })),
    };
  },
  normalise: (node, context) => {
    const [x] = node.input;
    const attrs = new Attributes(node);
    const f = new Formula(node, context);
    const reduce = attrs.int('p', 2) === 1 ? 'ReduceL1' : 'ReduceL2';
    const norm = f.apply(reduce, [x, f.ints([attrs.int('axis', -1)])]);
    const divisor = f.apply('Where', [f.apply('Equal', [norm, f.scalar(0)]), f.scalar(1), norm]);
    return f.last('Div', [x, divisor]);
  },
  examples: [
    { title: 'the last axis', inputs: [[2, 3, 4]] },
    { title: 'by absolute values, over channels', inputs: [[2, 3, 4]], attributes: { axis: 1, p: 1 } },
  ],
});
