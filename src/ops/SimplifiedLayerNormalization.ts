import { Attributes } from '../onnx/attributes.js';
import { Formula } from './formula.js';
import { pinAll } from './links.js';
import { rootMeanSquare, skipChannels } from './skipNorm.js';
import { defineOp, refused } from './spec.js';

const channels = skipChannels({ summed: [0], scale: 1 });

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
    const axis = node.attrs.int('axis', -1);
    const rank = node.inputs[0]!.shape.length;
    return axis === -1 || axis === rank - 1 ? channels(node) : pinAll(node, 'it norms more than the last axis');
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
