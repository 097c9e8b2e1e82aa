import type { GraphBuilder, Value } from '../onnx/builder.js';
import { isFloat } from '../tensor/half.js';
import { int64, sizeOf } from '../tensor/tensor.js';
import { listBecomesInput } from './axesForm.js';
import { front, ints, intsOf } from './knownInts.js';
import { pinAll } from './links.js';
import type { AxisRef, ChannelRule, CutNode, Example, Link, OpNode, OpSpec } from './spec.js';
import { recount } from './statistics.js';

/** What a reduction leaves open. */
export interface Reduction {
  readonly op: string;
  /** What it makes of a channel that holds one constant, over any number of positions. */
  readonly constants: Link['constants'];
  /**
   * What zeros along a reduced axis leave of it: `nothing` - a sum, which is the same without them; `count` - a mean, in which
   * they are counted. Absent: they may make a difference.
   */
  readonly zeros?: 'nothing' | 'count';
  /** dx; `y` and `dy` have size-1 axes in the reduced places, `count` is the number of elements that are reduced. */
  readonly grad: (g: GraphBuilder, at: { x: Value; y: Value; dy: Value; axes: number[]; count: number }) => Value;
  readonly range?: readonly [number, number];
}

/** @returns the spec of a reduction over axes. Shapes are all that rules need: kept axes keep their order. */
export function reduction({ op, constants, zeros, grad, range }: Reduction): OpSpec {
  const since = op === 'ReduceSum' ? 13 : 18;
  return {
    op,
    inputs: ['data', 'axes?'],
    outputs: ['reduced'],
    grad: (g, node, [dy]) => {
      const [x, ...rest] = node.inputs;
      const axes = reducedAxes(node);
      const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
      const formula = (): Value => {
        const y = g.reshape(node.outputs[0], kept);
        const count = sizeOf(axes.map((axis) => x.shape[axis]));
        return g.expand(grad(g, { x, y, dy: g.reshape(dy!, kept), axes, count }), x.shape);
      };
      return [formula, ...rest.map(() => null)];
    },
    channels: reducedChannels(constants, zeros),
    normalise: listBecomesInput('axes', since),
    examples: examplesOf(since, range),
  };
}

/** @returns the axes that a node of the training graph reduces. */
export function reducedAxes({ inputs: [x, axes], attrs }: OpNode): number[] {
  const rank = x.shape.length;
  const given = axes?.constant ? ints(axes.constant) : attrs.ints('axes');
  return axesOrAll(given, rank, attrs.int('noop_with_empty_axes', 0) === 1);
}

function axesOrAll(given: readonly number[] | undefined, rank: number, noop: boolean): number[] {
  if (given !== undefined && given.length > 0) return given.map((axis) => front(axis, rank));
  return noop ? [] : Array.from({ length: rank }, (_, i) => i);
}

/** Kept axes carry their channels; reduced ones lose zeros at most. */
function reducedChannels(constants: Link['constants'], zeros: Reduction['zeros']): ChannelRule {
  return (node) => {
    const [x] = node.inputs;
    const [y] = node.outputs;
    const given = intsOf(node, 1, 'axes');
    if (given === undefined && node.inputs[1]) return pinAll(node, `the axes of ${node.op} are computed from data`);
    const rank = x!.shape.length;
    const axes = axesOrAll(given, rank, node.attrs.int('noop_with_empty_axes', 0) === 1);
    const keepdims = node.attrs.int('keepdims', 1) === 1;
    const links: Link[] = [];
    for (let axis = 0, to = 0; axis < rank; axis++) {
      const reduced = axes.includes(axis);
      if (!reduced) links.push({ from: { value: x!, axis }, to: { value: y, axis: to }, constants });
      if (!reduced || keepdims) to++;
    }
    const over = axes.map((axis): AxisRef => ({ value: x!, axis }));
    const why = `${node.op} mixes all channels of this axis`;
    if (!zeros || !isFloat(x!.dtype)) return { links, pins: over.map((at) => ({ at, why })) };
    const contractions = over.map((at) => ({ a: at, b: at }));
    return { links, contractions, ...(zeros === 'count' && { patch: (cut: CutNode) => recount(cut, 0, over) }) };
  };
}

function examplesOf(since: number, range?: readonly [number, number]): Example[] {
  const drawn = range ? { range } : {};
  return [
    { title: 'positions', inputs: [[2, 3, 2, 2], int64([2], [2, 3])], parameters: [1], ...drawn },
    {
      title: 'positions, axes dropped',
      inputs: [[2, 3, 4], int64([1], [-1])],
      attributes: { keepdims: 0 },
      parameters: [1],
      ...drawn,
    },
    { title: 'everything', inputs: [[2, 3]], ...drawn },
    {
      title: 'axes as attribute',
      inputs: [[2, 3, 4]],
      attributes: { axes: [2], keepdims: 0 },
      opset: since === 13 ? 11 : 13,
      ...drawn,
    },
    { title: 'a negative axis as attribute', inputs: [[2, 3, 4]], attributes: { axes: [-2] }, opset: 11, ...drawn },
  ];
}
