import { makeNode } from '../onnx/make.js';
import { int32, sizeOf, stridesOf, type Tensor } from '../tensor/tensor.js';
import { pinAll } from './links.js';
import {
  type AxisRef,
  type ChannelNode,
  type ChannelRelation,
  type ChannelRule,
  type ChannelValue,
  type CutNode,
  type Link,
  type Mix,
  refused,
  type ZeroPoint,
} from './spec.js';

/*
 * What operators on quantised tensors share: a real number is (q − zero point) · scale. A channel is dead where it rests at
 * its zero point, a weight where it equals its own; sums of such products are whole numbers, so that what is cut from them
 * changes no bit of the rest.
 */

/** Why no operator on quantised numbers has a gradient. */
export const wholeNumbers = refused('whole numbers have no gradient; strip works');

/** @returns the number that a tensor of one element holds in every run, or undefined. */
export function numberOf(value: ChannelValue | undefined): number | undefined {
  if (value?.known?.stable !== 'all' || sizeOf(value.shape) !== 1) return undefined;
  return Number(value.known.tensor.data[0]);
}

/** @returns the zero point of an activation (0 where it is omitted), or undefined where it is not one known number. */
export function inputZeroOf(zero: ChannelValue | undefined): number | undefined {
  return zero === undefined ? 0 : numberOf(zero);
}

/**
 * @returns the zero point of a weight: one number, or one per index along `axis`; nothing where it is omitted.
 * @throws for other forms: see {@link orPinned}
 */
export function weightZeroOf(
  zero: ChannelValue | undefined,
  weight: ChannelValue,
  axis: number,
): ZeroPoint | undefined {
  if (zero === undefined) return undefined;
  if (numberOf(zero) !== undefined) return { value: zero };
  if (zero.known?.stable === 'all' && perIndex(zero, weight.shape[axis])) return { value: zero, axis };
  throw new Unfit('the zero points of its weight are computed, or lie across its channels');
}

/** Tells of a form in which channels are not followed. */
class Unfit extends Error {}

/** @returns the rule that pins all channels, and says why, where a quantised form is met that it does not fit. */
export function orPinned(rule: ChannelRule): ChannelRule {
  return (node) => {
    try {
      return rule(node);
    } catch (error) {
      if (error instanceof Unfit) return pinAll(node, error.message);
      throw error;
    }
  };
}

/** What a product of quantised operands leaves open. */
interface Quantisation {
  /** The zero points of the operands, in their order; a computed one is what another node tells at run time. */
  readonly zeros: readonly (ChannelValue | undefined)[];
  /** Scales and zero points per output channel. */
  readonly perChannel?: readonly (ChannelValue | undefined)[];
  /** Other computed operands that leave a zero what it is. */
  readonly aside?: readonly ChannelValue[];
  readonly addBias?: Mix['addBias'];
}

/** @returns the relation of a product (of node.inputs 0 and 1), its operands counted from their zero points. */
export function countedFromZeros(
  node: ChannelNode,
  relation: ChannelRelation,
  quantisation: Quantisation,
): ChannelRelation {
  const { mixes = [], links = [], ...rest } = relation;
  if (mixes.length === 0) return betweenComputed(node, relation, quantisation);
  const { zeros, perChannel: parameters = [], aside = [], addBias } = quantisation;
  return {
    ...rest,
    combine: 'all',
    mixes: mixes.map((mix): Mix => {
      const [input, weight] = mix.weight === node.inputs[0] ? [zeros[1], zeros[0]] : zeros;
      const inputZero = input && !input.known ? 'runtime' : inputZeroOf(input);
      if (inputZero === undefined) throw new Unfit('the zero points of its input are several');
      return {
        ...mix,
        inputZero,
        weightZero: weightZeroOf(weight, mix.weight, mix.outAxis),
        aside: [...aside, ...(inputZero === 'runtime' ? [input!] : [])],
        scale: 1,
        addBias,
      };
    }),
    links: [
      ...links.map((link): Link => ({ ...link, constants: 'never' })),
      ...mixes.flatMap((mix) => perChannel(parameters, mix.output)),
    ],
  };
}

/** Where both operands rest at zero points that are known, their product is followed as that of real numbers. */
function betweenComputed(
  { op, inputs }: ChannelNode,
  { links = [], contractions = [], pins = [] }: ChannelRelation,
  { zeros, perChannel: parameters = [] }: Quantisation,
): ChannelRelation {
  singles(...[...zeros, ...parameters].filter((v) => v?.known));
  const [p, q] = zeros.map(inputZeroOf);
  if (p === undefined || q === undefined) {
    const why = `the sum of this ${op} runs over two computed operands`;
    return {
      links: links.map((link): Link => ({ ...link, constants: 'never' })),
      pins: [...pins, ...contractions.flatMap(({ a, b }) => [a, b].map((at) => ({ at, why })))],
    };
  }
  return {
    combine: 'product',
    links: links.map((link) => ({ ...link, zero: link.from.value === inputs[0] ? p : q })),
    contractions: contractions.map((c) => ({ ...c, zeros: [p, q] })),
    pins,
  };
}

/** @returns the link of parameters that hold one number per channel (scales, zero points); of single numbers none. */
export function perChannel(values: readonly (ChannelValue | undefined)[], to: AxisRef): Link[] {
  return values.flatMap((value): Link[] => {
    if (value === undefined || numberOf(value) !== undefined) return [];
    if (value.known?.stable !== 'all' || !perIndex(value, to.value.shape[to.axis]))
      throw new Unfit('its scales or zero points are computed, or lie across its channels');
    return [{ from: { value, axis: value.shape.findIndex((d) => d !== 1) }, to, constants: 'same' }];
  });
}

/** @throws where one of the values is not one known number. */
export function singles(...values: readonly (ChannelValue | undefined)[]): void {
  if (values.some((v) => v !== undefined && numberOf(v) === undefined))
    throw new Unfit('its scales or zero points are computed, or are several');
}

function perIndex({ shape }: ChannelValue, size: number): boolean {
  return sizeOf(shape) === size && shape.some((d) => d === size);
}

/** Adds whole numbers to a bias of int32, which a node without one gets. */
export function addWholeBias(cut: CutNode, input: number, delta: Float64Array): void {
  const bias = cut.inputs[input];
  if (!bias) {
    cut.setInput(input, int32([delta.length], Int32Array.from(delta, Math.round)));
    return;
  }
  const own = cut.parameter(bias);
  const old = own ?? keptOf(cut, bias);
  const sum = int32(
    old.dims,
    Int32Array.from(old.data as Int32Array, (b, i) => b + Math.round(delta[i])),
  );
  if (own) cut.setParameter(bias, sum);
  else cut.setInput(input, sum);
}

/** Puts an Add of whole numbers along one axis behind the node's first output. */
export function addWholeBehind(cut: CutNode, axis: number, delta: Float64Array): void {
  const { name: y, shape } = cut.outputs[0];
  const name = `${y}/bias`;
  const tensor = int32([delta.length, ...shape.slice(axis + 1).map(() => 1)], Int32Array.from(delta, Math.round));
  cut.insertAfter(0, (from, to) => makeNode('Add', [from, name], [to], {}, { name: `${name}/Add` }), [
    { name, tensor },
  ]);
}

/** @returns what a known value of one axis holds in the cut graph. */
function keptOf(cut: CutNode, value: ChannelValue): Tensor {
  const { dims, data } = value.known!.tensor;
  const axis = dims.findIndex((d) => d !== 1);
  const kept = axis < 0 ? undefined : cut.kept({ value, axis });
  if (!kept) return value.known!.tensor;
  const stride = stridesOf(dims)[axis];
  return int32(
    dims.map((d, a) => (a === axis ? kept.length : d)),
    Int32Array.from(kept, (i) => Number(data[i * stride])),
  );
}
