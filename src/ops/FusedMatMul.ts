import { Attributes } from '../onnx/attributes.js';
import { sizeOf } from '../tensor/tensor.js';
import { Formula } from './formula.js';
import { pinAll } from './links.js';
import { product } from './MatMul.js';
import { defineOp, refused } from './spec.js';

/**
 * Y = α A'·B', where A' and B' are the operands or their transposes (of the last two axes; a vector stays a vector), as
 * onnxruntime's optimiser writes it.
 *
 * Source: com.microsoft FusedMatMul 1.
 */
export const FusedMatMul = defineOp({
  op: 'FusedMatMul',
  domain: 'com.microsoft',
  inputs: ['A', 'B'],
  outputs: ['Y'],
  trains: [0, 1],
  grad: refused('its transposed batches are not spelt out'),
  normalise: (node, context) => {
    const attrs = new Attributes(node);
    if (attrs.int('transBatchA', 0) || attrs.int('transBatchB', 0)) return undefined;
    const formula = new Formula(node, context);
    const operand = (name: string, swap: boolean): string => {
      const rank = context.shape(name)?.length ?? 0;
      if (!swap || rank < 2) return name;
      const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
      return formula.apply('Transpose', [name], { perm });
    };
    const [a, b] = [
      operand(node.input[0], attrs.int('transA', 0) !== 0),
      operand(node.input[1], attrs.int('transB', 0) !== 0),
    ];
    const alpha = attrs.float('alpha', 1);
    if (alpha === 1) formula.apply('MatMul', [a, b], {}, node.output[0]);
    else formula.apply('Mul', [formula.apply('MatMul', [a, b]), formula.scalar(alpha)], {}, node.output[0]);
    return formula.nodes;
  },
  channels: (node) => {
    const { attrs } = node;
    if (attrs.int('transBatchA', 0) || attrs.int('transBatchB', 0)) {
      return pinAll(node, 'this FusedMatMul transposes its batches');
    }
    return product(node, {
      transA: attrs.int('transA', 0) !== 0,
      transB: attrs.int('transB', 0) !== 0,
      scale: attrs.float('alpha', 1),
    });
  },
  macs: ({ inputs: [a], outputs: [y], attrs }) => {
    const swapped = attrs.int('transA', 0) !== 0 && a!.shape.length > 1;
    return sizeOf(y.shape) * a!.shape.at(swapped ? -2 : -1)!;
  },
  examples: [
    {
      title: 'transB, scaled',
      inputs: [
        [2, 3, 4],
        [5, 4],
      ],
      parameters: [1],
      attributes: { transB: 1, alpha: { float: 0.5 } },
    },
    {
      title: 'transA, weight on the left',
      inputs: [
        [4, 3],
        [2, 4, 5],
      ],
      parameters: [0],
      attributes: { transA: 1 },
    },
    {
      title: 'two computed values, both transposed',
      inputs: [
        [2, 4, 3],
        [2, 5, 4],
      ],
      attributes: { transA: 1, transB: 1, alpha: { float: 2 } },
    },
    {
      title: 'batches and scale',
      inputs: [
        [2, 3, 4],
        [2, 4, 2],
      ],
      attributes: { alpha: { float: 0.25 } },
    },
    {
      title: 'transposed batches',
      inputs: [
        [3, 2, 4],
        [2, 4, 5],
      ],
      attributes: { transBatchA: 1 },
    },
  ],
});
