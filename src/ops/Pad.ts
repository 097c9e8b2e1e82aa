import { Attributes, setAttribute } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { makeNode } from '../onnx/make.js';
import { float32, int64 } from '../tensor/tensor.js';
import { front, ints, intsOf, isStable } from './knownInts.js';
import { pinAll } from './links.js';
import { shiftInts } from './sizes.js';
import { type ChannelNode, type CutNode, defineOp, type Link, type OpNode, type Pin } from './spec.js';
import { linearAdjoint } from './spread.js';

export const Pad = defineOp({
  op: 'Pad',
  inputs: ['data', 'pads', 'constant_value?', 'axes?'],
  outputs: ['output'],
  grad: (g, node, [dy]) => {
    const mode = node.attrs.string('mode', 'constant');
    return node.inputs.map((_, i) => (i > 0 ? null : () => unpad(g, node, dy!, mode)));
  },
  channels: (node) => {
    const pads = fullPads(intsOf(node, 1, 'pads') ?? node.attrs.ints('paddings'), node);
    if (!pads) return pinAll(node, 'the pads are computed from data');
    const [x] = node.inputs;
    const [y] = node.outputs;
    const rank = x!.shape.length;
    const mode = node.attrs.string('mode', 'constant');
    const zeros = mode === 'constant' && fillOf(node) === 0;
    const moved = (axis: number) => pads[axis] !== 0 || pads[axis + rank] !== 0;
    const pins: Pin[] = [];
    const links = x!.shape.flatMap((size, axis): Link[] => {
      const ends = { from: { value: x!, axis }, to: { value: y, axis } };
      const others = x!.shape.some((_, a) => a !== axis && moved(a));
      const constants = !others || mode !== 'constant' ? 'same' : zeros ? 'zero' : 'never';
      if (!moved(axis)) return [{ ...ends, constants }];
      if (!zeros || !stablePads(node)) {
        const why = zeros
          ? 'the pads of this axis change with free dimensions'
          : 'Pad fills this axis with other than zeros';
        pins.push({ at: ends.from, why }, { at: ends.to, why });
        return [];
      }
      const map = Int32Array.from({ length: y.shape[axis] }, (_, j) => {
        const i = j - pads[axis];
        return i >= 0 && i < size ? i : -1;
      });
      return [{ ...ends, map, constants }];
    });
    return { links, pins, patch: (cut) => patchPads(cut, node, pads) };
  },
  /** Before 11 pads and value are attributes. */
  normalise: (node, context) => {
    if (context.opset >= 11) return undefined;
    const attrs = new Attributes(node);
    const pads = attrs.ints('pads') ?? attrs.ints('paddings') ?? [];
    const value = attrs.float('value', 0);
    const inputs = [node.input[0], context.constant(int64([pads.length], pads))];
    if (value !== 0) inputs.push(context.constant(float32([], [value])));
    const mode = attrs.string('mode', 'constant');
    return [makeNode('Pad', inputs, node.output, { mode }, { name: node.name })];
  },
  examples: [
    { title: 'positions', inputs: [[2, 2, 3, 3], int64([8], [0, 0, 1, 2, 0, 0, 1, 0])], parameters: [1] },
    { title: 'channels', inputs: [[2, 2, 3], int64([6], [0, 1, 0, 0, 2, 0])], parameters: [1] },
    { title: 'a crop', inputs: [[2, 4], int64([4], [0, -1, 0, 1])], parameters: [1] },
    { title: 'another value', inputs: [[2, 3], int64([4], [0, 1, 0, 1]), float32([], [0.5])], parameters: [1, 2] },
    {
      title: 'named axes',
      inputs: [[2, 3], int64([2], [1, 2]), null, int64([1], [-1])],
      parameters: [1, 3],
      opset: 18,
    },
    {
      title: 'edges',
      inputs: [[2, 3, 3], int64([6], [0, 2, 1, 0, 0, 1])],
      parameters: [1],
      attributes: { mode: 'edge' },
    },
    {
      title: 'reflected',
      inputs: [[2, 4], int64([4], [0, 2, 0, 3])],
      parameters: [1],
      attributes: { mode: 'reflect' },
    },
    {
      title: 'pads as attribute',
      inputs: [[2, 3]],
      attributes: { pads: [0, 1, 0, 2], value: { float: 0 } },
      opset: 10,
    },
    { title: 'reflected, old form', inputs: [[2, 3]], attributes: { pads: [0, 1, 0, 2], mode: 'reflect' }, opset: 7 },
  ],
});

/** Constant padding is undone by cropping; the other modes copy inner elements outwards, which a matrix per axis says. */
function unpad(g: GraphBuilder, node: OpNode, dy: Value, mode: string): Value {
  const [x, given, , axes] = node.inputs;
  const rank = x.shape.length;
  const list = given.constant ? ints(given.constant) : [];
  const pads = spreadPads(list, axes?.constant && ints(axes.constant), rank);
  if (mode === 'constant') {
    return g.pad(
      dy,
      pads.map((p) => -p),
    );
  }
  return x.shape.reduce((d, size, axis) => {
    if (pads[axis] === 0 && pads[axis + rank] === 0) return d;
    const rows = Array.from({ length: d.shape[axis] }, (_, j) => {
      const row = new Float64Array(size);
      row[sourceIndex(j - pads[axis], size, mode)] = 1;
      return row;
    });
    return linearAdjoint(g, d, axis, rows);
  }, dy);
}

function sourceIndex(i: number, size: number, mode: string): number {
  if (mode === 'edge') return Math.min(Math.max(i, 0), size - 1);
  if (mode === 'wrap') return ((i % size) + size) % size;
  const period = Math.max(2 * (size - 1), 1);
  const at = ((i % period) + period) % period;
  return at < size ? at : period - at;
}

/** @returns pads of all axes, before and after, from a list that may name its axes. */
function spreadPads(list: readonly number[], axes: readonly number[] | undefined, rank: number): number[] {
  if (!axes) return [...list];
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((axis, i) => {
    pads[front(axis, rank)] = list[i];
    pads[front(axis, rank) + rank] = list[i + axes.length];
  });
  return pads;
}

function fullPads(list: number[] | undefined, node: ChannelNode): number[] | undefined {
  const axes = intsOf(node, 3, 'axes');
  if (!list || (node.inputs[3] && !axes)) return undefined;
  return spreadPads(list, axes, node.inputs[0]!.shape.length);
}

function stablePads(node: ChannelNode): boolean {
  const known = node.inputs[1]?.known;
  return known === undefined || ints(known.tensor).every((_, i) => isStable(node, 1, i));
}

/** @returns what a constant Pad fills with, or undefined where it is computed. */
function fillOf(node: ChannelNode): number | undefined {
  if (node.opset < 11) return node.attrs.float('value', 0);
  const fill = node.inputs[2];
  if (!fill) return 0;
  return fill.known ? Number(fill.known.tensor.data[0]) : undefined;
}

/** On a cut axis only those of the added channels are added that are kept, and cropped are only those that are left. */
function patchPads(cut: CutNode, node: ChannelNode, pads: readonly number[]): void {
  const [x] = node.inputs;
  const [y] = node.outputs;
  const rank = x!.shape.length;
  const next = [...pads];
  for (let axis = 0; axis < rank; axis++) {
    if (pads[axis] === 0 && pads[axis + rank] === 0) continue;
    const size = x!.shape[axis];
    const inside = cut.kept({ value: x!, axis }) ?? Int32Array.from({ length: size }, (_, i) => i);
    const outside = cut.kept({ value: y, axis }) ?? Int32Array.from({ length: y.shape[axis] }, (_, i) => i);
    const [before, after] = [pads[axis], pads[axis + rank]];
    const end = size + before;
    next[axis] = before >= 0 ? outside.filter((j) => j < before).length : -inside.filter((i) => i < -before).length;
    next[axis + rank] =
      after >= 0 ? outside.filter((j) => j >= end).length : -inside.filter((i) => i >= size + after).length;
  }
  const axes = intsOf(node, 3, 'axes')?.map((axis) => front(axis, rank));
  const places = axes ? [...axes, ...axes.map((axis) => axis + rank)] : next.map((_, i) => i);
  if (node.inputs[1]) {
    shiftInts(
      cut,
      1,
      places.map((i) => next[i] - pads[i]),
    );
  } else if (next.some((p, i) => p !== pads[i])) setAttribute(cut.node, 'pads', next);
}
