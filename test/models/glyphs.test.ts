import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { drawGlyph, glyphNames, writeGlyphs } from '../../models/index.js';
import { Random } from '../../src/tensor/random.js';

it('writes images and labels as IDX files, the same ones for the same seed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'glyphs-'));
  try {
    const files = [
      'train-images-idx3-ubyte',
      'train-labels-idx1-ubyte',
      't10k-images-idx3-ubyte',
      't10k-labels-idx1-ubyte',
    ];
    const read = async () => Promise.all(files.map((f) => readFile(join(folder, f))));
    await writeGlyphs(folder, { seed: 5, train: 30, test: 10 });
    const first = await read();
    expect(first.map((bytes) => bytes.length)).toEqual([16 + 30 * 784, 8 + 30, 16 + 10 * 784, 8 + 10]);
    expect([...first[0].subarray(0, 16)]).toEqual([0, 0, 8, 3, 0, 0, 0, 30, 0, 0, 0, 28, 0, 0, 0, 28]);
    expect(Math.max(...first[1].subarray(8))).toBeLessThan(glyphNames.length);
    await writeGlyphs(folder, { seed: 5, train: 30, test: 10 });
    expect(Buffer.concat(await read()).equals(Buffer.concat(first))).toBe(true);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it.each(glyphNames.map((name, label) => [name, label] as const))('draws %s inside the frame', (_, label) => {
  const pixels = drawGlyph(label, new Random(9));
  const bright = pixels.filter((p) => p > 100).length;
  expect(bright).toBeGreaterThan(15);
  expect(bright).toBeLessThan(400);
});
