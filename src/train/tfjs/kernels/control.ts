import { bodiesOf } from '../../../onnx/graph.js';
import type { GraphProto } from '../../../onnx/proto.js';
import { lacks, type Kernel, type Kernels, type PlannedNode } from '../kernel.js';
import { type Order, plain } from '../order.js';
import { type PlannedBody, planBody } from '../plan.js';
import type { Planner } from '../planner.js';
import type { Repetition, Slot } from '../program.js';

/** Subgraphs are plans of their own, which are run again and again. */

function bodyOf(node: PlannedNode, attribute: string): GraphProto {
  return bodiesOf(node.proto).find((b) => b.attribute === attribute)!.graph;
}

/**
 * Plans a body that carries values from run to run, as they lie at the end of one: a first plan shows how.
 * @param first how its inputs lie to begin with
 * @param at which of its inputs are carried; `from`: which of its outputs they are replaced by
 */
function planCarried(
  p: Planner,
  body: GraphProto,
  first: readonly Order[],
  { at, from, count }: { readonly at: number; readonly from: number; readonly count: number },
): PlannedBody {
  const { orders } = planBody(p, body, first);
  const carried = orders.slice(from, from + count);
  const inputs = [...first.slice(0, at), ...carried, ...first.slice(at + count)];
  return planBody(p, body, inputs, orders.slice(0, from + count));
}

function stackedSlots(
  p: Planner,
  names: readonly string[],
  orders: readonly Order[],
): { slots: Slot[]; after: Order[] } {
  const after = orders.map((order) => [0, ...order.map((a) => a + 1)]);
  const slots = names.map((name, i) => ({ shape: after[i].map((a) => p.shape(name)[a]), kind: p.kind(name) }));
  return { slots, after };
}

/** Source: ONNX Loop, opset 16. */
const loop: Kernel = (p, node) => {
  const body = bodyOf(node, 'body');
  const [trips, start, ...initial] = node.inputs;
  lacks(trips === '', 'a Loop without a number of iterations');
  const [count] = p.numbers(trips)!;
  const first = start === '' ? 1 : (p.known(start)?.[0] ?? 1);
  lacks(first === 0 || !goesOn(body), 'a Loop that ends by a condition');
  lacks(count < 1, 'a Loop without iterations');
  const none = [plain(0), plain(0)];
  const carried = initial.length;
  const planned = planCarried(p, body, [...none, ...initial.map((n) => plain(p.shape(n).length))], {
    at: 2,
    from: 1,
    count: carried,
  });
  const { program, orders } = planned;
  const [index, ...inside] = program.inputs;
  const go = p.constant([], Uint8Array.of(1));
  const states = [go, ...initial.map((name, i) => p.read(name, orders[i + 1]))];
  const items = node.outputs.slice(carried);
  const stacked = stackedSlots(p, items, orders.slice(carried + 1));
  const [, ...slots] = repeated(p, planned, { count, index, states, inside, stacked: stacked.slots });
  node.outputs.forEach((name, i) => p.give(name, slots[i], i < carried ? orders[i + 1] : stacked.after[i - carried]));
};

/** The condition that the body gives is the one that it was given. */
function goesOn(body: GraphProto): boolean {
  const [end] = body.output;
  const maker = body.node.find((n) => n.output.includes(end.name!));
  return end.name === body.input[1].name || (maker?.opType === 'Identity' && maker.input[0] === body.input[1].name);
}

/** Source: ONNX Scan, opset 16. */
const scan: Kernel = (p, node) => {
  const { inputs, attrs, outputs } = node;
  const body = bodyOf(node, 'body');
  const sequences = attrs.int('num_scan_inputs', 0);
  const carried = inputs.length - sequences;
  const along = (which: string): boolean => (attrs.ints(which) ?? []).every((axis) => axis === 0);
  lacks(!along('scan_input_axes') || !along('scan_output_axes'), 'a Scan along another axis than the first');
  const directions = attrs.ints('scan_input_directions') ?? new Array<number>(sequences).fill(0);
  const outDirections = attrs.ints('scan_output_directions') ?? outputs.slice(carried).map(() => 0);
  const [initial, given] = [inputs.slice(0, carried), inputs.slice(carried)];
  const flat = (name: string): Order => plain(p.shape(name).length);
  const items = given.map((name) => plain(p.shape(name).length - 1));
  const planned = planCarried(p, body, [...initial.map(flat), ...items], { at: 0, from: 0, count: carried });
  const { program, orders } = planned;
  const states = initial.map((name, i) => p.read(name, orders[i]));
  const rows = given.map((name, i) => ({
    whole: p.read(name, flat(name)),
    inside: program.inputs[carried + i],
    backwards: directions[i] !== 0,
  }));
  const [count] = p.shape(given[0]);
  lacks(count < 1, 'a Scan of nothing');
  const stacked = stackedSlots(p, outputs.slice(carried), orders.slice(carried));
  const slots = repeated(p, planned, {
    count,
    states,
    inside: program.inputs,
    rows,
    stacked: stacked.slots,
    backwards: outDirections,
  });
  outputs.forEach((name, i) => p.give(name, slots[i], i < carried ? orders[i] : stacked.after[i - carried]));
};

interface Repeated {
  readonly count: number;
  readonly index?: Slot;
  readonly states: readonly Slot[];
  /** What the states are called in the body, first of all. */
  readonly inside: readonly Slot[];
  readonly rows?: Repetition['rows'];
  readonly stacked: readonly Slot[];
  /** Of what is stacked: 1 where the last iteration comes first. */
  readonly backwards?: readonly number[];
}

/** The body's outputs are the states of the next iteration, then items of what is stacked. */
function repeated(p: Planner, { program, captures }: PlannedBody, given: Repeated): readonly Slot[] {
  const { count, index, states, inside, rows = [], stacked, backwards = [] } = given;
  return p.repeat({
    count,
    body: program,
    index,
    carried: states.map((initial, i) => ({ initial, inside: inside[i], next: program.outputs[i] })),
    rows,
    captures,
    stacked: stacked.map((_, i) => ({ item: program.outputs[states.length + i], backwards: Boolean(backwards[i]) })),
    inputs: [...states, ...rows.map((r) => r.whole), ...captures.keys()],
    outputs: [...states.map(({ shape, kind }) => ({ shape, kind })), ...stacked],
  });
}

export const controlKernels: Kernels = { Loop: loop, Scan: scan };
