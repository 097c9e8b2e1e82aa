import { float32 } from '../tensor/tensor.js';
import type { AttributeValue } from './attributes.js';
import type { GraphBuilder, Value } from './builder.js';
import type { NodeProto } from './proto.js';

/*
 * onnxruntime's CPU provider computes convolutions in a blocked layout: [N, C/16, H, W, 16], under the shape [N, C, H, W].
 * A value may have such a form beside its plain one. Operators that know the layout read the blocked form and give one; the
 * plain form is what `ReorderOutput` makes of it, a node that `tidied` takes away where nothing reads it. So regions of
 * the graph stay in the blocked layout, and only what leaves them is reordered.
 *
 * Channels are filled up to whole blocks. What the added ones hold is arbitrary but finite: kernels are zero there, and results
 * per channel are cut.
 *
 * Elementwise operators don't care for the order of elements: the builder emits them on blocked forms wherever an operand
 * has one (`lifted`).
 */

/** Channels of one block. */
export const BLOCK = 16;

export const NCHWC = 'com.microsoft.nchwc';

/** A value whose elements lie in blocks; not to be mixed with plain ones of the same shape. */
export interface Blocked {
  /** In a shape with whole blocks of channels. */
  readonly block: Value;
  /** How many of them are channels of the value. */
  readonly channels: number;
}

/** What the builder remembers of blocked forms. */
export class BlockedForms {
  /** Nodes that add two values of one shape, and such as add a bias per channel in blocks: `tidied` may join them. */
  readonly sums = new WeakSet<NodeProto>();
  readonly shifts = new WeakSet<NodeProto>();
  private readonly forms = new Map<string, Value>();

  get(name: string): Value | undefined {
    return this.forms.get(name);
  }

  set(name: string, block: Value): void {
    this.forms.set(name, block);
  }

  rename(names: ReadonlyMap<string, string>): void {
    for (const [name, block] of [...this.forms]) {
      const to = names.get(block.name);
      if (to) this.forms.set(name, { ...block, name: to });
      const key = names.get(name);
      if (!key) continue;
      this.forms.set(key, this.forms.get(name)!);
      this.forms.delete(name);
    }
  }
}

/** @returns true for images. */
export function fitsBlocks({ dtype, shape }: Value): boolean {
  return dtype === 'float32' && shape.length === 4 && shape.every((d) => d > 0);
}

/** @returns the channels that a value has in blocks. */
export function wholeBlocks(channels: number): number {
  return Math.ceil(channels / BLOCK) * BLOCK;
}

/** @returns a vector over channels with zeros for those that fill the last block. */
export function filled(g: GraphBuilder, vector: Value): Value {
  const missing = wholeBlocks(vector.shape[0]) - vector.shape[0];
  return g.pad(vector, [0, missing]);
}

/** @returns true where a value lies in blocks already. */
export function isBlocked(g: GraphBuilder, value: Value): boolean {
  return g.blocked.get(value.name) !== undefined;
}

/** @returns the blocked form of a value, which is reordered where it has none yet. */
export function blockedForm(g: GraphBuilder, value: Value): Blocked {
  const [n, channels, height, width] = value.shape;
  const known = g.blocked.get(value.name);
  if (known) return { block: known, channels };
  const whole = wholeBlocks(channels);
  const pixels = height * width;
  const images = g.pad(g.reshape(value, [n, channels * pixels]), [0, 0, 0, (whole - channels) * pixels]);
  const shape = [n, whole, height, width];
  const from = whole === channels ? value : g.reshape(images, shape);
  const [block] = g.emit('ReorderInput', [from], [{ dtype: value.dtype, shape }], {}, NCHWC);
  g.blocked.set(value.name, block);
  return { block, channels };
}

/** @returns the plain value that a blocked one stands for; whole blocks of single pixels are plain as they are. */
export function plainForm(g: GraphBuilder, { block, channels }: Blocked, name?: string): Value {
  const { dtype, shape } = block;
  if (shape[1] === channels && shape[2] === 1 && shape[3] === 1) return block;
  const out = { dtype, shape: [shape[0], channels, shape[2], shape[3]], name };
  const [plain] = g.emit('ReorderOutput', [block], [out], { channels }, NCHWC);
  g.blocked.set(plain.name, block);
  return plain;
}

/** Emits an operator of the blocked layout; `shape` has whole blocks of channels. */
export function emitBlocked(
  g: GraphBuilder,
  op: string,
  inputs: readonly (Value | null)[],
  shape: readonly number[],
  attributes: Readonly<Record<string, AttributeValue>>,
): Value {
  return g.emit(op, inputs, [{ dtype: 'float32', shape }], attributes, NCHWC)[0];
}

/** Emits y = a·x + b per channel, plus optionally another blocked value: one pass, as a depthwise 1×1 convolution. */
export function scaleShift(
  g: GraphBuilder,
  x: Blocked,
  a: Value,
  b: Value | null,
  sum: Blocked | null = null,
): Blocked {
  const { shape } = x.block;
  const inputs = [x.block, g.reshape(filled(g, a), [shape[1], 1, 1, 1]), b && filled(g, b), sum?.block ?? null];
  while (inputs.at(-1) === null) inputs.pop();
  const block = emitBlocked(g, 'Conv', inputs, shape, { ...pointwise, group: shape[1] });
  return { block, channels: x.channels };
}

/** Emits x + b per channel. A convolution before it takes b as its bias. */
export function shift(g: GraphBuilder, x: Blocked, b: Value): Blocked {
  const one = g.constant(float32([x.channels], new Float32Array(x.channels).fill(1)), 'ones');
  const shifted = scaleShift(g, x, one, b);
  g.blocked.shifts.add(g.nodes[g.nodes.length - 1]);
  return shifted;
}

const pointwise = { kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1] };

const elementwise: ReadonlySet<string> = new Set(
  [
    'Add Sub Mul Div Min Max Sum Mean Pow PRelu Neg Abs Sqrt Exp Log Relu Sigmoid Tanh LeakyRelu Clip HardSigmoid HardSwish',
    'Elu Celu Selu Softplus Softsign ThresholdedRelu Reciprocal Erf Gelu Identity Sin Cos Floor Ceil Round Sign Mish',
  ]
    .join(' ')
    .split(' '),
);

/** Operators that make something infinite of the zeros in added channels. */
const singular: ReadonlySet<string> = new Set(['Div', 'Log', 'Pow', 'Reciprocal']);

/**
 * @returns the operands with which an elementwise operator computes the blocked form of its result, or undefined where it
 *   is not elementwise, no operand has a blocked form, or one of them broadcasts along other than all axes
 */
export function lifted(
  g: GraphBuilder,
  op: string,
  inputs: readonly (Value | null)[],
  output: { readonly dtype: string; readonly shape: readonly number[] },
): (Value | null)[] | undefined {
  if (!g.engine.features.has('nchwc16') || !elementwise.has(op) || output.dtype !== 'float32') return undefined;
  if (!inputs.some((v) => v && isBlocked(g, v))) return undefined;
  const whole = (v: Value): boolean => fitsBlocks(v) && v.shape.every((d, i) => d === output.shape[i]);
  const single = (v: Value): boolean => v.shape.length <= 4 && v.shape.every((d) => d === 1);
  const fits = inputs.every((v) => !v || (v.dtype === 'float32' && (whole(v) || single(v))));
  if (!fits || output.shape.length !== 4) return undefined;
  if (output.shape[1] % BLOCK !== 0 && singular.has(op)) return undefined;
  return inputs.map((v) => (v && whole(v) ? blockedForm(g, v).block : v));
}
