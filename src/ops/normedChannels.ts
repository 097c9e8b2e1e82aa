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
  /** Outputs that have the shape of the sum: the normed one, and the sum itself. */
  readonly wide: readonly number[];
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
  const { first, summed, scale, shift, wide } = norm;
  const y = outputs[wide[0]];
  const rank = y.shape.length;
  const gain = inputs[scale]!;
  const bias = shift === undefined ? undefined : inputs[shift];
  const why = `every channel enters the statistics of this ${op}`;
  const results = wide.flatMap((i) => outputs[i] ?? []);
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
  const others = outputs.filter((value) => value && !results.includes(value));
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
      : { counted: along, patch: (cut: CutNode) => refill(cut, last, partsOf(inputs, norm, outputs)) }),
  };
}

function partsOf(inputs: ChannelNode['inputs'], { summed, scale, shift, wide }: Norm, outputs: ChannelNode['outputs']) {
  const vector = (i: number) => inputs[i]?.shape.length === 1;
  const present = (i: number) => inputs[i] !== undefined;
  return {
    inputs: summed.filter((i) => present(i) && !vector(i)),
    vectors: [...summed.filter((i) => present(i) && vector(i)), scale, ...(shift === undefined ? [] : [shift])],
    outputs: wide.filter((i) => outputs[i] !== undefined),
  };
}
