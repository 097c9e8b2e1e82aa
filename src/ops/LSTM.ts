import {
  before,
  filled,
  gate,
  missing,
  normaliseRecurrent,
  recurrentChannels,
  recurrentGradient,
  recurrentMacs,
  recurrentWeightGradient,
  recurred,
  type Direction,
  type Swept,
} from './recurrence.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { scan } from './scan.js';
import { defineOp } from './spec.js';
import { float32, int32 } from '../tensor/tensor.js';

const activations = ['Sigmoid', 'Tanh', 'Tanh'];

/*
 * With Z the sums of the gates i, o, f, c (in this order), f, g, h the activations, and peepholes p:
 *
 *   i = f(Zi + pi·c′), f = f(Zf + pf·c′), k = g(Zc), c = f·c′ + i·k, o = f(Zo + po·c), H = o·h(c)
 *
 * where c′ is the cell before the step. The cells are computed again by a Scan. Backwards, with dH and dc of what comes after:
 *
 *   dZo = dH·h(c)·f′(o), dc += dH·o·h′(c) + dZo·po, dZi = dc·k·f′(i), dZf = dc·c′·f′(f), dZc = dc·i·g′(k),
 *   dc′ = dc·f + dZi·pi + dZf·pf, dH′ = dZ·R
 *
 * Where a sequence has ended, all but dc′ = dc and dH′ = dH is zero.
 */
export const LSTM = defineOp({
  op: 'LSTM',
  inputs: ['X', 'W', 'R', 'B?', 'sequence_lens?', 'initial_h?', 'initial_c?', 'P?'],
  outputs: ['Y?', 'Y_h?', 'Y_c?'],
  trains: [1, 2, 3, 7],
  normalise: normaliseRecurrent,
  grad: recurrentGradient({ gates: 4, activations, sweep }),
  channels: (node) => recurrentChannels(node, { gates: 4, candidate: 3, activations, through: [1, 2] }),
  macs: recurrentMacs,
  examples: [
    {
      title: 'forward, nothing optional',
      inputs: [
        [4, 2, 3],
        [1, 8, 3],
        [1, 8, 2],
      ],
      parameters: [1, 2],
      attributes: { hidden_size: 2 },
    },
    {
      title: 'bias, initial states, all outputs',
      inputs: [[3, 2, 3], [1, 12, 3], [1, 12, 3], [1, 24], null, [1, 2, 3], [1, 2, 3]],
      parameters: [1, 2, 3],
      attributes: { hidden_size: 3 },
      outputs: 3,
      opset: 7,
    },
    {
      title: 'backwards, with peepholes',
      inputs: [[4, 2, 3], [1, 8, 3], [1, 8, 2], [1, 16], null, null, [1, 2, 2], [1, 6]],
      parameters: [1, 2, 3, 7],
      attributes: { hidden_size: 2, direction: 'reverse' },
      outputs: 3,
      opset: 14,
    },
    {
      title: 'both directions, with all that is optional',
      inputs: [[3, 2, 2], [2, 12, 2], [2, 12, 3], [2, 24], null, [2, 2, 3], [2, 2, 3], [2, 9]],
      parameters: [1, 2, 3, 7],
      attributes: { hidden_size: 3, direction: 'bidirectional' },
      outputs: 3,
      opset: 22,
    },
    {
      title: 'initial states that are zeros',
      inputs: [
        [3, 2, 2],
        [1, 8, 2],
        [1, 8, 2],
        [1, 16],
        null,
        float32([1, 2, 2], [0, 0, 0, 0]),
        float32([1, 2, 2], [0, 0, 0, 0]),
      ],
      parameters: [1, 2, 3, 5, 6],
      attributes: { hidden_size: 2 },
    },
    {
      title: 'one step',
      inputs: [[1, 2, 3], [1, 8, 3], [1, 8, 2], [1, 16], null, [1, 2, 2], [1, 2, 2]],
      parameters: [1, 2, 3],
      attributes: { hidden_size: 2 },
      outputs: 3,
    },
    {
      title: 'sequences of full length',
      inputs: [[3, 2, 2], [1, 8, 2], [1, 8, 2], [1, 16], int32([2], [3, 3])],
      parameters: [1, 2, 3, 4],
      attributes: { hidden_size: 2 },
    },
    {
      title: 'sequences of several lengths, both directions, peepholes',
      inputs: [[4, 3, 2], [2, 8, 2], [2, 8, 2], [2, 16], int32([3], [4, 1, 2]), [2, 3, 2], [2, 3, 2], [2, 6]],
      parameters: [1, 2, 3, 7],
      attributes: { hidden_size: 2, direction: 'bidirectional' },
      outputs: 3,
    },
    {
      title: 'other activations',
      inputs: [
        [2, 1, 3],
        [2, 8, 3],
        [2, 8, 2],
        [2, 16],
      ],
      parameters: [1, 2, 3],
      attributes: {
        hidden_size: 2,
        direction: 'bidirectional',
        activations: { strings: ['HardSigmoid', 'Softsign', 'Tanh', 'HardSigmoid', 'LeakyRelu', 'Tanh'] },
        activation_alpha: { floats: [0.1, 0.15, 0.3] },
        activation_beta: { floats: [0.4] },
      },
    },
  ],
});

function sweep(g: GraphBuilder, direction: Direction): Swept {
  const { name, backwards, hidden, r, bias, p, hPrev, valid, activations: functions } = direction;
  const [f, k, h] = functions;
  const c0 = direction.c0!;
  const z = g.add(direction.input(), recurred(g, hPrev, r, bias?.recurrence));
  const [zi, zo, zf, zc] = [0, 1, 2, 3].map((q) => gate(g, z, q, hidden));
  const [pi, po, pf] = [0, 1, 2].map((q) => p && gate(g, p, q, hidden));
  const peeped = (b: GraphBuilder, sum: Value, weight: Value | undefined, cell: Value): Value =>
    f.of(b, weight ? b.add(sum, b.mul(weight, cell)) : sum);

  const candidate = k.of(g, zc);
  // Without peepholes the gates don't wait for the cell.
  const [inSum, forgetSum] = p ? [zi, zf] : [f.of(g, zi), f.of(g, zf)];
  const cells = scan(
    g,
    name,
    backwards,
    [c0],
    [inSum, forgetSum, candidate, ...(valid ? [valid] : [])],
    (b, [cell], [i, o, item, there]) => {
      const [input, forget] = p ? [peeped(b, i, pi, cell), peeped(b, o, pf, cell)] : [i, o];
      const next = b.add(b.mul(forget, cell), b.mul(input, item));
      const after = there ? b.add(b.mul(next, there), b.mul(cell, missing(b, there))) : next;
      return { states: [after], items: [after] };
    },
  );
  const [c] = cells.items;
  const cPrev = before(g, c, c0, backwards);
  const [input, forget] = p ? [peeped(g, zi, pi, cPrev), peeped(g, zf, pf, cPrev)] : [inSum, forgetSum];
  const output = peeped(g, zo, po, c);
  const shown = h.of(g, c);

  const slopes = g.concat(
    [
      g.mul(candidate, f.slope(g, input)),
      g.mul(shown, f.slope(g, output)),
      g.mul(cPrev, f.slope(g, forget)),
      g.mul(input, k.slope(g, candidate)),
    ],
    2,
  );
  const items = [
    filled(g, slopes, 0, valid),
    filled(g, g.mul(output, h.slope(g, shown)), 0, valid),
    filled(g, forget, 1, valid),
    ...(valid ? [missing(g, valid)] : []),
    ...(direction.dY ? [direction.dY] : []),
  ];
  const swept = scan(g, name, !backwards, [direction.dYh, direction.dYc], items, (b, [dH, dC], given) => {
    const [slope, through, keep] = given;
    const dHere = direction.dY ? b.add(dH, given.at(-1)!) : dH;
    const cell = b.add(dC, b.mul(dHere, through));
    const dCell = po ? b.add(cell, b.mul(b.mul(dHere, gate(b, slope, 1, hidden)), po)) : cell;
    const dZ = b.mul(b.concat([dCell, dHere, dCell, dCell], 1), slope);
    const back = b.mul(dCell, keep);
    const dBefore =
      pi && pf ? b.add(back, b.add(b.mul(gate(b, dZ, 0, hidden), pi), b.mul(gate(b, dZ, 2, hidden), pf))) : back;
    const dState = b.matMul(dZ, r);
    return { states: [valid ? b.add(dState, b.mul(dH, given[3])) : dState, dBefore], items: [dZ] };
  });
  const [dZ] = swept.items;
  const met = (q: number, cell: Value): Value => g.reduceSum(g.mul(gate(g, dZ, q, hidden), cell), [0, 1]);
  return {
    dZ,
    dZr: () => dZ,
    dR: () => recurrentWeightGradient(g, dZ, hPrev),
    dH0: swept.states[0],
    dC0: swept.states[1],
    dP: () => g.concat([met(0, cPrev), met(1, c), met(2, cPrev)], 0),
  };
}
