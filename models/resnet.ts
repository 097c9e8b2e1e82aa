import type { ModelProto } from '../src/onnx/proto.js';
import { type Feature, Net } from './net.js';

export interface ResnetOptions {
  readonly seed?: number;
  /** 6n + 2 layers: 20, 32, 44, 56, … */
  readonly depth?: number;
  /** Where a stage begins: `conv` - a strided 1×1 convolution; `pad` - every second pixel and zero channels (option A). */
  readonly shortcut?: 'conv' | 'pad';
  readonly widths?: readonly [number, number, number];
  readonly input?: readonly [number, number, number];
  readonly classes?: number;
}

/**
 * ResNet for CIFAR with BatchNormalization nodes.
 *
 * **Source**: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
 */
export function resnet(options: ResnetOptions = {}): ModelProto {
  const { seed = 0, depth = 20, shortcut = 'conv', widths = [16, 32, 64], input = [3, 32, 32], classes = 10 } = options;
  if ((depth - 2) % 6 !== 0 || depth < 8) throw new RangeError(`no such depth: ${depth} (6n + 2: 8, 14, 20, …, 56)`);
  const net = new Net({ seed });
  let x: Feature = net.relu(net.batchNorm(net.conv(net.input(input), widths[0], { bias: false })));
  widths.forEach((width, stage) => {
    for (let block = 0; block < (depth - 2) / 6; block++) {
      x = residual(net, x, width, stage > 0 && block === 0 ? 2 : 1, shortcut);
    }
  });
  return net.model(net.dense(net.flatten(net.globalAveragePool(x)), classes));
}

function residual(net: Net, x: Feature, width: number, stride: number, shortcut: 'conv' | 'pad'): Feature {
  const inner = net.relu(net.batchNorm(net.conv(x, width, { stride, bias: false })));
  const branch = net.batchNorm(net.conv(inner, width, { bias: false }));
  return net.relu(net.add(branch, shortcutOf(net, x, width, stride, shortcut)));
}

function shortcutOf(net: Net, x: Feature, width: number, stride: number, shortcut: 'conv' | 'pad'): Feature {
  if (stride === 1 && x.shape[0] === width) return x;
  if (shortcut === 'conv') return net.batchNorm(net.conv(x, width, { kernel: 1, stride, bias: false }));
  const added = width - x.shape[0];
  return net.padChannels(net.subsample(x), added >> 1, added - (added >> 1));
}
