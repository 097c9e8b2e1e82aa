import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mlp } from '../../models/mlp.js';
import { compress } from '../../src/compress.js';
import { writeModel } from '../../src/onnx/write.js';
import type { CompressOptions } from '../../src/options.js';
import type { CompressEvent } from '../../src/report/events.js';
import { Random } from '../../src/tensor/random.js';

const folder = mkdtempSync(join(tmpdir(), 'cges-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

/** Two numbers decide the class, four are noise. */
function table(rows: number): string {
  const random = new Random(5);
  const lines = Array.from({ length: rows }, () => {
    const x = Array.from({ length: 6 }, () => random.normal());
    return [x[0] + x[1] > 0 ? (x[0] > x[1] ? 2 : 1) : 0, ...x.map((v) => v.toFixed(4))].join(',');
  });
  return `label,a,b,c,d,e,f\n${lines.join('\n')}\n`;
}

await writeModel(mlp({ seed: 1, inputs: 6, hidden: [12, 8], outputs: 3 }), at('in.onnx'));
writeFileSync(at('data.csv'), table(600));

const options = (output: string, more: Partial<CompressOptions> = {}): CompressOptions => ({
  input: at('in.onnx'),
  output: at(output),
  data: at('data.csv'),
  // An untrained net is near chance: its preprocessing has to be given.
  scale: 1,
  mean: [0],
  std: [1],
  epochs: 4,
  recoverEpochs: 4,
  batch: 32,
  lr: 0.01,
  threads: 1,
  ...more,
});

/** Stops a run at the nth progress event of a phase. */
async function interrupted(output: string, phase: string, after: number, checkpoint: string) {
  const stop = new AbortController();
  let seen = 0;
  const onEvent = (event: CompressEvent) => {
    if (event.type === 'progress' && event.phase === phase && ++seen === after) stop.abort();
  };
  return compress(options(output, { checkpoint, checkpointSeconds: 0, signal: stop.signal, onEvent }));
}

describe('a job with a checkpoint folder', () => {
  it('is the same, byte for byte, whether it was interrupted or not', async () => {
    await compress(options('whole.onnx'));
    const whole = readFileSync(at('whole.onnx'));
    for (const [phase, after] of [
      ['sparsify', 9],
      ['recover', 7],
    ] as const) {
      const checkpoint = at(`ckpt-${phase}`);
      const first = await interrupted('part.onnx', phase, after, checkpoint);
      expect(first.run.outcome).toBe('interrupted');
      expect(existsSync(join(checkpoint, 'checkpoint.onnx'))).toBe(true);
      const second = await compress(options('resumed.onnx', { checkpoint }));
      expect(second.choices.some((c) => c.what === 'checkpoint')).toBe(true);
      expect(second.run.outcome).toBe('completed');
      expect(readFileSync(at('resumed.onnx')).equals(whole), phase).toBe(true);
      expect(existsSync(join(checkpoint, 'checkpoint.onnx'))).toBe(false);
    }
  });

  it('refuses a checkpoint of other options, and says what to do', async () => {
    const checkpoint = at('ckpt-other');
    await interrupted('part.onnx', 'sparsify', 5, checkpoint);
    await expect(compress(options('x.onnx', { checkpoint, seed: 7 }))).rejects.toMatchObject({
      code: 'CHECKPOINT_INVALID',
    });
    writeFileSync(join(checkpoint, 'checkpoint.onnx'), 'damaged');
    await expect(compress(options('x.onnx', { checkpoint }))).rejects.toMatchObject({ code: 'CHECKPOINT_INVALID' });
  });
});

describe('a job', () => {
  it('gives the same bytes for the same seed', async () => {
    await compress(options('a.onnx', { seed: 3 }));
    await compress(options('b.onnx', { seed: 3 }));
    expect(readFileSync(at('a.onnx')).equals(readFileSync(at('b.onnx')))).toBe(true);
  });

  it('ends by the time budget with a valid model, and says so', async () => {
    const report = await compress(options('budget.onnx', { epochs: 5000, recoverEpochs: 5000, timeBudget: 4 }));
    expect(report.run.outcome).toBe('time budget');
    expect(existsSync(at('budget.onnx'))).toBe(true);
  });

  it('stops with an error and writes nothing when the loss diverges', async () => {
    await expect(compress(options('diverged.onnx', { optimizer: 'sgd', lr: 1e6 }))).rejects.toMatchObject({
      code: 'DIVERGED',
    });
    expect(existsSync(at('diverged.onnx'))).toBe(false);
  });
});
