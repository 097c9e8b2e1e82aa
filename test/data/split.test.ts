import { describe, expect, it } from 'vitest';
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
