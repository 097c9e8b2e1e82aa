import { sizeOf } from '../tensor/tensor.js';
import type { GraphBuilder, Value } from './builder.js';
import type { Engine } from './engine.js';

/*
 * Mixed precision, in one place: products (convolutions and matrix products) take float16 operands and their results are
 * float32 again; everything else of a graph never learns of it. A value is cast once: its half-precision form is
 * remembered, the result of a product has one from birth, and what only moves elements (Transpose, Slice, …) moves the half
 * of its operand. Forms that nothing reads are taken away by `tidied`.
 *
 * With `float16.emulated` a half is kept as the float32 number that it stands for, by a cast there and back, and the products
 * are float32 kernels: onnxruntime's CPU provider takes float16 products but drops the casts around them and computes in
 * float32, so that nothing would be rounded.
 *
 * **Source**: Micikevicius et al., Mixed Precision Training, ICLR 2018, section 3.1 and 3.3.
 */

/** Emits a node once more, with other operands and another result. */
export type Again = (inputs: readonly (Value | null)[], output: Result) => Value;

type Result = Pick<Value, 'dtype' | 'shape'> & { readonly name: string };

/** A node that is about to be emitted. */
export interface Kind {
  readonly op: string;
  readonly domain: string;
  /** @returns an attribute that is a whole number. */
  int(name: string, otherwise: number): number;
}

/** How a value came about that only moves elements of others. */
interface Move {
  readonly inputs: readonly (Value | null)[];
  readonly again: Again;
}

/** What the builder remembers of half-precision forms. */
export class HalfForms {
  /** Whether products are emitted in half precision now. */
  on = false;
  private forms = new Map<string, Value>();
  private moves = new Map<string, Move>();

  /** @param outer of the graph around this one: what has been cast there is not cast again */
  constructor(private readonly outer?: HalfForms) {}

  form(name: string): Value | undefined {
    return this.forms.get(name) ?? this.outer?.form(name);
  }

  move(name: string): Move | undefined {
    return this.moves.get(name) ?? this.outer?.move(name);
  }

  setForm(name: string, half: Value): void {
    this.forms.set(name, half);
  }

  setMove(name: string, move: Move): void {
    this.moves.set(name, move);
  }

  rename(names: ReadonlyMap<string, string>): void {
    const key = (name: string): string => names.get(name) ?? name;
    const value = <T extends Value | null>(v: T): T => v && { ...v, name: key(v.name) };
    this.forms = new Map([...this.forms].map(([name, half]) => [key(name), value(half)]));
    this.moves = new Map([...this.moves].map(([name, m]) => [key(name), { ...m, inputs: m.inputs.map(value) }]));
  }
}

/** Whether an engine computes products in half precision, or acts as if. */
export function hasHalf({ features }: Engine): boolean {
  return features.has('float16') || features.has('float16.emulated');
}

/**
 * Terms that a kernel may sum up in half precision: a sum of so many equal terms no longer grows, for the next number after
 * 2¹¹ = 2048 is 2050. The sums in a dense layer's weight gradient run over the batch, in a convolution's over the pixels of an
 * image (those over the images are float32). Where the engine's kernels don't sum in float32 a product with longer ones is cut
 * into the sum of several, or stays in float32.
 */
export const LONGEST_SUM = 2048;
/** Products that one is cut into at most. */
const MOST_PARTS = 8;

const MICROSOFT = 'com.microsoft';
const products: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'MatMul', 'Gemm', `${MICROSOFT}.FusedMatMul`]);

const movers: ReadonlySet<string> = new Set(
  'Transpose Reshape Slice Pad Concat Squeeze Unsqueeze Flatten Identity Expand DepthToSpace SpaceToDepth'.split(' '),
);

/**
 * Emits a product in half precision; its result is float32.
 * @returns undefined where it is none, or has to stay as it is
 */
export function emitHalf(
  g: GraphBuilder,
  node: Kind,
  inputs: readonly (Value | null)[],
  output: Result,
  again: Again,
): Value | undefined {
  if (!g.halves.on || !isProduct(node) || !allFloat32(inputs) || output.dtype !== 'float32') return undefined;
  if (g.engine.features.has('float16.longSums')) return halfProduct(g, inputs, output, again);
  const parts = Math.ceil(termsOf(node.op, inputs, output.shape) / LONGEST_SUM);
  return parts > 1 ? sumOfParts(g, node, inputs, output, parts, again) : halfProduct(g, inputs, output, again);
}

function halfProduct(g: GraphBuilder, inputs: readonly (Value | null)[], output: Result, again: Again): Value {
  const operands = inputs.map((v) => v && halfOf(g, v));
  const { shape, name } = output;
  const half = again(operands, { dtype: storedAs(g), shape, name: halfName(name) });
  if (half.dtype === 'float16') {
    const result = g.cast(half, 'float32', name);
    g.halves.setForm(result.name, half);
    return result;
  }
  const result = g.cast(g.cast(half, 'float16', halfName(name)), 'float32', name);
  g.halves.setForm(result.name, result);
  return result;
}

/** Cuts a product along what it sums over: the parts are summed up in float32, the first one takes the bias. */
function sumOfParts(
  g: GraphBuilder,
  node: Kind,
  [a, b, ...bias]: readonly (Value | null)[],
  output: Result,
  parts: number,
  again: Again,
): Value | undefined {
  const axes = summedAxes(node, a!, b!);
  if (!axes || parts > MOST_PARTS || a!.shape[axes[0]] < parts) return undefined;
  const size = Math.ceil(a!.shape[axes[0]] / parts);
  // So that halves are cut, not cast again and again.
  for (const operand of [a!, b!]) halfOf(g, operand);
  let sum: Value | undefined;
  for (let from = 0; from < a!.shape[axes[0]]; from += size) {
    const [x, y] = [a!, b!].map((v, i) => g.slice(v, [axes[i]], [from], [from + size]));
    const part = halfProduct(g, sum ? [x, y] : [x, y, ...bias], { ...output, name: `${output.name}/part` }, again);
    const last = from + size >= a!.shape[axes[0]];
    const like = { ...output, name: last ? output.name : `${output.name}/sum` };
    sum = sum ? g.emit('Add', [sum, part], [like])[0] : part;
  }
  return sum;
}

/** @returns the axis of either operand that a product sums over; undefined where it has none that can be cut. */
function summedAxes({ op, int }: Kind, a: Value, b: Value): readonly [number, number] | undefined {
  const [ranks, single] = [[a, b].map((v) => v.shape.length), int('group', 1) === 1];
  if (op === 'Conv') return single ? [1, 1] : undefined;
  if (op === 'ConvTranspose') return single ? [1, 0] : undefined;
  if (op === 'Gemm') return [int('transA', 0) ? 0 : 1, int('transB', 0) ? 1 : 0];
  return op === 'MatMul' && ranks.every((r) => r >= 2) ? [ranks[0] - 1, ranks[1] - 2] : undefined;
}

/** Remembers a node that only moves elements. */
export function noteMove(
  g: GraphBuilder,
  node: Kind,
  inputs: readonly (Value | null)[],
  output: Value,
  again: Again,
): void {
  if (!g.halves.on || node.domain !== '' || !movers.has(node.op) || output.dtype !== 'float32') return;
  // A fill would need a cast of its own.
  if (node.op === 'Pad' && inputs[2]) return;
  g.halves.setMove(output.name, { inputs, again });
}

/** @returns the half-precision form of a value. */
export function halfOf(g: GraphBuilder, value: Value): Value {
  const known = g.halves.form(value.name);
  if (known) return known;
  const half = moved(g, value) ?? rounded(g, value);
  g.halves.setForm(value.name, half);
  return half;
}

/** The move of a half: where that is at hand, or no smaller than what comes out. */
function moved(g: GraphBuilder, value: Value): Value | undefined {
  const move = g.halves.move(value.name);
  if (!move) return undefined;
  const from = move.inputs.filter((v) => v?.dtype === 'float32') as Value[];
  const sources = from.reduce((sum, v) => sum + sizeOf(v.shape), 0);
  if (sources > sizeOf(value.shape) && !from.every((v) => isAtHand(g, v))) return undefined;
  const operands = move.inputs.map((v) => (v?.dtype === 'float32' ? halfOf(g, v) : v));
  return move.again(operands, { dtype: storedAs(g), shape: value.shape, name: halfName(value.name) });
}

function isAtHand(g: GraphBuilder, value: Value): boolean {
  if (g.halves.form(value.name)) return true;
  const move = g.halves.move(value.name);
  return move !== undefined && move.inputs.every((v) => v?.dtype !== 'float32' || isAtHand(g, v));
}

function rounded(g: GraphBuilder, value: Value): Value {
  const half = g.cast(value, 'float16', halfName(value.name));
  return storedAs(g) === 'float16' ? half : g.cast(half, 'float32', `${halfName(value.name)}/float32`);
}

function storedAs(g: GraphBuilder): 'float16' | 'float32' {
  return g.engine.features.has('float16.emulated') ? 'float32' : 'float16';
}

function halfName(name: string): string {
  return `${name}/half`;
}

function isProduct({ op, domain }: Kind): boolean {
  return products.has(domain === '' ? op : `${domain}.${op}`);
}

function allFloat32(inputs: readonly (Value | null)[]): boolean {
  return inputs.every((v) => !v || v.dtype === 'float32');
}

/** @returns how many terms each element of a product sums up; an upper bound for a ConvTranspose with strides. */
function termsOf(op: string, [a, b]: readonly (Value | null)[], output: readonly number[]): number {
  const weights = sizeOf(b!.shape);
  if (op === 'Conv') return weights / b!.shape[0];
  if (op === 'ConvTranspose') return weights / b!.shape[1];
  if (a!.shape.length < 2 || b!.shape.length < 2) return a!.shape[a!.shape.length - 1];
  // [m, k] · [k, n], either one transposed: √(mk · kn / mn).
  const matrix = (shape: readonly number[]) => sizeOf(shape.slice(-2));
  return Math.round(Math.sqrt((matrix(a!.shape) * matrix(b!.shape)) / Math.max(1, matrix(output))));
}
