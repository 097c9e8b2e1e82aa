import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openData } from '../../src/data/open.js';
import { prepare } from '../../src/data/prepare.js';
import { asTheyAre } from '../../src/data/preprocessing.js';
import { file, folder } from './files.js';
import { refuses } from './refusal.js';

/** Records whose red, green and blue are 10, 20 and 30, plus the label. */
function records(labelBytes: number, labels: readonly number[]): Uint8Array {
  return Buffer.concat(
    labels.map((label) => {
      const record = Buffer.alloc(labelBytes + 3072);
      record[labelBytes - 1] = label;
      for (let c = 0; c < 3; c++) record.fill(10 * (c + 1) + label, labelBytes + c * 1024, labelBytes + (c + 1) * 1024);
      return record;
    }),
  );
}

describe('CIFAR', () => {
  it('reads the batches in order, and the test batch', async () => {
    const at = await folder();
    for (const [i, labels] of [[0, 1], [2], [9]].entries())
      await writeFile(join(at, `data_batch_${[2, 10, 1][i]}.bin`), records(1, labels));
    await writeFile(join(at, 'test_batch.bin'), records(1, [5]));
    await writeFile(join(at, 'batches.meta.txt'), 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n');
    const { train, test } = await openData(at);
    expect([...train.labels!]).toEqual([9, 0, 1, 2]);
    expect([...test!.labels!]).toEqual([5]);
    expect(train.target).toMatchObject({ classes: 10, names: [...'abcdefghij'] });
    const input = { name: 'x', dtype: 'float32', shape: [3, 32, 32] } as const;
    const rgb = (await prepare(train, [input]).gather([1])).inputs.x.data;
    expect([rgb[0], rgb[1024], rgb[2048]]).toEqual([10, 20, 30]);
    const bgr = (await prepare(train, [input], { ...asTheyAre, channels: 'bgr', mean: [1, 2, 3] }).gather([1])).inputs.x
      .data;
    expect([bgr[0], bgr[1024], bgr[2048]]).toEqual([29, 18, 7]);
    const last = prepare(train, [{ ...input, shape: [32, 32, 3] }], { ...asTheyAre, layout: 'NHWC' });
    expect([...(await last.gather([3])).inputs.x.data.slice(0, 4)]).toEqual([12, 22, 32, 12]);
  });

  it('takes the fine labels of CIFAR-100', async () => {
    const at = await folder();
    await writeFile(join(at, 'train.bin'), records(2, [99, 4]));
    const { train } = await openData(at);
    expect(train.target).toMatchObject({ classes: 100 });
    expect([...train.labels!]).toEqual([99, 4]);
  });

  it('finds the files one folder down, and recognises one by its size', async () => {
    const { mkdir } = await import('node:fs/promises');
    const at = await folder();
    await mkdir(join(at, 'cifar-10-batches-bin'));
    await writeFile(join(at, 'cifar-10-batches-bin', 'data_batch_1.bin'), records(1, [1]));
    expect((await openData(at)).train.length).toBe(1);
    expect((await openData(await file('mine.bin', records(1, [1, 2])))).train.format).toBe('cifar');
  });

  it('says what is wrong with a file', async () => {
    await refuses(
      openData(await file('data_batch_1.bin', records(1, [1, 2]).subarray(0, 4000))),
      'DATA_INVALID',
      /1 records of 3073 and 927 bytes more/,
    );
    await refuses(
      openData(await file('test_batch.bin', records(1, [1, 23]))),
      'DATA_INVALID',
      /record 1 has the label 23/,
    );
    const at = await folder();
    await writeFile(join(at, 'data_batch_1'), 'pickle');
    const error = await refuses(openData(at), 'DATA_UNRECOGNISED', /data_batch_1/);
    expect(error.hint).toMatch(/binary version/);
  });
});
