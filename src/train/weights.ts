import { makeTensor } from '../onnx/make.js';
import type { OnnxFile } from '../onnx/read.js';
import { cloneMessage } from '../onnx/schema.js';
import { weightsOf, writeWeight } from '../onnx/weights.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { type FloatType, fromFloat32, isFloat } from '../tensor/half.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * @returns the user's model with trained weights in place of its own, everything else as it was. Weights are stored in
 * the type that the model keeps them in. An initializer that training split among its readers is split here too.
 */
export function withWeights(file: OnnxFile, graph: TrainingGraph, state: ReadonlyMap<string, Tensor>): OnnxFile {
  const model = cloneMessage(file.model);
  const weights = new Map(weightsOf(model.graph).map((w) => [w.name, w]));
  for (const clone of graph.clones) {
    const original = weights.get(clone.of);
    const trained = state.get(clone.name);
    if (!original || !trained) continue;
    model.graph.initializer.push(makeTensor(clone.name, stored(trained, original.dtype)));
    model.graph.node[clone.node].input[clone.input] = clone.name;
  }
  for (const name of [...graph.parameters.keys(), ...graph.state]) {
    const weight = weights.get(name);
    const trained = state.get(name);
    if (weight && trained) writeWeight(weight, stored(trained, weight.dtype));
  }
  return { ...file, bytes: new Uint8Array(), model };
}

/** Numbers this small are zero to any use, and being subnormal makes processors several times slower. */
const SMALLEST = 1.2e-38;

function stored(trained: Tensor, dtype: Tensor['dtype']): Tensor {
  if (!isFloat(dtype)) throw new TypeError(`a weight cannot be stored as ${dtype}`);
  const data = Float32Array.from(trained.data as Float32Array, (x) => (Math.abs(x) < SMALLEST ? 0 : x));
  return fromFloat32(trained.dims, data, dtype satisfies FloatType);
}
