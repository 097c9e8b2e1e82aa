import { CgesError } from '../errors.js';
import { isFloat } from '../tensor/half.js';
import { type DType, dtypeOf, float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import { Attributes, setAttribute, toNumber } from './attributes.js';
import { graphsFrom } from './graph.js';
import { makeTensor } from './make.js';
import type { GraphProto, NodeProto, TensorProto } from './proto.js';
import { setTensor, tensorDims, tensorOf } from './tensors.js';

/** A constant of floats, in whichever of ONNX's forms it is. */
export interface Weight {
  /** The value's name: an initializer's own, or a Constant node's output. */
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** The graph that holds it: the main one or a body. */
  readonly graph: GraphProto;
  readonly source:
    | { readonly kind: 'initializer'; readonly tensor: TensorProto }
    | { readonly kind: 'constant'; readonly node: NodeProto }
    /** Stored as indices and values: counted and shown, neither trained nor cut. */
    | { readonly kind: 'sparse' };
}

/** @returns the float constants of a graph and of the bodies inside it: initializers first, then Constant nodes. */
export function weightsOf(graph: GraphProto): Weight[] {
  const weights: Weight[] = [];
  for (const { graph: g } of graphsFrom(graph)) {
    for (const tensor of g.initializer) {
      const dtype = dtypeOf(tensor.dataType);
      if (!dtype || !isFloat(dtype)) continue;
      const source = { kind: 'initializer', tensor } as const;
      weights.push({ name: tensor.name ?? '', dtype, dims: tensorDims(tensor), graph: g, source });
    }
    for (const { values, dims } of g.sparseInitializer) {
      const dtype = dtypeOf(values?.dataType ?? 0);
      if (!dtype || !isFloat(dtype)) continue;
      const source = { kind: 'sparse' } as const;
      weights.push({ name: values?.name ?? '', dtype, dims: dims.map(toNumber), graph: g, source });
    }
    for (const node of g.node) {
      const type = constantType(node);
      if (!type || !isFloat(type.dtype)) continue;
      const source = type.sparse ? ({ kind: 'sparse' } as const) : ({ kind: 'constant', node } as const);
      weights.push({ name: node.output[0], dtype: type.dtype, dims: type.dims, graph: g, source });
    }
  }
  return weights;
}

/** @returns how many numbers the weights hold together; of sparse ones, those of the dense form. */
export function elementCount(weights: readonly Weight[]): number {
  return weights.reduce((sum, w) => sum + sizeOf(w.dims), 0);
}

/** @returns a weight's contents. Throws for sparse ones: ask `source.kind` first. */
export function readWeight(weight: Weight, folder?: string): Tensor {
  if (weight.source.kind === 'initializer') return tensorOf(weight.source.tensor, folder);
  if (weight.source.kind === 'constant') return constantOf(weight.source.node, folder)!;
  throw new CgesError('MODEL_INVALID', `weight '${weight.name}' is sparse`, { value: weight.name });
}

/** Gives a weight other contents, in the place where it is. */
export function writeWeight(weight: Weight, tensor: Tensor): void {
  if (weight.source.kind === 'initializer') setTensor(weight.source.tensor, tensor);
  else if (weight.source.kind === 'constant') setConstant(weight.source.node, tensor);
  else throw new CgesError('MODEL_INVALID', `weight '${weight.name}' is sparse`, { value: weight.name });
}

function isConstant(node: NodeProto): boolean {
  return node.opType === 'Constant' && (node.domain ?? '') === '';
}

/** @returns the contents of a Constant node in any of its dense forms, undefined for other nodes and sparse values. */
export function constantOf(node: NodeProto, folder?: string): Tensor | undefined {
  if (!isConstant(node)) return undefined;
  const attrs = new Attributes(node);
  const value = attrs.tensor('value');
  if (value) return tensorOf(value, folder);
  const float = attrs.float('value_float');
  if (float !== undefined) return float32([], [float]);
  const floats = attrs.floats('value_floats');
  if (floats) return float32([floats.length], floats);
  const int = exactInts(node, 'value_int');
  if (int) return { dtype: 'int64', dims: [], data: int };
  const ints = exactInts(node, 'value_ints');
  if (ints) return { dtype: 'int64', dims: [ints.length], data: ints };
  const string = attrs.string('value_string');
  if (string !== undefined) return { dtype: 'string', dims: [], data: [string] };
  const strings = attrs.strings('value_strings');
  if (strings) return { dtype: 'string', dims: [strings.length], data: strings };
  return undefined;
}

function exactInts(node: NodeProto, name: string): BigInt64Array | undefined {
  const a = node.attribute.find((attribute) => attribute.name === name);
  if (!a) return undefined;
  const values = name === 'value_int' ? [a.i ?? 0] : a.ints;
  return BigInt64Array.from(values, (v) => BigInt(v.toString()));
}

/** Gives a Constant node other contents, as its `value`. */
export function setConstant(node: NodeProto, tensor: Tensor): void {
  const old = new Attributes(node).tensor('value');
  node.attribute = node.attribute.filter((a) => a.name === 'value' || !a.name.startsWith('value_'));
  if (old) setTensor(old, tensor);
  else setAttribute(node, 'value', { tensor: makeTensor('', tensor) });
}

function constantType(node: NodeProto): { dtype: DType; dims: number[]; sparse?: true } | undefined {
  if (!isConstant(node)) return undefined;
  const value = new Attributes(node).tensor('value');
  if (value) {
    const dtype = dtypeOf(value.dataType);
    return dtype && { dtype, dims: tensorDims(value) };
  }
  const sparse = node.attribute.find((a) => a.name === 'sparse_value')?.sparseTensor;
  if (sparse) {
    const dtype = dtypeOf(sparse.values?.dataType ?? 0);
    return dtype && { dtype, dims: sparse.dims.map(toNumber), sparse: true };
  }
  const tensor = constantOf(node);
  return tensor && { dtype: tensor.dtype, dims: [...tensor.dims] };
}
