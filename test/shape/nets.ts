import { makeGraph, makeModel, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import type { NodeProto } from '../../src/onnx/proto.js';
import { decodeModel, type OnnxFile } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { Random } from '../../src/tensor/random.js';
import { type DType, float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';

export interface NetParts {
  readonly nodes: readonly NodeProto[];
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly outputs: readonly string[];
  readonly weights?: Readonly<Record<string, Tensor>>;
  readonly opset?: number;
  readonly dtype?: DType;
}

/** @returns a small model as it would come from a file. */
export function net(parts: NetParts): OnnxFile {
  const graph = makeGraph({
    node: [...parts.nodes],
    input: Object.entries(parts.inputs).map(([name, shape]) => makeValueInfo(name, parts.dtype ?? 'float32', shape)),
    output: parts.outputs.map((name) => ({ name, metadataProps: [] })),
    initializer: Object.entries(parts.weights ?? {}).map(([name, t]) => makeTensor(name, t)),
  });
  return decodeModel(encodeModel(makeModel(graph, parts.opset ?? 17)));
}

/** @returns floats in −1 … 1 of a seed. */
export function weights(dims: readonly number[], seed: number): Tensor {
  const random = new Random(seed);
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, () => random.uniform() * 2 - 1),
  );
}
