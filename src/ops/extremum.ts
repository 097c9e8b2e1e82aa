import type { Value } from '../onnx/builder.js';
import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import type { OpSpec } from './spec.js';

/** @returns the spec of Max or Min over any number of operands: the gradient goes to the first one that is chosen. */
export function extremum(op: 'Max' | 'Min'): OpSpec {
  return {
    op,
    inputs: ['data...'],
    outputs: ['result'],
    grad: (g, { inputs, outputs: [y] }, [dy]) =>
      inputs.map((_, i) => () => {
        const earlier = inputs.slice(0, i).map((x) => g.equal(x, y));
        const chosen = earlier.reduce((free: Value, taken) => g.and(free, g.not(taken)), g.equal(inputs[i], y));
        return g.where(chosen, dy!, 0);
      }),
    channels: (node) => broadcasting(node),
    examples: [
      ...broadcastExamples(),
      { title: 'three operands', inputs: [[2, 3], [3], [2, 1]] },
      { title: 'one operand', inputs: [[2, 3]] },
      { title: 'two operands, old form', inputs: [[2, 3], [3]], opset: 8 },
    ],
  };
}
