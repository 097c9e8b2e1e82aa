import { describe, expect, it } from 'vitest';
import type { UnitFamily } from '../../src/prune/units.js';
import { strengths } from '../../src/train/strengths.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';

function family(name: string, count: number, size: number, saved: { macs: number; parameters: number }): UnitFamily {
  const each = (value: number) => new Float64Array(count).fill(value);
  return {
    name,
    count,
    units: Int32Array.from({ length: count }, (_, i) => i),
    parts: [{ parameter: `${name}.w`, axis: 0, map: Int32Array.from({ length: count }, (_, i) => i) }],
    consumers: [],
    sizes: each(size),
    macs: each(saved.macs),
    parameters: each(saved.parameters),
  };
}

const filled = (count: number, size: number, value: number): Tensor =>
  float32([count, size], new Float32Array(count * size).fill(value));

describe('strengths of the group term', () => {
  const a = family('a', 2, 4, { macs: 30, parameters: 1 });
  const b = family('b', 4, 9, { macs: 10, parameters: 2 });
  const price = (value: number, size: number) => value * size; // √size · norm of a row of equal weights

  it('make a typical unit cost what its removal saves, wherever it stands and whatever the scale of its layer', () => {
    for (const scale of [1, 10]) {
      const parameters = new Map([
        ['a.w', filled(2, 4, 0.3 * scale)],
        ['b.w', filled(4, 9, 0.7)],
      ]);
      const [wa, wb] = strengths([a, b], { parameters }, 1);
      const saved = (f: UnitFamily) => f.macs[0] / 100 + f.parameters[0] / 10;
      expect((wa[0] * price(0.3 * scale, 4)) / (wb[0] * price(0.7, 9))).toBeCloseTo(saved(a) / saved(b), 5);
    }
  });

  it('have a geometric mean of 1 and leave dead units out', () => {
    const w = filled(2, 4, 0.5);
    (w.data as Float32Array).fill(0, 4);
    const parameters = new Map([
      ['a.w', w],
      ['b.w', filled(4, 9, 0.7)],
    ]);
    const found = strengths([a, b], { parameters }, 0.5);
    const all = found.flatMap((f) => [...f]);
    expect(Math.exp(all.reduce((sum, x) => sum + Math.log(x), 0) / all.length)).toBeCloseTo(1, 5);
    const whole = strengths([a, b], { parameters: new Map([...parameters, ['a.w', filled(2, 4, 0.5)]]) }, 0.5);
    expect(found[0][0]).toBeCloseTo(whole[0][0], 6);
  });

  it('are 1 where nothing is known', () => {
    const parameters = new Map([['a.w', filled(2, 4, 0)]]);
    expect([...strengths([a], { parameters }, 0.5)[0]]).toEqual([1, 1]);
  });
});
