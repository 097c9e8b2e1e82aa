import { front } from './knownInts.js';
import { noGradient } from './links.js';
import type { Link, OpSpec } from './spec.js';

/** @returns the spec of ArgMax or ArgMin: the axis that is searched keeps its indices, for they are the answer. */
export function arg(op: 'ArgMax' | 'ArgMin'): OpSpec {
  return {
    op,
    inputs: ['data'],
    outputs: ['reduced'],
    grad: noGradient,
    channels: ({ inputs: [x], outputs: [y], attrs }) => {
      const axis = front(attrs.int('axis', 0), x!.shape.length);
      const dropped = attrs.int('keepdims', 1) === 0;
      const links = x!.shape.flatMap((_, a): Link[] => {
        if (a === axis) return [];
        const to = dropped && a > axis ? a - 1 : a;
        return [{ from: { value: x!, axis: a }, to: { value: y, axis: to }, constants: 'same' }];
      });
      return { links, pins: [{ at: { value: x!, axis }, why: `${op} answers with indices of this axis` }] };
    },
    examples: [
      { title: 'kept axis', inputs: [[2, 3]], attributes: { axis: 1 } },
      { title: 'dropped axis', inputs: [[2, 3, 4]], attributes: { axis: -1, keepdims: 0 }, opset: 11 },
    ],
  };
}
