import { CgesError } from '../errors.js';
import { setAttribute } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import type { NodeProto } from '../onnx/proto.js';
import { sizeOf } from '../tensor/tensor.js';
import { once } from './BatchNormalization.js';
import { ints } from './knownInts.js';
import { axisOf, pinAll } from './links.js';
import type {
  AxisRef,
  ChannelNode,
  ChannelRelation,
  ChannelValue,
  GradRule,
  Link,
  Mix,
  NormaliseContext,
  OpNode,
  OpSpec,
} from './spec.js';
import { transposedProduct } from './transposedProduct.js';

/*
 * What LSTM, GRU and RNN share. X [T, B, I], W [D, G·H, I], R [D, G·H, H], B [D, 2·G·H] (of the input, then of the
 * recurrence), initial_h and initial_c [D, B, H], Y [T, D, B, H], Y_h and Y_c [D, B, H], with G gates and D directions.
 *
 * The forward pass is the operator itself. Its gates are computed again from what stood before every step, H_prev, which
 * Y tells: Z = X·Wᵀ + H_prev·Rᵀ + b is one product over all steps. Only what runs backwards from step to step is a Scan;
 * it gives dZ of every step, and dW = dZᵀ·X, dR = dZᵀ·H_prev, dX = dZ·W are products over all steps again.
 */

/** One direction of a recurrent node of the training graph; all that has a first axis of steps is in the order of X. */
export interface Direction {
  readonly name: string;
  /** Walks from the last step to the first. */
  readonly backwards: boolean;
  readonly hidden: number;
  /** [G·H, I] and [G·H, H]. */
  readonly w: Value;
  readonly r: Value;
  /** Biases of the input and of the recurrence, [G·H] each. */
  readonly bias?: { readonly input: Value; readonly recurrence: Value };
  /** Peepholes, [3·H]. */
  readonly p?: Value;
  /** What every step gave, and what stood before it: [T, B, H]. */
  readonly y: Value;
  readonly hPrev: Value;
  readonly c0?: Value;
  /** 1 in the steps that a sequence has, else 0: [T, B, 1]; absent where all have all steps. */
  readonly valid?: Value;
  readonly activations: readonly Activation[];
  /** Gradients of the outputs: [T, B, H] (0 behind the end of a sequence), [B, H], [B, H]. */
  readonly dY?: Value;
  readonly dYh: Value;
  readonly dYc: Value;
  /** X·Wᵀ + the bias of the input: [T, B, G·H]. */
  input(): Value;
}

/** What the sweep through one direction gives. */
export interface Swept {
  /** Gradient of what X·Wᵀ and the bias of the input are added to, [T, B, G·H]. */
  readonly dZ: Value;
  /** [G·H, H] */
  readonly dR: () => Value;
  /** Gradient of what the bias of the recurrence is added to, [T, B, G·H]. */
  readonly dZr: () => Value;
  readonly dH0: Value;
  readonly dC0?: Value;
  readonly dP?: () => Value;
}

/** One of the functions in a unit. Its slope is told by its result. */
export interface Activation {
  of(g: GraphBuilder, x: Value): Value;
  slope(g: GraphBuilder, y: Value): Value;
}

/** What an operator leaves open. */
export interface Recurrence {
  readonly gates: number;
  /** Default names of the activations of one direction. */
  readonly activations: readonly string[];
  sweep(g: GraphBuilder, direction: Direction, node: OpNode): Swept;
}

/**
 * @returns the gradient rule.
 * @throws CgesError NO_GRADIENT for attributes that it does not cover.
 */
export function recurrentGradient({ gates, activations, sweep }: Recurrence): GradRule {
  return (g, node, dys) => {
    const [x, w, r, b, lengths, h0, c0, p] = node.inputs as readonly (Value | undefined)[];
    refuseUnusual(node);
    const functions = activationsOf(node, activations);
    const directions = directionsOf(node.attrs.string('direction', 'forward'));
    const [steps, batch, inputs] = x!.shape;
    const hidden = r!.shape[2];
    const rows = gates * hidden;
    const state = [batch, hidden];
    const zero = once(() => g.expand(g.scalar(0, x!.dtype), state));
    const flat = (v: Value): Value => g.reshape(v, [steps * batch, v.shape[2]]);
    const valid = once(() => lengths && validSteps(g, lengths, x!));
    const swept = directions.map((backwards, d) =>
      once(() => {
        const of = (v: Value | undefined): Value | undefined => v && part(g, v, 0, d);
        const [wd, rd, bd] = [of(w)!, of(r)!, of(b)];
        const bias = bd && {
          input: g.slice(bd, [0], [0], [rows]),
          recurrence: g.slice(bd, [0], [rows], [2 * rows]),
        };
        const mask = valid();
        const dY = dys[0] && part(g, dys[0], 1, d);
        const start = of(h0) ?? zero();
        const y = part(g, node.outputs[0], 1, d);
        const direction: Direction = {
          name: `${node.name}/grad/step`,
          backwards,
          hidden,
          w: wd,
          r: rd,
          bias,
          p: of(p),
          y,
          // Walking backwards, a short sequence starts at its own end.
          hPrev: before(g, filled(g, y, start, backwards ? mask : undefined), start, backwards),
          c0: of(c0) ?? zero(),
          valid: mask,
          activations: functions.slice(d * activations.length, (d + 1) * activations.length),
          dY: dY && mask ? g.mul(dY, mask) : dY,
          dYh: of(dys[1]) ?? zero(),
          dYc: of(dys[2]) ?? zero(),
          input: () =>
            g.reshape(g.gemm(flat(x!), wd, { transB: true, ...(bias && { c: bias.input }) }), [steps, batch, rows]),
        };
        return { w: wd, ...sweep(g, direction, node) };
      }),
    );
    const stacked = (each: (s: Swept & { w: Value }) => Value): (() => Value) => {
      return () =>
        g.concat(
          swept.map((s) => g.unsqueeze(each(s()), [0])),
          0,
        );
    };
    const sums = (v: Value): Value => g.reduceSum(v, [0, 1]);
    return [
      () =>
        swept.map((s) => g.reshape(g.gemm(flat(s().dZ), s().w), [steps, batch, inputs])).reduce((a, b) => g.add(a, b)),
      stacked((s) => transposedProduct(g, flat(s.dZ), flat(x!))),
      stacked((s) => s.dR()),
      stacked((s) => g.concat([sums(s.dZ), sums(s.dZr())], 0)),
      null,
      stacked((s) => s.dH0),
      stacked((s) => s.dC0!),
      stacked((s) => s.dP!()),
    ];
  };
}

/** Emits one gate's part of the last axis. */
export function gate(g: GraphBuilder, z: Value, index: number, hidden: number, count = 1): Value {
  const axis = z.shape.length - 1;
  return g.slice(z, [axis], [index * hidden], [(index + count) * hidden]);
}

/** Emits H·Rᵀ, plus a bias, over all steps, for some rows of R. */
export function recurred(g: GraphBuilder, h: Value, r: Value, bias?: Value): Value {
  const [steps, batch, hidden] = h.shape;
  const product = g.gemm(g.reshape(h, [steps * batch, hidden]), r, { transB: true, ...(bias && { c: bias }) });
  return g.reshape(product, [steps, batch, r.shape[0]]);
}

/** Emits the gradient of some rows of R: dZᵀ·H, summed over all steps. */
export function recurrentWeightGradient(g: GraphBuilder, dZ: Value, h: Value): Value {
  const flat = (v: Value): Value => g.reshape(v, [v.shape[0] * v.shape[1], v.shape[2]]);
  return transposedProduct(g, flat(dZ), flat(h));
}

/** Emits the state before every step, from the state after every step and the one before all. */
export function before(g: GraphBuilder, after: Value, first: Value, backwards: boolean): Value {
  const steps = after.shape[0];
  const start = g.unsqueeze(first, [0]);
  if (steps === 1) return start;
  return backwards
    ? g.concat([g.slice(after, [0], [1], [steps]), start], 0)
    : g.concat([start, g.slice(after, [0], [0], [steps - 1])], 0);
}

/** Emits `inside` where a sequence has the step, else `outside`. */
export function filled(g: GraphBuilder, inside: Value, outside: Value | number, valid: Value | undefined): Value {
  if (!valid) return inside;
  const masked = g.mul(inside, valid);
  return outside === 0 ? masked : g.add(masked, g.mul(missing(g, valid), outside));
}

/** Emits 1 where a sequence lacks the step. */
export function missing(g: GraphBuilder, valid: Value): Value {
  return g.sub(g.scalar(1, valid.dtype), valid);
}

/** Emits [T, B, 1] with 1 for the steps that each of the sequences has. */
function validSteps(g: GraphBuilder, lengths: Value, x: Value): Value {
  const [steps, batch] = x.shape;
  const step = g.reshape(
    g.constant({ dtype: 'int32', dims: [steps], data: Int32Array.from({ length: steps }, (_, t) => t) }, 'steps'),
    [steps, 1],
  );
  const inside = g.less(step, g.reshape(lengths, [1, batch]));
  return g.reshape(g.cast(inside, x.dtype), [steps, batch, 1]);
}

/** Emits one index of an axis, without that axis. */
function part(g: GraphBuilder, value: Value, axis: number, index: number): Value {
  const shape = value.shape.filter((_, a) => a !== axis);
  return g.reshape(g.slice(value, [axis], [index], [index + 1]), shape);
}

function directionsOf(direction: string): boolean[] {
  if (direction === 'bidirectional') return [false, true];
  return [direction === 'reverse'];
}

function refuseUnusual({ op, name, attrs }: OpNode): void {
  const unusual = [
    attrs.has('clip') ? 'its gates are clipped (attribute clip)' : '',
    attrs.int('input_forget', 0) === 0 ? '' : 'its input and forget gates are coupled (attribute input_forget)',
    attrs.int('layout', 0) === 0 ? '' : 'its first axis is the batch (attribute layout)',
  ].find((why) => why !== '');
  if (unusual) throw noGradient(op, name, unusual);
}

function noGradient(op: string, name: string, why: string): CgesError {
  return new CgesError('NO_GRADIENT', `${op} ${name} has no gradient: ${why}`, {
    node: name,
    op,
    hint: `--freeze with a pattern that matches the weights before ${name} trains only those after it`,
  });
}

/** Functions that take a number α, or α and β, from the node's lists, with what they are without one. */
const takes: Readonly<Record<string, readonly number[]>> = { leakyrelu: [0.01], hardsigmoid: [0.2, 0.5] };

/** @returns the functions of all directions; α and β are taken from the lists by those that have one, in order. */
function activationsOf({ op, name, attrs }: OpNode, defaults: readonly string[]): Activation[] {
  const directions = directionsOf(attrs.string('direction', 'forward')).length;
  const names = attrs.strings('activations') ?? Array.from({ length: directions }, () => defaults).flat();
  const alphas = [...(attrs.floats('activation_alpha') ?? [])];
  const betas = [...(attrs.floats('activation_beta') ?? [])];
  return names.map((given) => {
    const key = given.toLowerCase();
    const [alpha, beta] = takes[key] ?? [];
    const made = activation(
      key,
      alpha === undefined ? 0 : (alphas.shift() ?? alpha),
      beta === undefined ? 0 : (betas.shift() ?? beta),
    );
    if (!made) throw noGradient(op, name, `that of the activation ${given} is not known`);
    return made;
  });
}

function activation(key: string, alpha: number, beta: number): Activation | undefined {
  switch (key) {
    case 'sigmoid':
      return { of: (g, x) => g.sigmoid(x), slope: (g, y) => g.mul(y, g.sub(g.scalar(1, y.dtype), y)) };
    case 'tanh':
      return { of: (g, x) => g.tanh(x), slope: (g, y) => g.sub(g.scalar(1, y.dtype), g.mul(y, y)) };
    case 'relu':
      return { of: (g, x) => g.relu(x), slope: (g, y) => g.cast(g.greater(y, 0), y.dtype) };
    case 'leakyrelu':
      return {
        of: (g, x) => g.unary('LeakyRelu', x, { alpha: { float: alpha } }),
        slope: (g, y) => g.where(g.less(y, 0), g.scalar(alpha, y.dtype), 1),
      };
    case 'hardsigmoid':
      return {
        of: (g, x) => g.min(g.max(g.add(g.mul(x, alpha), beta), 0), 1),
        slope: (g, y) => g.mul(g.cast(g.and(g.greater(y, 0), g.less(y, 1)), y.dtype), alpha),
      };
    case 'softsign':
      return {
        of: (g, x) => g.unary('Softsign', x),
        slope: (g, y) => {
          const rest = g.sub(g.scalar(1, y.dtype), g.abs(y));
          return g.mul(rest, rest);
        },
      };
    default:
      return undefined;
  }
}

// ---------------------------------------------------------------------------------------------------------------

/** What the channel rule of an operator has to know. */
export interface RecurrentUnits {
  readonly gates: number;
  /** The block of rows that gives the candidate for the new state, and the functions that it goes through. */
  readonly candidate: number;
  readonly activations: readonly string[];
  /** Which of these must be zero at zero for a unit without a candidate to stay zero. */
  readonly through: readonly number[];
}

/** Functions that are zero at zero. */
const zeroAtZero = new Set(['tanh', 'relu', 'leakyrelu', 'softsign', 'scaledtanh', 'elu']);

/**
 * Hidden unit j is index j of the last axis of every output and initial state, column j of R, and rows j, H + j, … of W, R,
 * B and P, in all directions at once. A unit whose candidate rows are zero and that starts from zero stays zero, whatever
 * its other gates do; it is not needed where nothing behind reads it and its column of R meets zeros in all needed units.
 * Initial states that are zeros come from nowhere after a cut: ONNX takes an omitted one as zeros.
 */
export function recurrentChannels(node: ChannelNode, units: RecurrentUnits): ChannelRelation {
  const [x, w, r, b, , h0, c0, p] = node.inputs;
  if (!w?.known || !r?.known) return pinAll(node, 'the weights of this layer are computed');
  if (node.attrs.int('layout', 0) !== 0) return pinAll(node, 'the first axis of this layer is the batch');
  const { gates } = units;
  const [primary, ...derived] = node.outputs.map((y) => axisOf(y, -1));
  const hidden = primary.value.shape[primary.axis];
  const inputs = x!.shape[2];
  const mix = (input: AxisRef, weight: ChannelValue, size: number): Mix => ({
    input,
    output: primary,
    weight,
    inAxis: 2,
    outAxis: 1,
    groups: 1,
    blocked: 'in',
    scale: 1,
    border: true,
    gates: { count: gates, ...(startsFromZero(node, units) && { candidate: units.candidate }) },
    share: size / (inputs + hidden),
  });
  /** The rows of a parameter that make the candidate must be zero for a zero; the others say nothing. */
  const rows = (value: ChannelValue): Link[] => {
    const to = { value, axis: 1 };
    const isCandidate = (i: number): boolean => value !== p && Math.floor(i / hidden) % gates === units.candidate;
    const map = (which: boolean): Int32Array =>
      Int32Array.from({ length: value.shape[1] }, (_, i) => (isCandidate(i) === which ? i % hidden : -1));
    return [
      { from: primary, to, map: map(true), constants: 'zero' },
      { from: primary, to, map: map(false), constants: 'any' },
    ];
  };
  const states = [h0, c0].filter((s) => s !== undefined);
  const omitted = states.filter(isZero);
  const links: Link[] = [
    ...derived.map((to): Link => ({ from: primary, to, constants: 'zero' })),
    ...[b, p].flatMap((value) => (value ? rows(value) : [])),
    ...states
      .filter((s) => !omitted.includes(s))
      .map((value): Link => ({ from: { value, axis: 2 }, to: primary, constants: 'zero' })),
  ];
  const free = omitted.flatMap((value) => value.shape.map((_, axis) => ({ value, axis })));
  const mixes = [mix({ value: x!, axis: 2 }, w, inputs), mix(primary, r, hidden)];
  const named = new Set(
    [
      ...free,
      ...links.flatMap((l) => [l.from, l.to]),
      ...mixes.flatMap((m) => [m.input, m.output, ...[m.inAxis, m.outAxis].map((axis) => ({ value: m.weight, axis }))]),
    ].map((at) => `${at.axis} ${at.value.name}`),
  );
  const why = `the units of ${node.op} are the same in every step, sample and direction`;
  const pins = [...node.inputs, ...node.outputs].flatMap((value) =>
    value
      ? value.shape.flatMap((_, axis) => (named.has(`${axis} ${value.name}`) ? [] : [{ at: { value, axis }, why }]))
      : [],
  );
  return {
    mixes,
    links,
    free,
    pins,
    patch: (cut) => {
      const kept = cut.kept(primary);
      if (!kept) return;
      setAttribute(cut.node, 'hidden_size', kept.length);
      node.inputs.forEach((value, i) => {
        if (value && omitted.includes(value)) cut.node.input[i] = '';
      });
    },
  };
}

/** Multiply–accumulates: every weight once per step and sample. */
export function recurrentMacs({ inputs: [x, w, r] }: ChannelNode): number {
  return (sizeOf(w!.shape) + sizeOf(r!.shape)) * x!.shape[0] * x!.shape[1];
}

function isZero({ known }: ChannelValue): boolean {
  if (known?.stable !== 'all' || Array.isArray(known.tensor.data)) return false;
  return (known.tensor.data as Float32Array).every((v) => v === 0);
}

/** Whether a unit whose candidate rows are zero stays at zero. */
function startsFromZero({ attrs }: ChannelNode, { activations, through }: RecurrentUnits): boolean {
  const names = attrs.strings('activations') ?? activations;
  return names.every((name, i) => !through.includes(i % activations.length) || zeroAtZero.has(name.toLowerCase()));
}

/** Sequence lengths that are those of X say nothing; where Y is not asked for, the gradient needs it nevertheless. */
export const normaliseRecurrent: NonNullable<OpSpec['normalise']> = (node: NodeProto, context: NormaliseContext) => {
  const lengths = node.input[4] ? context.known(node.input[4]) : undefined;
  const steps = context.shape(node.input[0])?.[0];
  const whole = lengths && steps !== undefined && ints(lengths).every((n) => n === steps);
  const lacksY = !node.output[0];
  if (!whole && !lacksY) return undefined;
  const input = whole ? node.input.map((name, i) => (i === 4 ? '' : name)) : node.input;
  const [, ...others] = node.output;
  return [{ ...node, input, output: lacksY ? [context.fresh(`${node.name || others[0]}/Y`), ...others] : node.output }];
};
