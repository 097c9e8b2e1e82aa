import { describe, expect, it } from 'vitest';
import { rampedLambda, type SteeringOptions, steeredLambda } from '../../src/train/schedule.js';

const options: SteeringOptions = { start: 1e-12, settling: 8, patience: 30, calibration: 4, steps: 1000, windows: 100 };

/** A network whose error is `own(t)`, and rises in proportion to λ above 1e-3, a little late. */
function simulate(own: (window: number) => number, from = steeredLambda(options), windows = options.windows) {
  let effect = 0;
  const lambdas: number[] = [];
  const errors: number[] = [];
  for (let t = 0; t < windows; t++) {
    effect += (20 * Math.max(0, from.value - 1e-3) - effect) * 0.3;
    const error = own(t) + effect;
    // A typical unit loses a share of its norm in proportion to λ.
    from.observe({ loss: error, accuracy: 1 - error, shrinkage: from.value, step: (t + 1) * 10 });
    lambdas.push(from.value);
    errors.push(error);
  }
  return { lambdas, errors, schedule: from };
}

describe('a steered λ', () => {
  it('rises to where the error reaches its limit, and stays about there', () => {
    const { lambdas, errors, schedule } = simulate(() => 0.02);
    expect(schedule.reference).toBeCloseTo(0.02, 6);
    // What takes a typical unit's whole norm over the phase.
    expect(lambdas[11]).toBeCloseTo(1e-3, 6);
    const limit = 0.02 + 0.008 + 0.3 * 0.02;
    for (const error of errors.slice(50)) expect(error).toBeLessThan(1.7 * limit);
    expect(Math.max(...errors.slice(50))).toBeGreaterThan(0.8 * limit);
  });

  it('waits while a network forgets what it knew by heart, but not for ever', () => {
    const forgetting = (t: number) => 0.005 + 0.1 * Math.min(1, t / 22);
    const { lambdas, schedule } = simulate(forgetting);
    expect(lambdas[20]).toBe(options.start);
    expect(schedule.reference).toBeGreaterThan(0.09);
    expect(lambdas.at(-1)).toBeGreaterThan(1e-3);
    const ever = simulate((t) => 0.005 * 1.2 ** t, steeredLambda(options), 36);
    expect(ever.lambdas.at(-1)).toBeGreaterThan(options.start);
  });

  it('takes what is not regained without pressure for the new standard, once', () => {
    let pressed = false;
    const schedule = steeredLambda(options);
    const { lambdas } = simulate(() => {
      pressed ||= schedule.value > 5e-4;
      return pressed ? 0.1 : 0.01;
    }, schedule);
    expect(schedule.reference).toBeGreaterThan(0.085);
    expect(lambdas.at(-1)).toBeGreaterThan(1e-3);
  });

  it('goes on from what it saved', () => {
    const whole = simulate(() => 0.02);
    const half = simulate(() => 0.02, steeredLambda(options), 40);
    const resumed = steeredLambda(options);
    resumed.restore(half.schedule.save());
    const window = { loss: 0.02, accuracy: 0.98, step: 410 };
    resumed.observe(window);
    half.schedule.observe(window);
    expect(resumed.value).toBe(half.schedule.value);
    expect(whole.lambdas[39]).toBe(half.lambdas[39]);
  });

  it('begins at once where the reference is known, and bears more when it is bold', () => {
    const given = steeredLambda({ ...options, start: 1e-3, reference: 0.02 });
    given.observe({ loss: 0.02, accuracy: 0.98, step: 10 });
    expect(given.value).toBeGreaterThan(1e-3);
    const bold = simulate(() => 0.02, steeredLambda({ ...options, boldness: 4 }));
    expect(Math.max(...bold.errors)).toBeGreaterThan(2 * Math.max(...simulate(() => 0.02).errors.slice(30)));
  });
});

it('a given λ grows to its full value and stays', () => {
  const ramp = rampedLambda(2, 10);
  expect(ramp.value).toBeCloseTo(0.2);
  ramp.observe({ loss: 1, step: 20 });
  expect(ramp.value).toBe(2);
});
