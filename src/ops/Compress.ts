import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { bool, int64 } from '../tensor/tensor.js';
import { front, ints } from './knownInts.js';
import { axisOf, pinAll, pinsOf } from './links.js';
import { defineOp, type Link, refused } from './spec.js';

/** Where the condition is known, the training graph gathers what it keeps. */
export const Compress = defineOp({
  op: 'Compress',
  since: 9,
  inputs: ['input', 'condition'],
  outputs: ['output'],
  grad: refused('how many indices Compress keeps depends on data'),
  channels: (node) => {
    const [x, condition] = node.inputs;
    const [y] = node.outputs;
    const why = 'Compress keeps indices of this axis by number';
    if (!node.attrs.has('axis')) return pinAll(node, why);
    const axis = front(node.attrs.int('axis', 0), y.shape.length);
    return {
      links: y.shape.flatMap((_, a): Link[] =>
        a === axis ? [] : [{ from: axisOf(x!, a), to: axisOf(y, a), constants: 'same' }],
      ),
      pins: [...[x!, y].map((value) => ({ at: { value, axis }, why })), ...pinsOf(condition!, why)],
    };
  },
  normalise: (node, context) => {
    const [x, condition] = node.input;
    const known = context.known(condition);
    if (!known) return undefined;
    const kept = context.constant(
      int64(
        [ints(known).filter(Boolean).length],
        ints(known).flatMap((k, i) => (k ? [i] : [])),
      ),
    );
    const axis = new Attributes(node).int('axis');
    if (axis !== undefined) return [makeNode('Gather', [x, kept], node.output, { axis }, { name: node.name })];
    const flat = context.fresh(`${x}/flat`);
    return [
      makeNode('Reshape', [x, context.constant(int64([1], [-1]))], [flat], {}, { name: flat }),
      makeNode('Gather', [flat, kept], node.output, {}, { name: node.name }),
    ];
  },
  examples: [
    {
      title: 'along an axis',
      inputs: [[2, 3, 2], bool([3], [true, false, true])],
      parameters: [1],
      attributes: { axis: 1 },
    },
    { title: 'of all elements', inputs: [[2, 3], bool([5], [true, false, true, true, false])], parameters: [1] },
  ],
});
