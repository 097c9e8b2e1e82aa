import { describe, expect, it } from 'vitest';
import { batches } from '../../src/data/batches.js';
import type { PreparedData } from '../../src/data/prepare.js';
import { drawSamples, epochOrder, split } from '../../src/data/split.js';

describe('parting samples', () => {
  it('gives every sample to one side, the same for the same seed', () => {
    const { train, val } = split(103, 0.1, 3);
    expect([train.length, val.length]).toEqual([93, 10]);
    expect([...train, ...val].sort((a, b) => a - b)).toEqual(Array.from({ length: 103 }, (_, i) => i));
    expect(split(103, 0.1, 3).val).toEqual(val);
    expect(split(103, 0.1, 4).val).not.toEqual(val);
    expect([split(1).val.length, split(2).val.length, split(0).train.length]).toEqual([0, 1, 0]);
  });

  it('takes the same share of every class', () => {
    const labels = Uint8Array.from({ length: 1000 }, (_, i) => (i < 700 ? 0 : i < 950 ? 1 : 2));
    const { val } = split(1000, 0.1, 0, labels);
    const count = [0, 0, 0];
    for (const i of val) count[labels[i]]++;
    expect(count).toEqual([70, 25, 5]);
  });

  it('orders an epoch anew, and the same way again', () => {
    const indices = Uint32Array.of(5, 7, 9, 11, 13, 15, 17);
    const order = epochOrder(indices, 1, 0);
    expect([...order].sort((a, b) => a - b)).toEqual([...indices]);
    expect(epochOrder(indices, 1, 0)).toEqual(order);
    expect(epochOrder(indices, 1, 1)).not.toEqual(order);
    expect(drawSamples(indices, 3, 0).length).toBe(3);
  });
});

describe('batches', () => {
  const log: string[] = [];
  const prepared: PreparedData = {
    length: 5,
    inputs: [],
    choices: [],
    targets: async () => undefined,
    gather: async (indices) => {
      log.push(`gather ${[...Array.from(indices)]}`);
      if (indices[0] === 99) throw new Error('bad sample');
      return { inputs: {} };
    },
  };

  it('are made while the last one is used', async () => {
    for await (const { indices } of batches(prepared, [4, 3, 2, 1, 0], 2)) {
      log.push(`use ${[...indices]}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      log.push('used');
    }
    expect(log).toEqual([
      'gather 4,3',
      'use 4,3',
      'gather 2,1',
      'used',
      'use 2,1',
      'gather 0',
      'used',
      'use 0',
      'used',
    ]);
  });

  it('leave out an incomplete one where that is asked for, and fail when their turn comes', async () => {
    const sizes: number[] = [];
    for await (const { indices } of batches(prepared, [4, 3, 2], 2, { full: true })) sizes.push(indices.length);
    expect(sizes).toEqual([2]);
    const failing = async () => {
      let used = 0;
      for await (const _ of batches(prepared, [1, 99], 1)) if (++used > 1) break;
    };
    await expect(failing()).rejects.toThrow('bad sample');
  });
});
