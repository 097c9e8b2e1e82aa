import type { Tensor } from '../tensor/tensor.js';
import type { ChannelNode } from './spec.js';

/** @returns the elements of an integer tensor as numbers; INT64_MAX becomes the nearest number. */
export function ints(tensor: Tensor): number[] {
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

/** @returns a list that was an attribute in older opsets and is an input now, or undefined where nobody knows it. */
export function intsOf(node: ChannelNode, input: number, attribute: string): number[] | undefined {
  const known = node.inputs[input]?.known;
  return known ? ints(known.tensor) : node.attrs.ints(attribute);
}

/** @returns true where one element of a list is the same in every run. */
export function isStable(node: ChannelNode, input: number, element: number): boolean {
  const known = node.inputs[input]?.known;
  return known ? known.stable === 'all' || known.stable[element] !== 0 : node.inputs[input] === undefined;
}

/** @returns an axis counted from the front. */
export function front(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
