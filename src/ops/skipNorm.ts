import { Attributes } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { Formula } from './formula.js';
import { normedChannels } from './normedChannels.js';
import type { ChannelRule, NormaliseContext } from './spec.js';

/** Emits Y = X / √(mean(X²) + ε) · scale over the axes from `axis` (negative) on. */
export function rootMeanSquare(
  formula: Formula,
  [x, scale]: readonly string[],
  { axis = -1, epsilon, output }: { axis?: number; epsilon: number; output: string },
): void {
  const axes = Array.from({ length: -axis }, (_, i) => axis + i);
  const mean = formula.apply('ReduceMean', [formula.apply('Mul', [x, x]), formula.ints(axes)]);
  const deviation = formula.apply('Sqrt', [formula.apply('Add', [mean, formula.scalar(epsilon)])]);
  formula.apply('Mul', [formula.apply('Div', [x, deviation]), scale], {}, output);
}

/** ε of com.microsoft's operators where none is given. */
const EPSILON = 1e-12;

/** The inputs of an operator that adds before it norms: which are summed, in which order, and the norm's own. */
export interface Summands {
  readonly summed: readonly number[];
  readonly scale: number;
  readonly shift?: number;
}

/** Spells out Y = norm(Σ inputs), whose fourth output is the sum. */
export function skipForm(node: NodeProto, context: NormaliseContext, { summed, scale, shift }: Summands): NodeProto[] {
  const formula = new Formula(node, context);
  const read = (input: number): string => node.input[input] ?? '';
  const epsilon = new Attributes(node).float('epsilon', EPSILON);
  const [first, ...rest] = summed.map(read).filter((name) => name !== '');
  const given = node.output[3] || undefined;
  const sum = rest.reduce(
    (total, name, i) => formula.apply('Add', [total, name], {}, i === rest.length - 1 ? given : undefined),
    first,
  );
  const output = node.output[0];
  if (shift === undefined) rootMeanSquare(formula, [sum, read(scale)], { epsilon, output });
  else {
    const inputs = [sum, read(scale), ...(read(shift) ? [read(shift)] : [])];
    formula.apply('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } }, output);
  }
  return formula.nodes;
}

/** @returns the channel rule of a norm over the last axis of a sum, whose fourth output is that sum. */
export function skipChannels(summands: Summands): ChannelRule {
  return ({ op, inputs, outputs }) => {
    const first = outputs[0].shape.length - 1;
    return normedChannels({ op, inputs, outputs }, { ...summands, first, epsilon: EPSILON });
  };
}
