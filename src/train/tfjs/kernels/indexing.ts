import { sizeOf } from '../../../tensor/tensor.js';
import { front } from '../../../ops/knownInts.js';
import { type Kernel, type Kernels, lacks } from '../kernel.js';
import { plain } from '../order.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** What reads and writes at computed places. Negative indices count from the end; TensorFlow knows none. */

function rowMajor(p: Planner, name: string): Slot {
  return p.read(name, plain(p.shape(name).length));
}

function scalar(p: Planner, value: number): Slot {
  return p.constant([], Int32Array.of(value));
}

/** Indices along axes of the given sizes, from 0; sizes broadcast against the indices. */
function fromStart(p: Planner, indices: Slot, sizes: Slot): Slot {
  return p.op('FloorMod', [indices, sizes], indices.shape);
}

const gather: Kernel = (p, { inputs: [data, at], outputs: [y], attrs }) => {
  const shape = p.shape(data);
  const axis = front(attrs.int('axis', 0), shape.length);
  const order = p.order(data);
  const place = order.indexOf(axis);
  const x = p.read(data);
  const indices = fromStart(p, rowMajor(p, at), scalar(p, shape[axis]));
  const made = [...x.shape.slice(0, place), ...indices.shape, ...x.shape.slice(place + 1)];
  const found = p.op('GatherV2', [x, indices, scalar(p, place)], made, {}, x.kind);
  // The axes of the indices stand where the axis stood, in memory as in the shape.
  const rank = indices.shape.length;
  const after = order.flatMap((a) => {
    if (a === axis) return Array.from({ length: rank }, (_, i) => axis + i);
    return [a < axis ? a : a + rank - 1];
  });
  p.give(y, found, after);
};

/** @returns for every element of `indices` the places of all its axes, its own index at `axis`: [size, rank]. */
function coordinates(p: Planner, indices: Slot, axis: number, along: number): Slot {
  const { shape } = indices;
  const size = sizeOf(shape);
  const columns = shape.map((_, a) => {
    if (a === axis) return p.reshape(fromStart(p, indices, scalar(p, along)), [size]);
    const inner = sizeOf(shape.slice(a + 1));
    return p.constant(
      [size],
      Int32Array.from({ length: size }, (_, i) => Math.floor(i / inner) % shape[a]),
    );
  });
  const n = columns.length;
  return p.op('Pack', columns, [size, n], { N: n, T: { type: 'int32' }, axis: 1 });
}

const gatherElements: Kernel = (p, { inputs: [data, at], outputs: [y], attrs }) => {
  const x = rowMajor(p, data);
  const axis = front(attrs.int('axis', 0), x.shape.length);
  const indices = rowMajor(p, at);
  const places = coordinates(p, indices, axis, x.shape[axis]);
  const found = p.op('GatherNd', [x, places], [places.shape[0]], {}, x.kind);
  p.give(y, p.reshape(found, indices.shape));
};

const scatterElements: Kernel = (p, { inputs: [data, at, updates], outputs: [y], attrs }) => {
  const x = rowMajor(p, data);
  const axis = front(attrs.int('axis', 0), x.shape.length);
  const indices = rowMajor(p, at);
  const places = coordinates(p, indices, axis, x.shape[axis]);
  const values = p.reshape(rowMajor(p, updates), [places.shape[0]]);
  p.give(y, p.op(scatterOf(attrs.string('reduction', 'none')), [x, places, values], x.shape));
};

function scatterOf(reduction: string): string {
  const operators: Readonly<Record<string, string>> = {
    none: 'TensorScatterUpdate',
    add: 'TensorScatterAdd',
    max: 'TensorScatterMax',
    min: 'TensorScatterMin',
  };
  lacks(!(reduction in operators), `scattering with the reduction ${reduction}`);
  return operators[reduction];
}

/** Batch axes become axes of the indices. */
const gatherND: Kernel = (p, { inputs: [data, at], outputs: [y], attrs }) => {
  const x = rowMajor(p, data);
  const batched = attrs.int('batch_dims', 0);
  const indices = rowMajor(p, at);
  const depth = indices.shape.at(-1)!;
  const sizes = p.ints(x.shape.slice(batched, batched + depth));
  const places = fromStart(p, indices, sizes);
  const whole = batched === 0 ? places : withBatch(p, places, batched);
  p.give(y, p.op('GatherNd', [x, whole], p.shape(y), {}, x.kind));
};

function withBatch(p: Planner, indices: Slot, batched: number): Slot {
  const lead = indices.shape.slice(0, -1);
  const size = sizeOf(lead);
  const grids = Array.from({ length: batched }, (_, axis) => {
    const inner = sizeOf(lead.slice(axis + 1));
    return p.constant(
      [...lead, 1],
      Int32Array.from({ length: size }, (_, i) => Math.floor(i / inner) % lead[axis]),
    );
  });
  const shape = [...lead, batched + indices.shape.at(-1)!];
  const how = { N: batched + 1, T: { type: 'int32' }, Tidx: { type: 'int32' } } as const;
  return p.op('ConcatV2', [...grids, indices, scalar(p, lead.length)], shape, how);
}

const scatterND: Kernel = (p, { inputs: [data, at, updates], outputs: [y], attrs }) => {
  const x = rowMajor(p, data);
  const indices = rowMajor(p, at);
  const sizes = p.ints(x.shape.slice(0, indices.shape.at(-1)!));
  const op = scatterOf(attrs.string('reduction', 'none'));
  p.give(y, p.op(op, [x, fromStart(p, indices, sizes), rowMajor(p, updates)], x.shape));
};

const oneHot: Kernel = (p, { inputs: [at, depth, values], outputs: [y], attrs }) => {
  const [size] = p.numbers(depth)!;
  const indices = rowMajor(p, at);
  const whole = indices.kind === 'int32' ? indices : p.op('Cast', [indices], indices.shape, castToInt, 'int32');
  const pair = p.read(values);
  const [off, on] = [0, 1].map((i) => p.reshape(p.op('Slice', [pair, p.ints([i]), p.ints([1])], [1]), []));
  const shape = p.shape(y);
  const axis = front(attrs.int('axis', -1), shape.length);
  const places = fromStart(p, whole, scalar(p, size));
  // Beyond [−size, size) there is no hot one.
  const inside = p.op(
    'LogicalAnd',
    [
      p.op('GreaterEqual', [whole, scalar(p, -size)], whole.shape, {}, 'bool'),
      p.op('Less', [whole, scalar(p, size)], whole.shape, {}, 'bool'),
    ],
    whole.shape,
  );
  const valid = p.op('SelectV2', [inside, places, scalar(p, -1)], whole.shape, {}, 'int32');
  const how = { axis: axis === shape.length - 1 ? -1 : axis };
  p.give(y, p.op('OneHot', [valid, scalar(p, size), on, off], shape, how, pair.kind));
};

const castToInt = { SrcT: { type: 'float32' }, DstT: { type: 'int32' }, Truncate: false } as const;

const reverseSequence: Kernel = (p, { inputs: [data, lengths], outputs: [y], attrs }) => {
  const x = rowMajor(p, data);
  const how = { seq_dim: attrs.int('time_axis', 0), batch_dim: attrs.int('batch_axis', 1) };
  p.give(y, p.op('ReverseSequence', [x, rowMajor(p, lengths)], x.shape, how));
};

export const indexingKernels: Kernels = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
  OneHot: oneHot,
  ReverseSequence: reverseSequence,
};
