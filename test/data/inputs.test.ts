import { describe, expect, it } from 'vitest';
import { readInputs } from '../../src/data/inputs.js';
import { file } from './files.js';
import { npz } from './zip.js';

const inputs = [
  { name: 'ids', dtype: 'int64', dims: ['batch', 'length'], batchAxis: 0 },
  { name: 'image', dtype: 'float32', dims: ['batch', 2], batchAxis: 0 },
] as const;
const ids = [[3, 4], BigInt64Array.from({ length: 12 }, (_, i) => BigInt(i * 25))] as [number[], BigInt64Array];
const image = [[3, 2], Float32Array.from([1, 2, 3, 4, 5, 6.5])] as [number[], Float32Array];

describe('sample inputs', () => {
  it('are read as the element types that the model wants', async () => {
    const { ids: first, image: second } = await readInputs(await file('in.npz', npz({ ids, image })), inputs);
    expect(first).toEqual({ dtype: 'int64', dims: [3, 4], data: ids[1] });
    expect(second).toEqual({ dtype: 'float32', dims: [3, 2], data: image[1] });
  });

  it('may leave inputs out', async () => {
    expect(Object.keys(await readInputs(await file('in.npz', npz({ image })), inputs))).toEqual(['image']);
  });

  it.each([
    ['an unknown name', { images: image }, 'DATA_SHAPE'],
    ['a literal size that differs', { image: [[2, 3], image[1]] }, 'DATA_SHAPE'],
    ['another number of axes', { image: [[6], image[1]] }, 'DATA_SHAPE'],
    ['two sizes for one free axis', { image, ids: [[2, 6], ids[1]] }, 'DATA_SHAPE'],
    ['fractions for an input of whole numbers', { ids: [[3, 2], image[1]] }, 'DATA_INVALID'],
    ['no arrays', {}, 'DATA_INVALID'],
  ] as const)('with %s are refused', async (_, arrays, code) => {
    const path = await file('in.npz', npz(arrays as unknown as Parameters<typeof npz>[0]));
    await expect(readInputs(path, inputs)).rejects.toMatchObject({ code });
  });

  it('must be there, and an NPZ file', async () => {
    await expect(readInputs('/nowhere/in.npz', inputs)).rejects.toMatchObject({ code: 'DATA_NOT_FOUND' });
    await expect(readInputs(await file('in.npz', 'text'), inputs)).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
