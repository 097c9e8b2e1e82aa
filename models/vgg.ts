import type { ModelProto } from '../src/onnx/proto.js';
import { type Feature, Net } from './net.js';

export interface VggOptions {
  readonly seed?: number;
  readonly input?: readonly [number, number, number];
  /** Convolutions' widths; a pool stands between the inner lists. Default: VGG-11. */
  readonly stages?: readonly (readonly number[])[];
  readonly batchNorm?: boolean;
  /** Width of the dense layer before the last one; 0 leaves it out. */
  readonly dense?: number;
  readonly classes?: number;
}

/** A VGG for small images: 3×3 convolutions in stages, a pool after each, dense layers on the flat rest. */
export function vgg(options: VggOptions = {}): ModelProto {
  const {
    seed = 0,
    input = [3, 32, 32],
    stages = [[64], [128], [256, 256], [512, 512], [512, 512]],
    batchNorm = true,
    dense = 512,
    classes = 10,
  } = options;
  const net = new Net({ seed });
  let x: Feature = net.input(input);
  for (const stage of stages) {
    for (const width of stage) {
      x = net.conv(x, width, { bias: !batchNorm });
      x = net.relu(batchNorm ? net.batchNorm(x) : x);
    }
    x = net.maxPool(x);
  }
  x = net.flatten(x);
  if (dense > 0) x = net.relu(net.dense(x, dense));
  return net.model(net.dense(x, classes));
}
