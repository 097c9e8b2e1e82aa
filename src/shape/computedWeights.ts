import { copyGraph } from '../onnx/copy.js';
import { readsOf, removeUnused } from '../onnx/graph.js';
import { makeTensor, makeValueInfo } from '../onnx/make.js';
import type { GraphProto, NodeProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { tensorDims } from '../onnx/tensors.js';
import { constantOf } from '../onnx/weights.js';
import { specOf } from '../ops/index.js';
import { isFloat } from '../tensor/half.js';
import { type DType, dtypeOf, sizeOf, type Tensor } from '../tensor/tensor.js';
import { type Analysis, analyse } from './analyse.js';
import { rearranging } from './trained.js';

/*
 * Comes in: a model that computes weights from other constants in every run (kernels that are standardised, or normalised
 * times a gain). Goes out: the same model with these weights stored as they come out.
 */

/** Operators through which a weight is still that weight, if joined with others or repeated. */
const carrying = new Set([...rearranging, 'Concat', 'Expand']);

/** Arithmetic through which rules for channels follow a weight. */
const followed = new Set(['Mul', 'Div', 'Sqrt', 'Pow', 'Abs', 'Add', 'ReduceL2', 'ReduceSum', 'ReduceSumSquare']);

/** Numbers that these unpack would be stored larger than they are. */
const unpacking = /Quantize|NBits/;

/** By how much more room weights may take stored than what they are computed from. */
const GROWTH = 1.1;

export interface StoredWeights {
  readonly file: OnnxFile;
  readonly names: readonly string[];
}

/** Stores what {@link storeWeights} finds. @returns the model that is worked on, with its own analysis. */
export async function withStoredWeights(
  file: OnnxFile,
  analysis: Analysis,
  options: { every?: boolean } = {},
): Promise<StoredWeights & { readonly analysis: Analysis }> {
  const stored = storeWeights(file, analysis, options);
  return stored ? { ...stored, analysis: await analyse(stored.file, analysis.options) } : { file, names: [], analysis };
}

/**
 * @param options.every also weights that rules for channels could follow to what they are made of: for training, which changes
 *   what is stored
 * @returns the model with computed weights stored, or undefined where it has none
 */
export function storeWeights(
  file: OnnxFile,
  { values }: Pick<Analysis, 'values'>,
  { every = false }: { every?: boolean } = {},
): StoredWeights | undefined {
  const { graph } = file.model;
  const chains = new Chains(graph, file.folder);
  const outputs = new Set(graph.output.map((o) => o.name));
  const found = new Map<string, Tensor>();
  for (const node of graph.node) {
    if (unpacking.test(node.opType)) continue;
    for (const at of specOf(node.opType, node.domain)?.trains ?? []) {
      const name = node.input[at] ?? '';
      const fact = values.get(name);
      if (found.has(name) || outputs.has(name) || fact?.known?.stable !== 'all') continue;
      if (!fact.dtype || !isFloat(fact.dtype) || sizeOf(fact.shapes[0]) < 2) continue;
      const chain = chains.of(name);
      if (!chain || chain.nodes.some((n) => unpacking.test(n.opType))) continue;
      const worth = chain.nodes.some((n) => !carrying.has(n.opType) && (every || n.domain || !followed.has(n.opType)));
      if (worth && sizeOf(fact.shapes[0]) <= GROWTH * chain.elements) found.set(name, fact.known.tensor);
    }
  }
  if (found.size === 0) return undefined;
  const model = { ...file.model, graph: withStored(graph, found, Number(file.model.irVersion ?? 0) < 4) };
  return { file: { ...file, bytes: new Uint8Array(), model }, names: [...found.keys()] };
}

/** What constants a value is made of, and by which nodes. */
class Chains {
  private readonly producers: ReadonlyMap<string, NodeProto>;
  /** Number of elements of float constants, 0 of others. */
  private readonly constants = new Map<string, number>();

  constructor(graph: GraphProto, folder: string) {
    this.producers = new Map(graph.node.flatMap((n) => n.output.map((o) => [o, n] as const)));
    const note = (name: string, dtype: DType | undefined, dims: readonly number[]) =>
      this.constants.set(name, dtype && isFloat(dtype) ? sizeOf(dims) : 0);
    for (const t of graph.initializer) note(t.name ?? '', dtypeOf(t.dataType), tensorDims(t));
    for (const node of graph.node) {
      const tensor = constantOf(node, folder);
      if (tensor) note(node.output[0], tensor.dtype, tensor.dims);
    }
  }

  /** @returns undefined for what is a constant itself, or depends on an input of the model. */
  of(value: string): { nodes: NodeProto[]; elements: number } | undefined {
    if (this.constants.has(value)) return undefined;
    const nodes = new Set<NodeProto>();
    const roots = new Set<string>();
    const open = [value];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (this.constants.has(name)) {
        roots.add(name);
        continue;
      }
      const node = this.producers.get(name);
      if (!node) return undefined;
      if (nodes.has(node)) continue;
      nodes.add(node);
      open.push(...readsOf(node).filter((n) => n !== ''));
    }
    return { nodes: [...nodes], elements: [...roots].reduce((sum, root) => sum + this.constants.get(root)!, 0) };
  }
}

/** @param listed before IR 4 every initializer is an input as well */
function withStored(graph: GraphProto, weights: ReadonlyMap<string, Tensor>, listed: boolean): GraphProto {
  const copy = copyGraph(graph);
  for (const node of copy.node) node.output = node.output.map((o) => (weights.has(o) ? '' : o));
  copy.node = copy.node.filter((n, i) => n.output.some((o) => o !== '') || graph.node[i].output.every((o) => o === ''));
  for (const [name, tensor] of weights) {
    copy.initializer.push(makeTensor(name, tensor));
    if (listed) copy.input.push(makeValueInfo(name, tensor.dtype, tensor.dims));
  }
  copy.valueInfo = copy.valueInfo.filter((v) => !weights.has(v.name));
  removeUnused(copy);
  return copy;
}
