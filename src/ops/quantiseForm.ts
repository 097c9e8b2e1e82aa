import { front } from './knownInts.js';
import { pinAll, straight } from './links.js';
import type { ChannelRule, Link } from './spec.js';
import { numberOf, orPinned, perChannel, weightZeroOf } from './quantised.js';

/** The channel rule of QuantizeLinear and DequantizeLinear [x, scale, zero point?]. */
export const quantiseChannels: ChannelRule = orPinned((node) => {
  const { inputs, outputs, attrs } = node;
  const [x, scale, zero] = inputs;
  const [y] = outputs;
  if (attrs.int('block_size', 0) !== 0) return pinAll(node, 'blocks of channels share a scale');
  // A scale that is told at run time makes nothing that stays the same.
  if (!scale!.known) return { links: straight(x!, y, 'never') };
  const single = numberOf(scale) !== undefined;
  const axis = single ? 0 : front(attrs.int('axis', 1), y.shape.length);
  const quantised = node.op === 'QuantizeLinear' ? y : x!;
  const point = zero && weightZeroOf(zero, quantised, axis);
  return {
    links: [
      // What is the same in all channels is not so any more where each has a scale of its own.
      ...straight(x!, y).map((link): Link =>
        single || link.to.axis === axis ? link : { ...link, constants: 'never' },
      ),
      ...(single ? [] : perChannel([scale, zero], { value: y, axis })),
    ],
    ...(point && { zeroPoints: [{ of: quantised, zero: point }] }),
  };
});
