import { setAttribute } from '../onnx/attributes.js';
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
