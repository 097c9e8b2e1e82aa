import { position, same, sequence } from './sequence.js';

export const SequenceAt = sequence({
  op: 'SequenceAt',
  since: 11,
  inputs: ['input_sequence', 'position'],
  outputs: ['tensor'],
  normalise: (node, context) => {
    const elements = context.elements(node.input[0]);
    const at = elements && position(node.input[1], context, elements.length);
    return at === undefined || !elements?.[at] ? undefined : same(node, elements[at]);
  },
});
