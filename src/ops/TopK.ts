import { Attributes } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { int64 } from '../tensor/tensor.js';
import { apart } from './examples.js';
import { front } from './knownInts.js';
import { axisOf } from './links.js';
import { zerosLike } from './scatter.js';
import { defineOp, type Link } from './spec.js';

/** The k largest (smallest) along an axis and where they stood: their gradients go back there. */
export const TopK = defineOp({
  op: 'TopK',
  inputs: ['X', 'K?'],
  outputs: ['Values', 'Indices'],
  grad: (g, { inputs: [x, ...rest], outputs: [, indices], attrs }, [dy]) => [
    () =>
      dy
        ? g.emit('ScatterElements', [zerosLike(g, x), indices, dy], [{ dtype: x.dtype, shape: x.shape }], {
            axis: attrs.int('axis', -1),
          })[0]
        : zerosLike(g, x),
    ...rest.map(() => null),
  ],
  channels: ({ inputs: [x], outputs, attrs }) => {
    const axis = front(attrs.int('axis', -1), x!.shape.length);
    const why = 'TopK orders the indices of this axis';
    return {
      links: outputs.flatMap((y, i) =>
        y.shape.flatMap((_, a): Link[] =>
          // Among equals it counts up: the indices of a constant are none.
          a === axis ? [] : [{ from: axisOf(x!, a), to: axisOf(y, a), constants: i === 0 ? 'same' : 'never' }],
        ),
      ),
      pins: [x!, ...outputs].map((value) => ({ at: { value, axis }, why })),
    };
  },
  /** K was an attribute before opset 10. */
  normalise: (node, context) => {
    const attrs = new Attributes(node);
    const k = attrs.int('k');
    if (k === undefined) return undefined;
    const input = [node.input[0], context.constant(int64([1], [k]))];
    return [makeNode('TopK', input, node.output, { axis: attrs.int('axis', -1) }, { name: node.name })];
  },
  examples: [
    { title: 'the largest two', inputs: [apart([2, 3, 5]), int64([1], [2])], parameters: [1], outputs: 2 },
    {
      title: 'the smallest along another axis',
      inputs: [apart([2, 4, 3]), int64([1], [3])],
      parameters: [1],
      attributes: { axis: 1, largest: 0 },
      outputs: 2,
    },
    { title: 'k as attribute', inputs: [apart([2, 5])], attributes: { k: 2 }, opset: 9, outputs: 2 },
  ],
});
