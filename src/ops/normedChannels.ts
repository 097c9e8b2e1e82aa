import { axisOf, pinsOf } from './links.js';
import type { ChannelNode, ChannelRelation, ChannelValue, CutNode, Link, Pin } from './spec.js';
import { recountSquares, refill } from './statistics.js';

/** A norm over trailing axes of a sum, Y = norm(Σ inputs) · scale (+ shift). */
export interface Norm {
  /** The first axis that enters the statistics. */
  readonly first: number;
  /** Inputs that are summed; the first of them has the shape of the sum. */
  readonly summed: readonly number[];
  readonly scale: number;
  /** The input that is added, which may be left out; absent: no mean is taken off, the norm is by the root mean square. */
  readonly shift?: number;
  /** What the operator's ε is where none is given. */
  readonly epsilon: number;
}

/**
 * Channels of the last axis may go where they are zero before the norm and scale and shift are, behind it: they go on counting
 * in the statistics. Several normed axes stay as they are.
 */
export function normedChannels(
  { op, inputs, outputs }: Pick<ChannelNode, 'op' | 'inputs' | 'outputs'>,
  norm: Norm,
): ChannelRelation {
  const { first, summed, scale, shift } = norm;
  const y = outputs[0];
  const rank = y.shape.length;
  const gain = inputs[scale]!;
  const bias = shift === undefined ? undefined : inputs[shift];
  const why = `every channel enters the statistics of this ${op}`;
  // The sum may be an output too; others hold a number for each place.
  const results = outputs.filter((value) => String(value.shape) === String(y.shape));
  const vectors = [gain, ...(bias ? [bias] : [])];
  const perChannel = vectors.every((v) => v.known && v.shape.length === 1 && v.shape[0] === y.shape[rank - 1]);
  const free = first === rank - 1 && perChannel;

  const constantsOf = (axis: number, z: ChannelValue): Link['constants'] => {
    if (axis < first) return 'never';
    if (z !== y) return 'same';
    return shift === undefined ? 'zero' : 'never';
  };
  const links: Link[] = [];
  const pins: Pin[] = [];
  const terms = summed.flatMap((i) => inputs[i] ?? []);
  for (const value of terms) {
    value.shape.forEach((size, axis) => {
      const from = { value, axis };
      const to = axis - value.shape.length + rank;
      if (to >= first && !free) pins.push({ at: from, why });
      else
        for (const z of results)
          if (size === z.shape[to]) links.push({ from, to: { value: z, axis: to }, constants: constantsOf(to, z) });
    });
  }
  const others = outputs.filter((value) => !results.includes(value));
  if (!free) {
    pins.push(...results.flatMap((z) => pinsOf(z, why).slice(first)), ...vectors.flatMap((v) => pinsOf(v, why)));
    return { links, pins: [...pins, ...others.flatMap((v) => pinsOf(v, why))] };
  }
  const last = axisOf(y, -1);
  for (const value of vectors) links.push({ from: axisOf(value, 0), to: last, constants: 'same' });
  const along = terms.map((value) => axisOf(value, -1));
  return {
    links,
    pins: others.flatMap((v) => pinsOf(v, why)),
    gains: [{ from: axisOf(gain, 0), to: last }],
    contractions: along.map((at) => ({ a: at, b: at })),
    ...(shift === undefined
      ? { patch: (cut: CutNode) => recountSquares(cut, last, gain, norm.epsilon) }
      : {
          counted: along,
          patch: (cut: CutNode) => refill(cut, last, { ...operandsOf(inputs, norm), outputs: results }),
        }),
  };
}

function operandsOf(inputs: ChannelNode['inputs'], { summed, scale, shift }: Norm) {
  const given = summed.filter((i) => inputs[i] !== undefined);
  const isVector = (i: number) => inputs[i]!.shape.length === 1;
  return {
    inputs: given.filter((i) => !isVector(i)),
    vectors: [...given.filter(isVector), scale, ...(shift !== undefined && inputs[shift] ? [shift] : [])],
  };
}
