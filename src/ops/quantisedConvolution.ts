import { float32, type Tensor } from '../tensor/tensor.js';
import { convolution } from './Conv.js';
import { quantised, zeroPoint } from './examples.js';
import { pinAll } from './links.js';
import { addWholeBias, countedFromZeros, orPinned, singles } from './quantised.js';
import { channelsLast } from './quantisedUnary.js';
import type { ChannelNode, ChannelRule, Example } from './spec.js';

/** [x, scale, zero, w, scale, zero, y scale, y zero, bias?] */
export const quantisedConvolution: ChannelRule = orPinned((node) => {
  const [x, xScale, xZero, w, wScale, wZero, yScale, yZero, b] = node.inputs;
  if (!w!.known || (b && !b.known)) return pinAll(node, 'the kernel of this convolution is computed');
  singles(xScale, xZero, yScale, yZero);
  const plain = convolving(node, [x, w, b]);
  return countedFromZeros(plain, convolution(plain, undefined, channelsLast(node.attrs)), {
    zeros: [xZero, wZero],
    perChannel: [wScale, wZero],
    addBias: (cut, delta) => addWholeBias(cut, 8, delta),
  });
});

/** @returns the node as a Conv of its numbers. */
export function convolving(node: ChannelNode, inputs: ChannelNode['inputs']): ChannelNode {
  return { ...node, inputs };
}

export function quantisedConvExample(
  title: string,
  x: readonly number[],
  w: readonly number[],
  attributes: Example['attributes'],
  scales: number,
): Example {
  const scale: Tensor = float32(scales === 1 ? [] : [scales], new Float32Array(scales).fill(0.01));
  const zero = scales === 1 ? zeroPoint('int8', 3) : { ...quantised('int8', [scales], 2), data: new Int8Array(scales) };
  const inputs = [
    quantised('uint8', x),
    float32([], [0.05]),
    zeroPoint('uint8', 120),
    quantised('int8', w),
    scale,
    zero,
    float32([], [0.1]),
    zeroPoint('uint8', 110),
    quantised('int32', [w[0]], 200),
  ];
  return { title, inputs, attributes, parameters: [1, 2, 3, 4, 5, 6, 7, 8] };
}
