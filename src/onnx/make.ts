import { type DType, dtypeCodes, type Tensor } from '../tensor/tensor.js';
import { type AttributeValue, makeAttribute } from './attributes.js';
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './proto.js';

/** @returns a node message; an empty input name is an omitted optional input. */
export function makeNode(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  more: { name?: string; domain?: string } = {},
): NodeProto {
  return {
    opType,
    input: [...input],
    output: [...output],
    name: more.name ?? '',
    domain: more.domain ?? '',
    attribute: Object.entries(attributes).map(([name, value]) => makeAttribute(name, value)),
    metadataProps: [],
  };
}

/** @returns a tensor message over the tensor's own bytes (little-endian, no copy). */
export function makeTensor(name: string, tensor: Tensor): TensorProto {
  const proto: TensorProto = {
    name,
    dims: [...tensor.dims],
    dataType: dtypeCodes[tensor.dtype],
    floatData: [],
    int32Data: [],
    stringData: [],
    int64Data: [],
    doubleData: [],
    uint64Data: [],
    externalData: [],
    metadataProps: [],
  };
  if (Array.isArray(tensor.data)) proto.stringData = tensor.data.map((s) => new TextEncoder().encode(s));
  else proto.rawData = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  return proto;
}

/** @returns a graph input or output; a string in `shape` is a free dimension of that name. */
export function makeValueInfo(name: string, dtype: DType, shape?: readonly (number | string)[]): ValueInfoProto {
  return {
    name,
    metadataProps: [],
    type: {
      tensorType: {
        elemType: dtypeCodes[dtype],
        ...(shape && { shape: { dim: shape.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d })) } }),
      },
    },
  };
}

export function makeGraph(graph: Partial<GraphProto> & Pick<GraphProto, 'node'>): GraphProto {
  return {
    name: 'graph',
    initializer: [],
    sparseInitializer: [],
    input: [],
    output: [],
    valueInfo: [],
    quantizationAnnotation: [],
    metadataProps: [],
    ...graph,
  };
}

/** @returns a model of the given opset (IR 8), with `com.microsoft` and `com.microsoft.nchwc` imported when used. */
export function makeModel(graph: GraphProto, opset: number, domains: readonly string[] = []): ModelProto {
  return {
    irVersion: 8,
    producerName: 'cges-compress',
    opsetImport: [{ domain: '', version: opset }, ...domains.map((domain) => ({ domain, version: 1 }))],
    graph,
    metadataProps: [],
    trainingInfo: [],
    functions: [],
  };
}
