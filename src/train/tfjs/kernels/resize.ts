import { resampleMatrix } from '../../../ops/resample.js';
import { resamplingOf } from '../../../ops/Resize.js';
import { sizeOf } from '../../../tensor/tensor.js';
import { front } from '../../../ops/knownInts.js';
import { type Kernel, type Kernels, type PlannedNode } from '../kernel.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** Resize is linear along every axis: a matrix, or where every output is one input, a selection. */
const resize: Kernel = (p, node) => {
  const { inputs, outputs } = node;
  const from = p.shape(inputs[0]);
  const to = p.shape(outputs[0]);
  const order = p.order(inputs[0]);
  const how = resamplingOf(node);
  const scales = scalesOf(p, node, from, to);
  const y = from.reduce((x, size, axis) => {
    if (to[axis] === size && scales[axis] === 1) return x;
    return resampled(p, x, order.indexOf(axis), resampleMatrix(size, to[axis], scales[axis], how));
  }, p.read(inputs[0]));
  p.give(outputs[0], y, order);
};

function scalesOf(
  p: Planner,
  { inputs, attrs }: PlannedNode,
  from: readonly number[],
  to: readonly number[],
): number[] {
  const ratios = from.map((size, axis) => to[axis] / size);
  const given = p.numbers(inputs[2]) ?? [];
  if (given.length === 0) return ratios;
  const axes = attrs.ints('axes') ?? given.map((_, i) => i);
  axes.forEach((axis, i) => (ratios[front(axis, from.length)] = given[i]));
  return ratios;
}

function resampled(p: Planner, x: Slot, place: number, matrix: readonly Float64Array[]): Slot {
  const shape = x.shape.map((d, i) => (i === place ? matrix.length : d));
  const chosen = matrix.map((row) => (row.filter((w) => w !== 0).length === 1 ? row.indexOf(1) : -1));
  if (chosen.every((i) => i >= 0)) {
    return p.op('GatherV2', [x, p.ints(chosen), p.constant([], Int32Array.of(place))], shape);
  }
  const [outs, ins] = [matrix.length, x.shape[place]];
  const weights = new Float32Array(outs * ins);
  matrix.forEach((row, i) => weights.set(row, i * ins));
  const [outer, inner] = [sizeOf(x.shape.slice(0, place)), sizeOf(x.shape.slice(place + 1))];
  const blocks = p.reshape(x, [outer, ins, inner]);
  const y = p.op('BatchMatMulV2', [p.constant([outs, ins], weights), blocks], [outer, outs, inner]);
  return p.reshape(y, shape);
}

export const resizeKernels: Kernels = { Resize: resize };
