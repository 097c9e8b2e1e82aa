import { constant, length, sequence } from './sequence.js';

export const SequenceLength = sequence({
  op: 'SequenceLength',
  since: 11,
  inputs: ['input_sequence'],
  outputs: ['length'],
  normalise: (node, context) => {
    const elements = context.elements(node.input[0]);
    return elements && constant(node, context, length(elements.length));
  },
});
