import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { distillOne } from '../../bench/zoo/distillOne.js';
import { missing, zooFile } from './zoo.js';

const trained = fileURLToPath(new URL('../../../shared/models/', import.meta.url));
const task = { mode: 'distill', ratio: 0.3, seed: 7, differences: false } as const;
const outputsOf = (result: { details?: unknown }) => (result.details as { outputs?: number }).outputs;

/** Real models, and how many outputs each learns. */
test.skipIf(!existsSync(trained)).each([
  ['mnist-cntk', 1],
  ['point-history-lstm', 1],
  ['dtln-1', 2],
  ['silero-vad', 2],
])('%s learns back what noise took from it', async (name, outputs) => {
  const result = await distillOne({ ...task, path: `${trained}${name}.onnx` });
  expect(result).toMatchObject({ outcome: 'ok' });
  expect(outputsOf(result)).toBe(outputs);
});

test.skipIf(missing).each(['lenet5.train', 'gru_tagger.train', 'hf_albert_mlm.train', 'siamese_cosine.train'])(
  '%s learns back what noise took from it',
  async (name) => {
    const files = { path: zooFile(`${name}.onnx`), reference: zooFile(`${name}.json`) };
    expect(await distillOne({ ...task, ...files })).toMatchObject({ outcome: 'ok' });
  },
);
