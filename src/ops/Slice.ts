import { Attributes, setAttribute } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { int64 } from '../tensor/tensor.js';
import { front, ints, intsOf, isStable } from './knownInts.js';
import { pinAll } from './links.js';
import { shiftInts } from './sizes.js';
import { type ChannelNode, type CutNode, defineOp, type Link, type OpNode, type Pin } from './spec.js';
import { padsAt, reversed, spaced } from './spread.js';

/** One sliced axis: `size` indices begin, begin + step, … of the input; `at` is its place in the lists. */
interface Cutout {
  readonly axis: number;
  readonly at: number;
  readonly begin: number;
  readonly step: number;
}

export const Slice = defineOp({
  op: 'Slice',
  inputs: ['data', 'starts', 'ends', 'axes?', 'steps?'],
  outputs: ['output'],
  /** The adjoint puts every dy where it came from: spread by the step, then padded with zeros to the input's size. */
  grad: (g, node, [dy]) => {
    const [x, ...rest] = node.inputs;
    const spread = () =>
      cutoutsOf(x.shape, listsOf(node)).reduce((d, { axis, begin, step }) => {
        if (d.shape[axis] === 0) return g.pad(d, padsAt(d.shape.length, axis, 0, x.shape[axis]));
        const size = d.shape[axis];
        const first = step > 0 ? begin : begin + (size - 1) * step;
        const forward = step > 0 ? d : reversed(g, d, axis);
        const wide = spaced(g, forward, axis, Math.abs(step));
        return g.pad(wide, padsAt(d.shape.length, axis, first, x.shape[axis] - first - wide.shape[axis]));
      }, dy!);
    return [spread, ...rest.map(() => null)];
  },
  channels: (node) => {
    const lists = {
      starts: intsOf(node, 1, 'starts'),
      axes: intsOf(node, 3, 'axes'),
      steps: intsOf(node, 4, 'steps'),
    };
    if (!lists.starts || (node.inputs[3] && !lists.axes) || (node.inputs[4] && !lists.steps)) {
      return pinAll(node, 'the bounds of Slice are computed from data');
    }
    const [x] = node.inputs;
    const [y] = node.outputs;
    const cutouts = cutoutsOf(x!.shape, { ...lists, starts: lists.starts });
    const pins: Pin[] = [];
    const links = x!.shape.flatMap((size, axis): Link[] => {
      const ends = { from: { value: x!, axis }, to: { value: y, axis } };
      const cutout = cutouts.find((c) => c.axis === axis);
      const { begin, step } = cutout ?? { begin: 0, step: 1 };
      if (begin === 0 && step === 1 && y.shape[axis] === size) return [{ ...ends, constants: 'same' }];
      if (step !== 1) {
        const why = `Slice takes every ${step === -1 ? 'index backwards' : `${Math.abs(step)}th index`} of this axis`;
        pins.push({ at: ends.from, why }, { at: ends.to, why });
        return [];
      }
      if (cutout && ![1, 2].every((i) => isStable(node, i, cutout.at))) {
        const why = 'Slice takes a part of this axis that changes with free dimensions';
        pins.push({ at: ends.from, why }, { at: ends.to, why });
        return [];
      }
      const map = Int32Array.from({ length: y.shape[axis] }, (_, i) => begin + i);
      return [{ ...ends, map, constants: 'same' }];
    });
    return { links, pins, patch: (cut) => patchBounds(cut, node, cutouts) };
  },
  normalise: (node, context) => {
    if (context.opset >= 10) return undefined;
    const attrs = new Attributes(node);
    const list = (name: string): string => {
      const values = attrs.ints(name);
      return values ? context.constant(int64([values.length], values.map(bounded))) : '';
    };
    const input = [node.input[0], list('starts'), list('ends'), list('axes')];
    return [makeNode('Slice', input[3] ? input : input.slice(0, 3), node.output, {}, { name: node.name })];
  },
  examples: [
    {
      title: 'channels',
      inputs: [[2, 5, 3], int64([1], [1]), int64([1], [4]), int64([1], [1])],
      parameters: [1, 2, 3],
    },
    {
      title: 'every second position',
      inputs: [[2, 5, 6], int64([2], [0, 1]), int64([2], [99, 99]), int64([2], [1, 2]), int64([2], [2, 2])],
      parameters: [1, 2, 3, 4],
    },
    {
      title: 'backwards',
      inputs: [[5], int64([1], [-1]), int64([1], [-99]), int64([1], [0]), int64([1], [-2])],
      parameters: [1, 2, 3, 4],
    },
    {
      title: 'negative bounds on all axes',
      inputs: [[4, 4], int64([2], [0, -3]), int64([2], [-1, 4])],
      parameters: [1, 2],
    },
    { title: 'bounds as attributes', inputs: [[2, 5]], attributes: { starts: [1], ends: [-1], axes: [1] }, opset: 9 },
  ],
});

function listsOf({ inputs, attrs }: OpNode): { starts: number[]; axes?: number[]; steps?: number[] } {
  const list = (i: number, name: string) => (inputs[i]?.constant ? ints(inputs[i].constant) : attrs.ints(name));
  return { starts: list(1, 'starts') ?? [], axes: list(3, 'axes'), steps: list(4, 'steps') };
}

function cutoutsOf(
  shape: readonly number[],
  { starts, axes, steps }: { starts: readonly number[]; axes?: readonly number[]; steps?: readonly number[] },
): Cutout[] {
  return starts.map((start, at) => {
    const axis = front(axes ? axes[at] : at, shape.length);
    const step = steps ? steps[at] : 1;
    const from = start < 0 ? start + shape[axis] : start;
    const begin = Math.min(Math.max(from, 0), step > 0 ? shape[axis] : shape[axis] - 1);
    return { axis, at, begin, step };
  });
}

/** Bounds of a cut axis: what is kept of the slice, counted among what is kept of the axis. */
function patchBounds(cut: CutNode, node: ChannelNode, cutouts: readonly Cutout[]): void {
  const [x] = node.inputs;
  const [y] = node.outputs;
  const starts = intsOf(node, 1, 'starts')!;
  const ends = intsOf(node, 2, 'ends');
  const shift = { starts: starts.map(() => 0), ends: starts.map(() => 0) };
  for (const { axis, at, begin } of cutouts) {
    const kept = cut.kept({ value: x!, axis });
    if (!kept) continue;
    const size = y.shape[axis];
    const first = kept.filter((i) => i < begin).length;
    const last = first + (cut.kept({ value: y, axis })?.length ?? size);
    const toTheEnd = begin + size === x!.shape[axis];
    if (starts[at] !== 0) shift.starts[at] = first - starts[at];
    if (ends && !(toTheEnd && ends[at] >= x!.shape[axis])) shift.ends[at] = last - ends[at];
  }
  if (node.inputs[1]) {
    shiftInts(cut, 1, shift.starts);
    shiftInts(cut, 2, shift.ends);
  } else {
    setAttribute(
      cut.node,
      'starts',
      starts.map((s, i) => s + shift.starts[i]),
    );
    setAttribute(
      cut.node,
      'ends',
      (ends ?? []).map((e, i) => bounded(e + shift.ends[i])),
    );
  }
}

/** An "until the end" fits into 32 bits as well. */
function bounded(index: number): number {
  return Math.min(Math.max(index, -(2 ** 31)), 2 ** 31 - 1);
}
