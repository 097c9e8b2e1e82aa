import { CgesError } from '../errors.js';
import { makeNode } from '../onnx/make.js';
import { float32, int64 } from '../tensor/tensor.js';
import { front, intsOf } from './knownInts.js';
import { pinAll } from './links.js';
import { type Resampling, resampleMatrix } from './resample.js';
import { cutShape, shiftInts } from './sizes.js';
import { type ChannelRule, type CutNode, defineOp, type GradRule, type Link, type OpNode } from './spec.js';
import { linearAdjoint } from './spread.js';

/** Resize is linear along every axis, and its gradient is the transposed matrix, axis by axis. */
const grad: GradRule = (g, node, [dy]) => {
  const [x, ...rest] = node.inputs;
  const how = resamplingOf(node);
  const scales = scalesOf(node);
  return [
    () =>
      x.shape.reduce((d, size, axis) => {
        const out = d.shape[axis];
        if (out === size && scales[axis] === 1) return d;
        const matrix = resampleMatrix(size, out, scales[axis], how);
        const times = out / size;
        if (Number.isInteger(times) && matrix.every((row, i) => row[Math.floor(i / times)] === 1)) {
          const blocks = [...d.shape.slice(0, axis), size, times, ...d.shape.slice(axis + 1)];
          return g.reduceSum(g.reshape(d, blocks), [axis + 1]);
        }
        return linearAdjoint(g, d, axis, matrix);
      }, dy!),
    ...rest.map(() => null),
  ];
};

/** Axes that keep their size keep their channels. */
const channels: ChannelRule = (node) => {
  const [x] = node.inputs;
  const [y] = node.outputs;
  if (node.attrs.string('coordinate_transformation_mode', '') === 'tf_crop_and_resize') {
    return pinAll(node, 'Resize crops');
  }
  const axes = (node.attrs.ints('axes') ?? x!.shape.map((_, i) => i)).map((axis) => front(axis, x!.shape.length));
  const scales = node.opset < 11 ? node.inputs[1] : node.inputs[2];
  const scale = (axis: number): number => {
    const at = axes.indexOf(axis);
    return at < 0 || !scales || scales.shape[0] === 0 ? 1 : Number(scales.known?.tensor.data[at] ?? Number.NaN);
  };
  const links = x!.shape.flatMap((size, axis): Link[] => {
    if (size !== y.shape[axis] || scale(axis) !== 1) return [];
    return [{ from: { value: x!, axis }, to: { value: y, axis }, constants: 'same' }];
  });
  const sizes = node.opset >= 11 ? intsOf(node, 3, 'sizes') : undefined;
  if (node.inputs[3] && !sizes) return pinAll(node, 'the sizes of Resize are computed from data');
  const patch = (cut: CutNode): void => {
    const after = cutShape(cut, y);
    if (sizes?.length) {
      shiftInts(
        cut,
        3,
        axes.map((axis) => after[axis] - y.shape[axis]),
      );
    }
  };
  return { links, patch };
};

export const Resize = defineOp({
  op: 'Resize',
  since: 10,
  inputs: ['X', 'roi?', 'scales?', 'sizes?'],
  outputs: ['Y'],
  grad,
  channels,
  /** Opset 10 knew scales alone; it took coordinates as i / scale, cut off above a scale of 1 and rounded up below. */
  normalise: (node, context) => {
    if (context.opset >= 11) return undefined;
    const [x, scales] = node.input;
    const known = context.known(scales);
    const down = known ? Array.from(known.data as ArrayLike<number>).some((s) => s < 1) : false;
    const old = node.attribute.filter((a) => a.name === 'mode');
    const resize = makeNode(
      'Resize',
      [x, '', scales],
      node.output,
      { coordinate_transformation_mode: 'asymmetric', nearest_mode: down ? 'ceil' : 'floor' },
      { name: node.name },
    );
    return [{ ...resize, attribute: [...resize.attribute, ...old] }];
  },
  examples: [
    { title: 'twice, nearest', inputs: [[1, 2, 3, 3], null, float32([4], [1, 1, 2, 2])], parameters: [2] },
    {
      title: 'linear by half pixels',
      inputs: [[1, 2, 3, 4], null, float32([4], [1, 1, 2, 1.5])],
      parameters: [2],
      attributes: { mode: 'linear' },
    },
    {
      title: 'linear with aligned corners, to sizes',
      inputs: [[1, 2, 3, 4], null, null, int64([4], [1, 2, 5, 7])],
      parameters: [3],
      attributes: { mode: 'linear', coordinate_transformation_mode: 'align_corners' },
    },
    {
      title: 'nearest, down, to sizes',
      inputs: [[1, 2, 5, 7], null, null, int64([4], [1, 2, 2, 3])],
      parameters: [3],
      attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    },
    {
      title: 'cubic',
      inputs: [[1, 1, 4, 4], null, float32([4], [1, 1, 2, 2])],
      parameters: [2],
      attributes: { mode: 'cubic', cubic_coeff_a: { float: -0.5 } },
    },
    { title: 'nearest, old form', inputs: [[1, 2, 3, 3], float32([4], [1, 1, 2, 3])], parameters: [1], opset: 10 },
    {
      title: 'linear, old form',
      inputs: [[1, 2, 3, 3], float32([4], [1, 1, 2, 2])],
      parameters: [1],
      attributes: { mode: 'linear' },
      opset: 10,
    },
  ],
});

/** @throws CgesError NO_GRADIENT for forms that are no fixed matrix per axis here. */
export function resamplingOf({ attrs, name }: Pick<OpNode, 'attrs' | 'name'>): Resampling {
  const coordinates = attrs.string('coordinate_transformation_mode', 'half_pixel');
  const unusual =
    attrs.int('antialias', 0) !== 0 ||
    attrs.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch' ||
    !['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].includes(coordinates);
  if (unusual) {
    throw new CgesError('NO_GRADIENT', `Resize ${name} has no gradient in this form`, { node: name, op: 'Resize' });
  }
  return {
    mode: attrs.string('mode', 'nearest'),
    coordinates,
    nearest: attrs.string('nearest_mode', 'round_prefer_floor'),
    cubicA: attrs.float('cubic_coeff_a', -0.75),
    excludeOutside: attrs.int('exclude_outside', 0) === 1,
  };
}

function scalesOf({ inputs: [x, , scales], outputs: [y], attrs }: OpNode): number[] {
  const ratios = x.shape.map((size, axis) => y.shape[axis] / size);
  const given = scales?.constant?.data as ArrayLike<number> | undefined;
  if (!given?.length) return ratios;
  const axes = attrs.ints('axes');
  if (!axes) return Array.from(given);
  axes.forEach((axis, i) => {
    ratios[front(axis, x.shape.length)] = given[i];
  });
  return ratios;
}
