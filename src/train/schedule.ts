/** Learning rate over a phase. */
export type RateSchedule = CosineRate | StaircaseRate;

/** Linear warm-up, then half a cosine down to `floor` of the peak. */
export interface CosineRate {
  readonly peak: number;
  readonly steps: number;
  readonly warmupSteps: number;
  /** Share of the peak that is left at the end, 0 … 1. */
  readonly floor: number;
}

/** Constant for `every` steps, then `factor` times as high, and so on. */
export interface StaircaseRate {
  readonly peak: number;
  readonly every: number;
  readonly factor: number;
}

/** @returns the rate of step `t` (from 0). Source of the cosine: Loshchilov & Hutter, SGDR, 2017, eq. 5, no restarts. */
export function rateAt(schedule: RateSchedule, t: number): number {
  if ('every' in schedule) return schedule.peak * schedule.factor ** Math.floor(t / schedule.every);
  const { peak, steps, warmupSteps, floor } = schedule;
  if (t < warmupSteps) return (peak * (t + 1)) / warmupSteps;
  const progress = Math.min(1, (t - warmupSteps) / Math.max(1, steps - warmupSteps));
  return peak * (floor + ((1 - floor) * (1 + Math.cos(Math.PI * progress))) / 2);
}

/** Chooses λ for the next window of steps; knows only what training has shown so far. */
export interface LambdaSchedule {
  /** λ of the coming window. */
  readonly value: number;
  /** Tells what a window of training gave. */
  observe(window: WindowResult): void;
  /** Plain numbers that restore it. */
  save(): number[];
  restore(state: readonly number[]): void;
}

export interface WindowResult {
  /** Mean loss and, for classifiers, share of right predictions (0 … 1) over the window. */
  readonly loss: number;
  readonly accuracy?: number;
  /** Steps done so far, this window included. */
  readonly step: number;
}

/** λ that grows linearly from 0 to its full value over the first steps and then stays. */
export function rampedLambda(full: number, rampSteps: number): LambdaSchedule {
  let step = 0;
  return {
    get value() {
      return full * Math.min(1, (step + 1) / Math.max(1, rampSteps));
    },
    observe(window) {
      step = window.step;
    },
    save: () => [step],
    restore: ([s]) => {
      step = s;
    },
  };
}

/** What a steered λ aims at. */
export interface SteeringOptions {
  /** λ while the reference is measured. */
  readonly start: number;
  /** Windows at the start whose mean quality is the reference. */
  readonly calibration: number;
  /** Total windows of the phase. */
  readonly windows: number;
  /** λ changes by at most this factor from window to window. */
  readonly gain: number;
}

/**
 * λ steered by feedback: it rises while training quality stays within an allowed distance of where it began, and falls
 * when it doesn't. So the network becomes as sparse as that loss of quality permits, whatever the scale of its weights
 * and gradients. For classifiers the error may grow by 1.5 points and 30 % of itself, other losses by 25 %.
 */
export function steeredLambda(options: SteeringOptions): LambdaSchedule {
  let lambda = options.start;
  let seen = 0;
  let reference = 0;
  let smooth = 0;
  const error = (w: WindowResult) => (w.accuracy === undefined ? w.loss : 1 - w.accuracy);
  return {
    get value() {
      return lambda;
    },
    observe(window) {
      const e = error(window);
      seen++;
      if (seen <= options.calibration) {
        reference += (e - reference) / seen;
        smooth = reference;
        return;
      }
      smooth = 0.6 * smooth + 0.4 * e;
      const allowed = window.accuracy === undefined ? 0.25 * reference : 0.015 + 0.3 * reference;
      // 1: as good as at the start; 0: at the limit; −1: twice as far.
      const room = Math.max(-1, Math.min(1, 1 - (smooth - reference) / Math.max(allowed, 1e-12)));
      lambda *= options.gain ** room;
    },
    save: () => [lambda, seen, reference, smooth],
    restore: (state) => {
      [lambda, seen, reference, smooth] = state;
    },
  };
}
