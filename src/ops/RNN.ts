import type { GraphBuilder } from '../onnx/builder.js';
import { int32 } from '../tensor/tensor.js';
import {
  type Direction,
  filled,
  missing,
  normaliseRecurrent,
  recurrentChannels,
  recurrentGradient,
  recurrentMacs,
  recurrentWeightGradient,
  type Swept,
} from './recurrence.js';
import { scan } from './scan.js';
import { defineOp } from './spec.js';

const activations = ['Tanh'];

/*
 * H = f(X·Wᵀ + H′·Rᵀ + b): dZ = dH·f′(H) and dH′ = dZ·R, with H′ the state before the step and dH of what comes after.
 * Where a sequence has ended, dZ is zero and dH′ = dH.
 */
export const RNN = defineOp({
  op: 'RNN',
  inputs: ['X', 'W', 'R', 'B?', 'sequence_lens?', 'initial_h?'],
  outputs: ['Y?', 'Y_h?'],
  trains: [1, 2, 3],
  normalise: normaliseRecurrent,
  grad: recurrentGradient({ gates: 1, activations, sweep }),
  channels: (node) => recurrentChannels(node, { gates: 1, candidate: 0, activations, through: [0] }),
  macs: recurrentMacs,
  examples: [
    {
      title: 'forward, nothing optional',
      inputs: [
        [4, 2, 3],
        [1, 2, 3],
        [1, 2, 2],
      ],
      parameters: [1, 2],
      attributes: { hidden_size: 2 },
    },
    {
      title: 'backwards, bias, initial state, all outputs',
      inputs: [[4, 2, 3], [1, 3, 3], [1, 3, 3], [1, 6], null, [1, 2, 3]],
      parameters: [1, 2, 3],
      attributes: { hidden_size: 3, direction: 'reverse' },
      outputs: 2,
      opset: 7,
    },
    {
      title: 'both directions, two activations',
      inputs: [[3, 2, 2], [2, 3, 2], [2, 3, 3], [2, 6], null, [2, 2, 3]],
      parameters: [1, 2, 3],
      attributes: { hidden_size: 3, direction: 'bidirectional', activations: { strings: ['Tanh', 'Sigmoid'] } },
      outputs: 2,
      opset: 14,
    },
    {
      title: 'sequences of several lengths, both directions',
      inputs: [[4, 3, 2], [2, 2, 2], [2, 2, 2], [2, 4], int32([3], [3, 4, 1]), [2, 3, 2]],
      parameters: [1, 2, 3],
      attributes: { hidden_size: 2, direction: 'bidirectional' },
      outputs: 2,
      opset: 22,
    },
    {
      title: 'Relu',
      inputs: [
        [3, 2, 3],
        [1, 2, 3],
        [1, 2, 2],
        [1, 4],
      ],
      parameters: [1, 2, 3],
      attributes: { hidden_size: 2, activations: { strings: ['Relu'] } },
      range: [0.1, 1],
    },
  ],
});

function sweep(g: GraphBuilder, direction: Direction): Swept {
  const { name, backwards, r, hPrev, valid, dY, activations: functions } = direction;
  const slope = filled(g, functions[0].slope(g, direction.y), 0, valid);
  const items = [slope, ...(valid ? [missing(g, valid)] : []), ...(dY ? [dY] : [])];
  const swept = scan(g, name, !backwards, [direction.dYh], items, (b, [dH], given) => {
    const dZ = b.mul(dY ? b.add(dH, given.at(-1)!) : dH, given[0]);
    const dState = b.matMul(dZ, r);
    return { states: [valid ? b.add(dState, b.mul(dH, given[1])) : dState], items: [dZ] };
  });
  const [dZ] = swept.items;
  return { dZ, dZr: () => dZ, dR: () => recurrentWeightGradient(g, dZ, hPrev), dH0: swept.states[0] };
}
