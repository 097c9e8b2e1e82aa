import { setAttribute } from '../onnx/attributes.js';
import { intoHeads, outOfHeads, slicedLast } from './attentionForm.js';
import type { Formula } from './formula.js';
import { wholeBlocks } from './heads.js';
import { axisOf, pinsOf } from './links.js';
import type { ChannelNode, ChannelRelation, ChannelValue, Pin } from './spec.js';

/**
 * The channel relation of a rotation within heads of `size` channels, [batch, positions, heads · size] or [batch, heads,
 * positions, size]: heads go whole.
 */
export function rotation(node: ChannelNode, tables: readonly ChannelValue[], size: number): ChannelRelation {
  const { attrs, inputs, outputs } = node;
  const [x] = inputs;
  const [y] = outputs;
  const inRows = y.shape.length === 3;
  const fixed = (axis: number, why: string): Pin[] => [x!, y].map((value) => ({ at: axisOf(value, axis), why }));
  const pins = [
    ...fixed(0, 'it is rotated by the positions of its samples'),
    ...fixed(inRows ? 1 : 2, 'it is rotated by its positions'),
    ...tables.flatMap((table) => pinsOf(table, 'every head is rotated by this table')),
  ];
  if (!inRows) {
    return {
      links: [{ from: axisOf(x!, 1), to: axisOf(y, 1), constants: 'zero' }],
      pins: [...pins, ...fixed(3, 'it is rotated against the other half of its head')],
    };
  }
  const to = axisOf(y, 2);
  return {
    links: wholeBlocks(axisOf(x!, 2), to, y.shape[2] / size, 'zero'),
    pins,
    patch: (cut) => {
      const kept = cut.kept(to);
      if (kept && attrs.int('num_heads', 0) > 0) setAttribute(cut.node, 'num_heads', kept.length / size);
    },
  };
}

/** How the heads of a value are rotated. */
export interface Rotation {
  readonly x: string;
  readonly output: string;
  /** In rows, [batch, positions, heads · size]; else [batch, heads, positions, size]. */
  readonly inRows: boolean;
  readonly heads: number;
  readonly size: number;
  /** How many channels of a head are rotated. */
  readonly rotated: number;
  /** Neighbours are pairs, not the halves of a head. */
  readonly interleaved: boolean;
  /** Cosines and sines [batch, positions, rotated / 2], for the samples that come in. */
  readonly cos: string;
  readonly sin: string;
}

/** Spells out (a, b) → (a·cos − b·sin, a·sin + b·cos) for every pair of channels of every head. */
export function spellRotation(formula: Formula, given: Rotation): void {
  const { x, output, inRows, heads, size, rotated, interleaved } = given;
  const inHeads = inRows ? intoHeads(formula, x, heads) : x;
  const half = rotated / 2;
  const turned = rotated === size ? inHeads : slicedLast(formula, inHeads, 0, rotated);
  const [cos, sin] = [given.cos, given.sin].map((table) => formula.apply('Unsqueeze', [table, formula.ints([1])]));
  const pairs = interleaved ? formula.apply('Reshape', [turned, formula.ints([0, 0, 0, half, 2])]) : turned;
  const side = (k: number): string =>
    interleaved
      ? formula.apply('Reshape', [slicedLast(formula, pairs, k, k + 1), formula.ints([0, 0, 0, -1])])
      : slicedLast(formula, pairs, k * half, (k + 1) * half);
  const [a, b] = [side(0), side(1)];
  const times = (p: string, q: string): string => formula.apply('Mul', [p, q]);
  const first = formula.apply('Sub', [times(a, cos), times(b, sin)]);
  const second = formula.apply('Add', [times(a, sin), times(b, cos)]);
  const together = interleaved
    ? formula.apply('Reshape', [
        formula.apply(
          'Concat',
          [first, second].map((p) => formula.apply('Unsqueeze', [p, formula.ints([-1])])),
          { axis: -1 },
        ),
        formula.ints([0, 0, 0, rotated]),
      ])
    : formula.apply('Concat', [first, second], { axis: -1 });
  const parts = rotated === size ? [together] : [together, slicedLast(formula, inHeads, rotated, size)];
  if (inRows) outOfHeads(formula, formula.apply('Concat', parts, { axis: -1 }), output);
  else formula.apply('Concat', parts, { axis: -1 }, output);
}
