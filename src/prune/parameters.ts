import { bodiesOf, capturesOf } from '../onnx/graph.js';
import type { NodeProto, TensorProto } from '../onnx/proto.js';
import { tensorOf } from '../onnx/tensors.js';
import { constantOf } from '../onnx/weights.js';
import type { ChannelValue } from '../ops/spec.js';
import { sizeOf, type Tensor } from '../tensor/tensor.js';
import type { ChannelSource, GraphNode } from './channels.js';

/** A constant of the user's graph that can be cut: an initializer or what a Constant node holds. */
export interface Constant {
  /** Name in the user's graph. */
  readonly name: string;
  /** Absent for Constant nodes. */
  readonly initializer?: TensorProto;
  read(): Tensor;
}

/** A constant as some nodes use it: uses of a shared one may be told apart under other names. */
export interface Parameter extends Constant {
  readonly value: ChannelValue;
  /** Nodes (by their index in the graph) and inputs that read it. */
  readonly readers: readonly { readonly node: number; readonly input: number }[];
}

/** @returns names that the bodies of a node read from the graph around them. */
export function capturedBy(node: NodeProto): string[] {
  return bodiesOf(node).flatMap((b) => [...capturesOf(b.graph)]);
}

export function isConstant(node: NodeProto): boolean {
  return node.opType === 'Constant' && !node.domain;
}

/** @returns the dense constants of the top-level graph by name. */
export function constantsOf({ model: { graph }, folder }: ChannelSource): Map<string, Constant> {
  const found = new Map<string, Constant>();
  for (const initializer of graph.initializer) {
    const { name } = initializer;
    if (name) found.set(name, { name, initializer, read: () => tensorOf(initializer, folder) });
  }
  for (const node of graph.node) {
    const tensor = isConstant(node) ? constantOf(node, folder) : undefined;
    if (tensor) found.set(node.output[0], { name: node.output[0], read: () => tensor });
  }
  return found;
}

/**
 * Tells the uses of shared one-dimensional constants apart: exporters merge equal biases of different layers, and as one
 * value they would tie these layers' channels together. Shared matrices are tied on purpose and stay so.
 */
export function untie(
  source: ChannelSource,
  nameOf?: (node: number, input: number) => string | undefined,
): GraphNode[] {
  const { graph } = source.model;
  const constants = new Set([
    ...graph.initializer.map((t) => t.name ?? ''),
    ...graph.node.filter(isConstant).map((n) => n.output[0]),
  ]);
  const fixed = new Set([...graph.output.map((o) => o.name), ...graph.node.flatMap(capturedBy)]);
  const taken = new Set([...constants, ...graph.node.flatMap((n) => n.output), ...graph.input.map((i) => i.name)]);
  const uses = new Map<string, number>();
  const packed = packedConstants(source, constants);
  return source.nodes.map((node) => {
    const inputs = node.inputs.map((value, input) => {
      if (!value || !constants.has(value.name) || fixed.has(value.name) || packed.has(value.name)) return value;
      if (value.shape.filter((d) => d !== 1).length > 1) return value;
      const n = uses.get(value.name) ?? 0;
      uses.set(value.name, n + 1);
      let name = nameOf?.(node.index, input);
      if (!name && n === 0) return value;
      for (let k = n; name === undefined; k++) if (!taken.has(`${value.name}_${k}`)) name = `${value.name}_${k}`;
      taken.add(name);
      return { name, dtype: value.dtype, shape: value.shape, known: value.known };
    });
    return { ...node, inputs };
  });
}

/** @returns constants that nodes take apart: one bias for several gates or projections. */
function packedConstants({ nodes }: ChannelSource, constants: ReadonlySet<string>): Set<string> {
  const taken = new Map<string, number>();
  const packed = new Set<string>();
  for (const { proto, inputs, outputs } of nodes) {
    const parts = !proto.domain && (proto.opType === 'Slice' || proto.opType === 'Split');
    inputs.forEach((value, input) => {
      if (!value || !constants.has(value.name)) return;
      // Read as a whole, or more than once over, it is several biases that were merged.
      const read = parts && input === 0 ? outputs.reduce((n, y) => n + sizeOf(y.shape), 0) : sizeOf(value.shape);
      taken.set(value.name, (taken.get(value.name) ?? 0) + read);
      if (taken.get(value.name)! <= sizeOf(value.shape)) packed.add(value.name);
      else packed.delete(value.name);
    });
  }
  return packed;
}

/** @returns the constants that the nodes read, by the names that {@link untie} gave to their uses. */
export function parametersOf(
  constants: ReadonlyMap<string, Constant>,
  nodes: readonly GraphNode[],
): Map<string, Parameter> {
  const found = new Map<string, Parameter & { readers: { node: number; input: number }[] }>();
  for (const { index, proto, inputs } of nodes) {
    inputs.forEach((value, input) => {
      const constant = constants.get(proto.input[input]);
      if (!value || !constant) return;
      const known = found.get(value.name);
      if (known) known.readers.push({ node: index, input });
      else found.set(value.name, { ...constant, value, readers: [{ node: index, input }] });
    });
  }
  return found;
}
