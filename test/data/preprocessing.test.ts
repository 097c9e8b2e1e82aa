import { describe, expect, it } from 'vitest';
import { storedImages } from '../../src/data/arrays.js';
import { candidates } from '../../src/data/candidates.js';
import { chooseAugmentation } from '../../src/data/choose-augmentation.js';
import { choosePreprocessing, type Judge } from '../../src/data/choose-preprocessing.js';
import type { Dataset } from '../../src/data/dataset.js';
import { asTheyAre, isGiven, preprocessingOf, describe as say } from '../../src/data/preprocessing.js';
import { memorySource } from '../../src/data/source.js';
import { Random } from '../../src/tensor/random.js';

function pictures(
  size: number,
  channels: number,
  pixel: (random: Random, y: number, x: number, c: number) => number,
  names?: string[],
): Dataset {
  const random = new Random(1);
  const length = 60;
  const elements = size * size * channels;
  const data = new Uint8Array(length * elements);
  for (let i = 0, p = 0; i < length; i++)
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) data[p++] = pixel(random, y, x, c);
  const part = storedImages(
    'image',
    { height: size, width: size, channels, order: 'planar' },
    memorySource(data, length, elements),
    'uint8',
    {},
  );
  const labels = Int32Array.from({ length }, (_, i) => i % 4);
  return { format: 'idx', path: 'x', length, sample: [part], target: { kind: 'class', classes: 4, names }, labels };
}

const noise = (random: Random) => random.below(256);
const input = (...shape: number[]) => ({ name: 'x', dtype: 'float32', shape }) as const;

/** Judges a preprocessing by how near its batches come to those of another one. */
function wants(scale: number, mean: number, channels: string): Judge {
  return async (p, prepared, indices) => {
    const { inputs } = await prepared.gather(indices);
    const right =
      Math.abs(p.scale / p.std[0] - scale) < 1e-6 && Math.abs(p.mean[0] - mean) < 1e-6 && p.channels === channels;
    return { accuracy: right ? 0.9 : 0.2, loss: inputs.x.dims[0] === indices.length && right ? 0.3 : 2 };
  };
}

describe('preprocessings', () => {
  it('are offered by what the input and the data are', async () => {
    const names = async (data: Dataset, ...shape: number[]) =>
      (await candidates(data, input(...shape))).map((p) => `${p.name} ${p.channels} ${p.layout}`);
    const colour = await names(pictures(32, 3, noise), 3, 32, 32);
    expect(colour[0]).toBe('0…1 rgb NCHW');
    expect(colour).toContain('ImageNet mean and deviation bgr NCHW');
    expect(colour).toContain('CIFAR-10 mean and deviation (.2023 .1994 .2010) rgb NCHW');
    expect(colour.some((n) => n.includes('NHWC'))).toBe(false);
    expect((await names(pictures(8, 3, noise), 8, 8, 3)).every((n) => n.includes('NHWC'))).toBe(true);
    const grey = await names(pictures(28, 1, noise), 1, 28, 28);
    expect(grey).toContain('MNIST mean and deviation grey NCHW');
    expect(grey).toContain('0…1, inverted grey NCHW');
    const features = Float32Array.of(-3, 5.5, 2, 8.5);
    const table: Dataset = {
      format: 'csv',
      path: 'x',
      length: 2,
      sample: [{ kind: 'tensor', name: 'features', shape: [2], source: memorySource(features, 2, 2) }],
    };
    const vector = await candidates(table, input(2));
    expect(vector[0]).toEqual(asTheyAre);
    expect(vector.at(-1)).toMatchObject({ mean: [-0.5, 7], std: [2.5, 1.5] });
  });

  it('are chosen by how right the model is, then by its loss', async () => {
    const data = pictures(32, 3, noise);
    const found = await choosePreprocessing(data, input(3, 32, 32), wants(1 / 255 / 0.229, 0.485, 'rgb'));
    expect(say(found.chosen)).toBe(
      'ImageNet mean and deviation: (x/255 − [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], RGB, NCHW',
    );
    expect(found).toMatchObject({ rival: undefined, nearChance: false });
    expect(found.why).toMatch(/^ImageNet .*90.0 % right, loss 0.300 on 60 training samples; next/);
    const bgr = await choosePreprocessing(data, input(3, 32, 32), wants(1, 103.94, 'bgr'), { samples: 40 });
    expect(bgr.chosen.name).toBe('Caffe mean');
    const settled = await choosePreprocessing(data, input(3, 32, 32), wants(1, 103.94, 'bgr'), { layout: 'nchw-bgr' });
    expect(settled.table.every((r) => r.preprocessing.channels === 'bgr')).toBe(true);
  });

  it('tell scales apart by samples laid over each other: what is known by heart is known at any scale', async () => {
    // Every class lights a quarter of the picture; the model adds up the quarters.
    const data = pictures(28, 1, () => 0);
    const lit = (i: number, y: number, x: number) => (y < 14 ? 0 : 2) + (x < 14 ? 0 : 1) === i % 4;
    const bytes = Uint8Array.from({ length: 60 * 784 }, (_, p) => {
      const [i, y, x] = [Math.floor(p / 784), Math.floor((p % 784) / 28), p % 28];
      return lit(i, y, x) ? 150 + ((i * 37) % 100) : 0;
    });
    const size = { height: 28, width: 28, channels: 1, order: 'planar' } as const;
    const lighted = { ...data, sample: [storedImages('image', size, memorySource(bytes, 60, 784), 'uint8', {})] };
    const sums: Judge = async (_, prepared, indices) => {
      const { inputs } = await prepared.gather(indices);
      const x = inputs.x.data as Float32Array;
      let [right, loss] = [0, 0];
      for (let k = 0; k < indices.length; k++) {
        const scores = [0, 0, 0, 0];
        for (let p = 0; p < 784; p++)
          for (let c = 0; c < 4; c++) if (lit(c, Math.floor(p / 28), p % 28)) scores[c] += (10 * x[k * 784 + p]) / 196;
        const label = indices[k] % 4;
        const top = Math.max(...scores);
        if (scores[label] === top) right++;
        loss += top + Math.log(scores.reduce((s, z) => s + Math.exp(z - top), 0)) - scores[label];
      }
      return { accuracy: right / indices.length, loss: loss / indices.length };
    };
    const found = await choosePreprocessing(lighted, input(1, 28, 28), sums);
    expect(found.chosen.name).toBe('0…1');
    expect(found.why).toMatch(/with others laid over on 60 training samples; as often right, with higher losses/);
  });

  it('take the simplest of equal ones, and say that it is not clear; near chance is told', async () => {
    const data = pictures(28, 1, noise);
    const same = await choosePreprocessing(data, input(1, 28, 28), async () => ({ accuracy: 0.9, loss: 0.3 }));
    expect([same.chosen.name, same.rival?.name, same.nearChance]).toEqual(['0…1', '0…255', false]);
    expect(same.why).toMatch(/the simplest of/);
    const chance = await choosePreprocessing(data, input(1, 28, 28), async () => ({ accuracy: 0.27, loss: 1.4 }));
    expect(chance.nearChance).toBe(true);
    const loss = await choosePreprocessing(data, input(1, 28, 28), async (p) => ({
      accuracy: Number.NaN,
      loss: p.name === '−1…1' ? 0.1 : Number.NaN,
    }));
    expect([loss.chosen.name, loss.nearChance]).toEqual(['−1…1', false]);
  });

  it('follow the options, in the units that their numbers show', () => {
    expect(preprocessingOf({ mean: [0.5], std: [0.5] }, true).scale).toBe(1 / 255);
    expect(preprocessingOf({ mean: [104, 117, 123], layout: 'nchw-bgr' }, true)).toMatchObject({
      scale: 1,
      std: [1],
      channels: 'bgr',
      layout: 'NCHW',
    });
    expect(preprocessingOf({ scale: 0.5, layout: 'nhwc' }, true)).toMatchObject({ scale: 0.5, layout: 'NHWC' });
    expect([isGiven({ layout: 'nhwc' }), isGiven({ scale: 1 })]).toEqual([false, true]);
    expect(() => preprocessingOf({ std: [0] }, true)).toThrow(/std not 0/);
  });

  it('are said in the words of people', () => {
    expect(say(asTheyAre)).toBe('as they are: x');
    expect(say({ scale: -1 / 255, mean: [-1], std: [1], layout: 'NCHW', channels: 'grey' })).toBe('−x/255 + 1, grey');
    expect(say({ scale: 2, mean: [0.1307], std: [0.3081], layout: 'NHWC', channels: 'bgr' })).toBe(
      '(x·2 − 0.1307) / 0.3081, BGR, NHWC',
    );
  });
});

describe('augmentation', () => {
  const policy = async (data: Dataset, shape: number[], options = {}) =>
    (await chooseAugmentation(data, input(...shape), options)).policy;
  const glyph = (random: Random, y: number, x: number) => (y > 4 && y < 22 && x > 4 && x < 22 ? random.below(256) : 0);

  it('moves signs, moves and mirrors photographs, and leaves small pictures and vectors alone', async () => {
    expect(await policy(pictures(28, 1, glyph), [1, 28, 28])).toBe('shift');
    expect(await policy(pictures(28, 1, noise), [1, 28, 28])).toBe('shift');
    expect(await policy(pictures(32, 3, noise), [3, 32, 32])).toBe('crop-flip');
    expect(await policy(pictures(32, 3, noise, ['0', '1', '2', '3']), [3, 32, 32])).toBe('shift');
    expect(await policy(pictures(8, 3, noise), [3, 8, 8])).toBe('none');
    const { target: _, ...unlabelled } = pictures(32, 3, noise);
    expect(await policy(unlabelled, [3, 32, 32])).toBe('none');
  });

  it('does not mirror what the model tells from its mirror image', async () => {
    const { prepare } = await import('../../src/data/prepare.js');
    const data = pictures(32, 3, (random, _, x) => (x < 16 ? 20 : 200) + random.below(40));
    const prepared = prepare(data, [input(3, 32, 32)]);
    const leftIsDark: Parameters<typeof chooseAugmentation>[2] = {
      prepared,
      accuracy: async (p, indices) => {
        const { inputs } = await p.gather(indices);
        return Number(inputs.x.data[0]) < Number(inputs.x.data[31]) ? 0.9 : 0.3;
      },
    };
    expect(await policy(data, [3, 32, 32], leftIsDark)).toBe('shift');
    expect(await policy(data, [3, 32, 32], { prepared, accuracy: async () => 0.9 })).toBe('crop-flip');
  });
});
