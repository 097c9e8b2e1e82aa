import type { AttributeValue } from '../src/onnx/attributes.js';
import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../src/onnx/make.js';
import type { ModelProto, NodeProto, TensorProto } from '../src/onnx/proto.js';
import { Random } from '../src/tensor/random.js';
import { float32, int64, sizeOf, type Tensor } from '../src/tensor/tensor.js';

/** How weights begin: He's normal distribution with zero biases, or the paper's truncated normal with constant biases. */
export type Init = 'he' | { readonly stddev: number; readonly bias: number };

/** A value of the net under construction; `shape` leaves out the batch axis. */
export interface Feature {
  readonly name: string;
  readonly shape: readonly number[];
}

interface ConvOptions {
  readonly kernel?: number;
  readonly stride?: number;
  /** Zero padding on every side. Default: keeps the size at stride 1. */
  readonly pad?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

/** Emits a small convolutional or dense net with seeded weights: NCHW, a free batch axis, opset 17. */
export class Net {
  private readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [];
  private readonly random: Random;
  private readonly numbers = new Map<string, number>();
  private readonly init: Init;
  private source: Feature = { name: '', shape: [] };

  constructor(options: { seed: number; init?: Init }) {
    this.random = Random.stream(options.seed, 0x4e65);
    this.init = options.init ?? 'he';
  }

  input(shape: readonly number[], name = 'input'): Feature {
    this.source = { name, shape };
    return this.source;
  }

  /** Convolution, weights [out, in/groups, k, k]. */
  conv(x: Feature, out: number, options: ConvOptions = {}): Feature {
    const { kernel = 3, stride = 1, pad = (kernel - 1) >> 1, groups = 1, bias = true } = options;
    const [channels, height, width] = x.shape;
    const name = this.fresh('conv');
    const dims = [out, channels / groups, kernel, kernel];
    const size = (n: number) => Math.floor((n + 2 * pad - kernel) / stride) + 1;
    const inputs = [x.name, this.weight(`${name}.weight`, dims, sizeOf(dims.slice(1)))];
    if (bias) inputs.push(this.bias(`${name}.bias`, out));
    return this.node('Conv', inputs, [out, size(height), size(width)], name, {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      ...(groups > 1 && { group: groups }),
    });
  }

  /** Fully connected layer on a flat feature, weights [out, in]. */
  dense(x: Feature, out: number): Feature {
    const name = this.fresh('dense');
    const inputs = [
      x.name,
      this.weight(`${name}.weight`, [out, x.shape[0]], x.shape[0]),
      this.bias(`${name}.bias`, out),
    ];
    return this.node('Gemm', inputs, [out], name, { transB: 1 });
  }

  batchNorm(x: Feature): Feature {
    const name = this.fresh('bn');
    const vector = (part: string, value: number) =>
      this.constant(`${name}.${part}`, float32([x.shape[0]], new Float32Array(x.shape[0]).fill(value)));
    const inputs = [x.name, vector('weight', 1), vector('bias', 0), vector('mean', 0), vector('var', 1)];
    return this.node('BatchNormalization', inputs, x.shape, name, { epsilon: { float: 1e-5 } });
  }

  relu(x: Feature): Feature {
    return this.node('Relu', [x.name], x.shape, this.fresh('relu'));
  }

  relu6(x: Feature): Feature {
    const bounds = [this.once('zero', float32([], [0])), this.once('six', float32([], [6]))];
    return this.node('Clip', [x.name, ...bounds], x.shape, this.fresh('relu6'));
  }

  dropout(x: Feature, ratio: number): Feature {
    return this.node(
      'Dropout',
      [x.name, this.once(`dropout.${ratio}`, float32([], [ratio]))],
      x.shape,
      this.fresh('dropout'),
    );
  }

  maxPool(x: Feature, kernel = 2, stride = kernel, pad = 0): Feature {
    const size = (n: number) => Math.floor((n + 2 * pad - kernel) / stride) + 1;
    return this.node('MaxPool', [x.name], [x.shape[0], size(x.shape[1]), size(x.shape[2])], this.fresh('pool'), {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    });
  }

  globalAveragePool(x: Feature): Feature {
    return this.node('GlobalAveragePool', [x.name], [x.shape[0], 1, 1], this.fresh('pool'));
  }

  flatten(x: Feature): Feature {
    return this.node('Flatten', [x.name], [sizeOf(x.shape)], this.fresh('flatten'), { axis: 1 });
  }

  add(a: Feature, b: Feature): Feature {
    return this.node('Add', [a.name, b.name], a.shape, this.fresh('add'));
  }

  concat(parts: readonly Feature[]): Feature {
    const channels = parts.reduce((sum, p) => sum + p.shape[0], 0);
    const names = parts.map((p) => p.name);
    return this.node('Concat', names, [channels, ...parts[0].shape.slice(1)], this.fresh('concat'), { axis: 1 });
  }

  /** Every second row and column: x[:, :, ::2, ::2]. */
  subsample(x: Feature): Feature {
    const bounds = [
      this.once('subsample.starts', int64([2], [0, 0])),
      this.once('subsample.ends', int64([2], [2 ** 31, 2 ** 31])),
      this.once('subsample.axes', int64([2], [2, 3])),
      this.once('subsample.steps', int64([2], [2, 2])),
    ];
    const shape = [x.shape[0], Math.ceil(x.shape[1] / 2), Math.ceil(x.shape[2] / 2)];
    return this.node('Slice', [x.name, ...bounds], shape, this.fresh('subsample'));
  }

  /** Adds zero channels before and behind. */
  padChannels(x: Feature, before: number, behind: number): Feature {
    const name = this.fresh('pad');
    const pads = this.constant(`${name}.pads`, int64([8], [0, before, 0, 0, 0, behind, 0, 0]));
    return this.node('Pad', [x.name, pads], [x.shape[0] + before + behind, ...x.shape.slice(1)], name);
  }

  /** @returns the model with `y` as its only output. */
  model(y: Feature, outputName = 'output'): ModelProto {
    const last = this.nodes.findLast((node) => node.output[0] === y.name)!;
    last.output = [outputName];
    return makeModel(
      makeGraph({
        name: 'net',
        node: this.nodes,
        initializer: this.initializers,
        input: [makeValueInfo(this.source.name, 'float32', ['batch', ...this.source.shape])],
        output: [makeValueInfo(outputName, 'float32', ['batch', ...y.shape])],
      }),
      17,
    );
  }

  private node(
    op: string,
    inputs: readonly string[],
    shape: readonly number[],
    name: string,
    attributes: Record<string, AttributeValue> = {},
  ): Feature {
    this.nodes.push(makeNode(op, inputs, [`${name}.out`], attributes, { name }));
    return { name: `${name}.out`, shape };
  }

  private fresh(kind: string): string {
    const n = (this.numbers.get(kind) ?? 0) + 1;
    this.numbers.set(kind, n);
    return `${kind}${n}`;
  }

  private weight(name: string, dims: readonly number[], fanIn: number): string {
    const data = new Float32Array(sizeOf(dims));
    if (this.init === 'he') {
      const stddev = Math.sqrt(2 / fanIn);
      for (let i = 0; i < data.length; i++) data[i] = stddev * this.random.normal();
    } else {
      for (let i = 0; i < data.length; i++) data[i] = this.init.stddev * this.truncatedNormal();
    }
    return this.constant(name, float32(dims, data));
  }

  private bias(name: string, size: number): string {
    const value = this.init === 'he' ? 0 : this.init.bias;
    return this.constant(name, float32([size], new Float32Array(size).fill(value)));
  }

  /** Draws again beyond two standard deviations, as TensorFlow does. */
  private truncatedNormal(): number {
    for (;;) {
      const x = this.random.normal();
      if (Math.abs(x) <= 2) return x;
    }
  }

  private constant(name: string, tensor: Tensor): string {
    this.initializers.push(makeTensor(name, tensor));
    return name;
  }

  private once(name: string, tensor: Tensor): string {
    return this.initializers.some((t) => t.name === name) ? name : this.constant(name, tensor);
  }
}
