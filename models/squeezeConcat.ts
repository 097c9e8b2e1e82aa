import type { ModelProto } from '../src/onnx/proto.js';
import { type Feature, Net } from './net.js';

export interface SqueezeConcatOptions {
  readonly seed?: number;
  readonly input?: readonly [number, number, number];
  readonly stem?: number;
  /** Squeeze width and the width of each of the two expanding branches, per module; overlapping pools between. */
  readonly modules?: readonly (readonly [squeeze: number, expand: number])[];
  readonly classes?: number;
}

/** Fire modules after SqueezeNet: a 1×1 squeeze, then 1×1 and 3×3 branches that are concatenated; no dense layer. */
export function squeezeConcat(options: SqueezeConcatOptions = {}): ModelProto {
  const {
    seed = 0,
    input = [3, 32, 32],
    stem = 32,
    modules = [
      [8, 32],
      [16, 64],
      [24, 96],
    ],
    classes = 10,
  } = options;
  const net = new Net({ seed });
  let x: Feature = net.maxPool(net.relu(net.conv(net.input(input), stem)), 3, 2, 1);
  modules.forEach(([squeeze, expand], i) => {
    const s = net.relu(net.conv(x, squeeze, { kernel: 1 }));
    x = net.concat([net.relu(net.conv(s, expand, { kernel: 1 })), net.relu(net.conv(s, expand, { kernel: 3 }))]);
    if (i < modules.length - 1) x = net.maxPool(x, 3, 2, 1);
  });
  return net.model(net.flatten(net.globalAveragePool(net.conv(x, classes, { kernel: 1 }))));
}
