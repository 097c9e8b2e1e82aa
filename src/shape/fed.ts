import { toNumber } from '../onnx/attributes.js';
import { readsOf, sortedNodes, tensorsFrom } from '../onnx/graph.js';
import { makeNode, makeTensor, makeValueInfo } from '../onnx/make.js';
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from '../onnx/proto.js';
import { isExternal, tensorDims, tensorOf } from '../onnx/tensors.js';
import { constantOf } from '../onnx/weights.js';
import { inlineModel } from '../onnx/write.js';
import { openSession, type Session } from '../runtime/session.js';
import { type DType, dtypeOf, sizeOf, type Tensor } from '../tensor/tensor.js';
import { transposedWeights } from './transposed.js';

/** A model to probe, and where its external data lies. */
export interface Probed {
  readonly model: ModelProto;
  readonly folder?: string;
  readonly path?: string;
  /** Values that do not count as known beforehand, whatever they are made of. */
  readonly unknown?: ReadonlySet<string>;
  /** Values whose contents are not told although they are known beforehand. */
  readonly unread?: { has(name: string): boolean };
  /** Values whose contents are told although they depend on the inputs. */
  readonly watched?: ReadonlySet<string>;
}

/** Larger float constants are fed at run time: the model itself stays small, and no weight is copied. */
const FED_ELEMENTS = 1024;

export interface FedSession extends Session {
  /** False where some kernel insists on constant weights: they were copied into the session then. */
  readonly fed: boolean;
}

/**
 * Loads a model whose weights are fed with every run, with onnxruntime's optimisations off: a session of a large model
 * costs next to nothing so.
 * @param options.fed the weights can be fed to this model, for they could be to one of the same nodes
 */
export async function openFed(source: Probed, options: { fed?: boolean } = {}): Promise<FedSession> {
  const { model, path } = source;
  const { slim, fed } = withoutWeights({ ...source, unread: transposedWeights(model.graph) });
  const how = { optimisation: 'disabled', file: path } as const;
  try {
    const session = await openSession(withGraph(model, { ...slim, valueInfo: [] }), how);
    return fedSession(session, fed, true);
  } catch (error) {
    if (options.fed) throw error;
    return fedSession(await openSession(inlined(source), how), {}, false);
  }
}

function fedSession(session: Session, weights: Readonly<Record<string, Tensor>>, fed: boolean): FedSession {
  return {
    ...session,
    fed,
    run: (feeds, fetches) => session.run({ ...feeds, ...weights }, fetches),
    close: () => session.close(),
  };
}

interface WithoutWeights {
  readonly slim: GraphProto;
  readonly fed: Readonly<Record<string, Tensor>>;
  /** Element types of inputs and constants. */
  readonly dtypes: Map<string, DType>;
  /** Contents of Constant nodes. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Shapes of transposed weights that nothing computes: their readers take the weights themselves. */
  readonly turned: ReadonlyMap<string, readonly number[]>;
}

/** @returns the graph with its larger float constants turned into inputs, and what to feed to these. */
export function withoutWeights(source: Probed, feedWeights = true): WithoutWeights {
  const graph = source.model.graph;
  const fed: Record<string, Tensor> = {};
  const dtypes = new Map<string, DType>();
  const constants = new Map<string, Tensor>();
  const input: ValueInfoProto[] = [];
  const initializer: TensorProto[] = [];
  const node: NodeProto[] = [];
  const names = new Set(graph.initializer.map((t) => t.name ?? ''));
  for (const info of graph.input) {
    const dtype = dtypeOf(info.type?.tensorType?.elemType ?? 0);
    if (dtype) dtypes.set(info.name, dtype);
    if (!names.has(info.name)) input.push(info);
  }
  const take = (name: string, tensor: () => Tensor, dtype: DType | undefined, dims: readonly number[]): boolean => {
    if (dtype) dtypes.set(name, dtype);
    if (!feedWeights || (dtype !== 'float32' && dtype !== 'float16' && dtype !== 'float64')) return false;
    if (sizeOf(dims) <= FED_ELEMENTS) return false;
    fed[name] = tensor();
    input.push(makeValueInfo(name, dtype, dims));
    return true;
  };
  for (const proto of graph.initializer) {
    const read = () => tensorOf(proto, source.folder);
    if (!take(proto.name ?? '', read, dtypeOf(proto.dataType), tensorDims(proto))) {
      initializer.push(isExternal(proto) ? makeTensor(proto.name ?? '', read()) : proto);
    }
  }
  for (const n of sortedNodes(graph)) {
    const value = constantOf(n, source.folder);
    if (value) constants.set(n.output[0], value);
    if (!value || !take(n.output[0], () => value, value.dtype, value.dims)) node.push(n);
  }
  const slim = { ...graph, node, initializer, input };
  const { nodes, turned } = withoutTransposes(slim, fed, source.unread);
  for (const name of turned.keys()) dtypes.set(name, 'float32');
  return { slim: { ...slim, node: nodes }, fed, dtypes, constants, turned };
}

/**
 * Weights that are fed and transposed for products alone would be transposed anew in every run, which costs as much again as
 * they take: `FusedMatMul` (com.microsoft) reads them as they lie.
 */
function withoutTransposes(
  { node, output }: Pick<GraphProto, 'node' | 'output'>,
  fed: Readonly<Record<string, Tensor>>,
  unread: Probed['unread'],
): { nodes: NodeProto[]; turned: Map<string, readonly number[]> } {
  const turned = new Map<string, readonly number[]>();
  for (const { opType, domain, input, output: made } of node) {
    const weight = opType === 'Transpose' && !domain ? fed[input[0]] : undefined;
    // Of a matrix there is one transposition, and one that leaves it as it is.
    if (weight?.dtype !== 'float32' || weight.dims.length !== 2 || !unread?.has(made[0])) continue;
    turned.set(made[0], weight.dims.toReversed());
  }
  for (const { name } of output) turned.delete(name);
  const isProduct = (n: NodeProto, name: string) =>
    n.opType === 'MatMul' && !n.domain && n.input[1] === name && n.input[0] !== name;
  for (const n of node) for (const name of readsOf(n)) if (turned.has(name) && !isProduct(n, name)) turned.delete(name);
  if (turned.size === 0) return { nodes: node, turned };
  const sources = new Map(node.flatMap((n) => (turned.has(n.output[0]) ? [[n.output[0], n.input[0]] as const] : [])));
  const nodes = node.flatMap((n) => {
    if (turned.has(n.output[0])) return [];
    const weight = n.opType === 'MatMul' ? sources.get(n.input[1]) : undefined;
    if (weight === undefined) return [n];
    return [
      makeNode('FusedMatMul', [n.input[0], weight], n.output, { transB: 1 }, { name: n.name, domain: MICROSOFT }),
    ];
  });
  return { nodes, turned };
}

const MICROSOFT = 'com.microsoft';

/** Before IR 4 every initializer had to be an input as well: the probing graph's are not. */
export function withGraph(model: ModelProto, graph: GraphProto): ModelProto {
  const fused = graph.node.some((n) => n.domain === MICROSOFT);
  const opsetImport =
    fused && !model.opsetImport.some((o) => o.domain === MICROSOFT)
      ? [...model.opsetImport, { domain: MICROSOFT, version: 1 }]
      : model.opsetImport;
  return { ...model, irVersion: Math.max(toNumber(model.irVersion ?? 0), 4), opsetImport, graph };
}

/** @returns the model with its external data inside: a model in memory has no folder. */
export function inlined(source: Probed): ModelProto {
  const { model, folder } = source;
  const outside = new Set(model.graph.initializer.filter(isExternal));
  for (const { tensor } of tensorsFrom(model)) {
    if (isExternal(tensor) && !outside.has(tensor)) return inlineModel(model, folder);
  }
  if (outside.size === 0) return model;
  const initializer = model.graph.initializer.map((t) =>
    outside.has(t) ? makeTensor(t.name ?? '', tensorOf(t, folder)) : t,
  );
  return { ...model, graph: { ...model.graph, initializer } };
}
