import { mnistConvNet, resnet } from '../models/index.js';
import type { ModelProto } from '../src/onnx/proto.js';
import { analyse } from '../src/shape/analyse.js';
import { Random } from '../src/tensor/random.js';
import { sizeOf, type Tensor } from '../src/tensor/tensor.js';
import type { FeedSlot } from '../src/train/engine.js';
import { type NetworkOptions, openNetwork } from '../src/train/network.js';
import { feedNames } from '../src/train/step.js';
import { macsOf } from '../src/validate/macs.js';

/** Training steps of one network, as they are timed here and in PyTorch. */
export interface Workload {
  readonly name: 'resnet20' | 'mnist';
  readonly title: string;
  readonly batch: number;
  /** Steps of one round: about a second. */
  readonly steps: number;
  readonly momentum: number;
  /** λ of the proximal step, whole units as groups; absent: none. */
  readonly lambda?: number;
  readonly rate: number;
  model(): ModelProto;
}

export const workloads: readonly Workload[] = [
  {
    name: 'resnet20',
    title: 'ResNet-20, 32×32, batch 128, SGD with momentum, live BatchNormalization',
    batch: 128,
    steps: 3,
    momentum: 0.9,
    rate: 0.01,
    model: () => resnet({ shortcut: 'pad' }),
  },
  {
    name: 'mnist',
    title: "the paper's MNIST net, batch 100, SGD, with the proximal CGES step",
    batch: 100,
    steps: 12,
    momentum: 0,
    lambda: 6e-5,
    rate: 0.01,
    model: () => mnistConvNet(),
  },
];

/** A compiled training step with data to run it on. */
export interface TimedStep {
  /** Multiply–accumulates of the forward pass for the whole batch. */
  readonly macs: number;
  readonly engine: string;
  /** Runs one round. @returns milliseconds per step */
  round(): Promise<number>;
  close(): Promise<void>;
}

/** Compiles a workload and warms it up. */
export async function openTimedStep(
  workload: Workload,
  threads: number,
  engine: NetworkOptions['engine'] = 'onnxruntime',
): Promise<TimedStep> {
  const { batch, steps, momentum, lambda, rate } = workload;
  const file = { path: '', folder: '.', bytes: new Uint8Array(), model: workload.model() };
  const analysis = await analyse(file);
  const options: NetworkOptions = {
    loss: 'cross-entropy',
    output: 0,
    batch,
    microBatches: 1,
    batchNorm: 'live',
    optimizer: { name: 'sgd', momentum, nesterov: false, weightDecay: 0 },
    sparsity: lambda === undefined ? undefined : { regularizer: 'cges', grouping: 'channel', m: 0.2 },
    engine,
    provider: 'cpu',
    threads,
  };
  const network = await openNetwork(file, analysis, options);
  const { run, step } = network;
  const scalars = { [feedNames.rate]: rate, [feedNames.lambda]: lambda ?? 0 };
  // Feeds are handed over to the engine's thread: every round needs its own.
  const feeds = () => Object.fromEntries(step.feeds.map((slot, i) => [slot.name, feed(slot, steps, i, scalars)]));
  const round = async () => {
    const prepared = feeds();
    const started = performance.now();
    const { loss } = await run.run(prepared);
    const ms = (performance.now() - started) / steps;
    if (!loss.every(Number.isFinite)) throw new Error(`the loss of ${workload.name} is no longer finite`);
    return ms;
  };
  await round();
  return { macs: macsOf(analysis) * batch, engine: run.engine, round, close: () => network.close() };
}

/** @returns a feed for so many steps: labels, numbers in [0, 1), or the given scalar. */
export function feed(
  slot: FeedSlot,
  steps: number,
  stream: number,
  scalars: Readonly<Record<string, number>>,
  classes = 10,
): Tensor {
  const dims = [steps, ...slot.shape];
  const random = Random.stream(0, stream);
  const size = sizeOf(dims);
  if (slot.dtype === 'int64') {
    return { dtype: 'int64', dims, data: BigInt64Array.from({ length: size }, () => BigInt(random.below(classes))) };
  }
  const constant = scalars[slot.name];
  const value = constant === undefined ? () => random.uniform() : () => constant;
  return { dtype: 'float32', dims, data: Float32Array.from({ length: size }, value) };
}
