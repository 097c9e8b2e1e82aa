import { Attributes } from '../onnx/attributes.js';
import type { GraphProto } from '../onnx/proto.js';
import { tensorDims, tensorType } from '../onnx/tensors.js';
import { type DType, sizeOf } from '../tensor/tensor.js';

/** A weight that is used with its axes in another order: axis `a` is axis `perm[a]` of the initializer. */
export interface TransposedWeight {
  readonly weight: string;
  readonly perm: readonly number[];
}

/** Smaller weights are transposed by onnxruntime and read with all else. */
const LARGE = 2 ** 16;

const readable = new Set<DType>(['float32', 'float16', 'float64']);

/**
 * @returns what Transpose nodes make of large initializers, by the name of their outputs. What it holds is not worth reading:
 * it would be a second copy of the weights.
 */
export function transposedWeights(graph: GraphProto): Map<string, TransposedWeight> {
  const weights = new Map(graph.initializer.map((t) => [t.name ?? '', t]));
  const found = new Map<string, TransposedWeight>();
  for (const node of graph.node) {
    const weight = node.opType === 'Transpose' && !node.domain ? weights.get(node.input[0]) : undefined;
    if (!weight || !readable.has(tensorType(weight))) continue;
    const dims = tensorDims(weight);
    const perm = new Attributes(node).ints('perm') ?? dims.map((_, a) => dims.length - 1 - a);
    if (sizeOf(dims) >= LARGE) found.set(node.output[0], { weight: node.input[0], perm });
  }
  return found;
}
