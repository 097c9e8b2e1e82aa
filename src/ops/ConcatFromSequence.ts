import { Attributes } from '../onnx/attributes.js';
import { Formula } from './formula.js';
import { sequence } from './sequence.js';

export const ConcatFromSequence = sequence({
  op: 'ConcatFromSequence',
  since: 11,
  inputs: ['input_sequence'],
  outputs: ['concat_result'],
  normalise: (node, context) => {
    const elements = context.elements(node.input[0]);
    if (!elements || elements.length === 0) return undefined;
    const attrs = new Attributes(node);
    const axis = attrs.int('axis', 0);
    const f = new Formula(node, context);
    const stacked = attrs.int('new_axis', 0) === 1;
    const parts = stacked ? elements.map((x) => f.apply('Unsqueeze', [x, f.ints([axis])])) : elements;
    return f.last('Concat', parts, { axis });
  },
});
