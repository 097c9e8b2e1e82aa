import { Attributes } from '../onnx/attributes.js';
import { float32 } from '../tensor/tensor.js';
import { activate, isActivation } from './activation.js';
import { addBefore, addToParameter, floatTensor } from './bias.js';
import { Formula } from './formula.js';
import { convMacs, convolution } from './Conv.js';
import { straight } from './links.js';
import { type CutNode, defineOp, refused } from './spec.js';

/**
 * Y = activation(Conv(X, W, B) + Z), as onnxruntime's optimiser writes it.
 *
 * Source: com.microsoft FusedConv 1.
 */
export const FusedConv = defineOp({
  op: 'FusedConv',
  domain: 'com.microsoft',
  inputs: ['X', 'W', 'B?', 'Z?'],
  outputs: ['Y'],
  trains: [1, 2],
  grad: refused('its activation is none that is known'),
  normalise: (node, context) => {
    const attrs = new Attributes(node);
    if (!isActivation(attrs.string('activation', ''))) return undefined;
    const formula = new Formula(node, context);
    const [x, w, b = '', z = ''] = node.input;
    let y = formula.apply('Conv', b === '' ? [x, w] : [x, w, b]);
    formula.nodes[0].attribute.push(...node.attribute.filter((a) => !a.name.startsWith('activation')));
    if (z !== '') y = formula.apply('Add', [y, z]);
    activate(formula, attrs, y, node.output[0]);
    return formula.nodes;
  },
  channels: (node) => {
    const relation = convolution(node, addInside);
    const z = node.inputs[3];
    if (!z || !relation.mixes) return relation;
    const [rest, own] = [straight(z, node.outputs[0], 'never'), straight(z, node.outputs[0])];
    return { ...relation, links: rest.map((link, axis) => (axis === 1 ? own[axis] : link)) };
  },
  macs: convMacs,
  examples: [
    {
      title: 'with Relu',
      inputs: [[2, 3, 5, 6], [4, 3, 3, 3], float32([4], [9, -9, 9, 9])],
      parameters: [1, 2],
      attributes: { pads: [1, 1, 1, 1], activation: 'Relu' },
    },
    {
      title: 'a sum and Relu, without bias',
      inputs: [[1, 3, 2, 2], [2, 3, 1, 1], null, float32([1, 2, 2, 2], [7, 7, -7, 7, -7, 7, 7, -7])],
      parameters: [1],
      attributes: { activation: 'Relu' },
    },
    {
      title: 'a sum alone',
      inputs: [[1, 2, 4, 4], [3, 2, 3, 3], [3], [1, 3, 2, 2]],
      parameters: [1, 2],
    },
    {
      title: 'with LeakyRelu, depthwise',
      inputs: [[2, 3, 5, 5], [3, 1, 3, 3], [3]],
      parameters: [1, 2],
      attributes: { group: 3, strides: [2, 2], activation: 'LeakyRelu', activation_params: { floats: [0.2] } },
    },
    {
      title: 'with Clip',
      inputs: [[1, 3, 4, 4], [2, 3, 1, 1], [2]],
      parameters: [1, 2],
      attributes: { activation: 'Clip', activation_params: { floats: [-0.3, 0.4] } },
    },
    {
      title: 'with HardSigmoid, two groups',
      inputs: [[2, 4, 3, 3], [6, 2, 1, 1], [6]],
      parameters: [1, 2],
      attributes: { group: 2, activation: 'HardSigmoid', activation_params: { floats: [0.25, 0.5] } },
    },
    {
      title: 'with Sigmoid, 1-D',
      inputs: [[2, 3, 8], [4, 3, 3], [4]],
      parameters: [1, 2],
      attributes: { pads: [1, 1], activation: 'Sigmoid' },
    },
    {
      title: 'with Tanh',
      inputs: [[1, 2, 3, 3], [2, 2, 2, 2], [2]],
      parameters: [1, 2],
      attributes: { activation: 'Tanh' },
    },
  ],
});

/** Adds before the activation. */
function addInside(cut: CutNode, delta: Float64Array): void {
  const bias = cut.inputs[2];
  if (!bias) cut.setInput(2, floatTensor(cut.outputs[0].dtype, [delta.length], delta));
  else if (!addToParameter(cut, bias, 0, delta)) addBefore(cut, 2, [delta.length], delta);
}
