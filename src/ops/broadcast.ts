import { sizeOf } from '../tensor/tensor.js';
import type { ChannelNode, ChannelRelation, ChannelValue, Link } from './spec.js';

/**
 * The channel relation of elementwise operators with several operands. Axes align from the right; an operand's size-1
 * axis that broadcasts carries no channel.
 *
 * An operand that is broadcast along an axis mixes into all channels there: they stay constants only where it is a
 * single known number. `zeroStays` tells for which operand a zero wins over that (either factor, the numerator).
 */
export function broadcasting(
  node: ChannelNode,
  { combine = 'all', zeroStays = () => combine === 'product' }: Broadcasting = {},
): ChannelRelation {
  const output = node.outputs[0];
  const operands = node.inputs.filter((x) => x !== undefined);
  const links = output.shape.flatMap((_, axis) => {
    const linked = operands.map((x) => alignedAxis(x, output, axis));
    const uniform = operands.every((x, i) => linked[i] !== undefined || isScalar(x));
    return operands.flatMap((value, i): Link[] => {
      const from = linked[i];
      if (from === undefined) return [];
      const constants = uniform ? 'same' : zeroStays(i) ? 'zero' : 'never';
      return [{ from: { value, axis: from }, to: { value: output, axis }, constants }];
    });
  });
  const winners = links.filter((l) => combine !== 'product' && zeroStays(operands.indexOf(l.from.value)));
  return { links, combine, ...(winners.length > 0 && { gains: winners.map(({ from, to }) => ({ from, to })) }) };
}

export interface Broadcasting {
  readonly combine?: 'all' | 'product';
  readonly zeroStays?: (operand: number) => boolean;
}

/** @returns the axis of `x` that runs along `axis` of the output, or undefined where `x` is broadcast. */
function alignedAxis(x: ChannelValue, output: ChannelValue, axis: number): number | undefined {
  const own = axis - output.shape.length + x.shape.length;
  return own >= 0 && x.shape[own] === output.shape[axis] ? own : undefined;
}

function isScalar(x: ChannelValue): boolean {
  return sizeOf(x.shape) === 1 && x.known !== undefined;
}
