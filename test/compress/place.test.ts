import { describe, expect, it } from 'vitest';
import { mlp } from '../../models/mlp.js';
import { placeOf } from '../../src/compress/place.js';
import { compress } from '../../src/compress.js';
import type { Choice } from '../../src/report/schema.js';
import { Random } from '../../src/tensor/random.js';
import { inFolder } from '../cli/run.js';
import { bytesOf, npy } from '../data/files.js';
import { tfjsReason } from '../train/tfjs.js';

const HOME = { engine: 'onnxruntime', provider: 'cpu' } as const;

function listening() {
  const choices: Choice[] = [];
  const warnings: string[] = [];
  return {
    choices,
    warnings,
    choose: (c: Choice) => choices.push(c),
    warn: (message: string) => warnings.push(message),
  };
}

describe('the place of training', () => {
  it('stays with TensorFlow.js where a step of the model is faster by a tenth, and says by how much', () => {
    const told = listening();
    const place = placeOf({ engine: 'tfjs', provider: 'cpu' }, false, told);
    expect(place).toMatchObject({ name: 'tfjs', asked: false, isHome: false, proved: false });
    place.prove({ device: 0.028, cpu: 0.056 });
    expect(place).toMatchObject({ isHome: false, proved: true });
    expect(told).toMatchObject({
      warnings: [],
      choices: [{ what: 'engine', value: 'tfjs', why: 'a step of this model takes 28.0 ms, 56.0 ms on onnxruntime' }],
    });
  });

  it('goes to onnxruntime where that is as fast', () => {
    const told = listening();
    const place = placeOf({ engine: 'tfjs', provider: 'cpu' }, false, told);
    place.prove({ device: 0.055, cpu: 0.056 });
    expect(place.now()).toEqual(HOME);
    expect(told.choices).toEqual([
      { what: 'engine', value: 'onnxruntime', why: 'a step of this model takes 56.0 ms, 55.0 ms on tfjs' },
    ]);
  });

  it('keeps a device that is as fast as the processor, and leaves a slower one', () => {
    const told = listening();
    const place = placeOf({ engine: 'onnxruntime', provider: 'webgpu' }, false, told);
    place.prove({ device: 0.055, cpu: 0.056 });
    expect(place.now().provider).toBe('webgpu');
    expect(told.choices).toEqual([]);
    const slow = placeOf({ engine: 'onnxruntime', provider: 'webgpu' }, false, told);
    slow.prove({ device: 0.3, cpu: 0.056 });
    expect(slow.now()).toEqual(HOME);
    expect(told.choices).toEqual([
      { what: 'provider', value: 'cpu', why: 'a step of this model takes 56.0 ms, 300 ms on webgpu' },
    ]);
  });

  it('is left with a warning where steps come out wrongly', () => {
    const told = listening();
    const place = placeOf({ engine: 'tfjs', provider: 'cpu' }, true, told);
    place.prove();
    place.leave('tfjs computes the training step wrongly: its loss is 2, not 1');
    expect(place.now()).toEqual(HOME);
    expect(told).toMatchObject({
      choices: [],
      warnings: ["training runs on onnxruntime's cpu: tfjs computes the training step wrongly: its loss is 2, not 1"],
    });
  });
});

const why = tfjsReason();

describe.skipIf(why)(`a job with TensorFlow.js${why ? ` (skipped: ${why})` : ''}`, () => {
  it.each(['auto', 'tfjs'] as const)('reports what ran: %s', { timeout: 60_000 }, async (engine) => {
    await inFolder(async (folder) => {
      const input = await folder.put('in.onnx', mlp({ seed: 1, inputs: 6, hidden: [24, 12], outputs: 3 }));
      const random = new Random(5);
      const data = await folder.put(
        'x.npy',
        npy('<f4', [500, 6], bytesOf(Float32Array.from({ length: 3000 }, () => random.normal()))),
      );
      const brief = { threads: 1, epochs: 2, recoverEpochs: 2, batch: 32 };
      const report = await compress({ ...brief, input, data, output: folder.of('out.onnx'), engine });
      const chosen = report.choices.find((c) => c.what === 'engine');
      expect(report.warnings.filter((w) => w.startsWith('training runs on'))).toEqual([]);
      if (engine === 'auto') expect(chosen?.why).toMatch(/^a step of this model takes .* ms, .* ms on /);
      else expect(chosen).toBeUndefined();
      expect(report.run.engine).toBe(engine === 'auto' ? chosen!.value : 'tfjs');
    });
  });
});
