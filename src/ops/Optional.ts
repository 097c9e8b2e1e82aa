import { holding, sequence } from './sequence.js';

/** An optional sequence holds what the sequence does. */
export const Optional = sequence({
  op: 'Optional',
  since: 15,
  inputs: ['input?'],
  outputs: ['output'],
  normalise: (node, context) => {
    const [x] = node.input;
    return x ? holding(node, context, context.elements(x) ?? [x]) : undefined;
  },
});
