import { axisOf, pinsOf } from './links.js';
import type { ChannelRule } from './spec.js';

/**
 * The channel relation of operators that sample every channel of an image [N, C, …] at the same places: what lies
 * outside is zero. The places, and the samples or regions that they are of, are pinned.
 */
export const regionChannels: ChannelRule = ({ op, inputs: [x, ...places], outputs: [y] }) => {
  const why = `${op} samples this axis at given places`;
  const own = [x!, y].flatMap((value) => pinsOf(value, why).filter(({ at }) => at.axis !== 1));
  return {
    links: [{ from: axisOf(x!, 1), to: axisOf(y, 1), constants: 'zero' }],
    pins: [...own, ...places.flatMap((value) => (value ? pinsOf(value, why) : []))],
  };
};
