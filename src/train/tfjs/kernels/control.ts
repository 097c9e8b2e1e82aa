import { bodiesOf } from '../../../onnx/graph.js';
import type { GraphProto } from '../../../onnx/proto.js';
import { lacks, type Kernel, type Kernels, type PlannedNode } from '../kernel.js';
import { type Order, plain } from '../order.js';
import { type PlannedBody, planBody } from '../plan.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** Subgraphs are plans of their own, which are run from JavaScript. */

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

/** Frees what a run was carrying when it has new values of it. */
function replace(p: Planner, carried: number[], by: readonly number[], borrowed: boolean): void {
  if (!borrowed) for (const id of carried) p.device.free(id);
  carried.splice(0, carried.length, ...by);
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

/** All items of all iterations, which are freed. */
function stack(p: Planner, items: readonly number[], slot: Slot): number {
  const attributes = p.device.attributes({ N: items.length, T: { type: slot.kind }, axis: 0 });
  const [made] = p.device.execute('Pack', attributes, items);
  for (const id of items) p.device.free(id);
  return made;
}

/** Source: ONNX Loop, opset 16. */
const loop: Kernel = (p, node) => {
  const body = bodyOf(node, 'body');
  const [trips, start, ...initial] = node.inputs;
  lacks(trips === '', 'a Loop without a number of iterations');
  const [count] = p.numbers(trips)!;
  const first = start === '' ? 1 : (p.known(start)?.[0] ?? 1);
  lacks(first === 0 || !goesOn(body), 'a Loop that ends by a condition');
  const none = [plain(0), plain(0)];
  const carried = initial.length;
  const planned = planCarried(p, body, [...none, ...initial.map((n) => plain(p.shape(n).length))], {
    at: 2,
    from: 1,
    count: carried,
  });
  const { program, captures, orders } = planned;
  const states = initial.map((name, i) => p.read(name, orders[i + 1]));
  const items = node.outputs.slice(carried);
  const stacked = stackedSlots(p, items, orders.slice(carried + 1));
  const finals = initial.map((name, i) => ({ shape: states[i].shape, kind: p.kind(name) }));

  const run = (ids: readonly number[]): number[] => {
    const state = ids.slice(0, carried);
    const outer = ids.slice(carried);
    const made: number[][] = items.map(() => []);
    const go = p.device.upload([], Uint8Array.of(1));
    for (let i = 0; i < count; i++) {
      const iteration = p.device.upload([], Int32Array.of(i));
      const [goOn, ...results] = program.run([iteration, go, ...state, ...outer]);
      p.device.free(goOn);
      p.device.free(iteration);
      replace(p, state, results.slice(0, carried), i === 0);
      results.slice(carried).forEach((id, k) => made[k].push(id));
    }
    p.device.free(go);
    return [...state, ...made.map((list, k) => stack(p, list, stacked.slots[k]))];
  };
  lacks(count < 1, 'a Loop without iterations');
  const outputs = [...finals, ...stacked.slots];
  const slots = p.add({ label: 'Loop', inputs: [...states, ...captures], outputs, run });
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
  const { program, captures, orders } = planCarried(p, body, [...initial.map(flat), ...items], {
    at: 0,
    from: 0,
    count: carried,
  });
  const states = initial.map((name, i) => p.read(name, orders[i]));
  const rows = given.map((name) => p.read(name, flat(name)));
  const length = p.shape(given[0])[0];
  const stacked = stackedSlots(p, outputs.slice(carried), orders.slice(carried));
  const finals = initial.map((name, i) => ({ shape: states[i].shape, kind: p.kind(name) }));

  const run = (ids: readonly number[]): number[] => {
    const state = ids.slice(0, carried);
    const apart = rows.map((slot, k) => {
      const attributes = p.device.attributes({ num: length, T: { type: slot.kind }, axis: 0 });
      return p.device.execute('Unpack', attributes, [ids[carried + k]], length);
    });
    const outer = ids.slice(carried + sequences);
    const made: number[][] = stacked.slots.map(() => []);
    for (let i = 0; i < length; i++) {
      const each = apart.map((list, k) => list[directions[k] ? length - 1 - i : i]);
      const results = program.run([...state, ...each, ...outer]);
      replace(p, state, results.slice(0, carried), i === 0);
      results.slice(carried).forEach((id, k) => (outDirections[k] ? made[k].unshift(id) : made[k].push(id)));
    }
    for (const id of apart.flat()) p.device.free(id);
    return [...state, ...made.map((list, k) => stack(p, list, stacked.slots[k]))];
  };
  const slots = p.add({
    label: 'Scan',
    inputs: [...states, ...rows, ...captures],
    outputs: [...finals, ...stacked.slots],
    run,
  });
  outputs.forEach((name, i) => p.give(name, slots[i], i < carried ? orders[i] : stacked.after[i - carried]));
};

export const controlKernels: Kernels = { Loop: loop, Scan: scan };
