import type { ValueType } from '../onnx/builder.js';
import type { NodeProto } from '../onnx/proto.js';
import type { Tensor } from '../tensor/tensor.js';

export type { ValueType };

export interface TrainingInput extends ValueType {
  readonly name: string;
  /** The axis that holds the samples; absent for an input that is the same for all of them. */
  readonly batchAxis?: number;
}

/** What is compared with the targets, and how it hangs together with an output of the user's graph. */
export interface TrainingOutput extends ValueType {
  /** Name of the value in the training graph. */
  readonly name: string;
  /** The user's outputs that follow from it. */
  readonly of: readonly string[];
  /** Operators between this value and the user's output that training looks through, nearest to the value first. */
  readonly through: readonly string[];
  readonly batchAxis?: number;
}

/** One use of a shared initializer that became an initializer of its own. */
export interface Clone {
  readonly name: string;
  readonly of: string;
  /** Index of the reading node in the user's graph, and of its input. */
  readonly node: number;
  readonly input: number;
}

/** Why an initializer is not trained, or that it is. */
export interface TrainedNote {
  readonly name: string;
  readonly trained: boolean;
  readonly why: string;
}

/** The user's graph made ready for gradients: one opset (18), static shapes, float32, constants folded. */
export interface TrainingGraph {
  readonly batch: number;
  /** In topological order. */
  readonly nodes: readonly NodeProto[];
  /** Every value: inputs, parameters, constants and outputs of nodes. */
  readonly values: ReadonlyMap<string, ValueType>;
  /** Trainable weights under the user's names (clones have names of their own). */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** All other constants, running statistics included. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Names among `constants` that are state of the model (BatchNormalization's running mean and variance). */
  readonly state: ReadonlySet<string>;
  readonly inputs: readonly TrainingInput[];
  readonly outputs: readonly TrainingOutput[];
  readonly clones: readonly Clone[];
  /** One line per initializer: is it trained, and why (not). */
  readonly trained: readonly TrainedNote[];
  /** What was changed or left out, in the model's words. */
  readonly notes: readonly string[];
}
