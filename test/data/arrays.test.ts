import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { openData } from '../../src/data/open.js';
import { prepare } from '../../src/data/prepare.js';
import { bytesOf, counting, file, folder, npy } from './files.js';
import { refuses } from './refusal.js';

const input = (shape: readonly (number | null)[], name = 'x') => ({ name, dtype: 'float32', shape }) as const;

async function values(contents: Uint8Array, shape: readonly number[], indices: number[], memoryBytes?: number) {
  const { train } = await openData(await file('x.npy', contents), { memoryBytes });
  return [...(await prepare(train, [input(shape)]).gather(indices)).inputs.x.data];
}

describe('NPY', () => {
  it('reads every type, either byte order', async () => {
    const big = Buffer.alloc(16);
    for (const [i, x] of [1.5, -2].entries()) big.writeDoubleBE(x, 8 * i);
    const cases: [string, Uint8Array, number[]][] = [
      ['<f4', bytesOf(Float32Array.of(1.5, -2)), [1.5, -2]],
      ['<f8', bytesOf(Float64Array.of(1.5, -2)), [1.5, -2]],
      ['>f8', big, [1.5, -2]],
      ['<f2', bytesOf(Uint16Array.of(0x3e00, 0xc000)), [1.5, -2]],
      ['<i8', bytesOf(BigInt64Array.of(7n, -9n)), [7, -9]],
      ['<i4', bytesOf(Int32Array.of(7, -9)), [7, -9]],
      ['|i1', Uint8Array.of(7, 247), [7, -9]],
      ['|b1', Uint8Array.of(1, 0), [1, 0]],
    ];
    for (const [type, bytes, expected] of cases)
      expect(await values(npy(type, [2, 1], bytes), [1], [0, 1])).toEqual(expected);
  });

  it('brings Fortran order into row-major order', async () => {
    const array = npy('<f4', [2, 3], bytesOf(Float32Array.of(1, 4, 2, 5, 3, 6)), true);
    expect(await values(array, [3], [1, 0])).toEqual([4, 5, 6, 1, 2, 3]);
    expect(await values(array, [3], [1, 0], 1)).toEqual([4, 5, 6, 1, 2, 3]);
  });

  it('reads large arrays by ranges', async () => {
    const array = npy('<f4', [100, 3], bytesOf(Float32Array.from({ length: 300 }, (_, i) => i)));
    expect(await values(array, [3], [99, 4, 5], 16)).toEqual([297, 298, 299, 12, 13, 14, 15, 16, 17]);
    const bad = npy('<f4', [2, 1], bytesOf(Float32Array.of(1, Number.POSITIVE_INFINITY)));
    await refuses(values(bad, [1], [1], 1), 'DATA_INVALID', /sample 1 holds Infinity at position 0/);
  });

  it('takes pictures of bytes for pictures, channels first or last', async () => {
    for (const shape of [
      [2, 3, 4, 5],
      [2, 4, 5, 3],
    ]) {
      const { train } = await openData(await file('x.npy', npy('|u1', shape, counting(120))));
      expect(train.sample[0]).toMatchObject({ kind: 'image', height: 4, width: 5, channels: 3 });
      const { inputs } = await prepare(train, [input([3, 4, 5])]).gather([0]);
      expect([...inputs.x.data.slice(0, 3)]).toEqual(shape[1] === 3 ? [0, 1, 2] : [0, 3, 6]);
    }
  });

  it('pairs x.npy with y.npy, and reads one-hot rows as classes', async () => {
    const at = await folder();
    await writeFile(join(at, 'x_train.npy'), npy('<f4', [2, 2], bytesOf(Float32Array.of(1.5, 2, 3, 4))));
    await writeFile(join(at, 'y_train.npy'), npy('<f4', [2, 3], bytesOf(Float32Array.of(0, 0, 1, 1, 0, 0))));
    await writeFile(join(at, 'x_test.npy'), npy('<f4', [1, 2], bytesOf(Float32Array.of(1.5, 2))));
    await writeFile(join(at, 'y_test.npy'), npy('<f4', [1, 3], bytesOf(Float32Array.of(0, 1, 0))));
    const { train, test, choices } = await openData(at);
    expect([[...train.labels!], [...test!.labels!]]).toEqual([[2, 0], [1]]);
    expect(train.target).toMatchObject({ classes: 3 });
    expect(choices.join()).toMatch(/one-hot rows/);
  });

  it('says what is wrong with a file', async () => {
    const array = npy('<f4', [2, 3], bytesOf(Float32Array.of(1, 2, 3, 4, 5, Number.NaN)));
    await refuses(
      values(array.subarray(0, array.length - 4), [3], [0]),
      'DATA_INVALID',
      /truncated: \[2, 3\] of float32/,
    );
    await refuses(values(array, [3], [0]), 'DATA_INVALID', /NaN in sample 1 at position 2/);
    await refuses(values(npy('|O', [2], counting(2)), [1], [0]), 'DATA_INVALID', /element type .*O.* is not supported/);
    await refuses(values(npy('<f4', [0, 3], counting(0)), [3], [0]), 'DATA_INVALID', /is empty: its shape is \[0, 3\]/);
    await refuses(
      values(npy('<f4', [1, 3], bytesOf(Float32Array.of(1.5, 2, 3))), [4], [0]),
      'DATA_SHAPE',
      /takes \[4\] per sample, the data holds \[3\]/,
    );
  });
});

describe('NPZ', () => {
  const zip = (arrays: Record<string, Uint8Array>) =>
    zipSync(Object.fromEntries(Object.entries(arrays).map(([k, v]) => [`${k}.npy`, v])));
  const rows = (n: number) => npy('<f4', [n, 2], bytesOf(Float32Array.from({ length: 2 * n }, (_, i) => i + 0.5)));
  const classes = (...c: number[]) => npy('<i8', [c.length], bytesOf(BigInt64Array.from(c.map(BigInt))));

  it('reads x and y, data and labels, and training beside test sets', async () => {
    for (const [x, y] of [
      ['x', 'y'],
      ['data', 'labels'],
      ['images', 'targets'],
    ]) {
      const { train } = await openData(await file('d.npz', zip({ [x]: rows(3), [y]: classes(0, 1, 1) })));
      expect([train.length, ...train.labels!]).toEqual([3, 0, 1, 1]);
    }
    const all = { x_train: rows(3), y_train: classes(0, 1, 2), x_test: rows(1), y_test: classes(1) };
    const { train, test } = await openData(await file('mnist.npz', zip(all)));
    expect([train.length, test?.length, [...test!.labels!]]).toEqual([3, 1, [1]]);
  });

  it('matches arrays to the inputs of the model by name', async () => {
    const path = await file(
      'd.npz',
      zip({ left: rows(2), y: npy('<f4', [2, 1], bytesOf(Float32Array.of(8.5, 9))), right: classes(1, 0) }),
    );
    const { train } = await openData(path, { inputs: ['y', 'left'] });
    const batch = await prepare(train, [input([1], 'y'), input([2], 'left')]).gather([1]);
    expect([...batch.inputs.y.data]).toEqual([9]);
    expect([...batch.inputs.left.data]).toEqual([2.5, 3.5]);
    expect(() => prepare(train, [input([1], 'y'), input([2], 'middle'), input([2], 'other')])).toThrow(
      /no data for the input "middle"/,
    );
  });

  it('says what is wrong with a file', async () => {
    const whole = zip({ x: rows(3), y: classes(0, 1) });
    await refuses(
      openData(await file('d.npz', whole)),
      'DATA_INVALID',
      /not have the same number of samples: x \[3, 2\], y \[2\]/,
    );
    await refuses(openData(await file('d.npz', whole.subarray(0, 90))), 'DATA_INVALID', /damaged or truncated/);
    await refuses(openData(await file('d.npz', zipSync({ 'a.txt': counting(3) }))), 'DATA_INVALID', /holds no arrays/);
  });
});
