import { int64 } from '../tensor/tensor.js';
import { noGradient, pinAll } from './links.js';
import type { OpSpec } from './spec.js';

/** @returns the spec of an operator that makes a window of a given length. */
export function signalWindow(op: string): OpSpec {
  return {
    op,
    since: 17,
    inputs: ['size'],
    outputs: ['output'],
    grad: noGradient,
    channels: (node) => pinAll(node, `${op} makes an axis of this size`),
    examples: [{ title: 'eight samples', inputs: [int64([], [8])], parameters: [0] }],
  };
}
