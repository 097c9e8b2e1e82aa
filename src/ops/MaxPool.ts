import type { Attributes, AttributeValue } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { sizeOf } from '../tensor/tensor.js';
import { blockedMaxPool, blockedMaxPoolGradient, poolFitsBlocks } from './blockedMaxPool.js';
import { sliceTap } from './convGradient.js';
import { apart } from './examples.js';
import { nativeMaxPoolGradient } from './native.js';
import { spreadTap } from './poolGradient.js';
import { type ChannelNode, type ChannelRelation, defineOp, type OpNode } from './spec.js';
import { paddedSizes, reachesPadding, spatialPads, tapsOf, type Window, windowOf } from './window.js';

/*
 * Every window passes its gradient to one winner: where several elements are the maximum, to the first in row-major
 * order, which is the one that onnxruntime reports in `Indices`.
 */
export const MaxPool = defineOp({
  op: 'MaxPool',
  inputs: ['X'],
  outputs: ['Y', 'Indices?'],
  lower: (g, node) => {
    if (node.outputs[1]) return undefined;
    const window = windowIn(node);
    const { kernel, strides, dilations, before, after } = window;
    const x = node.inputs[0];
    const { name, shape } = node.outputs[0];
    if (poolFitsBlocks(g, x, window)) return { outputs: [blockedMaxPool(g, x, name)] };
    const value = { dtype: x.dtype, shape, name };
    // Padding as windows reach it: for ceil_mode onnxruntime and its own shape inference disagree on some sizes.
    const reached = [...before, ...after.map((p) => Math.max(0, p))];
    const padding = reached.every((p, i) => p >= 0 && p < kernel[i % kernel.length])
      ? { pads: reached }
      : declaredPadding(node.attrs);
    const attributes = { kernel_shape: kernel, strides, dilations, ...padding };
    if (!g.engine.features.has('MaxPool.Indices')) return { outputs: g.emit('MaxPool', [x], [value], attributes) };
    const [y, indices] = g.emit('MaxPool', [x], [value, { dtype: 'int64', shape }], attributes);
    return { outputs: [y], saved: { indices } };
  },
  grad: (g, node, [dy]) => [
    () => {
      const [x] = node.inputs;
      const window = windowIn(node);
      const { indices } = node.saved;
      if (!indices && poolFitsBlocks(g, x, window)) return blockedMaxPoolGradient(g, x, dy!);
      const whole = window.dilations.every((d) => d === 1);
      if (!indices && whole && g.engine.features.has('native'))
        return nativeMaxPoolGradient(g, x, node.outputs[0], dy!, window);
      if (!indices) return byComparison(g, x, node.outputs[0], dy!, window);
      return sideBySide(window) && g.engine.features.has('MaxUnpool')
        ? unpooled(g, x, indices, dy!, window)
        : scattered(g, x, indices, dy!);
    },
  ],
  channels: poolChannels('same'),
  examples: [
    {
      title: 'windows side by side',
      inputs: [apart([2, 3, 4, 6])],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    {
      title: 'windows that leave a rest',
      inputs: [apart([1, 2, 5, 7])],
      attributes: { kernel_shape: [2, 3], strides: [2, 3] },
    },
    {
      title: 'overlapping windows, padded',
      inputs: [apart([2, 2, 6, 5])],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    { title: 'stride 1', inputs: [apart([1, 2, 5, 5])], attributes: { kernel_shape: [3, 2] } },
    {
      title: 'ceil_mode',
      inputs: [apart([1, 2, 6, 6])],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
    },
    {
      title: 'dilated',
      inputs: [apart([1, 2, 7, 7])],
      attributes: { kernel_shape: [2, 3], dilations: [3, 2], strides: [2, 1] },
    },
    {
      title: 'SAME_UPPER',
      inputs: [apart([1, 2, 5, 6])],
      attributes: { kernel_shape: [3, 2], strides: [2, 2], auto_pad: 'SAME_UPPER' },
    },
    {
      title: 'SAME_LOWER',
      inputs: [apart([1, 2, 5, 6])],
      attributes: { kernel_shape: [2, 2], strides: [1, 1], auto_pad: 'SAME_LOWER' },
    },
    { title: '1-D', inputs: [apart([2, 3, 9])], attributes: { kernel_shape: [3], strides: [2], pads: [1, 0] } },
    { title: '3-D', inputs: [apart([1, 2, 4, 4, 4])], attributes: { kernel_shape: [2, 2, 2], strides: [2, 2, 2] } },
  ],
});

function windowIn({ attrs, inputs, outputs }: OpNode | ChannelNode): Window {
  return windowOf(attrs, attrs.ints('kernel_shape')!, inputs[0]!.shape.slice(2), outputs[0].shape.slice(2), 'pool');
}

function declaredPadding(attrs: Attributes): Record<string, AttributeValue> {
  const pads = attrs.ints('pads');
  return {
    auto_pad: attrs.string('auto_pad', 'NOTSET'),
    ceil_mode: attrs.int('ceil_mode', 0),
    ...(pads && { pads }),
  };
}

/** @returns the channel rule of pools: channels pass one by one, and everything else stays. */
export function poolChannels(constants: 'same' | 'zero'): (node: ChannelNode) => ChannelRelation {
  return ({ inputs: [x], outputs }) => ({
    links: outputs.flatMap((y) =>
      [0, 1].map((axis) => ({ from: { value: x!, axis }, to: { value: y, axis }, constants })),
    ),
  });
}

/** No element lies in two windows, and no window reaches into padding (MaxUnpool then expects another size). */
function sideBySide(window: Window): boolean {
  const { kernel, strides, dilations } = window;
  return !reachesPadding(window) && kernel.every((k, i) => k <= strides[i] && dilations[i] === 1);
}

function unpooled(g: GraphBuilder, x: Value, indices: Value, dy: Value, { kernel, strides }: Window): Value {
  const out = [{ dtype: x.dtype, shape: x.shape }];
  return g.emit('MaxUnpool', [dy, indices, g.ints(x.shape)], out, { kernel_shape: kernel, strides })[0];
}

function scattered(g: GraphBuilder, x: Value, indices: Value, dy: Value): Value {
  const flat = (v: Value): Value => g.reshape(v, [sizeOf(v.shape)]);
  const at = flat(indices);
  // A zero that no constant folding can blow up to the size of the activation.
  const zero = g.cast(g.mul(g.slice(at, [0], [0], [1]), 0), x.dtype);
  const zeros = g.expand(zero, [sizeOf(x.shape)]);
  const out = [{ dtype: x.dtype, shape: zeros.shape }];
  const sums = g.emit('ScatterElements', [zeros, at, flat(dy)], out, { axis: 0, reduction: 'add' })[0];
  return g.reshape(sums, x.shape);
}

/** Without Indices: the first tap whose slice of the input equals the maximum wins. */
function byComparison(g: GraphBuilder, x: Value, y: Value, dy: Value, window: Window): Value {
  const padded = g.pad(x, spatialPads(window.before, window.after), LOWEST);
  const sizes = paddedSizes(window);
  let taken: Value | undefined;
  let total: Value | undefined;
  for (const tap of tapsOf(window)) {
    const hit = g.equal(sliceTap(g, padded, window, tap, 2), y);
    const wins: Value = taken ? g.and(hit, g.not(taken)) : hit;
    taken = taken ? g.or(taken, hit) : hit;
    const part = spreadTap(g, g.where(wins, dy, 0), window, tap, sizes);
    total = total ? g.add(total, part) : part;
  }
  return g.pad(total!, spatialPads(negative(window.before), negative(window.after)));
}

/** The lowest float32: padding never wins, and no infinity gets into the arithmetic. */
const LOWEST = -3.4028234663852886e38;

function negative(sizes: readonly number[]): number[] {
  return sizes.map((s) => -s);
}
