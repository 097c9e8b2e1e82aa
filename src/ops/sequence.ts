import { int64, type Tensor } from '../tensor/tensor.js';
import { makeNode } from '../onnx/make.js';
import type { NodeProto } from '../onnx/proto.js';
import { ints } from './knownInts.js';
import { type NormaliseContext, type OpSpec, refused } from './spec.js';

/**
 * @returns the spec of an operator on sequences or optional values: where all lengths and positions are known, the
 * training graph has the tensors themselves.
 */
export function sequence(spec: Pick<OpSpec, 'op' | 'since' | 'inputs' | 'outputs' | 'normalise'>): OpSpec {
  return {
    ...spec,
    grad: refused('the training graph has the tensors of a sequence in its place'),
    training: refused('its length or position depends on data'),
    channels: refused('the elements of the sequence may differ in shape'),
    examples: [{ title: 'in graphs alone, for a sequence is no tensor', inputs: [[2, 3]] }],
  };
}

/** @returns nothing to emit: from now on the node's output is known to hold these tensors. */
export function holding(node: NodeProto, context: NormaliseContext, elements: readonly string[]): NodeProto[] {
  context.holds(node.output[0], elements);
  return [];
}

/** @returns a node that gives a value the node's output name. */
export function same(node: NodeProto, value: string): NodeProto[] {
  return [makeNode('Identity', [value], [node.output[0]], {}, { name: node.name })];
}

/** @returns a node that gives a constant the node's output name. */
export function constant(node: NodeProto, context: NormaliseContext, tensor: Tensor): NodeProto[] {
  return same(node, context.constant(tensor));
}

/** @returns a known whole number, counted from the front of `length`; the length itself where the input is omitted. */
export function position(name: string | undefined, context: NormaliseContext, length: number): number | undefined {
  if (!name) return length;
  const known = context.known(name);
  if (!known) return undefined;
  const [at] = ints(known);
  return at < 0 ? at + length : at;
}

export function length(count: number): Tensor {
  return int64([], [count]);
}
