import { describe, expect, it } from 'vitest';
import { engineOf } from '../../src/train/engines.js';
import { buildStep, initialState, type StepOptions } from '../../src/train/step.js';
import { worst } from './evaluate.js';
import { feedsOf, tinyNet } from './net.js';
import { webgpuReason } from './webgpu.js';

const why = await webgpuReason();

describe('training on webgpu', () => {
  it.skipIf(why)(`gives the losses of the cpu${why ? ` (skipped: ${why})` : ''}`, async () => {
    const graph = tinyNet(16);
    const options: StepOptions = {
      loss: 'cross-entropy',
      output: 0,
      batchNorm: 'frozen',
      optimizer: { name: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0 },
      proximal: {
        regularizer: 'cges',
        grouping: 'channel',
        m: 0.2,
        families: [
          {
            name: 'hidden',
            count: 8,
            parts: [{ parameter: 'w1', axis: 1, map: Int32Array.from({ length: 8 }, (_, i) => i) }],
          },
        ],
        layers: [
          { parameter: 'w1', outAxis: 1 },
          { parameter: 'w2', outAxis: 1 },
        ],
      },
    };
    const step = buildStep(graph, options);
    const feeds = feedsOf(10, [16], 1, { rate: 0.05, lambda: 0.01 });
    const cpu = await engineOf({ provider: 'cpu', threads: 1 }).load(step, initialState(graph, step));
    const expected = await cpu.run(feeds);
    const gpu = await engineOf({ provider: 'webgpu', threads: 1 }).load(step, initialState(graph, step));
    const actual = await gpu.run(feeds);
    expect(worst(actual.loss, expected.loss).error).toBeLessThan(1e-3);
    const [a, b] = [await cpu.state(), await gpu.state()];
    for (const [name, t] of a)
      expect(worst(b.get(name)!.data as Float32Array, t.data as Float32Array).error, name).toBeLessThan(1e-3);
    await gpu.close();
    await cpu.close();
  });
});
