import type { ModelProto } from '../src/onnx/proto.js';
import { type Feature, Net } from './net.js';

export interface Resnet50Options {
  readonly seed?: number;
  readonly input?: readonly [number, number, number];
  /** Blocks of each stage. Default: 50 layers; 3, 4, 23, 3 are 101. */
  readonly blocks?: readonly number[];
  /** Inner width of the first stage; each further stage doubles it, and a block gives four times its inner width. */
  readonly width?: number;
  readonly classes?: number;
}

/**
 * ResNet of bottleneck blocks for large images, strides in the 3×3 convolutions.
 *
 * **Source**: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1.
 * Strides stand in the 3×3 instead of the first 1×1, as today's trained models have them.
 */
export function resnet50(options: Resnet50Options = {}): ModelProto {
  const { seed = 0, input = [3, 224, 224], blocks = [3, 4, 6, 3], width = 64, classes = 1000 } = options;
  const net = new Net({ seed });
  const stem = net.relu(net.batchNorm(net.conv(net.input(input), width, { kernel: 7, stride: 2, bias: false })));
  let x: Feature = net.maxPool(stem, 3, 2, 1);
  blocks.forEach((count, stage) => {
    for (let block = 0; block < count; block++) {
      x = bottleneck(net, x, width * 2 ** stage, stage > 0 && block === 0 ? 2 : 1);
    }
  });
  return net.model(net.dense(net.flatten(net.globalAveragePool(x)), classes));
}

function bottleneck(net: Net, x: Feature, inner: number, stride: number): Feature {
  const outer = 4 * inner;
  const narrow = net.relu(net.batchNorm(net.conv(x, inner, { kernel: 1, bias: false })));
  const middle = net.relu(net.batchNorm(net.conv(narrow, inner, { stride, bias: false })));
  const wide = net.batchNorm(net.conv(middle, outer, { kernel: 1, bias: false }));
  const same = stride === 1 && x.shape[0] === outer;
  const shortcut = same ? x : net.batchNorm(net.conv(x, outer, { kernel: 1, stride, bias: false }));
  return net.relu(net.add(wide, shortcut));
}
