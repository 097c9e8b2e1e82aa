import { holding, position, sequence } from './sequence.js';

export const SequenceErase = sequence({
  op: 'SequenceErase',
  since: 11,
  inputs: ['input_sequence', 'position?'],
  outputs: ['output_sequence'],
  normalise: (node, context) => {
    const elements = context.elements(node.input[0]);
    if (!elements) return undefined;
    const at = node.input[1] ? position(node.input[1], context, elements.length) : elements.length - 1;
    return at === undefined ? undefined : holding(node, context, elements.toSpliced(at, 1));
  },
});
