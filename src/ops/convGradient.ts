import { isBlocked } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import type { Engine } from '../onnx/engine.js';
import { sizeOf } from '../tensor/tensor.js';
import { blockedConv, blockedInputGradient, convFitsBlocks, inputGradientFitsBlocks } from './blockedConv.js';
import { blockedWeightGradient, weightGradientFitsBlocks } from './blockedWeightGradient.js';
import { im2colWeightGradient } from './im2colWeightGradient.js';
import { nativeInputGradient, nativeWeightGradient } from './native.js';
import { padsAt } from './spread.js';
import { transposedProduct } from './transposedProduct.js';
import { extent, spatialPads, tapsOf, type Window } from './window.js';

/*
 * Gradients of the convolution, in index letters (n batch, g group, m and c channels of a group, o window, k tap):
 *
 *   Y[n,g,m,o]    = Σ_{c,k} Xp[n,g,c, o·s + k·d] · W[g,m,c,k]        Xp: the padded input
 *   dXp[n,g,c,i]  = Σ_{m,o,k: o·s + k·d = i} dY[n,g,m,o] · W[g,m,c,k]
 *   dW[g,m,c,k]   = Σ_{n,o} dY[n,g,m,o] · Xp[n,g,c, o·s + k·d]
 *
 * ConvTranspose is the second line read forwards, so its gradients are the first line and, with X and dY changing
 * roles, the third. Each line has several decompositions into standard operators; `choose…` picks one.
 */

/** Sizes of one convolution, which the choice of a decomposition depends on. */
export interface ConvProblem {
  readonly dtype: string;
  readonly batch: number;
  readonly group: number;
  /** Channels per group. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly window: Window;
}

/** `direct`: Conv; `blocked`: the same in onnxruntime's blocked layout. */
export type Convolution = 'direct' | 'blocked';

/** `flipped`: Conv with the flipped, transposed kernel (stride 1); `transposed`: ConvTranspose; `blocked`: by phases; `native`: a kernel. */
export type InputGradient = 'flipped' | 'transposed' | 'blocked' | 'native';

/**
 * `taps`: one batched MatMul per kernel position; `products`: one product and sum per position (one channel per group);
 * `im2col`: one MatMul over all positions; `dense`: one over the batch, where an image is one pixel; `blocked`: one
 * convolution in blocks; `native`: a kernel of the engine.
 */
export type WeightGradient = 'dense' | 'taps' | 'products' | 'im2col' | 'blocked' | 'native';

/** Up to this many input channels a product per kernel position is too thin to be fast. */
const THIN = 4;

/** Reordering costs about what a 1×1 convolution gains: that one is left alone unless its input lies in blocks already. */
export function chooseConvolution(problem: ConvProblem, engine: Engine, inBlocks: boolean): Convolution {
  if (!engine.features.has('nchwc16') || !convFitsBlocks(problem, inBlocks)) return 'direct';
  return inBlocks || sizeOf(problem.window.kernel) > 1 ? 'blocked' : 'direct';
}

export function chooseInputGradient(problem: ConvProblem, engine: Engine, inBlocks: boolean): InputGradient {
  if (engine.features.has('native')) return 'native';
  const worth = inBlocks || sizeOf(problem.window.kernel) > 1;
  if (worth && engine.features.has('nchwc16') && inputGradientFitsBlocks(problem)) return 'blocked';
  return problem.window.strides.every((s) => s === 1) ? 'flipped' : 'transposed';
}

/**
 * With one kernel position it is a matrix product as it stands, which is faster than any convolution; but out of blocks
 * that both operands would have to leave it is none where strides don't make them smaller.
 */
export function chooseWeightGradient(problem: ConvProblem, engine: Engine, inBlocks: boolean): WeightGradient {
  const { inChannels, outChannels, group, window } = problem;
  const blocks = engine.features.has('nchwc16') && weightGradientFitsBlocks(problem);
  if (sizeOf(window.kernel) === 1 && group === 1) {
    const pixel = [...window.input, ...window.output].every((d) => d === 1) && window.before.every((p) => p === 0);
    if (pixel) return 'dense';
    const whole = window.strides.every((s) => s === 1);
    if (whole && blocks && inBlocks) return 'blocked';
    return whole && engine.features.has('FusedMatMul') ? 'im2col' : 'taps';
  }
  if (engine.features.has('native')) return 'native';
  if (blocks) return 'blocked';
  if (inChannels === 1 && outChannels === 1) return 'products';
  const thin = group === 1 && inChannels <= THIN;
  return thin && engine.features.has('FusedMatMul') ? 'im2col' : 'taps';
}

/** Emits the convolution that the first line above states. */
export function convolve(g: GraphBuilder, x: Value, w: Value, window: Window, group: number): Value {
  return plainConv(g, x, w, null, window, group);
}

function plainConv(
  g: GraphBuilder,
  x: Value,
  w: Value,
  bias: Value | null,
  window: Window,
  group: number,
  name?: string,
): Value {
  const { kernel, strides, dilations, before, after, output } = window;
  const inside = before.some((p) => p < 0) || after.some((p) => p < 0);
  const from = inside ? g.pad(x, spatialPads(before, after)) : x;
  const pads = inside ? [...before, ...after].map(() => 0) : [...before, ...after];
  const shape = [x.shape[0], w.shape[0], ...output];
  const attributes = { kernel_shape: kernel, strides, dilations, pads, group };
  const operands = needsMoreChannels(g.engine, w, group) ? [withChannels(g, from), withChannels(g, w)] : [from, w];
  return g.emit('Conv', [...operands, ...(bias ? [bias] : [])], [{ dtype: x.dtype, shape, name }], attributes)[0];
}

/** Channels that vectors of the device hold. */
const VECTOR = 4;

/** Where Conv is wrong for some numbers of channels: it reads threes of them as if they were fours. */
function needsMoreChannels(engine: Engine, w: { readonly shape: readonly number[] }, group: number): boolean {
  return !engine.features.has('Conv') && group === 1 && w.shape[1] > 3 && w.shape[1] % VECTOR !== 0;
}

/** @returns the value with zeros behind the channels on axis 1, up to whole vectors. */
function withChannels(g: GraphBuilder, x: Value): Value {
  return g.pad(x, padsAt(x.shape.length, 1, 0, VECTOR - (x.shape[1] % VECTOR)));
}

/** Emits Y as a node of the graph; undefined where the node itself does as it is. */
export function convForward(
  g: GraphBuilder,
  x: Value,
  w: Value,
  bias: Value | null,
  window: Window,
  group: number,
  name: string,
): Value | undefined {
  const problem = problemOf(x, w, window, group);
  if (chooseConvolution(problem, g.engine, isBlocked(g, x)) === 'blocked')
    return blockedConv(g, x, w, bias, window, name);
  return needsMoreChannels(g.engine, w, group) ? plainConv(g, x, w, bias, window, group, name) : undefined;
}

/** Emits dX, given dY and W: in the shape that the window was laid over. */
export function convInputGradient(g: GraphBuilder, dy: Value, w: Value, window: Window, group: number): Value {
  const form = chooseInputGradient(problemOf(dy, w, window, group), g.engine, isBlocked(g, dy));
  return inputGradientBy(form, g, dy, w, window, group);
}

/** Emits dX in a given form, which has to fit the problem. */
export function inputGradientBy(
  form: InputGradient,
  g: GraphBuilder,
  dy: Value,
  w: Value,
  window: Window,
  group: number,
): Value {
  switch (form) {
    case 'native':
      return nativeInputGradient(g, dy, w, window, group);
    case 'blocked':
      return blockedInputGradient(g, dy, w, window);
    case 'flipped':
      return flippedInputGradient(g, dy, w, window, group);
    case 'transposed':
      return transposedInputGradient(g, dy, w, window, group);
  }
}

/** Emits dW, given dY and X: in the shape [group · outChannels, inChannels, ...kernel]. */
export function convWeightGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  weight: { readonly shape: readonly number[] },
  window: Window,
  group: number,
): Value {
  const form = chooseWeightGradient(problemOf(dy, weight, window, group), g.engine, isBlocked(g, dy));
  return weightGradientBy(form, g, dy, x, weight, window, group);
}

/** Emits dW in a given form, which has to fit the problem. */
export function weightGradientBy(
  form: WeightGradient,
  g: GraphBuilder,
  dy: Value,
  x: Value,
  weight: { readonly shape: readonly number[] },
  window: Window,
  group: number,
): Value {
  switch (form) {
    case 'native':
      return nativeWeightGradient(g, dy, x, weight.shape, window, group);
    case 'blocked':
      return blockedWeightGradient(g, dy, x, weight.shape, window);
    case 'dense':
      return g.reshape(transposedProduct(g, matrixOf(g, dy), matrixOf(g, x)), weight.shape);
    case 'taps':
      return tapsWeightGradient(g, dy, x, weight.shape, window, group);
    case 'im2col':
      return im2colWeightGradient(g, dy, x, weight.shape, window);
    case 'products':
      return productsWeightGradient(g, dy, x, weight.shape, window);
  }
}

export function problemOf(
  dy: Value,
  w: { readonly shape: readonly number[] },
  window: Window,
  group: number,
): ConvProblem {
  const [outChannels, inChannels] = [w.shape[0] / group, w.shape[1]];
  return { dtype: dy.dtype, batch: dy.shape[0], group, outChannels, inChannels, window };
}

function flippedInputGradient(g: GraphBuilder, dy: Value, w: Value, window: Window, group: number): Value {
  const { kernel, dilations, before, after, input, output } = window;
  const reach = kernel.map((k, i) => extent(k, dilations[i]) - 1);
  const kernelWindow: Window = {
    ...window,
    before: reach.map((r, i) => r - before[i]),
    after: reach.map((r, i) => r - after[i]),
    input: output,
    output: input,
  };
  return convolve(g, dy, flipKernel(g, swapChannels(g, w, group)), kernelWindow, group);
}

function transposedInputGradient(g: GraphBuilder, dy: Value, w: Value, window: Window, group: number): Value {
  const { kernel, strides, dilations, before, after, input } = window;
  const most = strides.map((s, i) => Math.max(s, dilations[i]));
  const direct = before.every((p) => p >= 0) && after.every((p, i) => p > -most[i]);
  const ends = after.map((p) => (direct ? Math.max(0, p) : 0));
  const outside = after.map((p) => (direct ? Math.max(0, -p) : 0));
  const starts = before.map((p) => (direct ? p : 0));
  const sizes = direct ? input : input.map((d, i) => d + before[i] + after[i]);
  const shape = [dy.shape[0], w.shape[1] * group, ...sizes];
  const full = g.emit('ConvTranspose', [dy, w], [{ dtype: dy.dtype, shape }], {
    kernel_shape: kernel,
    strides,
    dilations,
    pads: [...starts, ...ends],
    group,
    ...(outside.some((p) => p > 0) && { output_padding: outside }),
  })[0];
  if (direct) return full;
  const [lead, tail] = [before.map((p) => -p), after.map((p) => -p)];
  return g.pad(full, spatialPads(lead, tail));
}

/** [group·M, C, …] → [group·C, M, …]. */
function swapChannels(g: GraphBuilder, w: Value, group: number): Value {
  const [out, c, ...kernel] = w.shape;
  const m = out / group;
  const spatial = kernel.map((_, i) => i);
  if (group === 1) return g.transpose(w, [1, 0, ...spatial.map((i) => i + 2)]);
  if (m === 1 && c === 1) return w;
  const grouped = g.reshape(w, [group, m, c, ...kernel]);
  const swapped = g.transpose(grouped, [0, 2, 1, ...spatial.map((i) => i + 3)]);
  return g.reshape(swapped, [group * c, m, ...kernel]);
}

function flipKernel(g: GraphBuilder, w: Value): Value {
  const axes = w.shape.flatMap((d, i) => (i >= 2 && d > 1 ? [i] : []));
  if (axes.length === 0) return w;
  const all = (x: number): Value => g.ints(axes.map(() => x));
  const beforeFirst = -(2 ** 31); // a negative step ends before index 0
  return g.emit(
    'Slice',
    [w, all(-1), all(beforeFirst), g.ints(axes), all(-1)],
    [{ dtype: w.dtype, shape: w.shape }],
  )[0];
}

/** [N, C, 1, …] → [N, C]. */
function matrixOf(g: GraphBuilder, x: Value): Value {
  return g.reshape(x, x.shape.slice(0, 2));
}

/** Channels last, so that the slice of a tap is the right operand of a matrix product as it is. */
export function tapsWeightGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  weight: readonly number[],
  window: Window,
  group: number,
): Value {
  const [out, c, ...kernel] = weight;
  const [n, m, windows] = [x.shape[0], out / group, sizeOf(window.output)];
  const lead = group === 1 ? [n] : [n, group];
  const padded = g.pad(x, spatialPads(window.before, window.after));
  const sizes = padded.shape.slice(2);
  const grouped = g.reshape(padded, [...lead, c, ...sizes]);
  const spatial = sizes.map((_, i) => lead.length + 1 + i);
  const last = g.transpose(grouped, [...lead.map((_, i) => i), ...spatial, lead.length]);
  const rows = g.reshape(dy, [...lead, m, windows]);

  const perTap = tapsOf(window).map((tap) => {
    const seen = sliceTap(g, last, window, tap, lead.length);
    const product = g.matMul(rows, g.reshape(seen, [...lead, windows, c]));
    return g.reshape(g.reduceSum(product, [0]), [1, out, c]);
  });
  return g.reshape(g.transpose(g.concat(perTap, 0), [1, 2, 0]), [out, c, ...kernel]);
}

/** One channel in and out per group: no matrix to multiply, only sums of products. */
function productsWeightGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  weight: readonly number[],
  window: Window,
): Value {
  const padded = g.pad(x, spatialPads(window.before, window.after));
  const axes = [0, ...window.kernel.map((_, i) => i + 2)];
  const perTap = tapsOf(window).map((tap) => {
    const sum = g.reduceSum(g.mul(dy, sliceTap(g, padded, window, tap, 2)), axes);
    return g.reshape(sum, [weight[0], 1]);
  });
  return g.reshape(g.concat(perTap, 1), weight);
}

/** What all windows see at one kernel position: a strided slice of the padded input. */
export function sliceTap(g: GraphBuilder, padded: Value, window: Window, tap: readonly number[], axis: number): Value {
  const axes = tap.map((_, i) => axis + i);
  const ends = tap.map((t, i) => t + (window.output[i] - 1) * window.strides[i] + 1);
  return g.slice(padded, axes, tap, ends, window.strides);
}
