import { apart } from './examples.js';
import { int64 } from '../tensor/tensor.js';
import { front } from './knownInts.js';
import { axisOf, pinsOf } from './links.js';
import { scatterGradients } from './scatter.js';
import { selectAlong } from './selectAlong.js';
import { type ChannelRule, defineOp, type Example, type GradRule, type Link } from './spec.js';

/** Y = data, but Y[indices[i,j,k],j,k] = updates[i,j,k] for axis 0 (or added, multiplied, … to it). */
const grad: GradRule = (g, node, [dy]) => {
  const [data, indices, updates] = node.inputs;
  const axis = node.attrs.int('axis', 0);
  const like = (shape: readonly number[]) => [{ dtype: data.dtype, shape }];
  return scatterGradients(g, node, dy!, {
    scatter: (x, u, reduction) => g.emit('ScatterElements', [x, indices, u], like(data.shape), { axis, reduction })[0],
    gather: (x) => g.emit('GatherElements', [x, indices], like(updates.shape), { axis })[0],
  });
};

const channels: ChannelRule = ({ op, inputs: [data, indices, updates], outputs: [y], attrs }) => {
  const axis = front(attrs.int('axis', 0), y.shape.length);
  const why = `${op} names places of this axis by number`;
  const links = y.shape.flatMap((size, a): Link[] => {
    if (a === axis) return [];
    const to = axisOf(y, a);
    const some = updates!.shape[a] !== size;
    const map = Int32Array.from({ length: size }, (_, j) => (j < updates!.shape[a] ? j : -1));
    return [
      { from: axisOf(data!, a), to, constants: 'zero' },
      { from: axisOf(updates!, a), to, constants: 'zero', ...(some && { map }) },
    ];
  });
  return {
    links,
    pins: [...[data!, updates!, y].map((value) => ({ at: { value, axis }, why })), ...pinsOf(indices!, why)],
    patch: (cut) => {
      const kept = updates!.shape.map((_, a) => cut.kept(axisOf(updates!, a)));
      selectAlong(cut, 1, kept);
    },
  };
};

const places = int64([2, 2, 3], [0, 3, 1, 2, 0, 3, 1, 2, 0, 3, 1, 2]);
const repeated = int64([2, 3], [0, 1, 1, 0, 1, 2]);

export const scatterExamples: Example[] = [
  {
    title: 'places of every channel',
    inputs: [[2, 4, 3], places, [2, 2, 3]],
    parameters: [1],
    attributes: { axis: 1 },
  },
  { title: 'computed places', inputs: [[2, 4, 3], places, [2, 2, 3]], attributes: { axis: -2 } },
  { title: 'some channels alone', inputs: [[3, 4], int64([2, 3], [0, 1, 2, 2, 0, 1]), [2, 3]], parameters: [1] },
];

export const ScatterElements = defineOp({
  op: 'ScatterElements',
  since: 11,
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  grad,
  channels,
  examples: [
    ...scatterExamples,
    { title: 'repeated computed places: the last one stays', inputs: [[3, 3], repeated, apart([2, 3])] },
    ...['add', 'mul', 'max', 'min'].map((reduction) => ({
      title: `repeated places, ${reduction}`,
      inputs: [[3, 3], repeated, apart([2, 3])] as const,
      parameters: [1],
      attributes: { reduction },
      opset: 18,
    })),
  ],
});

/** The name that ScatterElements had in opsets 9 and 10. */
export const Scatter = defineOp({
  op: 'Scatter',
  since: 9,
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  grad,
  channels,
  normalise: (node) => [{ ...node, opType: 'ScatterElements' }],
  examples: scatterExamples.map((example) => ({ ...example, opset: 10 })),
});
