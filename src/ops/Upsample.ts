import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { float32 } from '../tensor/tensor.js';
import { defineOp, type Link, refused } from './spec.js';

/** The predecessor of Resize (7 to 9): coordinates are i / scale, cut off for `nearest`. */
export const Upsample = defineOp({
  op: 'Upsample',
  inputs: ['X', 'scales?'],
  outputs: ['Y'],
  grad: refused('the training graph has Resize in its place'),
  channels: ({ inputs: [x], outputs: [y] }) => ({
    links: x!.shape.flatMap((size, axis): Link[] =>
      size === y.shape[axis] ? [{ from: { value: x!, axis }, to: { value: y, axis }, constants: 'same' }] : [],
    ),
  }),
  normalise: (node, context) => {
    const attrs = new Attributes(node);
    const given = attrs.floats('scales');
    const scales = given ? context.constant(float32([given.length], given)) : node.input[1];
    const how = {
      mode: attrs.string('mode', 'nearest'),
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    };
    return [makeNode('Resize', [node.input[0], '', scales], node.output, how, { name: node.name })];
  },
  examples: [
    { title: 'scales as input', inputs: [[1, 2, 3, 3], float32([4], [1, 1, 2, 2])], parameters: [1], opset: 9 },
    {
      title: 'scales as attribute',
      inputs: [[1, 2, 3, 3]],
      attributes: { scales: { floats: [1, 1, 2, 2] } },
      opset: 7,
    },
    {
      title: 'linear',
      inputs: [[1, 2, 3, 3]],
      attributes: { scales: { floats: [1, 1, 2, 2] }, mode: 'linear' },
      opset: 7,
    },
  ],
});
