import { Attributes } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { Formula } from './formula.js';
import { pinsOf } from './links.js';
import type { ChannelRule, Link, NormaliseContext, Pin } from './spec.js';

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
  const epsilon = new Attributes(node).float('epsilon', 1e-12);
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

/** The last axis enters the statistics; the others of the summands are those of the first output. */
export function skipChannels({ summed }: Summands): ChannelRule {
  return ({ op, inputs, outputs }) => {
    const why = `every channel enters the statistics of this ${op}`;
    const rank = outputs[0].shape.length;
    const links: Link[] = [];
    const pins: Pin[] = outputs.map((value) => ({ at: { value, axis: rank - 1 }, why }));
    inputs.forEach((value, i) => {
      if (!value) return;
      if (!summed.includes(i)) pins.push(...pinsOf(value, why));
      else {
        value.shape.forEach((size, axis) => {
          const from = { value, axis };
          const to = axis - value.shape.length + rank;
          if (to === rank - 1) pins.push({ at: from, why });
          else {
            for (const y of outputs) {
              if (size === y.shape[to]) links.push({ from, to: { value: y, axis: to }, constants: 'never' });
            }
          }
        });
      }
    });
    return { links, pins };
  };
}
