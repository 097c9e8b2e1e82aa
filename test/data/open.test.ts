import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openData } from '../../src/data/open.js';
import { prepare } from '../../src/data/prepare.js';
import { file, folder } from './files.js';
import { refuses } from './refusal.js';

describe('data at a path', () => {
  it('is refused with what was found and a hint', async () => {
    const missing = await refuses(
      openData(join(await folder(), 'nothing')),
      'DATA_NOT_FOUND',
      /no such file or folder/,
    );
    expect([missing.exitCode, missing.hint]).toEqual([4, expect.stringMatching(/--data takes IDX/)]);
    await refuses(openData(await folder()), 'DATA_INVALID', /folder is empty/);
    await refuses(openData(await file('x.csv', '')), 'DATA_INVALID', /file is empty/);
    const model = await refuses(openData(await file('model.onnx', 'x')), 'DATA_UNRECOGNISED', /no known format/);
    expect(model.hint).toMatch(/this is a model/);
    const archive = await refuses(openData(await file('cifar.zip', 'PK')), 'DATA_UNRECOGNISED', /no known format/);
    expect(archive.hint).toMatch(/unpack/);
    const at = await folder();
    await writeFile(join(at, 'notes.md'), 'x');
    await refuses(openData(at), 'DATA_UNRECOGNISED', /notes\.md/);
    await writeFile(join(at, 'a.csv'), '1,2\n');
    await writeFile(join(at, 'b.csv'), '1,2\n');
    await refuses(openData(at), 'DATA_INVALID', /which one is meant\? There are a\.csv, b\.csv/);
    await refuses(openData(join(at, 'a.csv'), { split: 'test' }), 'DATA_INVALID', /no test set/);
  });
});

const shared = new URL('../../../shared/data/', import.meta.url);
const there = existsSync(shared);
if (!there) console.log('skipped: tests on real data, ../shared/data is absent');

describe.skipIf(!there)('real data', () => {
  const at = (name: string) => fileURLToPath(new URL(name, shared));

  it('MNIST opens with its test set', async () => {
    const { train, test } = await openData(at('mnist'));
    expect([train.length, test?.length]).toEqual([60000, 10000]);
    const { inputs, targets } = await prepare(train, [{ name: 'x', dtype: 'float32', shape: [1, 28, 28] }]).gather([0]);
    expect([Math.max(...(inputs.x.data as Float32Array)), targets?.data[0]]).toEqual([255, 5n]);
  });

  it('hand gestures open with their label first and the names beside them', async () => {
    const { train } = await openData(at('hand-gestures/keypoint.csv'));
    expect([train.length, train.sample[0]]).toEqual([4450, expect.objectContaining({ shape: [42] })]);
    expect(train.target).toEqual({ kind: 'class', classes: 3, names: ['Open', 'Close', 'Pointer'] });
  });

  it('sign language digits open as a folder of pictures', async () => {
    const { train } = await openData(at('sign-language-digits'));
    expect([train.length, train.target]).toEqual([1000, expect.objectContaining({ classes: 10 })]);
    const { inputs } = await prepare(train, [{ name: 'x', dtype: 'float32', shape: [3, 64, 64] }]).gather([0, 999]);
    expect(inputs.x.dims).toEqual([2, 3, 64, 64]);
  });
});
