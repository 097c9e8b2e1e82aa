import type { Attributes } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { straight } from './links.js';
import { type ChannelRule, type Example, type GradRule, type OpSpec, type Refusal, refused } from './spec.js';

/** What a function y = f(x) of single elements leaves open. */
export interface Unary extends Pick<OpSpec, 'op' | 'since' | 'domain' | 'normalise' | 'lower'> {
  /** dx, as a formula in x, y and dy. */
  readonly grad: ((g: GraphBuilder, at: { x: Value; y: Value; dy: Value; attrs: Attributes }) => Value) | string;
  readonly inputs?: readonly string[];
  readonly examples?: readonly Example[];
  /** Range of the default example. */
  readonly range?: readonly [number, number];
}

/** @returns the spec of a function of single elements; `grad` is a formula, or the reason why there is none. */
export function unary({ grad, examples, range, inputs = ['X'], ...rest }: Unary): OpSpec {
  return {
    ...rest,
    inputs,
    outputs: ['Y'],
    grad: typeof grad === 'string' ? refused(grad) : unaryGradient(grad),
    channels: elementwise,
    examples: examples ?? [{ title: 'any shape', inputs: [[2, 3, 4]], ...(range && { range }) }],
  };
}

/** Output channels are input channels, whatever the function makes of what they hold. */
export const elementwise: ChannelRule = (node): ReturnType<ChannelRule> => ({
  links: straight(node.inputs[0]!, node.outputs[0]),
});

function unaryGradient(formula: Exclude<Unary['grad'], string>): GradRule | Refusal {
  return (g, { inputs, outputs: [y], attrs }, [dy]) =>
    inputs.map((x, i) => (i === 0 ? () => formula(g, { x, y, dy: dy!, attrs }) : null));
}
