import type { ModelProto } from '../src/onnx/proto.js';
import { type Feature, Net } from './net.js';

export interface MobileNetLikeOptions {
  readonly seed?: number;
  readonly input?: readonly [number, number, number];
  readonly stem?: number;
  /** Width and stride of every depthwise-separable block. */
  readonly blocks?: readonly (readonly [width: number, stride: number])[];
  readonly classes?: number;
}

/** Depthwise-separable blocks with BatchNormalization and Relu6, after MobileNet v1. */
export function mobileNetLike(options: MobileNetLikeOptions = {}): ModelProto {
  const {
    seed = 0,
    input = [3, 32, 32],
    stem = 16,
    blocks = [
      [32, 1],
      [64, 2],
      [64, 1],
      [128, 2],
      [128, 1],
    ],
    classes = 10,
  } = options;
  const net = new Net({ seed });
  const convBn = (x: Feature, out: number, shape: Parameters<Net['conv']>[2]) =>
    net.relu6(net.batchNorm(net.conv(x, out, { ...shape, bias: false })));
  let x = convBn(net.input(input), stem, { kernel: 3 });
  for (const [width, stride] of blocks) {
    x = convBn(x, x.shape[0], { kernel: 3, stride, groups: x.shape[0] });
    x = convBn(x, width, { kernel: 1 });
  }
  return net.model(net.dense(net.flatten(net.globalAveragePool(x)), classes));
}
