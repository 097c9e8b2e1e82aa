import { CgesError } from '../errors.js';
import { type DType, dtypeOf } from '../tensor/tensor.js';
import { toNumber } from './attributes.js';
import type { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './proto.js';

/** @returns the version of an operator set that a model uses, 0 where it imports none of that domain. */
export function opsetOf(model: ModelProto, domain = ''): number {
  const wanted = canonicalDomain(domain);
  for (const entry of model.opsetImport) {
    if (canonicalDomain(entry.domain ?? '') === wanted) return toNumber(entry.version ?? 0);
  }
  // Before IR 3 there was one operator set, and no field to name it.
  return wanted === '' && model.opsetImport.length === 0 ? 1 : 0;
}

/** @returns '' for both spellings of ONNX's own domain. */
export function canonicalDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

/** @returns the bodies that a node carries (If, Loop, Scan, …), with their attributes' names. */
export function bodiesOf(node: NodeProto): { readonly attribute: string; readonly graph: GraphProto }[] {
  return node.attribute.flatMap((a) => graphsIn(a).map((graph) => ({ attribute: a.name, graph })));
}

function graphsIn(a: AttributeProto): GraphProto[] {
  return a.g ? [a.g, ...a.graphs] : a.graphs;
}

/** Every graph from this one inwards, outer ones first. `owner` is the node that carries a body. */
export function* graphsFrom(
  graph: GraphProto,
  owner?: NodeProto,
): Generator<{ readonly graph: GraphProto; readonly owner?: NodeProto }> {
  yield { graph, owner };
  for (const node of graph.node) {
    for (const body of bodiesOf(node)) yield* graphsFrom(body.graph, node);
  }
}

/** Every node of a graph and of the bodies inside it, in order, a node before its bodies. */
export function* nodesFrom(graph: Pick<GraphProto, 'node'>): Generator<NodeProto> {
  for (const node of graph.node) {
    yield node;
    for (const body of bodiesOf(node)) yield* nodesFrom(body.graph);
  }
}

/** Where a tensor message sits: an initializer, an attribute (Constant), or part of a sparse tensor. */
export type TensorRole = 'initializer' | 'attribute' | 'sparse';

/** Every tensor message of a model: bodies, functions and training information included. */
export function* tensorsFrom(
  model: ModelProto,
): Generator<{ readonly tensor: TensorProto; readonly role: TensorRole }> {
  yield* tensorsOfGraph(model.graph);
  for (const f of model.functions) {
    for (const a of f.attributeProto) yield* tensorsOfAttribute(a);
    for (const node of f.node) for (const a of node.attribute) yield* tensorsOfAttribute(a);
  }
  for (const { initialization, algorithm } of model.trainingInfo) {
    if (initialization) yield* tensorsOfGraph(initialization);
    if (algorithm) yield* tensorsOfGraph(algorithm);
  }
}

function* tensorsOfGraph(graph: GraphProto): ReturnType<typeof tensorsFrom> {
  for (const tensor of graph.initializer) yield { tensor, role: 'initializer' };
  for (const { values, indices } of graph.sparseInitializer) {
    if (values) yield { tensor: values, role: 'sparse' };
    if (indices) yield { tensor: indices, role: 'sparse' };
  }
  for (const node of graph.node) for (const a of node.attribute) yield* tensorsOfAttribute(a);
}

function* tensorsOfAttribute(a: AttributeProto): ReturnType<typeof tensorsFrom> {
  for (const tensor of a.t ? [a.t, ...a.tensors] : a.tensors) yield { tensor, role: 'attribute' };
  for (const { values, indices } of a.sparseTensor ? [a.sparseTensor, ...a.sparseTensors] : a.sparseTensors) {
    if (values) yield { tensor: values, role: 'sparse' };
    if (indices) yield { tensor: indices, role: 'sparse' };
  }
  for (const graph of graphsIn(a)) yield* tensorsOfGraph(graph);
}

/** @returns the names that a node reads: its inputs, and what its bodies capture from outside. No name twice. */
export function readsOf(node: NodeProto): string[] {
  const names = new Set(node.input);
  for (const { graph } of bodiesOf(node)) for (const name of capturesOf(graph)) names.add(name);
  names.delete('');
  return [...names];
}

/** @returns the names that a body reads from the graphs around it. */
export function capturesOf(graph: GraphProto): Set<string> {
  const names = new Set(graph.output.map((o) => o.name));
  for (const node of graph.node) for (const name of readsOf(node)) names.add(name);
  for (const name of definedIn(graph)) names.delete(name);
  return names;
}

/** @returns the names that a graph itself defines: inputs, initializers and nodes' outputs. */
export function definedIn(graph: GraphProto): Set<string> {
  const names = new Set<string>();
  for (const { name } of graph.input) names.add(name);
  for (const { name } of graph.initializer) names.add(name ?? '');
  for (const { values } of graph.sparseInitializer) names.add(values?.name ?? '');
  for (const node of graph.node) for (const name of node.output) names.add(name);
  names.delete('');
  return names;
}

/** Who makes and who reads each value of one graph. */
export interface GraphIndex {
  readonly producers: ReadonlyMap<string, NodeProto>;
  /** Each reader once, in graph order; a node whose body captures the value is a reader. */
  readonly readers: ReadonlyMap<string, readonly NodeProto[]>;
  readonly initializers: ReadonlyMap<string, TensorProto>;
  /** Names that the caller feeds: graph inputs that are not just defaults for initializers. */
  readonly inputs: ReadonlySet<string>;
  readonly outputs: ReadonlySet<string>;
}

export function indexGraph(graph: GraphProto): GraphIndex {
  const producers = new Map<string, NodeProto>();
  const readers = new Map<string, NodeProto[]>();
  for (const node of graph.node) {
    for (const name of node.output) if (name) producers.set(name, node);
    for (const name of readsOf(node)) {
      const known = readers.get(name);
      if (known) known.push(node);
      else readers.set(name, [node]);
    }
  }
  return {
    producers,
    readers,
    initializers: new Map(graph.initializer.map((t) => [t.name ?? '', t])),
    inputs: new Set(realInputs(graph).map((i) => i.name)),
    outputs: new Set(graph.output.map((o) => o.name)),
  };
}

/** @returns the inputs that have to be fed: before IR 4 initializers were listed as inputs too. */
export function realInputs(graph: GraphProto): ValueInfoProto[] {
  const given = constantNames(graph);
  return graph.input.filter((i) => !given.has(i.name));
}

/** @returns a graph input's or output's shape as declared: numbers, names of free axes, `undefined` for unknown axes. */
export function shapeOf(info: ValueInfoProto): (number | string | undefined)[] | undefined {
  const shape = info.type?.tensorType?.shape;
  return shape?.dim.map((d) => (d.dimValue === undefined ? d.dimParam || undefined : toNumber(d.dimValue)));
}

/** @returns the element type of a graph input or output, undefined for what is no tensor or of a newer type. */
export function elementTypeOf(info: ValueInfoProto): DType | undefined {
  return dtypeOf(info.type?.tensorType?.elemType ?? 0);
}

/** What {@link removeUnused} took away. */
export interface Removed {
  readonly nodes: number;
  readonly initializers: number;
}

/**
 * Removes what does not reach an output: nodes, initializers (with their entries among the inputs) and what was said
 * about the values that are gone. Inputs and outputs stay, and so do `keep` and what they need. Bodies are cleaned too.
 */
export function removeUnused(graph: GraphProto, keep: Iterable<string> = []): Removed {
  let nodes = 0;
  let initializers = 0;
  for (const node of graph.node) {
    for (const body of bodiesOf(node)) {
      const inner = removeUnused(body.graph);
      nodes += inner.nodes;
      initializers += inner.initializers;
    }
  }
  const needed = neededNames(graph, keep);
  const before = definedIn(graph);
  const wasNodes = graph.node.length;
  const constants = constantNames(graph);
  graph.node = graph.node.filter((n) => n.output.every((o) => !o) || n.output.some((o) => needed.has(o)));
  graph.initializer = graph.initializer.filter((t) => needed.has(t.name ?? ''));
  graph.sparseInitializer = graph.sparseInitializer.filter((t) => needed.has(t.values?.name ?? ''));
  // Without its initializer an entry among the inputs would become one that has to be fed.
  graph.input = graph.input.filter((i) => needed.has(i.name) || !constants.has(i.name));
  const after = definedIn(graph);
  const gone = new Set([...before].filter((name) => !after.has(name)));
  graph.valueInfo = graph.valueInfo.filter((v) => !gone.has(v.name));
  graph.quantizationAnnotation = graph.quantizationAnnotation.filter((q) => !gone.has(q.tensorName ?? ''));
  return {
    nodes: nodes + wasNodes - graph.node.length,
    initializers: initializers + constants.size - constantNames(graph).size,
  };
}

function constantNames(graph: GraphProto): Set<string> {
  const names = new Set(graph.initializer.map((t) => t.name ?? ''));
  for (const { values } of graph.sparseInitializer) names.add(values?.name ?? '');
  return names;
}

function neededNames(graph: GraphProto, keep: Iterable<string>): Set<string> {
  const { producers } = indexGraph(graph);
  const needed = new Set<string>();
  const open = [...graph.output.map((o) => o.name), ...keep];
  // A node without outputs is there for its own sake.
  for (const node of graph.node) if (node.output.every((o) => !o)) open.push(...readsOf(node));
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    const producer = producers.get(name);
    if (producer) open.push(...readsOf(producer));
  }
  return needed;
}

/**
 * @returns the nodes in an order in which every value is made before it is read; an order that is right already comes
 * back unchanged. Throws MODEL_INVALID for a cycle.
 */
export function sortedNodes(graph: Pick<GraphProto, 'node'>): NodeProto[] {
  const producers = new Map<string, NodeProto>();
  for (const node of graph.node) for (const name of node.output) if (name) producers.set(name, node);
  const sorted: NodeProto[] = [];
  const state = new Map<NodeProto, 'open' | 'done'>();
  for (const root of graph.node) {
    const stack = [root];
    for (let node = stack.at(-1); node; node = stack.at(-1)) {
      if (state.get(node) === 'done') {
        stack.pop();
        continue;
      }
      const first = state.get(node) === undefined;
      state.set(node, 'open');
      const waiting = first ? waitsFor(node, producers, state) : [];
      if (waiting.length > 0) stack.push(...waiting.reverse());
      else {
        state.set(node, 'done');
        sorted.push(node);
        stack.pop();
      }
    }
  }
  return sorted;
}

function waitsFor(node: NodeProto, producers: Map<string, NodeProto>, state: Map<NodeProto, string>): NodeProto[] {
  const waiting: NodeProto[] = [];
  for (const name of readsOf(node)) {
    const producer = producers.get(name);
    if (!producer || state.get(producer) === 'done') continue;
    if (state.get(producer) === 'open') throw invalid(`value '${name}' depends on itself`, node);
    waiting.push(producer);
  }
  return waiting;
}

/** Holds a graph to ONNX's rules of naming and order. Throws MODEL_INVALID. */
export function checkGraph(graph: GraphProto, outer: ReadonlySet<string> = new Set()): void {
  const known = new Set(outer);
  for (const { name } of graph.input) known.add(name);
  for (const { name } of graph.initializer) known.add(name ?? '');
  for (const { values } of graph.sparseInitializer) known.add(values?.name ?? '');
  const made = new Set<string>();
  for (const node of graph.node) {
    for (const name of node.input) {
      if (name && !known.has(name)) throw invalid(`value '${name}' is read before anything makes it`, node);
    }
    for (const { graph: body } of bodiesOf(node)) checkGraph(body, known);
    for (const name of node.output) {
      if (!name) continue;
      if (made.has(name)) throw invalid(`value '${name}' is made twice`, node);
      made.add(name);
      known.add(name);
    }
  }
  for (const { name } of graph.output) {
    if (!known.has(name)) throw invalid(`nothing makes the graph output '${name}'`);
  }
}

function invalid(what: string, node?: NodeProto): CgesError {
  return new CgesError('MODEL_INVALID', what, node ? { node: node.name || node.output[0], op: node.opType } : {});
}
