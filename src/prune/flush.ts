import { Attributes, setAttribute } from '../onnx/attributes.js';
import { graphsFrom } from '../onnx/graph.js';
import type { ModelProto, TensorProto } from '../onnx/proto.js';
import { setTensor, tensorOf } from '../onnx/tensors.js';
import type { Tensor } from '../tensor/tensor.js';
import { copyOf } from './contents.js';
import { copyGraph } from './copy.js';

/** Smallest normal float32; float64 has its own. */
const SMALLEST = { float32: 2 ** -126, float64: 2 ** -1022 } as const;

/**
 * Sets subnormal float32 and float64 weights to zero: they are beyond the accuracy of any sum with a normal number, and
 * make CPUs several times slower. Half-precision subnormals are ordinary numbers and stay.
 */
export function flushSubnormals(model: ModelProto): { model: ModelProto; flushed: number } {
  const graph = copyGraph(model.graph);
  let flushed = 0;
  const flush = (proto: TensorProto): TensorProto => {
    if (proto.dataType !== 1 && proto.dataType !== 11) return proto;
    const { tensor, count } = withoutSubnormals(tensorOf(proto));
    if (count === 0) return proto;
    flushed += count;
    const copy = { ...proto };
    setTensor(copy, tensor);
    return copy;
  };
  for (const { graph: own } of graphsFrom(graph)) {
    own.initializer = own.initializer.map(flush);
    for (const node of own.node) {
      const value = node.opType === 'Constant' && !node.domain ? new Attributes(node).tensor('value') : undefined;
      const clean = value && flush(value);
      if (clean && clean !== value) setAttribute(node, 'value', { tensor: clean });
    }
  }
  return flushed === 0 ? { model, flushed } : { model: { ...model, graph }, flushed };
}

function withoutSubnormals(tensor: Tensor): { tensor: Tensor; count: number } {
  const limit = tensor.dtype === 'float64' ? SMALLEST.float64 : SMALLEST.float32;
  const data = tensor.data as Float32Array;
  const isSubnormal = (x: number): boolean => x !== 0 && x < limit && x > -limit;
  let count = 0;
  for (let i = 0; i < data.length; i++) if (isSubnormal(data[i])) count++;
  if (count === 0) return { tensor, count };
  const copy = copyOf(tensor);
  const out = copy.data as Float32Array;
  for (let i = 0; i < out.length; i++) if (isSubnormal(out[i])) out[i] = 0;
  return { tensor: copy, count };
}
