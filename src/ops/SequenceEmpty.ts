import { holding, sequence } from './sequence.js';

export const SequenceEmpty = sequence({
  op: 'SequenceEmpty',
  since: 11,
  inputs: [],
  outputs: ['output'],
  normalise: (node, context) => holding(node, context, []),
});
