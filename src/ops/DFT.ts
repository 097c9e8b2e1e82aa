import { CgesError } from '../errors.js';
import { Attributes } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { makeNode } from '../onnx/make.js';
import { int64, sizeOf } from '../tensor/tensor.js';
import { front, ints } from './knownInts.js';
import { axisOf, pinAll, pinsOf } from './links.js';
import { type ChannelNode, defineOp, type Link, type NormaliseContext, type OpNode } from './spec.js';

/**
 * The discrete Fourier transform of one axis, whose complex numbers lie along the last one: linear, so that dX is dY
 * times the transposed matrix. The axis was an attribute in opset 17 and is an input from 20 on.
 */
export const DFT = defineOp({
  op: 'DFT',
  since: 17,
  inputs: ['input', 'dft_length?', 'axis?'],
  outputs: ['output'],
  grad: (g, node, [dy]) => node.inputs.map((_, i) => (i === 0 ? () => adjoint(g, node, dy!) : null)),
  channels: (node) => {
    const [x, length] = node.inputs;
    const [y] = node.outputs;
    const axis = axisIn(node);
    if (axis === undefined) return pinAll(node, 'the axis of DFT is computed from data');
    const own = [axis, y.shape.length - 1];
    const why = 'every index enters every frequency of DFT';
    return {
      links: y.shape.flatMap((_, a): Link[] =>
        own.includes(a) ? [] : [{ from: axisOf(x!, a), to: axisOf(y, a), constants: 'zero' }],
      ),
      pins: [
        ...[x!, y].flatMap((value) => own.map((a) => ({ at: { value, axis: a }, why }))),
        ...[length, node.inputs[2]].flatMap((value) => (value ? pinsOf(value, why) : [])),
      ],
    };
  },
  normalise: (node, context) => (context.opset < 20 ? undefined : withAttribute(node, context)),
  examples: [
    { title: 'of real numbers', inputs: [[2, 5, 1]], opset: 17 },
    { title: 'onesided, of another axis', inputs: [[2, 3, 6, 1]], attributes: { axis: 2, onesided: 1 }, opset: 17 },
    {
      title: 'inverse, of complex numbers, padded',
      inputs: [[2, 4, 3, 2], int64([], [6])],
      attributes: { inverse: 1 },
      parameters: [1],
      opset: 17,
    },
    { title: 'the axis as input', inputs: [[2, 3, 4, 1], null, int64([], [-2])], parameters: [2], opset: 20 },
  ],
});

function axisIn({ opset, attrs, inputs: [x, , axis] }: ChannelNode): number | undefined {
  const rank = x!.shape.length;
  if (opset < 20) return front(attrs.int('axis', 1), rank);
  if (!axis) return rank - 2;
  return axis.known && front(ints(axis.known.tensor)[0], rank);
}

/** @returns the form of opset 17, or undefined where the axis is computed. */
function withAttribute(node: ReturnType<typeof makeNode>, context: NormaliseContext) {
  const [x, length, axis] = node.input;
  const rank = context.shape(x)?.length;
  const known = axis ? context.known(axis) : undefined;
  if (rank === undefined || (axis && !known)) return undefined;
  const attrs = new Attributes(node);
  const attributes = {
    axis: known ? front(ints(known)[0], rank) : rank - 2,
    inverse: attrs.int('inverse', 0),
    onesided: attrs.int('onesided', 0),
  };
  return [makeNode('DFT', length ? [x, length] : [x], node.output, attributes, { name: node.name })];
}

/** Beyond this length the matrix would be larger than what it is worth. */
const LONGEST = 2048;

function adjoint(g: GraphBuilder, { name, inputs: [x, length], outputs: [y], attrs }: OpNode, dy: Value): Value {
  const rank = x.shape.length;
  const axis = front(attrs.int('axis', 1), rank);
  const inverse = attrs.int('inverse', 0) === 1;
  const size = length?.constant ? ints(length.constant)[0] : length ? undefined : x.shape[axis];
  const refused =
    size === undefined ? 'its length is computed' : size > LONGEST ? `it is longer than ${LONGEST}` : undefined;
  if (size === undefined || refused || (inverse && attrs.int('onesided', 0) === 1)) {
    const why = refused ?? 'it is inverse and one-sided';
    throw new CgesError('NO_GRADIENT', `DFT ${name} has no gradient: ${why}`, { node: name, op: 'DFT' });
  }
  const [n, parts] = [x.shape[axis], x.shape[rank - 1]];
  const bins = y.shape[axis];
  const matrix = new Float64Array(bins * 2 * n * parts);
  const sign = inverse ? 1 : -1;
  for (let k = 0; k < bins; k++) {
    for (let j = 0; j < Math.min(n, size); j++) {
      const angle = (sign * 2 * Math.PI * ((j * k) % size)) / size;
      const [re, im] = [Math.cos(angle), Math.sin(angle)].map((v) => (inverse ? v / size : v));
      // (re + i·im) · (a + i·b): the rows are the real and imaginary part of the bin, the columns a and b.
      const at = (row: number, part: number): number => ((2 * k + row) * n + j) * parts + part;
      matrix[at(0, 0)] = re;
      matrix[at(1, 0)] = im;
      if (parts === 2) {
        matrix[at(0, 1)] = -im;
        matrix[at(1, 1)] = re;
      }
    }
  }
  const data = dy.dtype === 'float64' ? matrix : Float32Array.from(matrix);
  const m = g.constant({ dtype: dy.dtype, dims: [2 * bins, n * parts], data }, 'dft');
  const others = dy.shape.flatMap((_, a) => (a === axis || a === rank - 1 ? [] : [a]));
  const perm = [...others, axis, rank - 1];
  const rows = others.map((a) => dy.shape[a]);
  const product = g.matMul(g.reshape(g.transpose(dy, perm), [sizeOf(rows), 2 * bins]), m);
  return g.transpose(
    g.reshape(product, [...rows, n, parts]),
    perm.map((_, a) => perm.indexOf(a)),
  );
}
