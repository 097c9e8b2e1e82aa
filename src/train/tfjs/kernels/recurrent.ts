import { type Kernel, type Kernels, lacks, type PlannedNode } from '../kernel.js';
import { plain } from '../order.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';
import { cut } from './shapes.js';

/*
 * Recurrent layers, step by step: X [T, B, I], W [D, G·H, I], R [D, G·H, H], B [D, 2·G·H], Y [T, D, B, H]. The part that comes
 * of the inputs is one product for all steps. Source: ONNX LSTM and GRU 14.
 */

type Activation = (p: Planner, x: Slot) => Slot;

interface Layer {
  readonly p: Planner;
  readonly gates: number;
  readonly hidden: number;
  readonly batch: number;
  /** [G·H, H] */
  readonly r: Slot;
  /** [2·G·H]; of the inputs, then of the recurrence. */
  readonly bias?: Slot;
  readonly peepholes?: Slot;
  readonly functions: readonly Activation[];
  readonly linearBeforeReset: boolean;
}

/** The sums of a step's inputs [B, G·H] and the states before it → the states after it, the output first. */
type Cell = (layer: Layer, sums: Slot, states: readonly Slot[]) => Slot[];

const op2 = (p: Planner, op: string, a: Slot, b: Slot): Slot => p.op(op, [a, b], a.shape);

function gate({ p, hidden, batch }: Layer, sums: Slot, i: number): Slot {
  return cut(p, sums, [0, i * hidden], [batch, hidden]);
}

function activated({ p, functions }: Layer, i: number, x: Slot): Slot {
  return functions[i](p, x);
}

function recurrence({ p, r, gates, hidden, batch }: Layer, h: Slot, from = 0, count = gates): Slot {
  const rows = cut(p, r, [from * hidden, 0], [count * hidden, hidden]);
  return p.op('MatMul', [h, rows], [batch, count * hidden], { transpose_b: true });
}

const lstm: Cell = (layer, sums, [h, c]) => {
  const { p, peepholes, hidden } = layer;
  const z = op2(p, 'AddV2', sums, recurrence(layer, h));
  const peep = (x: Slot, cell: Slot, i: number): Slot => {
    if (!peepholes) return x;
    return op2(p, 'AddV2', x, op2(p, 'Mul', cell, cut(p, peepholes, [i * hidden], [hidden])));
  };
  const input = activated(layer, 0, peep(gate(layer, z, 0), c, 0));
  const forget = activated(layer, 0, peep(gate(layer, z, 2), c, 2));
  const candidate = activated(layer, 1, gate(layer, z, 3));
  const cell = op2(p, 'AddV2', op2(p, 'Mul', forget, c), op2(p, 'Mul', input, candidate));
  const output = activated(layer, 0, peep(gate(layer, z, 1), cell, 1));
  return [op2(p, 'Mul', output, activated(layer, 2, cell)), cell];
};

const gru: Cell = (layer, sums, [h]) => {
  const { p, bias, hidden, linearBeforeReset } = layer;
  const ofRecurrence = (x: Slot, i: number): Slot => {
    if (!bias) return x;
    return op2(p, 'AddV2', x, cut(p, bias, [(3 + i) * hidden], [hidden]));
  };
  const both = recurrence(layer, h, 0, 2);
  const sum = (i: number): Slot =>
    op2(p, 'AddV2', gate(layer, sums, i), ofRecurrence(cut(p, both, [0, i * hidden], [layer.batch, hidden]), i));
  const [update, reset] = [activated(layer, 0, sum(0)), activated(layer, 0, sum(1))];
  const before = linearBeforeReset
    ? op2(p, 'Mul', reset, ofRecurrence(recurrence(layer, h, 2, 1), 2))
    : ofRecurrence(recurrence(layer, op2(p, 'Mul', reset, h), 2, 1), 2);
  const candidate = activated(layer, 1, op2(p, 'AddV2', gate(layer, sums, 2), before));
  // (1 − z)·k + z·h
  return [op2(p, 'AddV2', candidate, op2(p, 'Mul', update, op2(p, 'Sub', h, candidate)))];
};

const rnn: Cell = (layer, sums, [h]) => [activated(layer, 0, op2(layer.p, 'AddV2', sums, recurrence(layer, h)))];

const plainActivations: Readonly<Record<string, string>> = {
  sigmoid: 'Sigmoid',
  tanh: 'Tanh',
  relu: 'Relu',
  softplus: 'Softplus',
  softsign: 'Softsign',
};

/** @returns the functions of all directions; α and β are taken from the node's lists by those that have one, in order. */
function activationsOf({ op, attrs }: PlannedNode, directions: number, defaults: readonly string[]): Activation[] {
  const names = attrs.strings('activations') ?? Array.from({ length: directions }, () => defaults).flat();
  const alphas = [...(attrs.floats('activation_alpha') ?? [])];
  const betas = [...(attrs.floats('activation_beta') ?? [])];
  return names.map((given): Activation => {
    const name = given.toLowerCase();
    const known = plainActivations[name];
    if (known) return (p, x) => p.op(known, [x], x.shape);
    lacks(name !== 'leakyrelu' && name !== 'hardsigmoid', `${op} with the activation ${given}`);
    const with1 = (p: Planner, operator: string, x: Slot, y: number): Slot => op2(p, operator, x, p.float(y));
    if (name === 'leakyrelu') {
      const alpha = alphas.shift() ?? 0.01;
      return (p, x) => op2(p, 'AddV2', p.op('Relu', [x], x.shape), with1(p, 'Mul', with1(p, 'Minimum', x, 0), alpha));
    }
    const [alpha, beta] = [alphas.shift() ?? 0.2, betas.shift() ?? 0.5];
    return (p, x) => {
      const line = with1(p, 'AddV2', with1(p, 'Mul', x, alpha), beta);
      return with1(p, 'Maximum', with1(p, 'Minimum', line, 1), 0);
    };
  });
}

interface Kind {
  readonly gates: number;
  readonly activations: readonly string[];
  /** How many states there are, the output among them. */
  readonly states: number;
  /** The biases of the recurrence are added to those of the inputs. */
  readonly joined: boolean;
  readonly cell: Cell;
}

function recurrent({ gates, activations, states, joined, cell }: Kind): Kernel {
  return (p, node) => {
    const { inputs, outputs, attrs } = node;
    refuse(node);
    const [x, w, r, b, , ...initial] = inputs;
    const peep = states > 1 ? inputs[7] : undefined;
    const [steps, batch, size] = p.shape(x);
    const [directions, , hidden] = p.shape(r);
    const flat = p.reshape(p.read(x, plain(3)), [steps * batch, size]);
    const functions = activationsOf(node, directions, activations);
    const direction = (name: string | undefined, d: number): Slot | undefined => {
      if (!name) return undefined;
      const shape = p.shape(name);
      const one = cut(
        p,
        p.read(name, plain(shape.length)),
        shape.map((_, i) => (i === 0 ? d : 0)),
        [1, ...shape.slice(1)],
      );
      return p.reshape(one, shape.slice(1));
    };
    const width = gates * hidden;
    const ends = Array.from({ length: directions }, (_, d) => {
      const backwards = d === 1 || attrs.string('direction', 'forward') === 'reverse';
      const bias = direction(b, d);
      let sums = p.op('MatMul', [flat, direction(w, d)!], [steps * batch, width], { transpose_b: true });
      if (bias) sums = op2(p, 'AddV2', sums, cut(p, bias, [0], [width]));
      if (bias && joined) sums = op2(p, 'AddV2', sums, cut(p, bias, [width], [width]));
      const layer: Layer = {
        p,
        gates,
        hidden,
        batch,
        r: direction(r, d)!,
        bias,
        peepholes: direction(peep, d),
        functions: functions.slice(d * activations.length, (d + 1) * activations.length),
        linearBeforeReset: attrs.int('linear_before_reset', 0) !== 0,
      };
      const zero = p.constant([batch, hidden], new Float32Array(batch * hidden));
      let state = Array.from({ length: states }, (_, i) => direction(initial[i], d) ?? zero);
      const each: Slot[] = new Array<Slot>(steps);
      for (let t = 0; t < steps; t++) {
        const at = backwards ? steps - 1 - t : t;
        state = cell(layer, cut(p, sums, [at * batch, 0], [batch, width]), state);
        each[at] = state[0];
      }
      return { state, each };
    });
    const pack = (slots: readonly Slot[], axis: number, shape: readonly number[]): Slot =>
      p.op('Pack', slots, shape, { N: slots.length, T: { type: 'float32' }, axis });
    if (outputs[0]) {
      const rows = ends.map(({ each }) => pack(each, 0, [steps, batch, hidden]));
      p.give(outputs[0], pack(rows, 1, [steps, directions, batch, hidden]));
    }
    outputs.slice(1).forEach((name, i) => {
      if (name !== '')
        p.give(
          name,
          pack(
            ends.map((e) => e.state[i]),
            0,
            [directions, batch, hidden],
          ),
        );
    });
  };
}

function refuse({ op, inputs, attrs }: PlannedNode): void {
  lacks(Boolean(inputs[4]), `${op} with sequence_lens`);
  lacks(attrs.has('clip'), `${op} with clip`);
  lacks(attrs.int('layout', 0) !== 0, `${op} with the batch first`);
  lacks(attrs.int('input_forget', 0) !== 0, `${op} with input_forget`);
}

const sigmoidTanh = ['Sigmoid', 'Tanh'];

export const recurrentKernels: Kernels = {
  LSTM: recurrent({ gates: 4, activations: [...sigmoidTanh, 'Tanh'], states: 2, joined: true, cell: lstm }),
  GRU: recurrent({ gates: 3, activations: sigmoidTanh, states: 1, joined: false, cell: gru }),
  RNN: recurrent({ gates: 1, activations: ['Tanh'], states: 1, joined: true, cell: rnn }),
};
