import { expect, test } from 'vitest';
import { distillOne } from '../../bench/zoo/distillOne.js';
import { gradientsOne } from '../../bench/zoo/gradientsOne.js';
import type { Task } from '../../bench/zoo/result.js';
import { stripOne } from '../../bench/zoo/stripOne.js';
import { mlp } from '../../models/index.js';
import { makeGraph, makeModel, makeNode, makeValueInfo } from '../../src/onnx/make.js';
import { inFolder } from '../cli/run.js';

const task = (mode: Task['mode'], path: string): Task => ({ mode, path, ratio: 0.5, seed: 1, differences: true });

test('a model of a folder is stripped and its gradients are checked', async () => {
  await inFolder(async (folder) => {
    const path = await folder.put('net.onnx', mlp({ inputs: 4, hidden: [8], outputs: 3 }));
    expect(await stripOne(task('strip', path))).toMatchObject({
      outcome: 'ok',
      units: { of: 8, zeroed: 4, gone: 4 },
      params: { before: 67, after: 35 },
    });
    expect(await gradientsOne(task('gradients', path))).toMatchObject({
      outcome: 'ok',
      gradients: { ok: 4, WRONG: 0 },
    });
    const without = { ...task('gradients', path), differences: false };
    expect(await gradientsOne(without)).toEqual({ outcome: 'skipped', why: 'there are no reference gradients' });
  });
});

test('a disturbed model learns the original again', async () => {
  await inFolder(async (folder) => {
    const path = await folder.put('net.onnx', mlp({ inputs: 4, hidden: [8], outputs: 3 }));
    const result = await distillOne(task('distill', path));
    expect(result).toMatchObject({ outcome: 'ok', details: { outputs: 1, trained: 4, steps: 48 } });
    expect(result.distilled!.after).toBeLessThan(0.5 * result.distilled!.before);
    expect(await distillOne(task('distill', path))).toEqual(result);
  });
});

test('what cannot be read, cut or trained is refused with the reason', async () => {
  await inFolder(async (folder) => {
    const text = await folder.put('text.onnx', 'no model');
    const graph = makeGraph({
      node: [makeNode('Relu', ['x'], ['y'])],
      input: [makeValueInfo('x', 'float32', ['batch', 3])],
      output: [makeValueInfo('y', 'float32', ['batch', 3])],
    });
    const bare = await folder.put('bare.onnx', makeModel(graph, 17));
    for (const path of [text, bare]) {
      for (const [mode, run] of [
        ['strip', stripOne],
        ['gradients', gradientsOne],
        ['distill', distillOne],
      ] as const) {
        const result = await run(task(mode, path));
        expect(result).toMatchObject({ outcome: 'refused', why: expect.stringMatching(/./) });
      }
    }
  });
});

test('a wrong reference is noticed', async () => {
  await inFolder(async (folder) => {
    const path = await folder.put('net.onnx', mlp({ inputs: 4, hidden: [8], outputs: 3 }));
    const params = { 'dense1.weight': { l2: 1e3, dot: [] } };
    const reference = await folder.put('net.json', JSON.stringify({ grad: { rSeeds: [3], dotSeeds: [], params } }));
    expect(await gradientsOne({ ...task('gradients', path), reference })).toMatchObject({
      outcome: 'WRONG',
      why: 'dense1.weight',
    });
  });
});
