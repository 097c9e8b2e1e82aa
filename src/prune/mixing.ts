import type { ChannelValue, Known, Mix } from '../ops/spec.js';
import { sizeOf, stridesOf } from '../tensor/tensor.js';
import { groupSizes } from './channels.js';
import { numbersOf } from './contents.js';
import { countedFromZero } from './zeroPoints.js';

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
  /**
   * Visits the pairs between which any weight is not zero, of the outputs that are `wanted` and the inputs that are `open`.
   * @param each may answer `true`: no more of this output
   */
  visitLive(
    each: (output: number, input: number) => unknown,
    wanted: (output: number, gate: number) => boolean,
    open: (input: number) => boolean,
  ): void;
  /** 1 for channels whose weights are all zero; absent where they do not lie in one slice of the weight. */
  readonly silent?: Silent;
}

interface Silent {
  readonly ins: Uint8Array;
  readonly outs: Uint8Array;
}

export function layoutOf(mix: Mix): MixLayout {
  const { weight, inAxis, outAxis, groups, blocked, gates } = mix;
  const strides = stridesIn(weight);
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
  const offsets = Int32Array.from(taps);
  const visit: MixLayout['visit'] = (each, wanted) => {
    for (let group = 0; group < groups; group++) {
      for (let r = 0; r < outs * (gates?.count ?? 1); r++) {
        const row = group * outStep + r * outStride + group * inStep;
        const [gate, p] = [Math.floor(r / outs), r % outs];
        if (wanted && !wanted(group * outs + p, gate)) continue;
        for (let q = 0; q < ins; q++)
          if (each(group * outs + p, group * ins + q, row + q * inStride, gate) === true) break;
      }
    }
  };
  return {
    taps: offsets,
    visit,
    visitLive(each, wanted, open) {
      const data = weightOf(mix);
      const silent = silentOf(mix);
      visit(
        (o, i, at) => open(i) && silent?.ins[i] !== 1 && isLive(data, offsets, at) && each(o, i),
        (o, gate) => silent?.outs[o] !== 1 && wanted(o, gate),
      );
    },
    get silent() {
      return silentOf(mix);
    },
  };
}

/** @returns whether any weight of a pair of channels is not zero. */
function isLive(data: ArrayLike<number>, taps: Int32Array, at: number): boolean {
  for (let t = 0; t < taps.length; t++) if (data[at + taps[t]] !== 0) return true;
  return false;
}

/** @returns how far apart neighbours along each axis lie in what {@link weightOf} answers: a transposed weight is not copied. */
function stridesIn({ shape, known }: ChannelValue): readonly number[] {
  if (!known?.view) return stridesOf(shape);
  const strides = stridesOf(heldShape(shape, known));
  return known.view.perm.map((a) => strides[a]);
}

/** @returns the shape of a weight as it is held, before it is transposed. */
function heldShape(shape: readonly number[], { view }: Known): readonly number[] {
  return view ? shape.map((_, a) => shape[view.perm.indexOf(a)]) : shape;
}

const weights = new WeakMap<object, ArrayLike<number>>();

/** @returns the weights of a mix as numbers, counted from their zero points; they lie as {@link layoutOf} says. */
export function weightOf(mix: Mix): ArrayLike<number> {
  const { known: own, name } = mix.weight;
  if (!own) throw new Error(`a mix over the weight ${name}, whose contents are not known`);
  const known = own.view?.of ?? own;
  const key = mix.weightZero ? mix : known;
  const data = weights.get(key) ?? countedFromZero(numbersOf(known.tensor), mix.weight.shape, mix.weightZero);
  if (!data) throw new Error(`a mix over the weight ${name}, which holds no numbers`);
  weights.set(key, data);
  return data;
}

const emptySlices = new WeakMap<object, Map<number, Uint8Array>>();

/**
 * @returns the channels whose weights are all zero. To find them pair by pair would mean to read a dead one to its end, and
 * across memory where outputs lie inside.
 */
function silentOf(mix: Mix): Silent | undefined {
  const { weight, inAxis, outAxis, groups, gates, weightZero } = mix;
  if (groups > 1 || gates || weightZero || inAxis === outAxis) return undefined;
  const { view } = weight.known!;
  const held = view?.of ?? weight.known!;
  const known = emptySlices.get(held) ?? new Map<number, Uint8Array>();
  emptySlices.set(held, known);
  const [ins, outs] = [inAxis, outAxis].map((at) => {
    const axis = view ? view.perm[at] : at;
    const flags = known.get(axis) ?? emptyAlong(weightOf(mix), heldShape(weight.shape, weight.known!), axis);
    known.set(axis, flags);
    return flags;
  });
  return { ins, outs };
}

/** @returns 1 for the indices of an axis where everything is zero; elements are read in the order of memory. */
function emptyAlong(data: ArrayLike<number>, shape: readonly number[], axis: number): Uint8Array {
  const size = shape[axis];
  const inner = sizeOf(shape.slice(axis + 1));
  const empty = new Uint8Array(size).fill(1);
  let left = size;
  for (let at = 0; at < data.length && left > 0;) {
    for (let index = 0; index < size; index++, at += inner) {
      if (empty[index] === 0) continue;
      let i = at;
      for (const end = at + inner; i < end && data[i] === 0;) i++;
      if (i === at + inner) continue;
      empty[index] = 0;
      left--;
    }
  }
  return empty;
}
