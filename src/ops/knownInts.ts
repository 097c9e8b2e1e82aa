import { Attributes } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import type { Tensor } from '../tensor/tensor.js';
import type { ChannelNode, NormaliseContext } from './spec.js';

/** @returns the elements of an integer tensor as numbers; INT64_MAX becomes the nearest number. */
export function ints(tensor: Tensor): number[] {
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

/** @returns a list that was an attribute in older opsets and is an input now, or undefined where nobody knows it. */
export function intsOf(node: ChannelNode, input: number, attribute: string): number[] | undefined {
  const known = node.inputs[input]?.known;
  return known ? ints(known.tensor) : node.attrs.ints(attribute);
}

/** @returns the same while normalising. */
export function givenInts(
  node: NodeProto,
  context: NormaliseContext,
  input: number,
  attribute: string,
): number[] | undefined {
  const name = node.input[input];
  const known = name ? context.known(name) : undefined;
  return known ? ints(known) : new Attributes(node).ints(attribute);
}

/** @returns an axis counted from the front. */
export function front(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
