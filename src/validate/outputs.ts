import { toNumber } from '../onnx/attributes.js';
import { opsetOf } from '../onnx/graph.js';
import { makeValueInfo } from '../onnx/make.js';
import type { GraphProto, ModelProto, NodeProto } from '../onnx/proto.js';

/** What the numbers of an output mean, as far as the nodes before it tell. */
export type OutputKind =
  /** Raw scores, log-probabilities, or any regression value. */
  | 'scores'
  /** A Softmax over classes. */
  | 'probabilities'
  /** A Sigmoid: every value a probability of its own. */
  | 'sigmoid'
  /** Class numbers (ArgMax, the indices of TopK). */
  | 'classes';

export interface OutputMeaning {
  readonly name: string;
  readonly kind: OutputKind;
  /** The value that the classes were chosen from; the output itself unless it is of kind `classes`. */
  readonly scores: string;
  /** The axis of the classes in what is computed with the scores, as the node says it. */
  readonly axis?: number;
}

/** Operators that change the form of an output, not its meaning. */
const transparent = new Set(['Identity', 'Cast', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten', 'Dropout']);

/** @returns what an output (default: the first one) means, read from the nodes that make it. */
export function meaningOf(model: ModelProto, output?: string): OutputMeaning {
  const name = output ?? model.graph.output[0].name;
  const producers = new Map<string, NodeProto>();
  for (const node of model.graph.node) for (const value of node.output) producers.set(value, node);
  let value = name;
  for (;;) {
    const node = producers.get(value);
    if (!node) return { name, kind: 'scores', scores: name };
    const axisOr = (standard: number) => toNumber(node.attribute.find((a) => a.name === 'axis')?.i ?? standard);
    if (node.opType === 'Softmax')
      return { name, kind: 'probabilities', scores: name, axis: axisOr(opsetOf(model) < 13 ? 1 : -1) };
    if (node.opType === 'Sigmoid') return { name, kind: 'sigmoid', scores: name };
    if (node.opType === 'ArgMax') return { name, kind: 'classes', scores: node.input[0], axis: axisOr(0) };
    if (node.opType === 'TopK' && node.output[1] === value)
      return { name, kind: 'classes', scores: node.input[0], axis: axisOr(-1) };
    if (node.opType === 'Where') {
      // A choice between class numbers, of which scores tell one.
      const told = node.input.slice(1).map((branch) => meaningOf(model, branch));
      const classes = told.filter((t) => t.kind === 'classes');
      return classes.length === 1 ? { ...classes[0], name } : { name, kind: 'scores', scores: name };
    }
    if (!transparent.has(node.opType)) return { name, kind: 'scores', scores: name };
    value = node.input[0];
  }
}

/**
 * @returns the model with the given values as outputs beside its own, so that scores behind an ArgMax can be read;
 * the model itself where they are outputs already. The message is not changed, its parts are shared.
 */
export function withOutputs(model: ModelProto, values: readonly string[]): ModelProto {
  const present = new Set(model.graph.output.map((o) => o.name));
  const missing = values.filter((v) => !present.has(v));
  if (missing.length === 0) return model;
  const graph: GraphProto = {
    ...model.graph,
    output: [...model.graph.output, ...missing.map((v) => makeValueInfo(v, 'float32'))],
  };
  return { ...model, graph };
}
