import { int32 } from '../tensor/tensor.js';
import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { noGradient } from './links.js';
import type { Example, OpSpec } from './spec.js';

/** @returns the spec of an elementwise operator of two operands whose answer is true or false, or made of bits. */
export function comparison(op: string, more: { since?: number; examples?: readonly Example[] } = {}): OpSpec {
  return {
    op,
    ...(more.since && { since: more.since }),
    inputs: ['A', 'B'],
    outputs: ['C'],
    grad: noGradient,
    channels: (node) => broadcasting(node),
    examples: more.examples ?? broadcastExamples(),
  };
}

export const bitExamples: readonly Example[] = [
  { title: 'equal shapes', inputs: [int32([2, 3], [1, 2, 3, 4, 5, 6]), int32([2, 3], [3, 3, 1, 1, 7, 2])] },
  { title: 'broadcast', inputs: [int32([2, 1], [5, 9]), int32([3], [3, 6, 12])] },
];
