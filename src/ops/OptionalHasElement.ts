import { bool } from '../tensor/tensor.js';
import { constant, sequence } from './sequence.js';

export const OptionalHasElement = sequence({
  op: 'OptionalHasElement',
  since: 15,
  inputs: ['input?'],
  outputs: ['output'],
  normalise: (node, context) => {
    const [x] = node.input;
    const known = !x || context.elements(x) !== undefined || context.shape(x) !== undefined;
    return known ? constant(node, context, bool([], [Boolean(x)])) : undefined;
  },
});
