import { Attributes } from '../onnx/attributes.js';
import { int64 } from '../tensor/tensor.js';
import { Formula, spelledOut } from './formula.js';
import { front, ints, intsOf } from './knownInts.js';
import { axisOf, pinAll } from './links.js';
import { cutShape, shiftInts } from './sizes.js';
import { defineOp, type Link } from './spec.js';

/** Crops or pads with zeros, evenly on both sides: an odd rest goes to the end. */
export const CenterCropPad = defineOp({
  op: 'CenterCropPad',
  since: 18,
  inputs: ['input_data', 'shape'],
  outputs: ['output_data'],
  grad: spelledOut,
  channels: (node) => {
    const [x] = node.inputs;
    const [y] = node.outputs;
    const target = intsOf(node, 1, 'shape');
    if (!target) return pinAll(node, 'the target shape of CenterCropPad is computed from data');
    const axes = (node.attrs.ints('axes') ?? target.map((_, a) => a)).map((a) => front(a, y.shape.length));
    const pads = y.shape.some((size, a) => size > x!.shape[a]);
    const why = 'CenterCropPad crops or pads this axis';
    return {
      links: y.shape.flatMap((size, a): Link[] =>
        size === x!.shape[a] ? [{ from: axisOf(x!, a), to: axisOf(y, a), constants: pads ? 'zero' : 'same' }] : [],
      ),
      pins: [x!, y].flatMap((value) =>
        y.shape.flatMap((size, axis) => (size === x!.shape[axis] ? [] : [{ at: { value, axis }, why }])),
      ),
      patch: (cut) => {
        const after = cutShape(cut, y);
        shiftInts(
          cut,
          1,
          axes.map((a) => after[a] - y.shape[a]),
        );
      },
    };
  },
  normalise: (node, context) => {
    const [x, shape] = node.input;
    const from = context.shape(x);
    const known = context.known(shape);
    if (!from || !known) return undefined;
    const target = ints(known);
    const axes = (new Attributes(node).ints('axes') ?? target.map((_, a) => a)).map((a) => front(a, from.length));
    const less = axes.map((a, i) => Math.max(0, from[a] - target[i]));
    const more = axes.map((a, i) => Math.max(0, target[i] - from[a]));
    const half = (n: number): number => Math.floor(n / 2);
    const f = new Formula(node, context);
    const starts = less.map(half);
    const ends = axes.map((a, i) => from[a] - less[i] + half(less[i]));
    const cropped = f.apply('Slice', [x, f.ints(starts), f.ints(ends), f.ints(axes)]);
    const pads = new Array<number>(2 * from.length).fill(0);
    axes.forEach((a, i) => {
      pads[a] = half(more[i]);
      pads[from.length + a] = more[i] - half(more[i]);
    });
    return f.last('Pad', [cropped, f.ints(pads)]);
  },
  examples: [
    {
      title: 'crops and pads',
      inputs: [[2, 3, 5, 4], int64([2], [2, 7])],
      parameters: [1],
      attributes: { axes: [2, -1] },
    },
    { title: 'all axes', inputs: [[2, 3, 5], int64([3], [2, 3, 8])], parameters: [1] },
    { title: 'crops alone', inputs: [[2, 3, 6], int64([1], [3])], parameters: [1], attributes: { axes: [2] } },
  ],
});
