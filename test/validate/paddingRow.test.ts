import { describe, expect, test } from 'vitest';
import { figuresOf } from '../../src/validate/againstReference.js';
import { paddingRowOf } from '../../src/validate/paddingRow.js';
import { filled } from '../../src/validate/reference.js';

const [rows, width] = [7, 5];
const seeds = [3, 4];

/** The lookups of a batch leave rows 2, 3 and 6 alone. */
const looked = filled(rows * width, { seed: 1 }).map((x, i) => ([2, 3, 6].includes(Math.floor(i / width)) ? 0 : x));
const projection = filled(rows * width, { seed: 2 });
const whole = looked.map((x, i) => x + projection[i]);

function without(row: number): Float32Array {
  return whole.map((x, i) => (Math.floor(i / width) === row ? x - looked[i] : x));
}

function found(reference: Float32Array, change = 0) {
  const wanted = figuresOf(reference, seeds);
  const l2 = wanted.l2 * (1 + change);
  return paddingRowOf(
    whole,
    looked,
    width,
    seeds,
    (f) => Math.max(Math.abs(f.l2 - l2), ...f.dot.map((d, k) => Math.abs(d - wanted.dot[k]))) <= 1e-3 * l2,
  );
}

describe('a padding row', () => {
  test.each([0, 1, 4, 5])('%i is told from the figures of a table that is also a projection', (row) => {
    const answer = found(without(row))!;
    expect(answer.row).toBe(row);
    expect(answer.figures.l2).toBeCloseTo(figuresOf(without(row), seeds).l2, 5);
  });

  test('that nothing looked up, or a falsified figure, explains nothing', () => {
    expect(found(without(2))).toBeUndefined();
    expect(found(without(1), 0.05)).toBeUndefined();
  });
});
