import type { ModelProto } from '../src/onnx/proto.js';
import { type Feature, Net } from './net.js';

export interface MlpOptions {
  readonly seed?: number;
  readonly inputs?: number;
  readonly hidden?: readonly number[];
  readonly outputs?: number;
}

/** Dense layers with Relu between them; the output is logits. */
export function mlp(options: MlpOptions = {}): ModelProto {
  const { seed = 0, inputs = 42, hidden = [64, 32], outputs = 10 } = options;
  const net = new Net({ seed });
  let x: Feature = net.input([inputs]);
  for (const width of hidden) x = net.relu(net.dense(x, width));
  return net.model(net.dense(x, outputs));
}
