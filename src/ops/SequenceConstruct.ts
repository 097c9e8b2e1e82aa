import { holding, sequence } from './sequence.js';

export const SequenceConstruct = sequence({
  op: 'SequenceConstruct',
  since: 11,
  inputs: ['inputs...'],
  outputs: ['output_sequence'],
  normalise: (node, context) => holding(node, context, node.input),
});
