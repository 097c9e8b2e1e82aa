import { Attributes } from '../onnx/attributes.js';
import { Formula, spelledOut } from './formula.js';
import { axisOf } from './links.js';
import { defineOp } from './spec.js';

/**
 * Y = X / (bias + α/size · Σ X²)^β over a window of channels: an AveragePool along them, which counts its padding, gives
 * Σ X² / size.
 */
export const LRN = defineOp({
  op: 'LRN',
  inputs: ['X'],
  outputs: ['Y'],
  grad: spelledOut,
  channels: ({ inputs: [x], outputs: [y] }) => ({
    links: y.shape.flatMap((_, a) =>
      a === 1 ? [] : [{ from: axisOf(x!, a), to: axisOf(y, a), constants: 'never' as const }],
    ),
    pins: [x!, y].map((value) => ({ at: axisOf(value, 1), why: 'LRN sums over a window of neighbouring channels' })),
  }),
  normalise: (node, context) => {
    const [x] = node.input;
    const shape = context.shape(x);
    if (!shape) return undefined;
    const attrs = new Attributes(node);
    const size = attrs.int('size', 1);
    const f = new Formula(node, context);
    const squares = f.apply('Reshape', [f.apply('Mul', [x, x]), f.ints([shape[0], 1, shape[1], -1])]);
    const mean = f.apply('AveragePool', [squares], {
      kernel_shape: [size, 1],
      pads: [Math.floor((size - 1) / 2), 0, Math.ceil((size - 1) / 2), 0],
      count_include_pad: 1,
    });
    const scaled = f.apply('Mul', [f.apply('Reshape', [mean, f.ints(shape)]), f.scalar(attrs.float('alpha', 1e-4))]);
    const base = f.apply('Add', [scaled, f.scalar(attrs.float('bias', 1))]);
    return f.last('Div', [x, f.apply('Pow', [base, f.scalar(attrs.float('beta', 0.75))])]);
  },
  examples: [
    {
      title: 'an odd window',
      inputs: [[2, 5, 3, 2]],
      attributes: { size: 3, alpha: { float: 0.5 }, beta: { float: 0.6 }, bias: { float: 1.5 } },
    },
    { title: 'defaults', inputs: [[1, 6, 4, 1]], attributes: { size: 5 } },
  ],
});
