import { expect } from 'vitest';
import { mnistConvNet, resnet } from '../../models/index.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { analyse } from '../../src/shape/analyse.js';
import { Random } from '../../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import { type Network, type NetworkOptions, openNetwork } from '../../src/train/network.js';
import { feedNames } from '../../src/train/step.js';
import { transformer } from './transformer.js';

/** A net, and how hard it is pressed: so that some of its units die in 50 steps, and not all. */
export interface Case {
  readonly title: string;
  readonly model: () => ModelProto;
  /** The same net at a size that a device in software can do. */
  readonly small?: Partial<Case>;
  readonly batch: number;
  readonly rate: number;
  readonly lambda: number;
  readonly microBatches?: number;
  readonly optimizer?: NetworkOptions['optimizer'];
}

const SGD = { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 1e-4 } as const;
const ADAM = { name: 'adam', beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 } as const;
const STEPS = 50;

export const cases: readonly Case[] = [
  {
    title: 'the MNIST conv net',
    model: () => mnistConvNet({ init: 'he', widths: [16, 32, 64] }),
    batch: 16,
    rate: 0.002,
    lambda: 0.03,
    small: { model: () => mnistConvNet({ init: 'he', widths: [4, 8, 16] }), batch: 4 },
  },
  {
    title: 'the MNIST conv net, in two batches per step, by Adam',
    model: () => mnistConvNet({ init: 'he', widths: [8, 16, 32] }),
    batch: 8,
    rate: 0.001,
    lambda: 0.02,
    microBatches: 2,
    optimizer: ADAM,
    small: { model: () => mnistConvNet({ init: 'he', widths: [4, 8, 16] }), batch: 2 },
  },
  {
    title: 'ResNet-20 with live BatchNormalization',
    model: () => resnet({ input: [3, 16, 16] }),
    batch: 32,
    rate: 0.0005,
    lambda: 0.2,
    small: { model: () => resnet({ input: [3, 8, 8], widths: [4, 8, 16] }), batch: 8, rate: 0.001, lambda: 0.3 },
  },
  {
    title: 'a small transformer',
    model: () => transformer({ blocks: 2, tokens: 6, width: 16, heads: 2, classes: 10 }),
    batch: 16,
    rate: 0.02,
    lambda: 0.03,
  },
];

type Place = Pick<NetworkOptions, 'engine' | 'provider'>;

async function open(net: Case, place: Place): Promise<Network> {
  const file = { path: '', folder: '.', bytes: new Uint8Array(), model: net.model() };
  return openNetwork(file, await analyse(file), {
    loss: 'cross-entropy',
    output: 0,
    batch: net.batch,
    microBatches: net.microBatches ?? 1,
    batchNorm: 'live',
    optimizer: net.optimizer ?? SGD,
    clipNorm: 5,
    sparsity: { regularizer: 'cges', grouping: 'channel', m: 0.2, savingExponent: 0.5, adaptivity: 2 },
    ...place,
    threads: 2,
  });
}

/** Every class has a picture of its own, under noise. */
function feedsFor({ step }: Network, net: Case): Record<string, Tensor> {
  const scalars: Record<string, number> = {
    [feedNames.rate]: net.rate,
    [feedNames.lambda]: net.lambda,
    [feedNames.correction1]: 1.5,
    [feedNames.correction2]: 1.5,
  };
  const random = Random.stream(5, 1);
  const input = step.feeds.find((f) => f.name === 'input')!;
  const rows = STEPS * net.batch * (net.microBatches ?? 1);
  const each = sizeOf(input.shape) / net.batch / (net.microBatches ?? 1);
  const pictures = Float32Array.from({ length: 10 * each }, () => random.normal());
  const labels = Array.from({ length: rows }, () => random.below(10));
  const data = Float32Array.from(
    { length: rows * each },
    (_, i) => pictures[labels[Math.floor(i / each)] * each + (i % each)] + 0.5 * random.normal(),
  );
  return Object.fromEntries(
    step.feeds.map((f): [string, Tensor] => {
      const dims = [STEPS, ...f.shape];
      if (f.name === 'input') return [f.name, float32(dims, data)];
      if (f.name === feedNames.target)
        return [f.name, { dtype: 'int64', dims, data: BigInt64Array.from(labels, BigInt) }];
      return [f.name, float32(dims, new Float32Array(sizeOf(dims)).fill(scalars[f.name]))];
    }),
  );
}

/** @returns the units all of whose weights are zero. */
async function deadUnits({ run, groups }: Network): Promise<Set<string>> {
  const state = await run.state();
  const dead = new Set<string>();
  for (const family of groups.families) {
    const norms = new Float64Array(family.count);
    for (const { parameter, axis, map } of family.parts) {
      const { dims, data } = state.get(parameter)!;
      const inner = sizeOf(dims.slice(axis + 1));
      (data as Float32Array).forEach((w, i) => {
        const unit = map[Math.floor(i / inner) % dims[axis]];
        if (unit >= 0) norms[unit] += Math.abs(w);
      });
    }
    norms.forEach((norm, unit) => {
      if (norm === 0) dead.add(`${family.name} ${unit}`);
    });
  }
  return dead;
}

function apart(a: Float32Array, b: Float32Array, steps: number): number {
  return a.subarray(0, steps).reduce((max, v, i) => Math.max(max, Math.abs(v - b[i]) / Math.abs(v)), 0);
}

/**
 * Trains a net by CGES on the cpu and elsewhere, from the same start, and holds the losses and the units that die against
 * each other.
 */
export async function follows(net: Case, place: Place): Promise<void> {
  const [expected, actual] = [await open(net, { provider: 'cpu' }), await open(net, place)];
  try {
    const feeds = feedsFor(expected, net);
    const [a, b] = [await expected.run.run(feeds), await actual.run.run(feeds)];
    expect(actual.run).toMatchObject({ engine: 'onnxruntime', ...place });
    expect(apart(a.loss, b.loss, 10)).toBeLessThan(1e-3);
    expect(apart(a.loss, b.loss, STEPS)).toBeLessThan(2e-2);
    const [here, there] = [await deadUnits(expected), await deadUnits(actual)];
    const units = expected.groups.families.reduce((sum, f) => sum + f.count, 0);
    expect(here.size).toBeGreaterThan(0);
    expect(here.size).toBeLessThan(units);
    expect([...here].filter((unit) => there.has(unit)).length).toBeGreaterThanOrEqual(0.95 * here.size);
    expect([...there].filter((unit) => here.has(unit)).length).toBeGreaterThanOrEqual(0.95 * there.size);
  } finally {
    await expected.close();
    await actual.close();
  }
}
