import type { Attributes } from '../onnx/attributes.js';
import { float32 } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { wholeNumbers } from './quantised.js';
import type { ChannelRule, Example, OpSpec } from './spec.js';
import { elementwise } from './unary.js';

/** @returns the spec of an operator [X, scale, zero, Y scale, Y zero] on one quantised operand. */
export function quantisedUnary(
  op: string,
  channels: ChannelRule = elementwise,
  examples: readonly Example[] = [quantisedExample('any shape', [2, 3, 4])],
): OpSpec {
  return {
    op,
    domain: 'com.microsoft',
    inputs: ['X', 'X_scale', 'X_zero_point?', 'Y_scale', 'Y_zero_point?'],
    outputs: ['Y'],
    grad: wholeNumbers,
    channels,
    examples,
  };
}

export function quantisedExample(title: string, x: readonly number[], attributes?: Example['attributes']): Example {
  const inputs = [
    quantised('uint8', x),
    float32([], [0.02]),
    zeroPoint('uint8', 120),
    float32([], [0.01]),
    zeroPoint('uint8', 100),
  ];
  return { title, inputs, attributes, parameters: [1, 2, 3, 4] };
}

/** Whether the channels are the last axis (an attribute of onnxruntime's own pools and convolutions). */
export function channelsLast(attrs: Attributes): boolean {
  return attrs.int('channels_last', 0) !== 0;
}
