import type { NodeProto } from '../onnx/proto.js';
import { front } from './knownInts.js';
import { pinAll, pinsOf, straight } from './links.js';
import type { ChannelNode, ChannelRelation, ChannelValue, Link, Pin } from './spec.js';

/*
 * Sequences whose elements all have as many axes: as a value they have the axes of one element, index i of an axis being index i
 * in all of them. An empty one counts as one of zeros, so that zeros are followed through it, other constants are not.
 */

const known = new Set([
  'SequenceEmpty',
  'SequenceConstruct',
  'SequenceInsert',
  'SequenceErase',
  'SequenceAt',
  'SequenceLength',
  'ConcatFromSequence',
]);

/** @returns what such an operator says of channels; undefined for others, and where the elements are not known. */
export function sequenceRelation(node: ChannelNode, proto: NodeProto): ChannelRelation | undefined {
  if (proto.domain || !known.has(proto.opType)) return undefined;
  const sequences = [...node.inputs, ...node.outputs].filter((v) => v?.isSequence);
  if (sequences.length === 0) return undefined;
  const [x, t] = node.inputs;
  const [y] = node.outputs;
  switch (proto.opType) {
    case 'SequenceEmpty':
      return { free: y.shape.map((_, axis) => ({ value: y, axis })) };
    case 'SequenceConstruct':
      return held(node, node.inputs, y);
    case 'SequenceInsert':
      return held(node, [x, t], y);
    case 'SequenceErase':
    case 'SequenceAt':
      return held(node, [x], y);
    case 'SequenceLength':
      return { free: x!.shape.map((_, axis) => ({ value: x!, axis })) };
    default:
      return joined(node, x!, y);
  }
}

/** The output holds, or is, one of the values. */
function held(node: ChannelNode, values: readonly (ChannelValue | undefined)[], y: ChannelValue): ChannelRelation {
  const links: Link[] = [];
  for (const value of values) {
    if (!value || String(value.shape) !== String(y.shape)) return pinAll(node, 'the elements differ in shape');
    links.push(...straight(value, y, 'zero'));
  }
  const others = node.inputs.filter((v) => v !== undefined && !values.includes(v));
  return { links, pins: others.flatMap((v) => pinsOf(v!, 'it tells a position')), combine: 'either' };
}

/** Elements one behind the other along an axis, or along a new one. */
function joined(node: ChannelNode, x: ChannelValue, y: ChannelValue): ChannelRelation {
  const axis = front(node.attrs.int('axis', 0), y.shape.length);
  const isNew = node.attrs.int('new_axis', 0) === 1;
  if (y.shape.length !== x.shape.length + (isNew ? 1 : 0)) return pinAll(node, 'the elements differ in shape');
  const why = 'the elements lie along this axis';
  const links: Link[] = [];
  const pins: Pin[] = [];
  y.shape.forEach((size, at) => {
    const from = { value: x, axis: isNew && at > axis ? at - 1 : at };
    const to = { value: y, axis: at };
    if (at === axis) pins.push({ at: to, why }, ...(isNew ? [] : [{ at: from, why }]));
    else if (x.shape[from.axis] !== size)
      pins.push({ at: to, why: 'its size changes' }, { at: from, why: 'its size changes' });
    else links.push({ from, to, constants: 'zero' });
  });
  return { links, pins, combine: 'either' };
}
