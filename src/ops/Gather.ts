import type { GraphBuilder, Value } from '../onnx/builder.js';
import { int64, sizeOf, type Tensor } from '../tensor/tensor.js';
import { addSlices } from './addSlices.js';
import { front, ints } from './knownInts.js';
import { type ChannelNode, type CutNode, defineOp, type Link, type Pin } from './spec.js';

export const Gather = defineOp({
  op: 'Gather',
  inputs: ['data', 'indices'],
  outputs: ['output'],
  grad: (g, { inputs: [x, indices], attrs }, [dy]) => [
    () => scattered(g, dy!, x, indices, front(attrs.int('axis', 0), x.shape.length)),
    null,
  ],
  channels: (node) => {
    const [x, indices] = node.inputs;
    const [y] = node.outputs;
    const axis = front(node.attrs.int('axis', 0), x!.shape.length);
    const drop = indices!.shape.length - 1;
    const links = x!.shape.flatMap((_, a): Link[] => {
      if (a === axis) return [];
      return [{ from: { value: x!, axis: a }, to: { value: y, axis: a < axis ? a : a + drop }, constants: 'same' }];
    });
    const at = { value: x!, axis };
    const known = indices!.known;
    const list = known && (known.stable === 'all' || known.stable.every((s) => s !== 0)) && indices!.shape.length === 1;
    const pins: Pin[] = [];
    if (!list) {
      const why = known ? 'Gather picks indices of this axis by number' : 'Gather picks indices of this axis by data';
      pins.push({ at, why });
      return { links, pins };
    }
    const map = Int32Array.from(ints(known.tensor), (i) => front(i, x!.shape[axis]));
    links.push({ from: at, to: { value: y, axis }, map, constants: 'same' });
    // The indices have as many elements as the output has channels, but hold none themselves.
    const free = [{ value: indices!, axis: 0 }];
    return { links, pins, free, patch: (cut) => patchIndices(cut, node, axis, map) };
  },
  trains: [0],
  examples: [
    { title: 'rows of a table', inputs: [[4, 3], int64([2, 2], [0, 3, 3, 1])], parameters: [0] },
    { title: 'chosen channels', inputs: [[2, 4, 3], int64([3], [2, 0, -1])], attributes: { axis: 1 }, parameters: [1] },
    { title: 'one position', inputs: [[2, 4, 3], int64([], [1])], attributes: { axis: -2 }, parameters: [1] },
  ],
});

/** Adds every dy to the row that it was read from. */
function scattered(g: GraphBuilder, dy: Value, x: Value, indices: Value, axis: number): Value {
  const n = indices.shape.length;
  const picked = Array.from({ length: n }, (_, i) => axis + i);
  const others = dy.shape.map((_, i) => i).filter((i) => i < axis || i >= axis + n);
  const rows = sizeOf(indices.shape);
  const rest = others.map((i) => dy.shape[i]);
  const updates = g.reshape(g.transpose(dy, [...picked, ...others]), [rows, ...rest]);
  const shape = [x.shape[axis], ...rest];
  const sum = addSlices(g, shape, g.reshape(g.cast(indices, 'int64'), [rows, 1]), updates);
  const back = x.shape.map((_, a) => (a === axis ? 0 : a < axis ? a + 1 : a));
  return g.transpose(sum, back);
}

/** Kept indices, numbered as they lie in the cut axis. */
function patchIndices(cut: CutNode, node: ChannelNode, axis: number, map: Int32Array): void {
  const kept = cut.kept({ value: node.inputs[0]!, axis });
  if (!kept) return;
  const numbers = new Map(Array.from(kept, (old, now) => [old, now]));
  const indices = Array.from(map).flatMap((i) => numbers.get(i) ?? []);
  const { dtype } = node.inputs[1]!;
  const tensor: Tensor =
    dtype === 'int32'
      ? { dtype, dims: [indices.length], data: Int32Array.from(indices) }
      : int64([indices.length], indices);
  cut.setInput(1, tensor);
}
