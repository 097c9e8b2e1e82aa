import { makeTensor } from '../onnx/make.js';
import type { ModelProto } from '../onnx/proto.js';
import type { OnnxFile } from '../onnx/read.js';
import { cloneMessage } from '../onnx/schema.js';
import { readWeight, weightsOf, writeWeight } from '../onnx/weights.js';
import type { TrainingGraph } from '../shape/training-graph.js';
import { type FloatType, fromFloat32, isFloat } from '../tensor/half.js';
import type { Tensor } from '../tensor/tensor.js';
import { type OptimizerOptions, slotName, slotsOf } from './optimizer.js';

/**
 * @returns the user's model with trained weights in place of its own, everything else as it was. Weights are stored in
 * the type that the model keeps them in. An initializer that training split among its readers is split here too.
 */
export function withWeights(file: OnnxFile, graph: TrainingGraph, state: ReadonlyMap<string, Tensor>): OnnxFile {
  const model = filledIn(file.model, graph, (name, dtype) => {
    const trained = state.get(name);
    return trained && stored(trained, dtype);
  });
  return { ...file, bytes: new Uint8Array(), model };
}

/**
 * @returns per optimizer slot the user's model with that slot in place of the weights, as float32: what happens to the
 * graph's weights can then be done to the slots.
 */
export function slotModels(
  file: OnnxFile,
  graph: TrainingGraph,
  state: ReadonlyMap<string, Tensor>,
  optimizer: OptimizerOptions,
): ModelProto[] {
  return slotsOf(optimizer).map((slot) => filledIn(file.model, graph, (name) => state.get(slotName(name, slot))));
}

/** @returns the slots that `slotModels` put into models, under the names that they have in the state of a step. */
export function slotState(models: readonly ModelProto[], optimizer: OptimizerOptions): Map<string, Tensor> {
  const state = new Map<string, Tensor>();
  slotsOf(optimizer).forEach((slot, i) => {
    for (const weight of weightsOf(models[i].graph)) {
      if (weight.source.kind !== 'sparse' && weight.dtype === 'float32')
        state.set(slotName(weight.name, slot), readWeight(weight));
    }
  });
  return state;
}

function filledIn(
  from: ModelProto,
  graph: TrainingGraph,
  contents: (name: string, dtype: Tensor['dtype']) => Tensor | undefined,
): ModelProto {
  const model = cloneMessage(from);
  const weights = new Map(weightsOf(model.graph).map((w) => [w.name, w]));
  const added = new Set<string>();
  for (const clone of graph.clones) {
    const original = weights.get(clone.of);
    const tensor = original && contents(clone.name, original.dtype);
    if (!tensor) continue;
    // Several nodes may read one clone.
    if (!added.has(clone.name)) model.graph.initializer.push(makeTensor(clone.name, tensor));
    added.add(clone.name);
    model.graph.node[clone.node].input[clone.input] = clone.name;
  }
  for (const name of [...graph.parameters.keys(), ...graph.state]) {
    const weight = weights.get(name);
    const tensor = weight && contents(name, weight.dtype);
    if (tensor) writeWeight(weight, tensor);
  }
  return model;
}

/** Numbers this small are zero to any use, and being subnormal makes processors several times slower. */
const SMALLEST = 1.2e-38;

function stored(trained: Tensor, dtype: Tensor['dtype']): Tensor {
  if (!isFloat(dtype)) throw new TypeError(`a weight cannot be stored as ${dtype}`);
  const data = Float32Array.from(trained.data as Float32Array, (x) => (Math.abs(x) < SMALLEST ? 0 : x));
  return fromFloat32(trained.dims, data, dtype satisfies FloatType);
}
