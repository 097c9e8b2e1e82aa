import { same, sequence } from './sequence.js';

/** From opset 18 on, a tensor counts as an optional value that is there. */
export const OptionalGetElement = sequence({
  op: 'OptionalGetElement',
  since: 15,
  inputs: ['input'],
  outputs: ['output'],
  normalise: (node, context) => {
    const elements = context.elements(node.input[0]) ?? [node.input[0]];
    return elements.length === 1 && context.shape(elements[0]) ? same(node, elements[0]) : undefined;
  },
});
