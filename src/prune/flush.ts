import { Attributes, setAttribute } from '../onnx/attributes.js';
import { graphsFrom } from '../onnx/graph.js';
import type { ModelProto, TensorProto } from '../onnx/proto.js';
import { setTensor, tensorOf } from '../onnx/tensors.js';
import type { Tensor } from '../tensor/tensor.js';
import { copyOf } from './contents.js';
import { copyGraph } from '../onnx/copy.js';

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
  const places = tensor.dtype === 'float64' ? subnormals64(tensor.data as Float64Array) : subnormals32(tensor.data);
  if (places.length === 0) return { tensor, count: 0 };
  const copy = copyOf(tensor);
  const out = copy.data as Float32Array;
  for (const i of places) out[i] = 0;
  return { tensor: copy, count: places.length };
}

/** A subnormal float has the exponent 0 and a fraction that is not: one look at its bits tells. */
function subnormals32(data: Tensor['data']): number[] {
  const { buffer, byteOffset, length } = data as Float32Array;
  const bits = new Uint32Array(buffer, byteOffset, length);
  const places: number[] = [];
  for (let i = 0; i < bits.length; i++)
    if ((bits[i] & 0x7f800000) === 0 && (bits[i] & 0x007fffff) !== 0) places.push(i);
  return places;
}

/** Smallest normal float64. */
const SMALLEST = 2 ** -1022;

function subnormals64(data: Float64Array): number[] {
  const places: number[] = [];
  for (let i = 0; i < data.length; i++) if (data[i] !== 0 && Math.abs(data[i]) < SMALLEST) places.push(i);
  return places;
}
