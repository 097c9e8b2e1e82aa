import { front } from '../../../ops/knownInts.js';
import { type Kernel, type Kernels, lacks, type PlannedNode } from '../kernel.js';
import { laid, type Order, plain, without } from '../order.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** What takes many elements together along axes. Axes are named where they lie; nothing is turned for them. */

interface Reduced {
  readonly x: Slot;
  /** Where the axes lie in memory. */
  readonly axes: readonly number[];
  readonly keep: boolean;
  readonly shape: readonly number[];
}

function reduce(p: Planner, op: string, x: Slot, { axes, keep, shape }: Reduced): Slot {
  return p.op(op, [x, p.ints(axes)], shape, { keep_dims: keep });
}

function reduction(formula: (p: Planner, r: Reduced) => Slot): Kernel {
  return (p, node) => {
    const [input] = node.inputs;
    const shape = p.shape(input);
    const axes = axesOf(p, node, shape.length);
    if (axes.length === 0) return p.give(node.outputs[0], formula(p, rowsOf(p, input)), p.order(input));
    reduceOver(p, node, axes, node.attrs.int('keepdims', 1) !== 0, formula);
  };
}

/** A reduction over no axes is one over an added axis of size 1. */
function rowsOf(p: Planner, input: string): Reduced {
  const slot = p.read(input);
  const x = p.reshape(slot, [...slot.shape, 1]);
  return { x, axes: [slot.shape.length], keep: false, shape: slot.shape };
}

function reduceOver(
  p: Planner,
  node: PlannedNode,
  axes: readonly number[],
  keep: boolean,
  formula: (p: Planner, r: Reduced) => Slot,
): void {
  const [input] = node.inputs;
  const order = p.order(input);
  const gone = new Set(axes);
  const places = order.flatMap((axis, place) => (gone.has(axis) ? [place] : []));
  const out = p.shape(node.outputs[0]);
  const outOrder = keep ? order : without(order, gone);
  const y = formula(p, { x: p.read(input), axes: places, keep, shape: laid(out, outOrder) });
  p.give(node.outputs[0], y, outOrder);
}

function axesOf(p: Planner, { inputs, attrs }: PlannedNode, rank: number): number[] {
  const given = attrs.ints('axes') ?? p.numbers(inputs[1]) ?? [];
  if (given.length > 0) return given.map((a) => front(a, rank));
  return attrs.int('noop_with_empty_axes', 0) ? [] : [...plain(rank)];
}

const simple = (op: string): Kernel => reduction((p, r) => reduce(p, op, r.x, r));
const of = (inner: string, outer?: string): Kernel =>
  reduction((p, r) => {
    const sum = reduce(p, 'Sum', p.op(inner, [r.x], r.x.shape), r);
    return outer ? p.op(outer, [sum], sum.shape) : sum;
  });

/** Shifted by the greatest, so that no exponential overflows. */
const logSumExp: Kernel = reduction((p, r) => {
  const kept = { ...r, keep: true, shape: r.x.shape.map((d, i) => (r.axes.includes(i) ? 1 : d)) };
  const top = reduce(p, 'Max', r.x, kept);
  const e = p.op('Exp', [p.op('Sub', [r.x, top], r.x.shape)], r.x.shape);
  const sum = p.op('Log', [reduce(p, 'Sum', e, r)], r.shape);
  return p.op('AddV2', [sum, p.reshape(top, r.shape)], r.shape);
});

function globalPool(op: string): Kernel {
  return (p, node) => {
    const axes = plain(p.shape(node.inputs[0]).length).slice(2);
    reduceOver(p, node, axes, true, (_, r) => reduce(p, op, r.x, r));
  };
}

function arg(op: string): Kernel {
  return (p, node) => {
    const { inputs, outputs, attrs } = node;
    lacks(attrs.int('select_last_index', 0) !== 0, `${node.op} with select_last_index`);
    const shape = p.shape(inputs[0]);
    const axis = front(attrs.int('axis', 0), shape.length);
    const order = p.order(inputs[0]);
    const left = without(order, new Set([axis]));
    const lost = shape.filter((_, i) => i !== axis);
    const place = p.constant([], Int32Array.of(order.indexOf(axis)));
    const found = p.op(op, [p.read(inputs[0]), place], laid(lost, left), { output_type: { type: 'int32' } }, 'int32');
    if (attrs.int('keepdims', 1) === 0) return p.give(outputs[0], found, left);
    p.give(outputs[0], p.reshape(found, laid(p.shape(outputs[0]), order)), order);
  };
}

/** The axis comes last in memory, whatever the others do. */
function alongLast(formula: (p: Planner, x: Slot) => Slot): Kernel {
  return (p, { inputs: [input], outputs, attrs }) => {
    const rank = p.shape(input).length;
    const axis = front(attrs.int('axis', -1), rank);
    const order: Order = [...p.order(input).filter((a) => a !== axis), axis];
    p.give(outputs[0], formula(p, p.read(input, order)), order);
  };
}

const cumSum: Kernel = (p, { inputs, outputs, attrs }) => {
  const order = p.order(inputs[0]);
  const axis = front(p.numbers(inputs[1])![0], order.length);
  const x = p.read(inputs[0]);
  const place = p.constant([], Int32Array.of(order.indexOf(axis)));
  const how = { exclusive: attrs.int('exclusive', 0) !== 0, reverse: attrs.int('reverse', 0) !== 0 };
  p.give(outputs[0], p.op('Cumsum', [x, place], x.shape, how), order);
};

const topK: Kernel = (p, { inputs, outputs, attrs }) => {
  const rank = p.shape(inputs[0]).length;
  const axis = front(attrs.int('axis', -1), rank);
  const order: Order = [...p.order(inputs[0]).filter((a) => a !== axis), axis];
  const given = p.read(inputs[0], order);
  const smallest = attrs.int('largest', 1) === 0;
  const x = smallest ? p.op('Neg', [given], given.shape) : given;
  const [k] = p.numbers(inputs[1])!;
  const shape = [...x.shape.slice(0, -1), k];
  const kinds = [
    { shape, kind: x.kind },
    { shape, kind: 'int32' as const },
  ];
  const [values, indices] = p.ops('TopKV2', [x, p.constant([], Int32Array.of(k))], kinds, { sorted: true });
  p.give(outputs[0], smallest ? p.op('Neg', [values], shape) : values, order);
  p.give(outputs[1], indices, order);
};

export const reductionKernels: Kernels = {
  ReduceSum: simple('Sum'),
  ReduceMean: simple('Mean'),
  ReduceMax: simple('Max'),
  ReduceMin: simple('Min'),
  ReduceProd: simple('Prod'),
  ReduceSumSquare: of('Square'),
  ReduceL1: of('Abs'),
  ReduceL2: of('Square', 'Sqrt'),
  ReduceLogSum: reduction((p, r) => p.op('Log', [reduce(p, 'Sum', r.x, r)], r.shape)),
  ReduceLogSumExp: logSumExp,
  GlobalAveragePool: globalPool('Mean'),
  GlobalMaxPool: globalPool('Max'),
  ArgMax: arg('ArgMax'),
  ArgMin: arg('ArgMin'),
  Softmax: alongLast((p, x) => p.op('Softmax', [x], x.shape)),
  LogSoftmax: alongLast((p, x) => p.op('LogSoftmax', [x], x.shape)),
  Hardmax: alongLast((p, x) => {
    const depth = x.shape.at(-1)!;
    const shape = x.shape.slice(0, -1);
    const last = p.constant([], Int32Array.of(-1));
    const best = p.op('ArgMax', [x, last], shape, { output_type: { type: 'int32' } }, 'int32');
    return p.op(
      'OneHot',
      [best, p.constant([], Int32Array.of(depth)), p.float(1), p.float(0)],
      x.shape,
      { axis: -1 },
      'float32',
    );
  }),
  CumSum: cumSum,
  TopK: topK,
};
