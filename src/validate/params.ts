import type { GraphProto, ModelProto, TensorProto } from '../onnx/proto.js';
import { tensorDims } from '../onnx/tensors.js';
import { type DType, dtypeOf, sizeOf } from '../tensor/tensor.js';

/** Types that weights are stored in; 32- and 64-bit integers are shapes and indices. */
const weightTypes = new Set<DType>([
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'float4e2m1',
  'uint8',
  'int8',
  'uint4',
  'int4',
]);

/**
 * @returns the number of stored weights: elements of initializers and Constant nodes, subgraphs and functions included.
 * Running statistics count, as in Keras; scalars and integer tensors of shapes and indices do not.
 */
export function paramsOf(model: ModelProto): number {
  let params = paramsOfGraph(model.graph);
  for (const f of model.functions) params += paramsOfGraph({ node: f.node, initializer: [] });
  return params;
}

function paramsOfGraph(graph: Pick<GraphProto, 'node' | 'initializer'>): number {
  let params = graph.initializer.reduce((sum, t) => sum + sizeOfWeight(t), 0);
  for (const node of graph.node) {
    for (const attribute of node.attribute) {
      if (node.opType === 'Constant' && attribute.t) params += sizeOfWeight(attribute.t);
      if (node.opType === 'Constant' && attribute.name === 'value_floats') params += attribute.floats.length;
      for (const body of attribute.g ? [attribute.g] : attribute.graphs) params += paramsOfGraph(body);
    }
  }
  return params;
}

function sizeOfWeight(tensor: TensorProto): number {
  const dtype = dtypeOf(tensor.dataType);
  const dims = tensorDims(tensor);
  return dtype && weightTypes.has(dtype) && dims.length > 0 ? sizeOf(dims) : 0;
}
