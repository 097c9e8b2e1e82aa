import type { Value } from '../onnx/builder.js';
import type { AxisRef, ChannelNode, ChannelRelation, ChannelRule, ChannelValue, Link, Pin } from './spec.js';

/** @returns one axis of a value; negative axes count from the end. */
export function axisOf(value: ChannelValue, axis: number): AxisRef {
  return { value, axis: axis < 0 ? axis + value.shape.length : axis };
}

/** @returns links of every axis of `from` with the same axis of `to`: nothing but values change. */
export function straight(from: ChannelValue, to: ChannelValue, constants: Link['constants'] = 'same'): Link[] {
  return from.shape.map((_, axis) => ({ from: { value: from, axis }, to: { value: to, axis }, constants }));
}

/** @returns pins of every axis of every input and output. */
export function pinAll(node: ChannelNode, why: string): ChannelRelation {
  return { pins: [...node.inputs, ...node.outputs].flatMap((v) => (v ? pinsOf(v, why) : [])) };
}

/** @returns the rule of an operator whose channels always stay. */
export function pinned(why: string): ChannelRule {
  return Object.assign((node: ChannelNode) => pinAll(node, why), { pins: why });
}

/** @returns pins of every axis of a value. */
export function pinsOf(value: ChannelValue, why: string): Pin[] {
  return value.shape.map((_, axis) => ({ at: { value, axis }, why }));
}

/** @returns pins of the axes behind batch and channels. */
export function placesOf(...values: readonly ChannelValue[]): Pin[] {
  const why = 'it counts positions, not channels';
  return values.flatMap((value) => pinsOf(value, why).slice(2));
}

/** The gradient rule of operators whose outputs are no real numbers, or don't depend on what the inputs hold. */
export function noGradient(_: unknown, node: { readonly inputs: readonly Value[] }): null[] {
  return node.inputs.map(() => null);
}
