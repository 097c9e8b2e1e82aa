import type { GraphBuilder, Value } from '../onnx/builder.js';
import { float32, int32 } from '../tensor/tensor.js';
import {
  type Direction,
  filled,
  gate,
  normaliseRecurrent,
  recurred,
  recurrentChannels,
  recurrentGradient,
  recurrentMacs,
  recurrentWeightGradient,
  type Swept,
} from './recurrence.js';
import { scan } from './scan.js';
import { defineOp, type Example, type OpNode } from './spec.js';

const activations = ['Sigmoid', 'Tanh'];

/*
 * With f and g the activations, X·Wᵀ + b the sums U of the gates z, r, h (in this order), and V = H′·Rᵀ + b′:
 *
 *   z = f(Uz + Vz), r = f(Ur + Vr), H = (1 − z)·k + z·H′
 *   k = g(Uh + (r·H′)·Rhᵀ + b′h), or with linear_before_reset k = g(Uh + r·Vh)
 *
 * All of it follows from H′, the state before the step. Backwards, with dH of what comes after:
 *
 *   dUz = dH·(H′ − k)·f′(z), dUh = dH·(1 − z)·g′(k)
 *   dUr = (dUh·Rh)·H′·f′(r), dH′ = dH·z + (dUh·Rh)·r + dUz·Rz + dUr·Rr
 *   or  dUr = dUh·Vh·f′(r), dVh = dUh·r, dH′ = dH·z + dUz·Rz + dUr·Rr + dVh·Rh
 *
 * Where a sequence has ended, all but dH′ = dH is zero.
 */
export const GRU = defineOp({
  op: 'GRU',
  inputs: ['X', 'W', 'R', 'B?', 'sequence_lens?', 'initial_h?'],
  outputs: ['Y?', 'Y_h?'],
  trains: [1, 2, 3],
  normalise: normaliseRecurrent,
  grad: recurrentGradient({ gates: 3, activations, sweep }),
  channels: (node) => recurrentChannels(node, { gates: 3, candidate: 2, activations, through: [1] }),
  macs: recurrentMacs,
  examples: [0, 1].flatMap((linear_before_reset): Example[] => {
    const title = linear_before_reset ? ', linear before the reset' : '';
    return [
      {
        title: `forward, nothing optional${title}`,
        inputs: [
          [4, 2, 3],
          [1, 6, 3],
          [1, 6, 2],
        ],
        parameters: [1, 2],
        attributes: { hidden_size: 2, linear_before_reset },
      },
      {
        title: `backwards, bias, initial state, all outputs${title}`,
        inputs: [[4, 2, 3], [1, 6, 3], [1, 6, 2], [1, 12], null, [1, 2, 2]],
        parameters: [1, 2, 3],
        attributes: { hidden_size: 2, linear_before_reset, direction: 'reverse' },
        outputs: 2,
        opset: 7,
      },
      {
        title: `both directions${title}`,
        inputs: [[3, 2, 2], [2, 9, 2], [2, 9, 3], [2, 18], null, [2, 2, 3]],
        parameters: [1, 2, 3],
        attributes: { hidden_size: 3, linear_before_reset, direction: 'bidirectional' },
        outputs: 2,
        opset: 22,
      },
      {
        title: `one step from zero${title}`,
        inputs: [[1, 2, 3], [1, 6, 3], [1, 6, 2], [1, 12], int32([2], [1, 1]), float32([1, 2, 2], [0, 0, 0, 0])],
        parameters: [1, 2, 3, 4, 5],
        attributes: { hidden_size: 2, linear_before_reset },
        outputs: 2,
        opset: 14,
      },
      {
        title: `sequences of several lengths, both directions${title}`,
        inputs: [[4, 3, 2], [2, 6, 2], [2, 6, 2], [2, 12], int32([3], [2, 4, 1]), [2, 3, 2]],
        parameters: [1, 2, 3],
        attributes: { hidden_size: 2, linear_before_reset, direction: 'bidirectional' },
        outputs: 2,
      },
      {
        title: `other activations${title}`,
        inputs: [
          [3, 2, 3],
          [1, 6, 3],
          [1, 6, 2],
          [1, 12],
        ],
        parameters: [1, 2, 3],
        attributes: {
          hidden_size: 2,
          linear_before_reset,
          activations: { strings: ['HardSigmoid', 'Softsign'] },
        },
      },
    ];
  }),
});

function sweep(g: GraphBuilder, direction: Direction, node: OpNode): Swept {
  const { name, backwards, hidden, r: weight, bias, hPrev, valid, dY, activations: functions } = direction;
  const [f, k] = functions;
  const linearFirst = node.attrs.int('linear_before_reset', 0) !== 0;
  const rows = (q: number, count: number): Value => g.slice(weight, [0], [q * hidden], [(q + count) * hidden]);
  const shift = (q: number, count: number): Value | undefined =>
    bias && g.slice(bias.recurrence, [0], [q * hidden], [(q + count) * hidden]);
  const [gating, candidateRows] = [rows(0, 2), rows(2, 1)];

  const u = direction.input();
  const open = f.of(g, g.add(gate(g, u, 0, hidden, 2), recurred(g, hPrev, gating, shift(0, 2))));
  const [z, r] = [gate(g, open, 0, hidden), gate(g, open, 1, hidden)];
  const met = g.mul(r, hPrev);
  const v = recurred(g, linearFirst ? hPrev : met, candidateRows, shift(2, 1));
  const candidate = k.of(g, g.add(gate(g, u, 2, hidden), linearFirst ? g.mul(r, v) : v));

  const slopes = f.slope(g, open);
  const toZ = filled(g, g.mul(g.sub(hPrev, candidate), gate(g, slopes, 0, hidden)), 0, valid);
  const toH = filled(g, g.mul(g.sub(g.scalar(1, z.dtype), z), k.slope(g, candidate)), 0, valid);
  const keep = filled(g, z, 1, valid);
  const rSlope = gate(g, slopes, 1, hidden);
  const last = dY ? [dY] : [];
  const here = (b: GraphBuilder, dH: Value, items: readonly Value[]): Value => (dY ? b.add(dH, items.at(-1)!) : dH);

  if (linearFirst) {
    const toR = g.mul(g.mul(toH, v), rSlope);
    const toV = g.concat([toZ, toR, g.mul(toH, r)], 2);
    const swept = scan(g, name, !backwards, [direction.dYh], [toV, keep, ...last], (b, [dH], items) => {
      const [to, kept] = items;
      const whole = here(b, dH, items);
      const dV = b.mul(b.concat([whole, whole, whole], 1), to);
      return { states: [b.add(b.mul(whole, kept), b.matMul(dV, weight))], items: [whole] };
    });
    const [dH] = swept.items;
    const dV = g.mul(g.concat([dH, dH, dH], 2), toV);
    return {
      dZ: g.concat([gate(g, dV, 0, hidden, 2), g.mul(dH, toH)], 2),
      dZr: () => dV,
      dR: () => recurrentWeightGradient(g, dV, hPrev),
      dH0: swept.states[0],
    };
  }
  const items = [toZ, toH, keep, g.mul(hPrev, rSlope), r, ...last];
  const swept = scan(g, name, !backwards, [direction.dYh], items, (b, [dH], given) => {
    const [zTo, hTo, kept, rTo, reset] = given;
    const whole = here(b, dH, given);
    const dU = b.mul(whole, hTo);
    const dMet = b.matMul(dU, candidateRows);
    const dGates = b.concat([b.mul(whole, zTo), b.mul(dMet, rTo)], 1);
    const direct = b.add(b.mul(whole, kept), b.mul(dMet, reset));
    return { states: [b.add(direct, b.matMul(dGates, gating))], items: [dGates, dU] };
  });
  const [dGates, dU] = swept.items;
  const dZ = g.concat([dGates, dU], 2);
  return {
    dZ,
    dZr: () => dZ,
    dR: () => g.concat([recurrentWeightGradient(g, dGates, hPrev), recurrentWeightGradient(g, dU, met)], 0),
    dH0: swept.states[0],
  };
}
