import { Attributes } from '../onnx/attributes.js';
import { Formula } from './formula.js';
import { front } from './knownInts.js';
import { normedChannels } from './normedChannels.js';
import { rootMeanSquare } from './skipNorm.js';
import { defineOp, refused } from './spec.js';

/**
 * Y = X / √(mean(X²) + ε) · scale over the last axis. No opset of ONNX has it, but onnxruntime writes it into ONNX's domain.
 *
 * Source: onnxruntime's SimplifiedLayerNormalization 1.
 */
export const SimplifiedLayerNormalization = defineOp({
  op: 'SimplifiedLayerNormalization',
  inputs: ['X', 'scale'],
  outputs: ['Y', 'inv_std_var?'],
  trains: [1],
  grad: refused('something reads the deviation that it found'),
  normalise: (node, context) => {
    const attrs = new Attributes(node);
    const rank = context.shape(node.input[0])?.length;
    const axis = attrs.int('axis', -1);
    if (rank === undefined || node.output[1]) return undefined;
    const formula = new Formula(node, context);
    rootMeanSquare(formula, node.input, {
      axis: axis < 0 ? axis : axis - rank,
      epsilon: attrs.float('epsilon', 1e-5),
      output: node.output[0],
    });
    return formula.nodes;
  },
  channels: (node) => {
    const first = front(node.attrs.int('axis', -1), node.outputs[0].shape.length);
    return normedChannels(node, { first, summed: [0], scale: 1, epsilon: 1e-5 });
  },
  examples: [
    { title: 'the last axis', inputs: [[2, 3, 5], [5]], parameters: [1], attributes: { epsilon: { float: 1e-6 } } },
    {
      title: 'in an old file, its axis from the front',
      inputs: [[2, 3, 5], [5]],
      parameters: [1],
      attributes: { axis: 2 },
      opset: 9,
    },
  ],
});
