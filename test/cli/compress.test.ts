import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { mnistConvNet, writeGlyphs } from '../../models/index.js';
import type { Comparison, Report } from '../../src/index.js';
import { inFolder, run } from './run.js';

it('compresses a model, reports it, and compare agrees with the report', async () => {
  await inFolder(async (folder) => {
    await writeGlyphs(folder.of('glyphs'), { train: 300, test: 60 });
    const model = await folder.put('in.onnx', mnistConvNet({ init: 'he', widths: [2, 3, 8] }));
    const data = ['--data', folder.of('glyphs'), '--scale', '1/255', '--threads', '1'];
    const brief = ['--epochs', '1', '--recover-epochs', '1', '--augment', 'none', '--seed', '3'];
    const first = await run(model, folder.of('out.onnx'), ...data, ...brief, '--json', folder.of('report.json'));
    expect(first).toMatchObject({ exit: 0 });
    expect(first.out).toContain('accuracy on 60 test samples.');
    expect(first.err).toMatch(/^inspect: .*\n[\s\S]*sparsify: .*\n[\s\S]*recover: [\s\S]*validate: [\s\S]*write: /);
    expect((await readdir(folder.path)).sort()).toEqual(['glyphs', 'in.onnx', 'out.onnx', 'report.json']);

    const report: Report = JSON.parse(await readFile(folder.of('report.json'), 'utf8'));
    expect(report).toMatchObject({
      schemaVersion: 1,
      command: 'compress',
      run: {
        engine: 'onnxruntime',
        provider: 'cpu',
        threads: 1,
        seed: 3,
        outcome: 'completed',
        samplesPerSecond: expect.any(Number),
      },
      data: { format: 'idx', trainSamples: 270, valSamples: 30, testSamples: 60, classes: 10 },
      preprocessing: { scale: 1 / 255 },
      before: { metric: { name: 'accuracy', on: 'test', samples: 60 }, drift: null },
    });
    for (const facts of [report.before, report.afterStrip, report.after]) {
      for (const n of [facts.params, facts.macs, facts.bytes, facts.latencyMs.p50, facts.latencyMs.p95])
        expect(n).toBeGreaterThan(0);
    }
    expect(report.output!.bytes).toBe((await readFile(folder.of('out.onnx'))).length);

    const second = await run(
      'compare',
      model,
      folder.of('out.onnx'),
      ...data,
      '--json',
      folder.of('c.json'),
      '--quiet',
    );
    expect(second).toMatchObject({ exit: 0, err: '' });
    const comparison: Comparison = JSON.parse(await readFile(folder.of('c.json'), 'utf8'));
    for (const [ours, theirs] of [
      [comparison.a, report.before],
      [comparison.b, report.after],
    ]) {
      expect(ours).toMatchObject({
        params: theirs.params,
        macs: theirs.macs,
        bytes: theirs.bytes,
        metric: theirs.metric,
      });
    }
    expect(comparison.a.sha256).toBe(report.input.sha256);
    expect(comparison.b.sha256).toBe(report.output!.sha256);
  });
});
