import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mnistConvNet, writeGlyphs } from '../../models/index.js';
import { type ScratchOptions, trainFromScratch } from '../../models/trainFromScratch.js';
import { readWeight, weightsOf } from '../../src/onnx/weights.js';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scratch-'));
  await writeGlyphs(folder, { seed: 1, train: 90, test: 20 });
});

afterAll(() => rm(folder, { recursive: true }));

const train = async (options: Partial<ScratchOptions> = {}) => {
  const steps: number[] = [];
  const model = mnistConvNet({ seed: 3, init: 'he', widths: [2, 3, 8] });
  const { file, accuracy } = await trainFromScratch(model, {
    data: folder,
    steps: 7,
    batch: 20,
    seed: 3,
    threads: 1,
    dropout: { ratio: 0.5, before: 'dense2.weight' },
    onProgress: (p) => steps.push(p.step),
    ...options,
  });
  const weights = weightsOf(file.model.graph).map((w) => readWeight(w).data as Float32Array);
  return { weights, accuracy, steps: steps.at(-1), nodes: file.model.graph.node.map((n) => n.opType) };
};

it('ends after the given number of steps, in the middle of an epoch, with the model that went in', async () => {
  const { steps, accuracy, nodes } = await train();
  expect(steps).toBe(7);
  expect(accuracy).toBeGreaterThanOrEqual(0);
  expect(nodes).not.toContain('Dropout');
});

it('gives the same weights for the same seed, dropped units included', async () => {
  const [a, b] = [await train(), await train()];
  expect(a.weights).toEqual(b.weights);
  const other = await train({ dropout: undefined });
  expect(other.weights).not.toEqual(a.weights);
});

it('brings weights to exact zero with the reference groups', async () => {
  const { weights } = await train({
    sparsity: {
      regularizer: 'cges',
      m: 0.2,
      lambda: 20,
      layers: ['conv1', 'conv2', 'dense1', 'dense2'].map((name) => ({ parameter: `${name}.weight`, outAxis: 0 })),
    },
  });
  const zeros = weights.reduce((sum, w) => sum + w.filter((x) => x === 0).length, 0);
  expect(zeros).toBeGreaterThan(100);
  expect(weights.every((w) => w.every(Number.isFinite))).toBe(true);
});
