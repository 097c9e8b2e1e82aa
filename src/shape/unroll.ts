import { Attributes } from '../onnx/attributes.js';
import { bodiesOf, definedIn, nodesFrom, sortedNodes } from '../onnx/graph.js';
import { makeNode, makeTensor } from '../onnx/make.js';
import type { GraphProto, NodeProto, TensorProto } from '../onnx/proto.js';
import { type Fresh, renamedNode } from '../onnx/rename.js';
import { int64, type Tensor } from '../tensor/tensor.js';

/** Nodes that compute what a Loop or Scan does, its body written out once per iteration. */
export interface Unrolled {
  readonly nodes: NodeProto[];
  readonly initializer: TensorProto[];
  /** What the first iteration begins with, under names of their own. */
  readonly starts: readonly string[];
}

/** What the nodes are made for. */
export interface UnrollContext {
  readonly opset: number;
  readonly fresh: Fresh;
}

/** Nodes of all iterations together, beyond which a loop stays a loop. */
const MOST_NODES = 5000;

/** @returns why a body cannot be written out so often, undefined where it can. */
export function tooLong(body: GraphProto, trips: number): string | undefined {
  const nodes = [...nodesFrom(body)].length;
  return nodes * trips > MOST_NODES ? `it would take ${trips} times ${nodes} nodes to unroll it` : undefined;
}

/** @returns the nodes of a Loop that runs `trips` times, whatever its condition; or why there are none. */
export function unrolledLoop(node: NodeProto, trips: number, context: UnrollContext): Unrolled | string {
  const body = new Attributes(node).graph('body')!;
  const carried = body.input.length - 2;
  if (trips === 0 && node.output.slice(carried).some((o) => o !== '')) return 'it runs no iteration';
  const work = new Iterations(body, context);
  let state = node.input.slice(2).map((name) => work.start(name));
  const parts: string[][] = node.output.slice(carried).map(() => []);
  // The number of the iteration is a scalar, or a list of one where the body says so.
  const counter = (body.input[0].type?.tensorType?.shape?.dim ?? []).map(() => 1);
  for (let t = 0; t < trips; t++) {
    const given = [work.constant(int64(counter, [t])), work.constant(TRUE), ...state];
    const made = work.add(given, t);
    state = made.slice(1, 1 + carried);
    made.slice(1 + carried).forEach((name, k) => parts[k]?.push(name));
  }
  node.output.slice(0, carried).forEach((name, k) => work.alias(state[k], name));
  parts.forEach((list, k) => work.stack(list, 0, node.output[carried + k]));
  return work;
}

const TRUE: Tensor = { dtype: 'bool', dims: [], data: Uint8Array.of(1) };

/** How a Scan (opset 9 and newer) is laid out. */
export interface ScanLayout {
  readonly body: GraphProto;
  /** Number of state variables: inputs and outputs of the node and of the body begin with them. */
  readonly states: number;
  readonly inputAxes: readonly number[];
  readonly outputAxes: readonly number[];
  readonly inputBackwards: readonly boolean[];
  readonly outputBackwards: readonly boolean[];
}

export function scanLayout(node: NodeProto): ScanLayout {
  const attrs = new Attributes(node);
  const body = attrs.graph('body')!;
  const scanned = attrs.int('num_scan_inputs', 0);
  const states = node.input.length - scanned;
  const outputs = body.output.length - states;
  const list = (name: string, count: number): number[] => attrs.ints(name) ?? new Array<number>(count).fill(0);
  return {
    body,
    states,
    inputAxes: list('scan_input_axes', scanned),
    outputAxes: list('scan_output_axes', outputs),
    inputBackwards: list('scan_input_directions', scanned).map((d) => d === 1),
    outputBackwards: list('scan_output_directions', outputs).map((d) => d === 1),
  };
}

/** @returns the nodes of a Scan over `trips` elements; or why there are none. */
export function unrolledScan(node: NodeProto, trips: number, context: UnrollContext): Unrolled | string {
  if (trips === 0) return 'it runs no iteration';
  const { body, states, inputAxes, outputAxes, inputBackwards, outputBackwards } = scanLayout(node);
  const work = new Iterations(body, context);
  let state = node.input.slice(0, states).map((name) => work.start(name));
  const parts: string[][] = outputAxes.map(() => []);
  for (let t = 0; t < trips; t++) {
    const elements = node.input.slice(states).map((name, k) => {
      const at = inputBackwards[k] ? trips - 1 - t : t;
      return work.element(name, at, inputAxes[k]);
    });
    const made = work.add([...state, ...elements], t);
    state = made.slice(0, states);
    made.slice(states).forEach((name, k) => {
      if (outputBackwards[k]) parts[k].unshift(name);
      else parts[k].push(name);
    });
  }
  node.output.slice(0, states).forEach((name, k) => work.alias(state[k], name));
  parts.forEach((list, k) => work.stack(list, outputAxes[k], node.output[states + k] ?? ''));
  return work;
}

/** Writes a body out several times. Its values have other names in every iteration; its weights lie outside of it. */
class Iterations implements Unrolled {
  readonly nodes: NodeProto[] = [];
  readonly initializer: TensorProto[] = [];
  readonly starts: string[] = [];

  constructor(
    private readonly body: GraphProto,
    private readonly context: UnrollContext,
  ) {}

  /** @returns the names of the body's outputs in this iteration. */
  add(given: readonly string[], iteration: number): string[] {
    const { body } = this;
    const { fresh } = this.context;
    const own: Fresh = (name) => fresh(`${name}/${iteration}`);
    const names = new Map<string, string>();
    for (const name of definedIn(body)) names.set(name, own(name));
    body.input.forEach(({ name }, i) => names.set(name, given[i]));
    for (const t of body.initializer) this.initializer.push({ ...t, name: names.get(t.name ?? '') });
    for (const n of sortedNodes(body)) this.nodes.push(numbered(renamedNode(n, names, own), iteration));
    return body.output.map(({ name }) => names.get(name) ?? name);
  }

  constant(tensor: Tensor): string {
    const name = this.context.fresh('const');
    this.initializer.push(makeTensor(name, tensor));
    return name;
  }

  start(value: string): string {
    const name = this.context.fresh(`${value}/start`);
    this.starts.push(name);
    this.alias(value, name);
    return name;
  }

  alias(from: string, to: string): void {
    if (to !== '') this.nodes.push(makeNode('Identity', [from], [to], {}, { name: to }));
  }

  element(value: string, at: number, axis: number): string {
    const to = this.context.fresh(`${value}/${at}`);
    this.nodes.push(makeNode('Gather', [value, this.constant(int64([], [at]))], [to], { axis }, { name: to }));
    return to;
  }

  /** Joins what the iterations made along a new axis. */
  stack(parts: readonly string[], axis: number, to: string): void {
    if (to === '') return;
    const { opset, fresh } = this.context;
    const lifted = parts.map((part) => {
      const name = fresh(`${part}/row`);
      const axes = opset < 13 ? [] : [this.constant(int64([1], [axis]))];
      const attributes: Record<string, readonly number[]> = opset < 13 ? { axes: [axis] } : {};
      this.nodes.push(makeNode('Unsqueeze', [part, ...axes], [name], attributes, { name }));
      return name;
    });
    this.nodes.push(makeNode('Concat', lifted, [to], { axis }, { name: to }));
  }
}

function numbered(node: NodeProto, iteration: number): NodeProto {
  return node.name ? { ...node, name: `${node.name}/${iteration}` } : node;
}

/** @returns whether a node has bodies that may be written out; a Scan before opset 9 has others. */
export function isControlFlow(node: NodeProto): boolean {
  if (node.domain || bodiesOf(node).length === 0) return false;
  if (node.opType === 'Scan') return scanLayout(node).body.input.length === node.input.length;
  return node.opType === 'If' || node.opType === 'Loop';
}
