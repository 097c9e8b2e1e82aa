import { CgesError } from '../errors.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { addBehind } from './bias.js';
import { once } from './BatchNormalization.js';
import { type Equation, equationOf } from './equation.js';
import { axisOf, pinAll } from './links.js';
import {
  type ChannelNode,
  type ChannelRelation,
  defineOp,
  type Link,
  type Mix,
  type OpNode,
  type Pin,
} from './spec.js';

/*
 * Y[output letters] = Σ over all other letters of the product of the operands. The gradient of an operand is the sum
 * over all letters but its own of dY times the other operands: an Einsum again. Along a letter that no other has, the
 * operand was summed alone, and every element gets the same.
 */
export const Einsum = defineOp({
  op: 'Einsum',
  since: 12,
  inputs: ['Inputs...'],
  outputs: ['Output'],
  trains: [0, 1, 2, 3],
  grad: (g, node, [dy]) => {
    const equation = equationOf(node.attrs.string('equation', ''), node.inputs);
    return node.inputs.map((_, i) => () => operandGradient(g, node, dy!, equation, i));
  },
  channels: (node) => {
    const equation = equationOf(
      node.attrs.string('equation', ''),
      node.inputs.map((x) => x!),
    );
    const { operands, output } = equation;
    if ([...operands, output].some(repeats)) return pinAll(node, 'Einsum takes a diagonal');
    return related(node, equation);
  },
  macs: ({ inputs, attrs }) => {
    const { sizes } = equationOf(
      attrs.string('equation', ''),
      inputs.map((x) => x!),
    );
    return (inputs.length - 1) * [...sizes.values()].reduce((product, size) => product * size, 1);
  },
  examples: [
    example('ij,jk->ik', [3, 4], [4, 5]),
    example('ibh,hnd->ibnd', [3, 2, 4], [4, 2, 3]),
    example('ibnd,hnd->ibh', [3, 2, 2, 4], [5, 2, 4]),
    { ...example('ibnd,jbnd->bnij', [3, 2, 2, 4], [5, 2, 2, 4]), parameters: [] },
    { ...example('bnij,jbnd->ibnd', [2, 2, 3, 5], [5, 2, 2, 4]), parameters: [] },
    example('...d,df->...f', [2, 3, 4], [4, 5]),
    { ...example('...ij,...jk->...ik', [2, 1, 3, 4], [2, 3, 4, 2]), parameters: [] },
    example('bij,bjk', [2, 3, 4], [2, 4, 5]),
    { ...example('i,j->ij', [3], [4]), parameters: [] },
    { title: 'ijk->ki', inputs: [[2, 3, 4]], attributes: { equation: 'ijk->ki' } },
    { title: 'ba', inputs: [[2, 3]], attributes: { equation: 'ba' } },
    { ...example('bi,ij->', [2, 3], [3, 4]), parameters: [] },
    {
      title: 'ni,ijk,nj->nk',
      inputs: [
        [2, 3],
        [3, 4, 5],
        [2, 4],
      ],
      attributes: { equation: ' ni, ijk ,nj -> nk' },
      parameters: [1],
    },
  ],
});

function example(equation: string, a: readonly number[], b: readonly number[]) {
  return { title: equation, inputs: [a, b], attributes: { equation }, parameters: [1] };
}

function repeats(letters: string): boolean {
  return new Set(letters).size < letters.length;
}

/** @throws CgesError NO_GRADIENT for diagonals. */
function operandGradient(
  g: GraphBuilder,
  { name, inputs }: OpNode,
  dy: Value,
  { operands, output, sizes }: Equation,
  i: number,
): Value {
  const own = operands[i];
  if ([...operands, output].some(repeats)) {
    const what = `Einsum ${name} has no gradient in this form: it takes a diagonal`;
    throw new CgesError('NO_GRADIENT', what, { node: name, op: 'Einsum' });
  }
  const others = [...inputs.keys()].filter((k) => k !== i);
  const terms = [output, ...others.map((k) => operands[k])];
  const found = [...own].filter((letter) => terms.some((t) => t.includes(letter))).join('');
  // An operand of size 1 broadcasts along its letter: the gradient has the full size there, and is summed afterwards.
  const shape = [...found].map((letter) => sizes.get(letter)!);
  const wide = [dy, ...others.map((k) => inputs[k])].map((x, t) => broadcastTo(g, x, terms[t], found, sizes));
  const equation = `${terms.join(',')}->${found}`;
  const sum = once(() => g.emit('Einsum', wide, [{ dtype: dy.dtype, shape }], { equation })[0]);
  const alone = [...own].flatMap((letter, axis) => (found.includes(letter) ? [] : [axis]));
  const whole = [...own].map((letter) => sizes.get(letter)!);
  return g.expand(alone.length > 0 ? g.unsqueeze(sum(), alone) : sum(), whole);
}

/** Letters that are wanted in full must not all stand at axes of size 1. */
function broadcastTo(
  g: GraphBuilder,
  x: Value,
  letters: string,
  wanted: string,
  sizes: ReadonlyMap<string, number>,
): Value {
  const shape = [...letters].map((letter, axis) => (wanted.includes(letter) ? sizes.get(letter)! : x.shape[axis]));
  return g.expand(x, shape);
}

/**
 * Letters of the output carry their channels through. With one weight of two operands, the letters that are summed over
 * are mixed into the last letter that only the weight brings into the output; without, they are pinned.
 */
function related(node: ChannelNode, { operands, output, sizes }: Equation): ChannelRelation {
  const y = node.outputs[0];
  const inputs = node.inputs.map((x) => x!);
  const at = (k: number, letter: string) => axisOf(inputs[k], operands[k].indexOf(letter));
  const isWhole = (k: number, letter: string): boolean => {
    const axis = operands[k].indexOf(letter);
    return axis >= 0 && inputs[k].shape[axis] === sizes.get(letter);
  };
  const weights = inputs.flatMap((x, k) => (x.known ? [k] : []));
  const [w] = inputs.length === 2 && weights.length === 1 ? weights : [];
  const x = w === undefined ? undefined : 1 - w;
  const summed = [...sizes.keys()].filter((letter) => !output.includes(letter));
  const outer =
    w !== undefined ? [...output].filter((letter) => isWhole(w, letter) && !operands[1 - w].includes(letter)) : [];
  const mixedInto = outer.at(-1);
  const mixed = summed.filter(
    (letter) => x !== undefined && w !== undefined && isWhole(x, letter) && isWhole(w, letter) && mixedInto,
  );
  const links: Link[] = [];
  for (const [axis, letter] of [...output].entries()) {
    if (mixed.length > 0 && letter === mixedInto) continue;
    for (const k of inputs.keys()) {
      if (isWhole(k, letter)) links.push({ from: at(k, letter), to: { value: y, axis }, constants: 'zero' });
    }
  }
  const mixes = mixed.map((letter): Mix => {
    const mixOutput = { value: y, axis: output.indexOf(mixedInto!) };
    return {
      input: at(x!, letter),
      output: mixOutput,
      weight: inputs[w!],
      inAxis: operands[w!].indexOf(letter),
      outAxis: operands[w!].indexOf(mixedInto!),
      groups: 1,
      blocked: 'in',
      scale: 1,
      border: operands[w!].length > 2, // other letters of the weight sum weights of their own
      addBias: (cut, delta) => addBehind(cut, mixOutput.axis, delta),
    };
  });
  const why = 'Einsum sums over this axis without a weight for each of its channels';
  const pins = summed
    .filter((letter) => !mixed.includes(letter))
    .flatMap((letter): Pin[] =>
      [...inputs.keys()].flatMap((k) => (operands[k].includes(letter) ? [{ at: at(k, letter), why }] : [])),
    );
  return { links, mixes, pins, combine: 'product' };
}
