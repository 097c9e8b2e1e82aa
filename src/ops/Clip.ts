import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { float32 } from '../tensor/tensor.js';
import { unary } from './unary.js';

/** Where Clip leaves x alone, y equals x: that needs neither bound. */
export const Clip = unary({
  op: 'Clip',
  inputs: ['input', 'min?', 'max?'],
  grad: (g, { x, y, dy }) => g.where(g.equal(x, y), dy, 0),
  /** Before 11 the bounds are attributes. */
  normalise: (node, context) => {
    if (context.opset >= 11) return undefined;
    const attrs = new Attributes(node);
    const bound = (name: 'min' | 'max'): string => {
      const value = attrs.float(name);
      return value === undefined ? '' : context.constant(float32([], [value]));
    };
    return [makeNode('Clip', [node.input[0], bound('min'), bound('max')], node.output, {}, { name: node.name })];
  },
  examples: [
    { title: 'both bounds', inputs: [[2, 3, 4], float32([], [-0.4]), float32([], [0.5])], parameters: [1, 2] },
    { title: 'the upper bound alone', inputs: [[2, 3, 4], null, float32([], [0.1])], parameters: [2] },
    { title: 'no bounds', inputs: [[5]] },
    {
      title: 'bounds as attributes',
      inputs: [[2, 3]],
      attributes: { min: { float: -0.5 }, max: { float: 0.25 } },
      opset: 8,
    },
    { title: 'one bound as attribute', inputs: [[2, 3]], attributes: { min: { float: -0.5 } }, opset: 7 },
  ],
});
