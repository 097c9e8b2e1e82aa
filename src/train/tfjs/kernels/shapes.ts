import { front } from '../../../ops/knownInts.js';
import { type Kernel, type Kernels, lacks, type PlannedNode } from '../kernel.js';
import { alike, laid, type Order, plain, reshaped, transposed } from '../order.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** What moves elements about without computing. Reshape and Transpose cost nothing where elements can stay where they lie. */

const reshape: Kernel = (p, { inputs: [input], outputs: [output] }) => {
  const [from, to] = [p.shape(input), p.shape(output)];
  const order = reshaped(from, p.order(input), to);
  const slot = order ? p.read(input) : p.read(input, plain(from.length));
  const after = order ?? plain(to.length);
  p.give(output, p.reshape(slot, laid(to, after)), after);
};

const transpose: Kernel = (p, { inputs: [input], outputs: [output], attrs }) => {
  const perm = attrs.ints('perm') ?? [...plain(p.shape(input).length)].reverse();
  p.alias(output, input, (order) => transposed(order, perm));
};

const identity: Kernel = (p, { inputs: [input], outputs: [output] }) => p.alias(output, input);

const expand: Kernel = (p, { inputs: [input], outputs: [output] }) => {
  const [from, to] = [p.shape(input), p.shape(output)];
  // Operands of fewer axes are row-major: so then is the result.
  const order = from.length === to.length ? p.order(input) : plain(to.length);
  const slot = p.read(input, from.length === to.length ? order : plain(from.length));
  const shape = laid(to, order);
  const whole = from.length === to.length && from.every((d, i) => d === to[i]);
  p.give(output, whole ? slot : p.op('BroadcastTo', [slot, p.ints(shape)], shape), order);
};

const constantOfShape: Kernel = (p, { outputs: [output], attrs }) => {
  const shape = p.shape(output);
  const proto = attrs.tensor('value');
  lacks(proto !== undefined, 'ConstantOfShape of other than zeros');
  p.give(output, p.op('BroadcastTo', [p.float(0), p.ints(shape)], shape));
};

/** The order in which the largest of some values lies. */
function leadingOrder(p: Planner, names: readonly string[]): Order {
  const moved = names.find((n) => !p.isConstant(n) && !alike(p.shape(n), p.order(n), plain(p.shape(n).length)));
  return p.order(moved ?? names[0]);
}

const concat: Kernel = (p, { inputs, outputs: [output], attrs }) => {
  const to = p.shape(output);
  const names = inputs.filter((name) => p.shape(name).every((d) => d > 0));
  const order = leadingOrder(p, names.length > 0 ? names : inputs);
  const axis = order.indexOf(front(attrs.int('axis', 0), to.length));
  if (names.length === 1) return p.give(output, p.read(names[0], order), order);
  p.give(
    output,
    concatenated(
      p,
      names.map((name) => p.read(name, order)),
      axis,
    ),
    order,
  );
};

export function concatenated(p: Planner, slots: readonly Slot[], axis: number): Slot {
  if (slots.length === 1) return slots[0];
  const shape = slots[0].shape.map((d, i) => (i === axis ? slots.reduce((n, s) => n + s.shape[axis], 0) : d));
  const place = p.constant([], Int32Array.of(axis));
  const { kind } = slots[0];
  return p.op('ConcatV2', [...slots, place], shape, { N: slots.length, T: { type: kind }, Tidx: { type: 'int32' } });
}

const split: Kernel = (p, { inputs, outputs, attrs }) => {
  const order = p.order(inputs[0]);
  const axis = front(attrs.int('axis', 0), order.length);
  const x = p.read(inputs[0]);
  const place = order.indexOf(axis);
  let from = 0;
  for (const output of outputs) {
    if (output === '') continue;
    const size = p.shape(output)[axis];
    p.give(output, part(p, x, place, from, size), order);
    from += size;
  }
};

/** Some neighbours along one axis in memory. */
export function part(p: Planner, x: Slot, place: number, from: number, size: number): Slot {
  const begin = x.shape.map((_, i) => (i === place ? from : 0));
  return cut(
    p,
    x,
    begin,
    x.shape.map((d, i) => (i === place ? size : d)),
  );
}

/** A block of a slot. */
export function cut(p: Planner, x: Slot, begin: readonly number[], size: readonly number[]): Slot {
  if (size.every((d, i) => d === x.shape[i])) return x;
  return p.op('Slice', [x, p.ints(begin), p.ints(size)], size);
}

/** Where it ends is what the output's shape says. */
const slice: Kernel = (p, node) => {
  const { inputs, outputs, attrs } = node;
  const shape = p.shape(inputs[0]);
  const starts = p.numbers(inputs[1]) ?? attrs.ints('starts')!;
  const axes = (p.numbers(inputs[3]) ?? attrs.ints('axes') ?? starts.map((_, i) => i)).map((a) =>
    front(a, shape.length),
  );
  const steps = p.numbers(inputs[4]) ?? starts.map(() => 1);
  const begin = shape.map(() => 0);
  const step = shape.map(() => 1);
  axes.forEach((axis, i) => {
    const size = shape[axis];
    const at = starts[i] < 0 ? starts[i] + size : starts[i];
    begin[axis] = steps[i] < 0 ? Math.min(Math.max(at, 0), size - 1) : Math.min(Math.max(at, 0), size);
    step[axis] = steps[i];
  });
  const order = p.order(inputs[0]);
  const x = p.read(inputs[0]);
  const to = p.shape(outputs[0]);
  p.give(outputs[0], strided(p, x, laid(begin, order), laid(step, order), laid(to, order)), order);
};

/** Every `step`th element from `begin` on; `size` of them. */
export function strided(
  p: Planner,
  x: Slot,
  begin: readonly number[],
  step: readonly number[],
  size: readonly number[],
): Slot {
  if (step.every((s) => s === 1)) return cut(p, x, begin, size);
  const rows = size.map((n, i) => begin[i] + n * step[i]);
  // A negative end would count from the other side: it is left open instead.
  const open = rows.reduce((mask, end, i) => (end < 0 ? mask | (1 << i) : mask), 0);
  return p.op('StridedSlice', [x, p.ints(begin), p.ints(rows), p.ints(step)], size, { end_mask: open });
}

const pad: Kernel = (p, { inputs, outputs, attrs }) => {
  const [input] = inputs;
  const shape = p.shape(input);
  const given = p.numbers(inputs[1]) ?? attrs.ints('pads')!;
  const axes = (p.numbers(inputs[3]) ?? [...plain(shape.length)]).map((a) => front(a, shape.length));
  const [before, after] = [shape.map(() => 0), shape.map(() => 0)];
  axes.forEach((axis, i) => {
    before[axis] = given[i];
    after[axis] = given[i + axes.length];
  });
  const order = p.order(input);
  const mode = attrs.string('mode', 'constant');
  const fill = inputs[2] ? p.read(inputs[2], plain(p.shape(inputs[2]).length)) : undefined;
  const x = p.read(input);
  const [lead, tail] = [laid(before, order), laid(after, order)];
  const y =
    mode === 'constant' ? padded(p, x, lead, tail, fill && p.reshape(fill, [])) : repeated(p, x, lead, tail, mode);
  p.give(outputs[0], y, order);
};

/** Constant padding; negative counts cut. */
export function padded(p: Planner, x: Slot, before: readonly number[], after: readonly number[], fill?: Slot): Slot {
  const begin = before.map((b) => Math.max(0, -b));
  const inside = cut(
    p,
    x,
    begin,
    x.shape.map((d, i) => d - begin[i] - Math.max(0, -after[i])),
  );
  const [lead, tail] = [before, after].map((counts) => counts.map((c) => Math.max(0, c)));
  if ([...lead, ...tail].every((c) => c === 0)) return inside;
  const shape = inside.shape.map((d, i) => d + lead[i] + tail[i]);
  const pads = p.constant([lead.length, 2], Int32Array.from(lead.flatMap((b, i) => [b, tail[i]])));
  return fill ? p.op('PadV2', [inside, pads, fill], shape) : p.op('Pad', [inside, pads], shape);
}

/** Padding with elements of the tensor, as one Gather per axis. */
function repeated(p: Planner, x: Slot, before: readonly number[], after: readonly number[], mode: string): Slot {
  const place = (i: number, size: number): number => {
    if (mode === 'edge') return Math.min(Math.max(i, 0), size - 1);
    if (mode === 'wrap') return ((i % size) + size) % size;
    const period = Math.max(1, 2 * (size - 1));
    const at = ((i % period) + period) % period;
    return at < size ? at : period - at;
  };
  return x.shape.reduce((y, size, axis) => {
    if (before[axis] === 0 && after[axis] === 0) return y;
    const wide = Array.from({ length: size + before[axis] + after[axis] }, (_, i) => place(i - before[axis], size));
    const shape = y.shape.map((d, i) => (i === axis ? wide.length : d));
    return p.op('GatherV2', [y, p.ints(wide), p.constant([], Int32Array.of(axis))], shape);
  }, x);
}

const tile: Kernel = (p, { inputs, outputs }) => {
  const order = p.order(inputs[0]);
  const times = p.numbers(inputs[1])!;
  const to = laid(p.shape(outputs[0]), order);
  p.give(outputs[0], p.op('Tile', [p.read(inputs[0]), p.ints(laid(times, order))], to), order);
};

const trilu: Kernel = (p, { inputs, outputs, attrs }) => {
  const k = inputs[1] ? p.numbers(inputs[1])![0] : 0;
  const upper = attrs.int('upper', 1) !== 0;
  const x = p.read(inputs[0], plain(p.shape(inputs[0]).length));
  const [rows, columns] = x.shape.slice(-2);
  const mask = Uint8Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    return (upper ? j >= i + k : j <= i + k) ? 1 : 0;
  });
  const zero = p.constant([], x.kind === 'int32' ? Int32Array.of(0) : Float32Array.of(0));
  p.give(outputs[0], p.op('SelectV2', [p.constant([rows, columns], mask), x, zero], x.shape, {}, x.kind));
};

/** [N, C, H, W] and blocks of r × r: by Reshape and Transpose, as ONNX defines it. */
function blocks(p: Planner, { inputs, outputs, attrs }: PlannedNode, perm: readonly number[], toSpace: boolean): void {
  const [n, c, h, w] = p.shape(inputs[0]);
  const r = attrs.int('blocksize', 1);
  const depthFirst = attrs.string('mode', 'DCR') === 'CRD';
  const wide = !toSpace
    ? [n, c, h / r, r, w / r, r]
    : depthFirst
      ? [n, c / (r * r), r, r, h, w]
      : [n, r, r, c / (r * r), h, w];
  const x = p.reshape(p.read(inputs[0], plain(4)), wide);
  p.give(outputs[0], p.reshape(p.transpose(x, perm), p.shape(outputs[0])));
}

export const shapeKernels: Kernels = {
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Identity: identity,
  Transpose: transpose,
  Expand: expand,
  ConstantOfShape: constantOfShape,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Tile: tile,
  Trilu: trilu,
  DepthToSpace: (p, node) =>
    blocks(p, node, node.attrs.string('mode', 'DCR') === 'CRD' ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2], true),
  SpaceToDepth: (p, node) => blocks(p, node, [0, 3, 5, 1, 2, 4], false),
};
