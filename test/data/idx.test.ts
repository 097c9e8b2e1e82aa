import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openData } from '../../src/data/open.js';
import { prepare } from '../../src/data/prepare.js';
import { counting, file, folder, idx } from './files.js';
import { refuses } from './refusal.js';

const images = (n: number) => idx(8, [n, 4, 5], counting(n * 20));
const labels = (...classes: number[]) => idx(8, [classes.length], Uint8Array.from(classes));

describe('IDX', () => {
  it('pairs images with labels, and takes t10k for the test set', async () => {
    const at = await folder();
    await writeFile(join(at, 'train-images-idx3-ubyte.gz'), gzipSync(images(3)));
    await writeFile(join(at, 'train-labels-idx1-ubyte.gz'), gzipSync(labels(0, 2, 1)));
    await writeFile(join(at, 't10k-images.idx3-ubyte'), images(2));
    await writeFile(join(at, 't10k-labels.idx1-ubyte'), labels(3, 0));
    const { train, test } = await openData(at);
    expect([train.length, test?.length]).toEqual([3, 2]);
    expect([...train.labels!]).toEqual([0, 2, 1]);
    expect([...test!.labels!]).toEqual([3, 0]);
    expect(train.target).toEqual({ kind: 'class', classes: 4 });
    expect(train.sample[0]).toMatchObject({ kind: 'image', height: 4, width: 5, channels: 1 });
    expect((await openData(at, { split: 'test' })).train.length).toBe(2);
  });

  it('reads big-endian numbers of every type', async () => {
    const cases: [number, Buffer][] = [
      [0x09, Buffer.from(Int8Array.of(-1, 2, 3, 4).buffer)],
      [0x0b, Buffer.concat([-1, 2, 3, 4].map((x) => be(2, (b) => b.writeInt16BE(x))))],
      [0x0c, Buffer.concat([-1, 2, 3, 4].map((x) => be(4, (b) => b.writeInt32BE(x))))],
      [0x0d, Buffer.concat([-1, 2, 3, 4].map((x) => be(4, (b) => b.writeFloatBE(x))))],
      [0x0e, Buffer.concat([-1, 2, 3, 4].map((x) => be(8, (b) => b.writeDoubleBE(x))))],
    ];
    for (const [type, values] of cases) {
      const { train } = await openData(await file('x.idx', idx(type, [2, 2], values)));
      const { inputs } = await prepare(train, [{ name: 'x', dtype: 'float32', shape: [2] }]).gather([1, 0]);
      expect([...inputs.x.data]).toEqual([3, 4, -1, 2]);
    }
  });

  it('reads a large file by ranges', async () => {
    const path = await file('x-images-idx3-ubyte', images(9));
    await writeFile(join(dirname(path), 'x-labels-idx1-ubyte'), labels(...Array(9).keys()));
    const { train } = await openData(path, { memoryBytes: 10 });
    const { inputs } = await prepare(train, [{ name: 'x', dtype: 'float32', shape: [1, 4, 5] }]).gather([8, 2, 3]);
    expect([inputs.x.data[0], inputs.x.data[20], inputs.x.data[59]]).toEqual([160, 40, 79]);
  });

  it('says what is wrong with a file', async () => {
    await refuses(
      openData(await file('a-idx3-ubyte', images(3).subarray(0, 50))),
      'DATA_INVALID',
      /truncated: \[3, 4, 5\] of uint8 need 76 bytes, it has 50/,
    );
    await refuses(openData(await file('a-idx3-ubyte', '<html></html>')), 'DATA_INVALID', /begins with 3c 68 74 6d/);
    await refuses(
      openData(await file('a-idx3-ubyte.gz', gzipSync(images(30)).subarray(0, 40))),
      'DATA_INVALID',
      /gzipped file is damaged/,
    );
    const at = await folder();
    await writeFile(join(at, 'train-images-idx3-ubyte'), images(3));
    await writeFile(join(at, 'train-labels-idx1-ubyte'), labels(1, 0));
    await refuses(openData(at), 'DATA_INVALID', /3 images, but 2 labels/);
    const nan = be(4, (b) => b.writeFloatBE(Number.NaN));
    await refuses(
      openData(await file('x.idx', idx(0x0d, [1, 2], Buffer.concat([be(4, () => 0), nan])))),
      'DATA_INVALID',
      /NaN in sample 0 at position 1/,
    );
  });
});

function be(size: number, write: (buffer: Buffer) => number): Buffer {
  const buffer = Buffer.alloc(size);
  write(buffer);
  return buffer;
}
