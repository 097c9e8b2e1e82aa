import type { GraphBuilder, Value } from '../onnx/builder.js';
import { apart } from './examples.js';
import { int64, sizeOf } from '../tensor/tensor.js';
import { addSlices } from './addSlices.js';
import { axisOf, pinsOf } from './links.js';
import { scatterGradients } from './scatter.js';
import { defineOp, type Link } from './spec.js';

function added(g: GraphBuilder, x: Value, indices: Value, updates: Value): Value {
  const [n, k] = [sizeOf(indices.shape.slice(0, -1)), indices.shape.at(-1)!];
  const slices = g.reshape(updates, [n, ...x.shape.slice(k)]);
  return g.add(x, addSlices(g, x.shape, g.reshape(indices, [n, k]), slices));
}

/** Y = data, but Y[indices[i…]] = updates[i…] (or added, multiplied, … to it): axes behind those that the coordinates name are copied. */
export const ScatterND = defineOp({
  op: 'ScatterND',
  since: 11,
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  grad: (g, node, [dy]) => {
    const [data, indices, updates] = node.inputs;
    const like = (shape: readonly number[]) => [{ dtype: data.dtype, shape }];
    return scatterGradients(g, node, dy!, {
      scatter: (x, u, reduction) =>
        reduction === 'add'
          ? added(g, x, indices, u)
          : g.emit('ScatterND', [x, indices, u], like(data.shape), { reduction })[0],
      gather: (x) => g.emit('GatherND', [x, indices], like(updates.shape))[0],
    });
  },
  lower: (g, { inputs: [data, indices, updates], attrs }) =>
    g.engine.provider === 'cpu' && attrs.string('reduction', 'none') === 'add'
      ? { outputs: [added(g, data, indices, updates)] }
      : undefined,
  channels: ({ inputs: [data, indices, updates], outputs: [y] }) => {
    const named = indices!.shape.at(-1)!;
    const lead = indices!.shape.length - 1;
    const why = 'ScatterND names places of this axis by number';
    return {
      links: y.shape.slice(named).flatMap((_, i): Link[] => {
        const to = axisOf(y, named + i);
        return [
          { from: axisOf(data!, named + i), to, constants: 'zero' },
          { from: axisOf(updates!, lead + i), to, constants: 'zero' },
        ];
      }),
      pins: [
        ...[data!, y].flatMap((value) => pinsOf(value, why).slice(0, named)),
        ...pinsOf(updates!, why).slice(0, lead),
        ...pinsOf(indices!, why),
      ],
    };
  },
  examples: [
    { title: 'rows', inputs: [[4, 3, 2], int64([2, 1], [3, 0]), [2, 3, 2]], parameters: [1] },
    { title: 'elements', inputs: [[3, 4], int64([3, 2], [0, 1, 2, 3, 1, 1]), [3]] },
    ...['add', 'mul', 'max', 'min'].map((reduction) => ({
      title: `repeated places, ${reduction}`,
      inputs: [[3, 2], int64([3, 1], [1, 2, 1]), apart([3, 2])] as const,
      parameters: [1],
      attributes: { reduction },
      opset: 18,
    })),
  ],
});
