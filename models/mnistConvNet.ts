import type { ModelProto } from '../src/onnx/proto.js';
import { type Init, Net } from './net.js';

export interface MnistConvNetOptions {
  readonly seed?: number;
  /** Default: the paper's code, a truncated normal of deviation 0.1 and biases of 0.1. */
  readonly init?: Init;
  /** Share of the dense layer's units that training drops; 0 leaves the node out. */
  readonly dropout?: number;
  /** Channels of the two convolutions and the dense layer: smaller ones make the same net for the demo and tests. */
  readonly widths?: readonly [number, number, number];
  readonly classes?: number;
}

/**
 * The net of the CGES paper's MNIST experiment: 3,274,634 parameters at its own widths.
 *
 * **Source**: Yoon & Hwang, ICML 2017, as its released code builds it (there NHWC, here NCHW).
 */
export function mnistConvNet(options: MnistConvNetOptions = {}): ModelProto {
  const { seed = 0, init = { stddev: 0.1, bias: 0.1 }, dropout = 0, widths = [32, 64, 1024], classes = 10 } = options;
  const net = new Net({ seed, init });
  let x = net.input([1, 28, 28]);
  x = net.maxPool(net.relu(net.conv(x, widths[0], { kernel: 5 })));
  x = net.maxPool(net.relu(net.conv(x, widths[1], { kernel: 5 })));
  x = net.relu(net.dense(net.flatten(x), widths[2]));
  if (dropout > 0) x = net.dropout(x, dropout);
  return net.model(net.dense(x, classes));
}
