import { makeNode } from '../onnx/make.js';
import { bool, float32 } from '../tensor/tensor.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

/**
 * Dropout does nothing at inference, and exported graphs are inference graphs: it becomes Identity, unless a
 * `training_mode` input that is a known true asks for it. Its masks are functions of seed and step.
 */
export const Dropout = defineOp({
  op: 'Dropout',
  inputs: ['data', 'ratio?', 'training_mode?'],
  outputs: ['output', 'mask?'],
  grad: (g, { inputs, saved: { mask, scale } }, [dy]) =>
    inputs.map((_, i) => {
      if (i > 0) return null;
      return mask && scale ? () => g.where(mask, g.mul(dy!, scale), 0) : () => dy!;
    }),
  channels: (node) => ({ links: node.outputs.flatMap((y) => elementwise({ ...node, outputs: [y] }).links ?? []) }),
  normalise: (node, context) => {
    const mode = node.input[2] ? context.known(node.input[2]) : undefined;
    if (mode ? Number(mode.data[0]) !== 0 : Boolean(node.input[2])) return undefined;
    const identity = makeNode('Identity', [node.input[0]], [node.output[0]], {}, { name: node.name });
    return node.output[1]
      ? [identity, makeNode('Equal', [node.input[0], node.input[0]], [node.output[1]])]
      : [identity];
  },
  lower: (g, { inputs: [x, ratio] }, context) => {
    if (!context.random) return { outputs: [x, g.equal(x, x)] };
    const rate = ratio?.constant ? Number(ratio.constant.data[0]) : 0.5;
    const mask = g.greaterOrEqual(context.random(x.shape), rate);
    const scale = g.scalar(1 / (1 - rate), x.dtype);
    return { outputs: [g.where(mask, g.mul(x, scale), 0), mask], saved: { mask, scale } };
  },
  examples: [
    { title: 'at inference', inputs: [[2, 3]] },
    { title: 'with the ratio as attribute', inputs: [[2, 3]], attributes: { ratio: { float: 0.3 } }, opset: 7 },
    {
      title: 'with a false training mode',
      inputs: [[2, 3], float32([], [0.3]), bool([], [false])],
      parameters: [1, 2],
      opset: 12,
    },
  ],
});
