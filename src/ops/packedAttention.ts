import { setAttribute } from '../onnx/attributes.js';
import { headAxis, positionPins, wholeBlocks } from './heads.js';
import { axisOf, pinAll } from './links.js';
import type { AxisRef, ChannelNode, ChannelRelation, ChannelValue, Link, Mix } from './spec.js';

/** The operands of an attention that projects its input by one weight for queries, keys and values. */
export interface Packed {
  readonly input: ChannelValue;
  readonly weight: ChannelValue;
  readonly bias?: ChannelValue;
  /** What is added to the scores. */
  readonly scores?: ChannelValue;
  readonly past?: ChannelValue;
  /** Computed operands that leave a head of zeros what it is. */
  readonly aside: readonly ChannelValue[];
  readonly more?: Pick<Mix, 'inputZero' | 'weightZero'>;
}

/**
 * A head is the same block of columns among those of the queries, of the keys and of the values: it is dead where the
 * latter are zero, and goes whole.
 */
export function packedHeads(
  node: ChannelNode,
  { input, weight, bias, scores, past, aside, more }: Packed,
): ChannelRelation {
  const { attrs, outputs } = node;
  const [y] = outputs;
  const width = y.shape[2];
  const heads = attrs.int('num_heads', 1);
  if (past || outputs.length > 1) return pinAll(node, 'the cache of this attention holds every head');
  if (!weight.known || (bias && bias.known?.stable !== 'all'))
    return pinAll(node, 'the weights of this attention are computed');
  if (weight.shape[1] !== 3 * width) return pinAll(node, 'queries and values of this attention differ in size');
  const output = axisOf(y, 2);
  const blocksOf = (from: AxisRef, parts: readonly number[]): Link[] =>
    parts.flatMap((k) => wholeBlocks(from, output, heads, 'any', { offset: k * width, size: width }));
  const biases = (value: ChannelValue): Link[] => {
    const own = Int32Array.from({ length: width }, (_, j) => 2 * width + j);
    return [...blocksOf(axisOf(value, 0), [0, 1]), { from: axisOf(value, 0), to: output, map: own, constants: 'zero' }];
  };
  const perHead = headAxis(scores, heads).flatMap((at) => wholeBlocks(at, output, heads, 'any'));
  return {
    mixes: [
      {
        input: axisOf(input, 2),
        output,
        weight,
        inAxis: 0,
        outAxis: 1,
        groups: 1,
        blocked: 'in',
        scale: 1,
        border: true,
        gates: { count: 3, candidate: 2 },
        aside,
        ...more,
      },
    ],
    links: [...blocksOf(axisOf(weight, 1), [0, 1, 2]), ...perHead, ...(bias ? biases(bias) : [])],
    pins: positionPins([input, y], { positions: 1, scores, heads }),
    patch: (cut) => {
      const kept = cut.kept(output);
      if (!kept) return;
      setAttribute(cut.node, 'num_heads', (kept.length * heads) / width);
      if (attrs.has('qkv_hidden_sizes')) {
        setAttribute(
          cut.node,
          'qkv_hidden_sizes',
          [0, 1, 2].map(() => kept.length),
        );
      }
    },
  };
}

/** @returns multiply–accumulates of such an attention, its projections included. */
export function packedMacs({
  input,
  weight,
  y,
}: {
  input: ChannelValue;
  weight: ChannelValue;
  y: ChannelValue;
}): number {
  const [batch, positions] = input.shape;
  const outer = y.shape[2];
  const width = (weight.shape[1] - outer) / 2;
  return batch * positions * (weight.shape[0] * weight.shape[1] + positions * (width + outer));
}
