import { setAttribute } from '../onnx/attributes.js';
import { sizeOf } from '../tensor/tensor.js';
import { addConvBias, biasGradient, pinned } from './Conv.js';
import { convolve, convWeightGradient } from './convGradient.js';
import { placesOf } from './links.js';
import { type ChannelNode, type CutNode, defineOp, type OpNode } from './spec.js';
import { transposedWindowOf, type Window } from './window.js';

/*
 * Y[n,m,o] = Σ_{c,i,k: i·s + k·d = o + before} X[n,c,i] · W[c,m,k]: the input gradient of a Conv from M to C channels,
 * read forwards. Its windows lie over Y, one for each position of X.
 */
export const ConvTranspose = defineOp({
  op: 'ConvTranspose',
  inputs: ['X', 'W', 'B?'],
  outputs: ['Y'],
  trains: [1, 2],
  grad: (g, node, [dy]) => {
    const [x, w] = node.inputs;
    const window = windowUnder(node);
    const group = node.attrs.int('group', 1);
    return [
      () => convolve(g, dy!, w, window, group),
      () => convWeightGradient(g, x, dy!, w, window, group),
      () => biasGradient(g, dy!),
    ];
  },
  channels: (node) => {
    const [x, w, b] = node.inputs;
    const group = node.attrs.int('group', 1);
    if (!w!.known) return pinned(node, 'the kernel of this convolution is computed');
    const [input, output] = [
      { value: x!, axis: 1 },
      { value: node.outputs[0], axis: 1 },
    ];
    const depthwise = group > 1 && w!.shape[0] === group;
    return {
      mixes: [
        {
          input,
          output,
          weight: w!,
          inAxis: 0,
          outAxis: 1,
          groups: group,
          blocked: 'out',
          scale: 1,
          border: !pointwise(windowUnder(node)),
          ...(b?.known && { bias: { value: b, axis: 0 } }),
          addBias: addConvBias,
        },
      ],
      pins: placesOf(x!, w!, node.outputs[0]),
      ...(group > 1 && !depthwise && { quotas: [input, output].map((at) => ({ at, blocks: group })) }),
      ...(depthwise && {
        patch: (cut: CutNode) => {
          const kept = cut.kept(input);
          if (kept) setAttribute(cut.node, 'group', kept.length);
        },
      }),
    };
  },
  macs: ({ inputs: [x, w] }) => (sizeOf(x!.shape) * sizeOf(w!.shape)) / w!.shape[0],
  examples: [
    { title: 'plain, with bias', inputs: [[2, 3, 4, 4], [3, 2, 3, 3], [2]], parameters: [1, 2] },
    {
      title: 'one tap per output',
      inputs: [
        [1, 3, 3, 3],
        [3, 2, 2, 2],
      ],
      parameters: [1],
      attributes: { strides: [2, 2] },
    },
    {
      title: 'stride 2 with pads and output_padding',
      inputs: [[2, 3, 4, 3], [3, 2, 3, 3], [2]],
      parameters: [1, 2],
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 0] },
    },
    {
      title: 'output_shape',
      inputs: [
        [1, 2, 3, 4],
        [2, 3, 3, 3],
      ],
      parameters: [1],
      attributes: { strides: [2, 2], output_shape: [6, 8] },
    },
    {
      title: 'output_shape, SAME_UPPER',
      inputs: [
        [1, 2, 3, 4],
        [2, 3, 3, 3],
      ],
      parameters: [1],
      attributes: { strides: [2, 2], output_shape: [6, 8], auto_pad: 'SAME_UPPER' },
    },
    {
      title: 'SAME_LOWER',
      inputs: [
        [1, 2, 3, 4],
        [2, 3, 3, 3],
      ],
      parameters: [1],
      attributes: { strides: [2, 2], auto_pad: 'SAME_LOWER' },
    },
    {
      title: 'dilated',
      inputs: [
        [1, 2, 4, 4],
        [2, 3, 3, 2],
      ],
      parameters: [1],
      attributes: { dilations: [2, 3] },
    },
    {
      title: 'two groups',
      inputs: [[2, 4, 3, 3], [4, 3, 3, 3], [6]],
      parameters: [1, 2],
      attributes: { group: 2, strides: [2, 2] },
    },
    {
      title: 'depthwise',
      inputs: [
        [1, 3, 3, 3],
        [3, 1, 3, 3],
      ],
      parameters: [1],
      attributes: { group: 3, pads: [1, 1, 1, 1] },
    },
    {
      title: '1-D',
      inputs: [
        [2, 3, 5],
        [3, 2, 4],
      ],
      parameters: [1],
      attributes: { strides: [2], pads: [1, 1] },
    },
    {
      title: '3-D',
      inputs: [
        [1, 2, 2, 3, 2],
        [2, 2, 2, 2, 3],
      ],
      parameters: [1],
      attributes: { strides: [1, 2, 1] },
    },
  ],
});

function windowUnder({ attrs, inputs, outputs }: OpNode | ChannelNode): Window {
  const [x, w] = inputs;
  return transposedWindowOf(attrs, w!.shape.slice(2), outputs[0].shape.slice(2), x!.shape.slice(2));
}

/** Otherwise the taps that an output position sees depend on where it lies. */
function pointwise({ kernel, strides, before, after }: Window): boolean {
  return kernel.every((k, i) => k === 1 && strides[i] === 1 && before[i] >= 0 && after[i] >= 0);
}
