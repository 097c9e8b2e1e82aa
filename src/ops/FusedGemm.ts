import { Attributes } from '../onnx/attributes.js';
import { float32 } from '../tensor/tensor.js';
import { activate, isActivation } from './activation.js';
import { addBefore, addToParameter } from './bias.js';
import { Formula } from './formula.js';
import { biasShape, gemmMacs, generalProduct, setBias } from './Gemm.js';
import { type AxisRef, type CutNode, defineOp, refused } from './spec.js';

/**
 * Y = activation(α A'·B' + β C), as onnxruntime's optimiser writes it.
 *
 * Source: com.microsoft FusedGemm 1.
 */
export const FusedGemm = defineOp({
  op: 'FusedGemm',
  domain: 'com.microsoft',
  inputs: ['A', 'B', 'C?'],
  outputs: ['Y'],
  trains: [0, 1, 2],
  grad: refused('its activation is none that is known'),
  normalise: (node, context) => {
    const attrs = new Attributes(node);
    if (!isActivation(attrs.string('activation', ''))) return undefined;
    const formula = new Formula(node, context);
    const y = formula.apply('Gemm', node.input);
    formula.nodes[0].attribute.push(...node.attribute.filter((a) => !a.name.startsWith('activation')));
    activate(formula, attrs, y, node.output[0]);
    return formula.nodes;
  },
  channels: (node) => generalProduct(node, addInside),
  macs: gemmMacs,
  examples: [
    {
      title: 'with Relu, transB',
      inputs: [[3, 4], [5, 4], [5]],
      parameters: [1, 2],
      attributes: { transB: 1, activation: 'Relu' },
    },
    {
      title: 'with LeakyRelu, alpha and beta',
      inputs: [[3, 4], [4, 5], float32([5], [4, -4, 4, -4, 4])],
      parameters: [1, 2],
      attributes: {
        alpha: { float: 0.5 },
        beta: { float: -2 },
        activation: 'LeakyRelu',
        activation_alpha: { float: 0.3 },
      },
    },
    {
      title: 'with Tanh, beta and one bias for all',
      inputs: [[4, 3], [4, 5], [1]],
      parameters: [1, 2],
      attributes: { transA: 1, beta: { float: 2 }, activation: 'Tanh' },
    },
    {
      title: 'with HardSigmoid, no weight',
      inputs: [[3, 4], [4, 5], [5]],
      attributes: {
        activation: 'HardSigmoid',
        activation_alpha: { float: 0.25 },
        activation_beta: { float: 0.5 },
      },
    },
    {
      title: 'with Softsign, no bias',
      inputs: [[3, 4], [4, 5], null],
      parameters: [1],
      attributes: { beta: { float: 0 }, activation: 'Softsign' },
    },
    {
      title: 'with Selu',
      inputs: [[3, 4], [4, 5], [5]],
      parameters: [1, 2],
      attributes: {
        activation: 'Selu',
        activation_alpha: { float: 1.5 },
        activation_gamma: { float: 1.1 },
      },
    },
  ],
});

/** Adds before the activation. */
function addInside(cut: CutNode, delta: Float64Array, outAxis: 0 | 1, bias: AxisRef | undefined): void {
  const beta = new Attributes(cut.node).float('beta', 1);
  const scaled = delta.map((d) => d / beta);
  if (!cut.inputs[2] || beta === 0) setBias(cut, delta, outAxis);
  else if (!bias || !addToParameter(cut, bias.value, bias.axis, scaled))
    addBefore(cut, 2, biasShape(delta.length, outAxis), scaled);
}
