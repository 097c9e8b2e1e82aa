import { encoder, mnistConvNet, resnet, resnet50 } from '../models/index.js';
import type { ModelProto } from '../src/onnx/proto.js';
import type { Scale } from './place.js';

/** A net whose training step is timed on any engine and provider. */
export interface BenchNet {
  readonly name: string;
  readonly title: string;
  /** What a batch consists of. */
  readonly unit: 'img' | 'seq';
  readonly batch: Readonly<Record<Scale, number>>;
  readonly momentum: number;
  /** λ of the proximal step, whole units as groups; absent: none. */
  readonly lambda?: number;
  readonly rate: number;
  model(): ModelProto;
}

export const nets: readonly BenchNet[] = [
  {
    name: 'mnist',
    title: "the paper's MNIST net, SGD, with the proximal CGES step",
    unit: 'img',
    batch: { full: 100, small: 10 },
    momentum: 0,
    lambda: 6e-5,
    rate: 0.01,
    model: () => mnistConvNet(),
  },
  {
    name: 'resnet20',
    title: 'ResNet-20, 32×32, SGD with momentum, live BatchNormalization',
    unit: 'img',
    batch: { full: 128, small: 8 },
    momentum: 0.9,
    rate: 0.01,
    model: () => resnet({ shortcut: 'pad' }),
  },
  {
    name: 'resnet56',
    title: 'ResNet-56, 32×32, SGD with momentum, live BatchNormalization',
    unit: 'img',
    batch: { full: 128, small: 8 },
    momentum: 0.9,
    rate: 0.01,
    model: () => resnet({ depth: 56, shortcut: 'pad' }),
  },
  {
    name: 'resnet50',
    title: 'ResNet-50, 224×224, SGD with momentum, live BatchNormalization',
    unit: 'img',
    batch: { full: 64, small: 2 },
    momentum: 0.9,
    rate: 1e-4,
    model: () => resnet50(),
  },
  {
    name: 'bert',
    title: "an encoder of BERT's size, 12 layers, width 768, 128 tokens, SGD with momentum",
    unit: 'seq',
    batch: { full: 32, small: 1 },
    momentum: 0.9,
    rate: 1e-3,
    model: () => encoder(),
  },
];
