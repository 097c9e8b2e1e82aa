import { readsOf, sortedNodes } from '../onnx/graph.js';
import { makeTensor, makeValueInfo } from '../onnx/make.js';
import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import type { ValueFacts } from './analyse.js';
import { emptyData, type Sizes, shapeAt } from './feeds.js';
import { type Observation, openProbe } from './probe.js';
import { atBatch, type BatchPlan, type Edit } from './rebatch.js';

/** Values that have been computed at the trial batch. */
interface Reached {
  readonly shapes: Map<string, readonly number[]>;
  readonly contents: Map<string, Tensor>;
}

/**
 * Finds which element of a literal Reshape target holds the batch where it is not simply the first: runs the model piece
 * by piece, from one literal to the next, at another batch, and sees which axis moved.
 *
 * @returns all edits of the plan, those of Reshape nodes found anew; undefined where a piece does not run.
 */
export async function trackReshapes(
  file: OnnxFile,
  plan: BatchPlan,
  values: ReadonlyMap<string, ValueFacts>,
  sizes: Sizes,
  batch: number,
): Promise<Edit[] | undefined> {
  const { node: nodes, initializer } = file.model.graph;
  const index = new Map(nodes.map((n, i) => [n, i]));
  const constants = initializer.map((t) => t.name ?? '');
  const reached: Reached = {
    shapes: new Map(plan.inputs.map((i) => [i.name, shapeAt(i, batch, sizes)])),
    contents: new Map(),
  };
  const edits = plan.edits.filter((e) => nodes[e.node].opType !== 'Reshape');
  const decided = new Set<NodeProto>();
  const isOpen = (node: NodeProto) => isLiteral(node, values) && !decided.has(node);
  let waiting = sortedNodes(file.model.graph);
  while (waiting.length > 0) {
    for (const node of waiting.filter(isOpen)) {
      const now = reached.shapes.get(node.input[0]);
      if (!now) continue;
      decided.add(node);
      const edit = editOf(node, now, values, plan.literal, batch);
      if (edit) edits.push({ ...edit, node: index.get(node)! });
    }
    const { ready, blocked } = split(waiting, new Set([...reached.shapes.keys(), ...constants]), isOpen);
    if (ready.length === 0) return undefined;
    const edited = atBatch(file.model, { ...plan, edits }, batch).graph;
    const piece = pieceOf(
      ready.map((n) => edited.node[index.get(n)!]),
      edited,
      values,
      reached,
    );
    const seen = await observe(file, piece).catch(() => undefined);
    if (!seen) return undefined;
    for (const [name, shape] of seen.shapes) reached.shapes.set(name, shape);
    for (const [name, tensor] of seen.known) {
      reached.contents.set(name, tensor);
      reached.shapes.set(name, tensor.dims);
    }
    waiting = blocked;
  }
  return edits;
}

function isLiteral(node: NodeProto, values: ReadonlyMap<string, ValueFacts>): boolean {
  const computed = values.get(node.input[0])?.known === undefined;
  return node.opType === 'Reshape' && !node.domain && computed && values.get(node.input[1])?.known !== undefined;
}

/** @returns the nodes that can run now, and those that wait for an undecided one. */
function split(waiting: readonly NodeProto[], available: Set<string>, isOpen: (node: NodeProto) => boolean) {
  const ready: NodeProto[] = [];
  const blocked: NodeProto[] = [];
  for (const node of waiting) {
    const runs = !isOpen(node) && readsOf(node).every((name) => available.has(name));
    (runs ? ready : blocked).push(node);
    if (runs) for (const name of node.output) available.add(name);
  }
  return { ready, blocked };
}

/** @returns a graph of some nodes; what they read is fed as zeros, or holds what is known of it. */
function pieceOf(
  nodes: readonly NodeProto[],
  graph: GraphProto,
  values: ReadonlyMap<string, ValueFacts>,
  { shapes, contents }: Reached,
): { graph: GraphProto; feeds: Record<string, Tensor> } {
  const made = new Set(nodes.flatMap((n) => n.output));
  const constants = new Map(graph.initializer.map((t) => [t.name ?? '', t]));
  const initializer: TensorProto[] = [];
  const input: ValueInfoProto[] = [];
  const feeds: Record<string, Tensor> = {};
  for (const name of new Set(nodes.flatMap(readsOf))) {
    if (made.has(name)) continue;
    const known = contents.get(name);
    const dims = shapes.get(name);
    const dtype = values.get(name)?.dtype;
    if (constants.has(name)) initializer.push(constants.get(name)!);
    else if (known) initializer.push(makeTensor(name, known));
    else if (dims && dtype) {
      input.push(makeValueInfo(name, dtype, dims));
      feeds[name] = { dtype, dims, data: emptyData(dtype, sizeOf(dims)) };
    }
  }
  return { graph: { ...graph, node: [...nodes], initializer, input, output: [], valueInfo: [] }, feeds };
}

async function observe(
  file: OnnxFile,
  piece: { graph: GraphProto; feeds: Record<string, Tensor> },
): Promise<Observation> {
  const probe = await openProbe({ ...file, model: { ...file.model, graph: piece.graph } });
  try {
    const seen = await probe.run(piece.feeds);
    return { ...seen, known: new Map([...seen.known, ...probe.constants]) };
  } finally {
    await probe.close();
  }
}

/**
 * The batch is a factor of the axis that moved, its outermost one: in row-major order it comes after as many blocks as
 * the axes before hold. The output axis that starts there carries it on.
 */
function editOf(
  node: NodeProto,
  now: readonly number[],
  values: ReadonlyMap<string, ValueFacts>,
  literal: number,
  batch: number,
): Omit<Edit, 'node'> | undefined {
  const before = values.get(node.input[0])!.shapes[0];
  const after = values.get(node.output[0])!.shapes[0];
  const tensor = values.get(node.input[1])!.known!.tensor;
  const moved = before.findIndex((size, axis) => size * batch === now[axis] * literal && size !== now[axis]);
  if (moved < 0) return undefined;
  const lead = sizeOf(before.slice(0, moved));
  const starts = after.flatMap((size, axis) =>
    sizeOf(after.slice(0, axis)) === lead && size % literal === 0 ? [axis] : [],
  );
  const at = starts.find((axis) => after[axis] === literal) ?? starts[0];
  // −1 and 0 follow the input by themselves.
  if (at === undefined || Number(tensor.data[at]) <= 0) return undefined;
  return { input: 1, tensor, kind: 'size', at };
}
