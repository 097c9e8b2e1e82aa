import type { Mix } from '../ops/spec.js';
import { stridesOf } from '../tensor/tensor.js';
import { groupSizes } from './channels.js';

/** The weights between one input and one output channel. */
export interface Pair {
  readonly output: number;
  readonly input: number;
  /** Offset of the first of them, in elements. */
  readonly at: number;
}

/** How the elements of a mix's weight lie: per pair of channels, `taps` are offsets from the pair's first element. */
export interface MixLayout {
  readonly taps: Int32Array;
  /**
   * Visits every pair of channels that share weights, once in every gate; outputs run outside, inputs inside.
   * @param each may answer `true`: no more of this output
   * @param wanted tells which outputs to visit at all
   */
  visit(
    each: (output: number, input: number, at: number, gate: number) => unknown,
    wanted?: (output: number, gate: number) => boolean,
  ): void;
}

export function layoutOf(mix: Mix): MixLayout {
  const { weight, inAxis, outAxis, groups, blocked, gates } = mix;
  const strides = stridesOf(weight.shape);
  const { ins, outs } = groupSizes(mix);
  let taps = [0];
  weight.shape.forEach((size, axis) => {
    if (axis === inAxis || axis === outAxis) return;
    taps = taps.flatMap((t) => Array.from({ length: size }, (_, i) => t + i * strides[axis]));
  });
  const [inStride, outStride] = [strides[inAxis], strides[outAxis]];
  // The blocked axis counts within the group, the other one through all groups.
  const inStep = groups > 1 && blocked === 'in' ? 0 : ins * inStride;
  const outStep = groups > 1 && blocked === 'out' ? 0 : outs * outStride;
  return {
    taps: Int32Array.from(taps),
    visit(each, wanted) {
      for (let group = 0; group < groups; group++) {
        for (let r = 0; r < outs * (gates?.count ?? 1); r++) {
          const row = group * outStep + r * outStride + group * inStep;
          const [gate, p] = [Math.floor(r / outs), r % outs];
          if (wanted && !wanted(group * outs + p, gate)) continue;
          for (let q = 0; q < ins; q++)
            if (each(group * outs + p, group * ins + q, row + q * inStride, gate) === true) break;
        }
      }
    },
  };
}

/** @returns whether any weight of a pair of channels is not zero. */
export function isLive(data: ArrayLike<number>, taps: Int32Array, at: number): boolean {
  for (let t = 0; t < taps.length; t++) if (data[at + taps[t]] !== 0) return true;
  return false;
}
