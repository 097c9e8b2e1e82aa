import { setAttribute } from '../onnx/attributes.js';
import { blockedForm, isBlocked } from '../onnx/blocked.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { sizeOf } from '../tensor/tensor.js';
import { addBehind, addToParameter, floatTensor } from './bias.js';
import { channelSum } from './blockedNorm.js';
import { convForward, convInputGradient, convWeightGradient } from './convGradient.js';
import { placesOf } from './links.js';
import { type ChannelNode, type ChannelRelation, type CutNode, defineOp, type Mix, type OpNode } from './spec.js';
import { reachesPadding, type Window, windowOf } from './window.js';

export const Conv = defineOp({
  op: 'Conv',
  inputs: ['X', 'W', 'B?'],
  outputs: ['Y'],
  trains: [1, 2],
  lower: (g, node) => {
    const [x, w, bias] = node.inputs;
    const y = convForward(g, x, w, bias ?? null, windowIn(node), node.attrs.int('group', 1), node.outputs[0].name);
    return y && { outputs: [y] };
  },
  grad: (g, node, [dy]) => {
    const [x, w] = node.inputs;
    const window = windowIn(node);
    const group = node.attrs.int('group', 1);
    return [
      () => convInputGradient(g, dy!, w, window, group),
      () => convWeightGradient(g, dy!, x, w, window, group),
      () => biasGradient(g, dy!),
    ];
  },
  channels: (node) => convolution(node, addConvBias),
  macs: convMacs,
  examples: [
    {
      title: '3×3, padded, with bias',
      inputs: [[2, 3, 5, 6], [4, 3, 3, 3], [4]],
      parameters: [1, 2],
      attributes: { pads: [1, 1, 1, 1] },
    },
    { title: '1×1', inputs: [[2, 3, 4, 4], [5, 3, 1, 1], null], parameters: [1] },
    { title: '1×1 over one pixel', inputs: [[3, 4, 1, 1], [5, 4, 1, 1], null], parameters: [1] },
    {
      title: 'stride 2 that does not divide, asymmetric pads',
      inputs: [
        [2, 2, 6, 7],
        [3, 2, 3, 2],
      ],
      parameters: [1],
      attributes: { strides: [2, 3], pads: [1, 0, 0, 1] },
    },
    {
      title: '1×1 with stride 2',
      inputs: [
        [1, 3, 6, 5],
        [2, 3, 1, 1],
      ],
      parameters: [1],
      attributes: { strides: [2, 2] },
    },
    {
      title: 'dilated',
      inputs: [
        [1, 2, 7, 8],
        [3, 2, 3, 2],
      ],
      parameters: [1],
      attributes: { dilations: [2, 3], pads: [2, 1, 1, 2] },
    },
    {
      title: 'dilated with strides',
      inputs: [
        [1, 2, 9, 9],
        [3, 2, 3, 3],
      ],
      parameters: [1],
      attributes: { dilations: [2, 2], strides: [2, 3], pads: [1, 1, 1, 1] },
    },
    {
      title: 'SAME_UPPER',
      inputs: [
        [1, 2, 5, 6],
        [2, 2, 2, 3],
      ],
      parameters: [1],
      attributes: { auto_pad: 'SAME_UPPER', strides: [1, 2] },
    },
    {
      title: 'SAME_LOWER',
      inputs: [
        [1, 2, 5, 6],
        [2, 2, 2, 4],
      ],
      parameters: [1],
      attributes: { auto_pad: 'SAME_LOWER', strides: [1, 2] },
    },
    {
      title: 'VALID',
      inputs: [
        [1, 2, 5, 6],
        [2, 2, 2, 3],
      ],
      parameters: [1],
      attributes: { auto_pad: 'VALID' },
    },
    {
      title: 'pads beyond the kernel',
      inputs: [[1, 2, 3, 3], [2, 2, 2, 2], [2]],
      parameters: [1, 2],
      attributes: { pads: [2, 3, 2, 0] },
    },
    {
      title: 'two groups',
      inputs: [[2, 4, 4, 4], [6, 2, 3, 3], [6]],
      parameters: [1, 2],
      attributes: { group: 2, pads: [1, 1, 1, 1] },
    },
    {
      title: 'three groups with strides',
      inputs: [
        [2, 6, 5, 5],
        [3, 2, 3, 3],
      ],
      parameters: [1],
      attributes: { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    {
      title: 'depthwise',
      inputs: [[2, 3, 5, 5], [3, 1, 3, 3], [3]],
      parameters: [1, 2],
      attributes: { group: 3, pads: [1, 1, 1, 1] },
    },
    {
      title: 'depthwise with stride and multiplier 2',
      inputs: [
        [2, 3, 5, 5],
        [6, 1, 3, 3],
      ],
      parameters: [1],
      attributes: { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    {
      title: '1-D',
      inputs: [[2, 3, 8], [4, 3, 3], [4]],
      parameters: [1, 2],
      attributes: { pads: [1, 1], strides: [2] },
    },
    {
      title: '3-D',
      inputs: [
        [1, 2, 3, 4, 4],
        [3, 2, 2, 3, 2],
      ],
      parameters: [1],
      attributes: { pads: [0, 1, 1, 0, 1, 0] },
    },
    {
      title: '3-D with stride',
      inputs: [
        [1, 2, 4, 4, 5],
        [2, 2, 2, 3, 2],
      ],
      parameters: [1],
      attributes: { strides: [2, 2, 2] },
    },
  ],
});

/**
 * The channel relation of a convolution [x, w, bias?], whatever is done to its output channel by channel.
 * @param last the channels of x and y are their last axis
 */
export function convolution(node: ChannelNode, addBias: Mix['addBias'], last = false): ChannelRelation {
  const [x, w, b] = node.inputs;
  const group = node.attrs.int('group', 1);
  if (!w!.known) return pinned(node, 'the kernel of this convolution is computed');
  const [input, output] = [x!, node.outputs[0]].map((value) => ({ value, axis: last ? value.shape.length - 1 : 1 }));
  const mix: Mix = {
    input,
    output,
    weight: w!,
    inAxis: 1,
    outAxis: 0,
    groups: group,
    blocked: 'in',
    scale: 1,
    border: reachesPadding(windowIn(node, last)),
    ...(b?.known && { bias: { value: b, axis: 0 } }),
    addBias,
  };
  const depthwise = group > 1 && w!.shape[1] === 1;
  const blocks = group > 1 && !depthwise;
  return {
    mixes: [mix],
    pins: placesOf(x!, w!, node.outputs[0]),
    ...(blocks && { quotas: [input, output].map((at) => ({ at, blocks: group })) }),
    ...(depthwise && {
      patch: (cut: CutNode) => {
        const kept = cut.kept(input);
        if (kept) setAttribute(cut.node, 'group', kept.length);
      },
    }),
  };
}

/** @returns multiply–accumulates of a convolution [x, w]. */
export function convMacs({ inputs: [, w], outputs: [y] }: ChannelNode): number {
  return (sizeOf(y.shape) * sizeOf(w!.shape)) / w!.shape[0];
}

function windowIn({ attrs, inputs, outputs }: OpNode | ChannelNode, last = false): Window {
  const [x, w] = inputs;
  const sizes = (shape: readonly number[]): readonly number[] => (last ? shape.slice(1, -1) : shape.slice(2));
  return windowOf(attrs, w!.shape.slice(2), sizes(x!.shape), sizes(outputs[0].shape));
}

/** Sums dY over everything but its channels. */
export function biasGradient(g: GraphBuilder, dy: Value): Value {
  if (isBlocked(g, dy)) return channelSum(g, blockedForm(g, dy));
  return g.reduceSum(
    dy,
    dy.shape.flatMap((_, i) => (i === 1 ? [] : [i])),
  );
}

/** Pins the channel axes of a convolution whose kernel is no constant. */
export function pinned({ inputs, outputs }: ChannelNode, why: string): ChannelRelation {
  const values = [...inputs, outputs[0]].filter((v) => v !== undefined);
  return { pins: values.flatMap((value) => value.shape.map((_, axis) => ({ at: { value, axis }, why }))) };
}

/** Adds to the bias of a Conv or ConvTranspose, which gets one where it has none. */
export function addConvBias(cut: CutNode, delta: Float64Array): void {
  const bias = cut.inputs[2];
  if (!bias) cut.setInput(2, floatTensor(cut.outputs[0].dtype, [delta.length], delta));
  else if (!addToParameter(cut, bias, 0, delta)) addBehind(cut, 1, delta);
}
