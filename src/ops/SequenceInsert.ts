import { holding, position, sequence } from './sequence.js';

export const SequenceInsert = sequence({
  op: 'SequenceInsert',
  since: 11,
  inputs: ['input_sequence', 'tensor', 'position?'],
  outputs: ['output_sequence'],
  normalise: (node, context) => {
    const elements = context.elements(node.input[0]);
    const at = elements && position(node.input[2], context, elements.length);
    return at === undefined ? undefined : holding(node, context, elements!.toSpliced(at, 0, node.input[1]));
  },
});
