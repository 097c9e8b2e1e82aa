import { makeGraph, makeModel, makeNode, makeTensor, makeValueInfo } from '../onnx/make.js';
import type { ModelProto, NodeProto, TensorProto } from '../onnx/proto.js';
import { analyse } from '../shape/analyse.js';
import { Random } from '../tensor/random.js';
import { float32, int64, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { StepGraph } from './engine.js';
import type { EnginePlace } from './engines.js';
import { type Network, type NetworkOptions, openNetwork } from './network.js';
import type { Patience } from './remote.js';
import { feedNames } from './step.js';
import { lossApart } from './trial.js';

/** A device or library that is worth anything loads and answers a tiny net within this. */
export const TEST_PATIENCE: Patience = { first: 120, again: 60 };

const BATCH = 8;
const CLASSES = 5;
const STEPS = 10;
const ADAM = { name: 'adam', beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 } as const;

/**
 * Trains a tiny net for ten steps on a device and on the cpu: convolutions (strided, depthwise, with six and nine channels),
 * norms by batch, pools, attention, CGES.
 * @returns what is wrong with the device, or undefined
 */
export async function selfTest(place: Omit<EnginePlace, 'threads'>): Promise<string | undefined> {
  try {
    const file = { path: 'self-test', folder: '.', bytes: new Uint8Array(), model: tinyNet() };
    const analysis = await analyse(file);
    const options: NetworkOptions = {
      loss: 'cross-entropy',
      output: 0,
      batch: BATCH,
      microBatches: 1,
      batchNorm: 'live',
      optimizer: ADAM,
      clipNorm: 5,
      sparsity: { regularizer: 'cges', grouping: 'channel', m: 0.2, savingExponent: 0.5, adaptivity: 2 },
      provider: 'cpu',
      threads: 1,
    };
    const device = await openNetwork(file, analysis, { ...options, ...place, patience: TEST_PATIENCE });
    try {
      const cpu = await openNetwork(file, analysis, options);
      try {
        return lossApart(await lossesOf(device), await lossesOf(cpu));
      } finally {
        await cpu.close();
      }
    } finally {
      await device.close();
    }
  } catch (error) {
    return (error as Error).message;
  }
}

async function lossesOf({ run, step }: Network): Promise<Float32Array> {
  return (await run.run(feedsOf(step))).loss;
}

function feedsOf(step: StepGraph): Record<string, Tensor> {
  const random = Random.stream(3, 1);
  const scalars: Record<string, number> = { [feedNames.rate]: 0.002, [feedNames.lambda]: 0.01 };
  return Object.fromEntries(
    step.feeds.map(({ name, dtype, shape }): [string, Tensor] => {
      const dims = [STEPS, ...shape];
      if (name === feedNames.target)
        return [
          name,
          { dtype, dims, data: BigInt64Array.from({ length: sizeOf(dims) }, () => BigInt(random.below(CLASSES))) },
        ];
      const fixed = shape.length === 0 ? (scalars[name] ?? 1.5) : undefined;
      return [
        name,
        float32(
          dims,
          Float32Array.from({ length: sizeOf(dims) }, () => fixed ?? random.normal()),
        ),
      ];
    }),
  );
}

function tinyNet(): ModelProto {
  const node: NodeProto[] = [];
  const initializer: TensorProto[] = [];
  const random = Random.stream(2, 1);
  const op = (type: string, inputs: string[], attributes: Parameters<typeof makeNode>[3] = {}, output?: string) => {
    const name = output ?? `${type}_${node.length}`;
    node.push(makeNode(type, inputs, [name], attributes, { name }));
    return name;
  };
  const constant = (name: string, tensor: Tensor) => {
    initializer.push(makeTensor(name, tensor));
    return name;
  };
  const weight = (name: string, dims: number[], shift = 0) => {
    const scale = 1 / Math.sqrt(Math.max(1, sizeOf(dims.slice(1))));
    const data = Float32Array.from({ length: sizeOf(dims) }, () => shift + scale * random.normal());
    return constant(name, float32(dims, data));
  };
  const conv = (x: string, name: string, dims: number[], attributes: Record<string, number | number[]> = {}) =>
    op('Conv', [x, weight(`${name}.w`, dims), weight(`${name}.b`, [dims[0]])], {
      kernel_shape: dims.slice(2),
      pads: dims.slice(2).flatMap((k) => [k >> 1, k >> 1]), // kernels are square
      ...attributes,
    });
  const norm = (x: string, name: string, c: number) =>
    op('BatchNormalization', [
      x,
      weight(`${name}.scale`, [c], 1),
      weight(`${name}.shift`, [c]),
      constant(`${name}.mean`, float32([c], new Float32Array(c))),
      constant(`${name}.var`, float32([c], new Float32Array(c).fill(1))),
    ]);

  let x = op('Relu', [norm(conv('input', 'conv1', [6, 3, 3, 3]), 'norm1', 6)]);
  x = op('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  x = op('Relu', [norm(conv(x, 'conv2', [12, 6, 3, 3], { strides: [2, 2] }), 'norm2', 12)]);
  x = op('Relu', [conv(x, 'depthwise', [12, 1, 3, 3], { group: 12 })]);
  x = op('Sigmoid', [conv(x, 'pointwise', [9, 12, 1, 1])]);
  x = op('AveragePool', [conv(x, 'conv3', [16, 9, 3, 3])], { kernel_shape: [2, 2], strides: [1, 1] });
  x = op('Transpose', [op('Reshape', [x, constant('rows', int64([3], [0, 16, -1]))])], { perm: [0, 2, 1] });
  const key = op('MatMul', [x, weight('key.w', [16, 16])]);
  const scores = op('MatMul', [
    op('MatMul', [x, weight('query.w', [16, 16])]),
    op('Transpose', [key], { perm: [0, 2, 1] }),
  ]);
  x = op('Add', [x, op('MatMul', [op('Softmax', [scores], { axis: -1 }), x])]);
  x = op('LayerNormalization', [x, weight('norm3.scale', [16], 1), weight('norm3.shift', [16])]);
  x = op('ReduceMean', [x], { axes: [1], keepdims: 0 });
  op('Gemm', [x, weight('head.w', [CLASSES, 16]), weight('head.b', [CLASSES])], { transB: 1 }, 'logits');
  const graph = makeGraph({
    node,
    initializer,
    input: [makeValueInfo('input', 'float32', ['N', 3, 12, 12])],
    output: [makeValueInfo('logits', 'float32', ['N', CLASSES])],
  });
  return makeModel(graph, 17);
}
