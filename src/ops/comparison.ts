import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { noGradient } from './links.js';
import type { Example, OpSpec } from './spec.js';

/** @returns the spec of an elementwise operator of two operands whose answer is true or false. */
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
