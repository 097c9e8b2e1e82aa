import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { openData } from '../../src/data/open.js';
import { prepare } from '../../src/data/prepare.js';
import { folder } from './files.js';
import { refuses } from './refusal.js';

type Colour = [number, number, number];

async function picture(path: string, width: number, height: number, [r, g, b]: Colour): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await sharp({ create: { width, height, channels: 3, background: { r, g, b } } }).toFile(path);
}

const input = (...shape: (number | null)[]) => ({ name: 'x', dtype: 'float32', shape }) as const;

describe('a folder of pictures', () => {
  it('numbers its classes in sorted order and reads PNG, JPEG and WebP', async () => {
    const at = await folder();
    await picture(join(at, 'dog', 'b.jpg'), 8, 8, [200, 0, 0]);
    await picture(join(at, 'cat', 'a.png'), 8, 8, [10, 20, 30]);
    await picture(join(at, 'dog', 'deep', 'c.webp'), 8, 8, [0, 200, 0]);
    const { train } = await openData(at);
    expect(train.target).toEqual({ kind: 'class', classes: 2, names: ['cat', 'dog'] });
    expect([...train.labels!]).toEqual([0, 1, 1]);
    expect(train.sample[0]).toMatchObject({ kind: 'image', height: 8, width: 8, channels: 3, varying: false });
    const { inputs } = await prepare(train, [input(3, 8, 8)]).gather([0]);
    expect([inputs.x.data[0], inputs.x.data[64], inputs.x.data[128]]).toEqual([10, 20, 30]);
  });

  it('takes test or val folders for the test set, with the classes of the training set', async () => {
    const at = await folder();
    for (const name of ['a', 'b', 'c']) await picture(join(at, 'train', name, '1.png'), 4, 4, [0, 0, 0]);
    await picture(join(at, 'val', 'c', '1.png'), 4, 4, [0, 0, 0]);
    const { train, test } = await openData(at);
    expect([train.length, [...test!.labels!], test!.target]).toEqual([3, [2], train.target]);
    await picture(join(at, 'val', 'z', '1.png'), 4, 4, [0, 0, 0]);
    await refuses(openData(at), 'DATA_LABELS', /the class "z" is not among/);
  });

  it('scales the short side and cuts out the centre, and says so', async () => {
    const at = await folder();
    await mkdir(join(at, 'a'));
    const wide = Buffer.alloc(20 * 10 * 3);
    for (let i = 0; i < 200; i++) wide[i * 3] = i % 20 < 5 ? 250 : i % 20 < 15 ? 100 : 50;
    await sharp(wide, { raw: { width: 20, height: 10, channels: 3 } })
      .png()
      .toFile(join(at, 'a', '1.png'));
    await picture(join(at, 'a', '2.png'), 9, 30, [7, 7, 7]);
    const { train } = await openData(at);
    const prepared = prepare(train, [input(3, 10, 10)]);
    expect(prepared.choices.join()).toMatch(/\(10×20 RGB and other sizes\) are scaled to 10×10/);
    const { inputs } = await prepared.gather([0, 1]);
    expect(new Set(Array.from(inputs.x.data.slice(0, 100), Number))).toEqual(new Set([100]));
    expect(inputs.x.data[300]).toBe(7);
  });

  it('makes colour grey and grey colour as the model wants', async () => {
    const at = await folder();
    await picture(join(at, 'a', '1.png'), 8, 8, [100, 100, 100]);
    const { train } = await openData(at);
    const grey = prepare(train, [input(1, 8, 8)]);
    expect(grey.choices.join()).toMatch(/turned into grey/);
    expect((await grey.gather([0])).inputs.x.data[5]).toBe(100);
    const other = await folder();
    await mkdir(join(other, 'a'));
    await sharp(Buffer.alloc(64, 77), { raw: { width: 8, height: 8, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toFile(join(other, 'a', '1.png'));
    const { train: greys } = await openData(other);
    expect(greys.sample[0]).toMatchObject({ channels: 1 });
    const colour = prepare(greys, [input(3, 8, 8)]);
    expect(colour.choices.join()).toMatch(/repeated over the 3 channels/);
    expect(new Set(Array.from((await colour.gather([0])).inputs.x.data, Number))).toEqual(new Set([77]));
  });

  it('reads transparent and 16-bit pictures as bytes', async () => {
    const at = await folder();
    await mkdir(join(at, 'a'));
    await sharp({ create: { width: 4, height: 4, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } }).toFile(
      join(at, 'a', '1.png'),
    );
    const deep = Uint16Array.from({ length: 48 }, () => 0x8080);
    await sharp(deep, { raw: { width: 4, height: 4, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toFile(join(at, 'a', '2.png'));
    const { train } = await openData(at);
    const { inputs } = await prepare(train, [input(3, 4, 4)]).gather([0, 1]);
    expect([inputs.x.data[0], inputs.x.data[48]]).toEqual([255, 128]);
  });

  it('keeps no more decoded pictures than it may, and gives the same ones again', async () => {
    const at = await folder();
    for (let i = 0; i < 6; i++) await picture(join(at, 'a', `${i}.png`), 4, 4, [i, i, i]);
    const { train } = await openData(at, { cacheBytes: 100 });
    const prepared = prepare(train, [input(3, 4, 4)]);
    for (const order of [
      [0, 1, 2, 3, 4, 5],
      [5, 3, 1, 0, 2, 4],
    ]) {
      const { inputs } = await prepared.gather(order);
      expect(order.map((_, k) => inputs.x.data[k * 48])).toEqual(order);
    }
  });

  it('binds an open height and width from the pictures', async () => {
    const at = await folder();
    await picture(join(at, 'a', '1.png'), 6, 4, [0, 0, 0]);
    const { train } = await openData(at);
    expect(prepare(train, [input(3, null, null)]).inputs[0].shape).toEqual([3, 4, 6]);
    expect(prepare(train, [input(null, null, 3)]).inputs[0].shape).toEqual([4, 6, 3]);
  });

  it('opens pictures without classes, for work without labels', async () => {
    const at = await folder();
    await picture(join(at, '1.png'), 4, 4, [0, 0, 0]);
    const { train, warnings } = await openData(at);
    expect([train.length, train.target]).toEqual([1, undefined]);
    expect(warnings.join()).toMatch(/no labels/);
  });

  it('names the file that cannot be decoded', async () => {
    const at = await folder();
    await picture(join(at, 'a', '1.png'), 4, 4, [0, 0, 0]);
    await writeFile(join(at, 'a', '2.png'), 'no picture');
    const error = await refuses(openData(at), 'DATA_INVALID', /cannot be decoded/);
    expect(error.place.file).toMatch(/2\.png$/);
  });
});
