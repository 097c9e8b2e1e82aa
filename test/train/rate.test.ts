import { expect, it } from 'vitest';
import { rateAt } from '../../src/train/schedule.js';

it('lets the rate of a staircase fall after every so many steps', () => {
  const schedule = { peak: 0.05, every: 5000, factor: 0.9 };
  expect([0, 4999, 5000, 29_999].map((t) => rateAt(schedule, t))).toEqual([0.05, 0.05, 0.05 * 0.9, 0.05 * 0.9 ** 5]);
});

it('warms a cosine up and ends at its floor', () => {
  const schedule = { peak: 1, steps: 110, warmupSteps: 10, floor: 0.1 };
  expect(rateAt(schedule, 0)).toBeCloseTo(0.1);
  expect(rateAt(schedule, 9)).toBe(1);
  expect(rateAt(schedule, 60)).toBeCloseTo(0.55);
  expect(rateAt(schedule, 110)).toBeCloseTo(0.1);
});
