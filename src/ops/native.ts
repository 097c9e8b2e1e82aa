import type { AttributeValue } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { NATIVE } from '../onnx/engine.js';
import type { Window } from './window.js';

/*
 * Gradients that an engine has kernels of its own for. Shapes are those of ONNX, channels on axis 1; where windows lie is
 * stated by `kernel_shape`, `strides`, `dilations` and `pads`, which are what windows really reach (negative: elements
 * that no window reads).
 */

/** @returns the attributes that state a window. */
export function windowAttributes({
  kernel,
  strides,
  dilations,
  before,
  after,
}: Window): Record<string, AttributeValue> {
  return { kernel_shape: kernel, strides, dilations, pads: [...before, ...after] };
}

/** dX of a convolution with the kernel `w`. */
export function nativeInputGradient(g: GraphBuilder, dy: Value, w: Value, window: Window, group: number): Value {
  const shape = [dy.shape[0], w.shape[1] * group, ...window.input];
  const attributes = { ...windowAttributes(window), group };
  return g.emit('ConvInputGrad', [dy, w], [{ dtype: dy.dtype, shape }], attributes, NATIVE)[0];
}

/** dW of a convolution, in the shape [group · outChannels, inChannels, ...kernel]. */
export function nativeWeightGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  shape: readonly number[],
  window: Window,
  group: number,
): Value {
  const attributes = { ...windowAttributes(window), group };
  return g.emit('ConvWeightGrad', [dy, x], [{ dtype: dy.dtype, shape }], attributes, NATIVE)[0];
}

/** Gives dy of every window to the first of its greatest elements. */
export function nativeMaxPoolGradient(g: GraphBuilder, x: Value, y: Value, dy: Value, window: Window): Value {
  return g.emit('MaxPoolGrad', [x, y, dy], [typeOf(x)], windowAttributes(window), NATIVE)[0];
}

/** Gives every element that a window covers the same share of the window's value: the value by the size of the kernel. */
export function nativeSpread(g: GraphBuilder, perWindow: Value, window: Window): Value {
  const shape = [...perWindow.shape.slice(0, 2), ...window.input];
  const out = [{ dtype: perWindow.dtype, shape }];
  return g.emit('AveragePoolGrad', [perWindow], out, windowAttributes(window), NATIVE)[0];
}

/** dx of y = max(x, 0). */
export function nativeReluGradient(g: GraphBuilder, y: Value, dy: Value): Value {
  return g.emit('ReluGrad', [dy, y], [typeOf(dy)], {}, NATIVE)[0];
}

/** What a batch is normalised to, with its statistics, and what the gradient wants to have kept. */
export interface NativeNorm {
  readonly y: Value;
  readonly mean: Value;
  /** Sum of squares over n. */
  readonly variance: Value;
  readonly kept: readonly Value[];
}

/** BatchNormalization by the statistics of the batch; `name` is that of y. */
export function nativeNorm(
  g: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value,
  epsilon: number,
  name: string,
): NativeNorm {
  const vector = { dtype: x.dtype, shape: scale.shape };
  const outputs = [{ dtype: x.dtype, shape: x.shape, name }, vector, vector, vector, vector, vector];
  const attributes = { epsilon: { float: epsilon } };
  const [y, mean, variance, ...kept] = g.emit('BatchNorm', [x, scale, bias], outputs, attributes, NATIVE);
  return { y, mean, variance, kept };
}

/** @returns dX, dScale and dBias of it. */
export function nativeNormGradient(
  g: GraphBuilder,
  dy: Value,
  x: Value,
  scale: Value,
  kept: readonly Value[],
  epsilon: number,
): readonly Value[] {
  const attributes = { epsilon: { float: epsilon } };
  return g.emit('BatchNormGrad', [dy, x, scale, ...kept], [x, scale, scale].map(typeOf), attributes, NATIVE);
}

function typeOf({ dtype, shape }: Value): Pick<Value, 'dtype' | 'shape'> {
  return { dtype, shape };
}
